"""The command line: a registry of commands, their common options, and the error boundary.

A command's module is imported only when the command runs. Every error ends in ``run``.
"""

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

import click
from click.shell_completion import shell_complete

from hardpan.cli import error_reporting
from hardpan.cli.error_reporting import RunContext
from hardpan.core import interrupts, streams
from hardpan.core.errors import Exit
from hardpan.core.import_memory import importing_modules

_COMMAND_GROUPS = {
    "Build images": {
        "profiles": ("hardpan.cli.profiles:profiles", "List the shipped profiles."),
        "check": ("hardpan.cli.check:check", "Validate profiles; report every problem at once."),
        "render": ("hardpan.cli.render:render", "Write the kickstart and the build plan."),
        "build": ("hardpan.cli.build:build", "Build an unattended ISO or an image."),
        "prove": ("hardpan.cli.prove:prove", "Build, boot, scan, sign and verify in one run."),
        "media": ("hardpan.cli.media:media", "Download install ISOs; compare them with profiles."),
        "repo": ("hardpan.cli.repo:repo", "Check dnf repositories before a build."),
        "wheels": ("hardpan.cli.wheels:wheels", "Audit Python wheels for FIPS mode."),
        "hash-password": (
            "hardpan.cli.hash_password:hash_password",
            "Hash a password for a profile.",
        ),
    },
    "Scan hosts": {
        "scan": ("hardpan.cli.scan:scan", "Scan a running host over SSH; sign the evidence."),
        "smoke": ("hardpan.cli.smoke:smoke", "Run the AI workload test alone."),
        "content": ("hardpan.cli.content:content", "List and update SCAP content."),
    },
    "Use evidence": {
        "verify": ("hardpan.cli.verify:verify", "Verify evidence against a trust policy."),
        "show": ("hardpan.cli.show:show", "Show the content of an evidence file."),
        "export": ("hardpan.cli.export:export", "Write evidence in another format."),
        "diff": ("hardpan.cli.diff:diff", "Compare two scans."),
        "remediate": ("hardpan.cli.remediate:remediate", "Write fixes for the failed rules."),
        "ledger": ("hardpan.cli.ledger:ledger", "Record evidence and query its history."),
    },
    "Set up": {
        "doctor": ("hardpan.cli.doctor:doctor", "Check this machine and suggest fixes."),
        "keys": ("hardpan.cli.keys:keys", "Create and show signing keys."),
    },
}
"""Job -> command -> (``module:attribute`` of a click command, one line of help)."""

COMMANDS = {name: entry for group in _COMMAND_GROUPS.values() for name, entry in group.items()}
"""Command -> (``module:attribute`` of a click command, one line of help)."""

_COMPLETION_VARIABLE = "_HARDPAN_COMPLETE"
_FALLBACK_MESSAGE = b"error: this is a bug in hardpan, which also failed to report it\n"


def _enable_verbose(context: click.Context, _: click.Parameter, value: bool) -> None:
    run_context = context.find_object(RunContext)
    if value and run_context is not None:
        run_context.enable_verbose()


def _open_log_file(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    run_context = context.find_object(RunContext)
    if value is not None and run_context is not None:
        run_context.open_log_file(value)


_COMMON_OPTIONS = (
    click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_enable_verbose,
        help="Print each process that runs, with its exit status and duration.",
    ),
    click.Option(
        ["--log-file"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_open_log_file,
        help="Append every event and process to FILE, as JSON lines (mode 0600).",
    ),
)
"""Options of the program and of each command, so that they are accepted in both positions."""


def _add_common_options(command: click.Command) -> click.Command:
    command.params.extend(option for option in _COMMON_OPTIONS if option not in command.params)
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            _add_common_options(subcommand)
    return command


class LazyGroup(click.Group):
    """A click group that imports the module of a command only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called ``cmd_name``, or None."""
        if cmd_name not in COMMANDS:
            return None
        run_context = ctx.find_object(RunContext)
        if run_context is not None:
            run_context.command = cmd_name
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        with importing_modules():
            command = cast(click.Command, getattr(import_module(module), attribute))
        return _add_common_options(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands grouped by job; no command module is imported."""
        with formatter.section("Commands"):
            for title, commands in _COMMAND_GROUPS.items():
                with formatter.section(title):
                    formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hardpan")
def root() -> None:
    """Build hardened images for AI work, scan them, and sign the evidence."""


_add_common_options(root)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; every error ends here."""
    with RunContext() as context:
        try:
            exit_code = _invoke(sys.argv[1:] if arguments is None else arguments, context)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BaseException as e:  # noqa: BLE001 - the boundary: every error ends here
            exit_code = error_reporting.report_error(e, context)
        return context.finish(exit_code)


def _invoke(arguments: Sequence[str], run_context: RunContext) -> int:
    """Do what click's ``main`` does, without its handlers: they end a closed pipe with 1."""
    if _COMPLETION_VARIABLE in os.environ:
        has_failed = shell_complete(
            root, {}, "hardpan", _COMPLETION_VARIABLE, os.environ[_COMPLETION_VARIABLE]
        )
        return int(Exit.USAGE if has_failed else Exit.OK)
    try:
        with root.make_context("hardpan", list(arguments), obj=run_context) as context:
            result = root.invoke(context)
    except click.exceptions.Exit as e:
        return e.exit_code
    return result if isinstance(result, int) else int(Exit.OK)


def main() -> None:
    """Entry point of the ``hardpan`` program; SIGTERM cleans up like Ctrl-C."""
    streams.open_missing_streams()
    interrupts.install()
    # A library's thread may log after the run: without a handler, Python would print it.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        exit_code = run()
    except KeyboardInterrupt as e:  # raised while the end of the run was reported
        exit_code = error_reporting.interrupt_exit_code(e)
    except BaseException:  # noqa: BLE001 - Python would exit with 1, which means findings
        os.write(2, _FALLBACK_MESSAGE)
        exit_code = int(Exit.BUG)
    interrupts.uninstall()
    streams.flush_standard_streams()
    sys.exit(exit_code)
