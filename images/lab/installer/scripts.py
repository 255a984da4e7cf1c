# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the kickstart's script sections, in the new system or in the installer."""

from collections.abc import Iterable
from pathlib import Path

from .config_files import make_printable
from .console import InstallerConsole
from .plan import InstallError, Script
from .process import LOGS, SYSROOT, run

_TIMEOUT_S = 3600
_MAX_CONSOLE_LINES = 200
"""A script's output on the serial line; all of it is in the log."""


def run_all(scripts: Iterable[Script], console: InstallerConsole) -> None:
    """Run scripts in order.

    Raises:
        InstallError: one with ``--erroronfail`` failed.
    """
    for number, script in enumerate(scripts):
        _run_script(script, number, console)


def _run_script(script: Script, number: int, console: InstallerConsole) -> None:
    name = f"{script.section.value} at line {script.line}"
    console.print_marker(name)
    # NOTE: 0700 as EL's installer has it: a script may hold what others must not read.
    stem = f"ks-script-{script.section.value.lstrip('%')}-{number}"
    script_root = SYSROOT if script.chroot else Path("/")
    path = script_root / "tmp" / stem
    path.write_text(script.body, "utf-8")
    path.chmod(0o700)
    line_count = 0

    def print_line(line: str) -> None:
        nonlocal line_count
        line_count += 1
        if line_count <= _MAX_CONSOLE_LINES:
            console.print_line(f"  {line}")

    try:
        done = run(
            [*script.interpreter.split(), f"/tmp/{stem}"],  # noqa: S108  (no other users yet)
            chroot=script.chroot,
            timeout_s=_TIMEOUT_S,
            ok=None,
            on_line=print_line,
        )
    finally:
        path.unlink(missing_ok=True)
    (LOGS / f"{stem}.log").write_text(done.output, "utf-8", errors="replace")
    if script.log:
        log = script_root / script.log.lstrip("/")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.output, "utf-8", errors="replace")
    if done.exit_status:
        last = [make_printable(x) for x in done.output.splitlines() if x.strip()][-1:]
        summary = f"{name} exited with {done.exit_status}{': ' + last[0] if last else ''}"
        if script.fatal:
            # EL's words, which programs that watch the console match.
            raise InstallError(f"There was an error running the kickstart script {summary}")
        console.print_line(f"warning: {summary}")
