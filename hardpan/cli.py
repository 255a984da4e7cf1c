"""The front door: verbs by dotted name, one place that catches, the exit codes."""

import gc
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import cast

import click

from hardpan.errors import Exit, HardpanError, SeveralError, ToolError
from hardpan.terminal import err, plain, say

VERBS = {
    "build": (
        "hardpan.prove.commands:build_command",
        "Build an unattended ISO or an image.",
    ),
    "check": (
        "hardpan.builder.commands.check:check",
        "Validate profiles; tell every problem at once.",
    ),
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


class Verbs(click.Group):
    """A click group that imports a verb's module only when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, sorted."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command called ``name``, or None."""
        if name not in VERBS:
            return None
        module, _, attribute = VERBS[name][0].partition(":")
        verb = cast(click.Command, getattr(import_module(module), attribute))
        # What imports made stays: Python need not search it for garbage, nor at its end.
        gc.freeze()
        return verb

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing a single one."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, about) for verb, (_, about) in sorted(VERBS.items())])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hardpan")
def root() -> None:
    """Build hardened images for AI work, scan them, and sign the evidence."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code; every error ends here."""
    try:
        answer = root.main(args=arguments, prog_name="hardpan", standalone_mode=False)
    except HardpanError as e:
        _tell(e)
        return int(e.exit_code)
    except click.ClickException as e:
        e.show()
        return int(Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        say(err, "interrupted; finished stages are kept", style="yellow")
        return int(Exit.INTERRUPTED)
    return answer if isinstance(answer, int) else int(Exit.DONE)


def _tell(e: HardpanError) -> None:
    if isinstance(e, SeveralError):
        for one in e.errors:
            _tell(one)
        return
    say(err, f"error: {e}", style="bold red")
    if isinstance(e, ToolError) and e.tail:
        for line in e.tail.splitlines():
            say(err, f"  | {plain(line)}")
    if e.hint:
        say(err, f"hint: {e.hint}", style="cyan")


def main() -> None:
    """Entry point of the ``hardpan`` program; SIGTERM cleans up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run())
