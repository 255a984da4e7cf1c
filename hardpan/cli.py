"""The front door: verbs by dotted name, the options that each has, and where every error ends."""

import gc
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

import click
from click.shell_completion import shell_complete

from hardpan import boundary, interrupts, streams
from hardpan.boundary import Run
from hardpan.errors import Exit

VERBS = {
    "build": (
        "hardpan.prove.commands:build_command",
        "Build an unattended ISO or an image.",
    ),
    "check": (
        "hardpan.builder.commands.check:check",
        "Validate profiles; tell every problem at once.",
    ),
    "content": ("hardpan.scanners.commands.content:content", "List SCAP content; take newer."),
    "diff": ("hardpan.scanners.commands.diff:diff", "Tell what changed between two scans."),
    "doctor": ("hardpan.doctor:doctor", "Tell what this machine can do, and how to mend it."),
    "export": ("hardpan.scanners.commands.export:export", "Write evidence in another format."),
    "keys": ("hardpan.scanners.commands.keys:keys", "Make and show signing keys."),
    "ledger": ("hardpan.scanners.commands.ledger:ledger", "Remember evidence, and what changed."),
    "media": ("hardpan.builder.commands.media:media", "Look into repositories before a build."),
    "password": ("hardpan.builder.commands.password:password", "Hash a password for a profile."),
    "profiles": ("hardpan.builder.commands.profiles:profiles", "List the shipped profiles."),
    "prove": (
        "hardpan.prove.commands:prove_command",
        "Build, boot, scan, sign, verify.",
    ),
    "render": (
        "hardpan.builder.commands.render:render",
        "Write what a profile leads to; run nothing.",
    ),
    "scan": (
        "hardpan.scanners.commands.scan:scan",
        "Scan a running host over SSH; sign the evidence.",
    ),
    "show": ("hardpan.scanners.commands.show:show", "Show what an evidence file says."),
    "smoke": ("hardpan.scanners.commands.smoke:smoke", "Run the AI workload test alone."),
    "verify": ("hardpan.scanners.commands.verify:verify", "Check evidence against a trust policy."),
    "wheels": (
        "hardpan.builder.commands.wheels:wheels",
        "Look into Python wheels for FIPS trouble.",
    ),
}
"""Verb -> (``module:attribute`` of a click command, one line of help)."""


_COMPLETE = "_HARDPAN_COMPLETE"
_LAST_WORDS = b"error: this is a bug in hardpan, and so is that it cannot say which\n"


def _take_verbose(context: click.Context, _: click.Parameter, value: bool) -> None:
    state = context.find_object(Run)
    if value and state is not None:
        state.be_verbose()


def _take_log_file(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    state = context.find_object(Run)
    if value is not None and state is not None:
        state.log_to(value)


_OPTIONS = (
    click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_take_verbose,
        help="Show each process that runs, with its exit status and duration.",
    ),
    click.Option(
        ["--log-file"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_take_log_file,
        help="Append every event and process to FILE, as JSON lines (mode 0600).",
    ),
)
"""Options of the program and of each command: people type them where they think of them."""


def _with_options(command: click.Command) -> click.Command:
    command.params.extend(option for option in _OPTIONS if option not in command.params)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _with_options(one)
    return command


class Verbs(click.Group):
    """A click group that imports a verb's module only when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, sorted."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command called ``name``, or None."""
        if name not in VERBS:
            return None
        state = ctx.find_object(Run)
        if state is not None:
            state.command = name
        module, _, attribute = VERBS[name][0].partition(":")
        verb = cast(click.Command, getattr(import_module(module), attribute))
        # What imports made stays: Python need not search it for garbage, nor at its end.
        gc.freeze()
        return _with_options(verb)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing a single one."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, about) for verb, (_, about) in sorted(VERBS.items())])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hardpan")
def root() -> None:
    """Build hardened images for AI work, scan them, and sign the evidence."""


_with_options(root)


def run(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code; every error ends here."""
    with Run() as state:
        try:
            code = _carried_out(sys.argv[1:] if arguments is None else arguments, state)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BaseException as e:  # noqa: BLE001 - the boundary: every error ends here
            code = boundary.report(e, state)
        return state.end(code)


def _carried_out(arguments: Sequence[str], state: Run) -> int:
    """What click's own ``main`` does, but for its handlers: they end a closed pipe with 1."""
    if _COMPLETE in os.environ:
        is_wrong = shell_complete(root, {}, "hardpan", _COMPLETE, os.environ[_COMPLETE])
        return int(Exit.USAGE if is_wrong else Exit.DONE)
    try:
        with root.make_context("hardpan", list(arguments), obj=state) as context:
            answer = root.invoke(context)
    except click.exceptions.Exit as e:
        return e.exit_code
    return answer if isinstance(answer, int) else int(Exit.DONE)


def main() -> None:
    """Entry point of the ``hardpan`` program; SIGTERM cleans up as Ctrl-C does."""
    streams.open_missing()
    interrupts.install()
    # After the run a thread of a library may still log: without a handler Python would print it.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        code = run()
    except KeyboardInterrupt as e:  # it came while the end of the run was reported
        code = boundary.code_of(e)
    except BaseException:  # noqa: BLE001 - Python itself would end with 1, which means findings
        os.write(2, _LAST_WORDS)
        code = int(Exit.BUG)
    interrupts.uninstall()
    streams.flush_all()
    sys.exit(code)
