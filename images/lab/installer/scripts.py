# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the kickstart's script sections, in the new system or beside it."""

from collections.abc import Iterable
from pathlib import Path

from .console import Console
from .plan import InstallError, Script
from .proc import LOGS, SYSROOT, run
from .texts import printable

_LIMIT_S = 3600
_SHOWN_LINES = 200
"""A script's output on the serial line; all of it is in the log."""


def run_all(scripts: Iterable[Script], console: Console) -> None:
    """Run scripts in order.

    Raises:
        InstallError: one with ``--erroronfail`` failed.
    """
    for number, script in enumerate(scripts):
        _run_one(script, number, console)


def _run_one(script: Script, number: int, console: Console) -> None:
    name = f"{script.when.value} at line {script.line}"
    console.mark(name)
    # NOTE: 0700 as EL's installer has it: a script may hold what others must not read.
    stem = f"ks-script-{script.when.value.lstrip('%')}-{number}"
    home = SYSROOT if script.chroot else Path("/")
    path = home / "tmp" / stem
    path.write_text(script.body, "utf-8")
    path.chmod(0o700)
    shown = 0

    def tell(line: str) -> None:
        nonlocal shown
        shown += 1
        if shown <= _SHOWN_LINES:
            console.say(f"  {line}")

    try:
        done = run(
            [*script.interpreter.split(), f"/tmp/{stem}"],  # noqa: S108  (no other users yet)
            chroot=script.chroot,
            timeout_s=_LIMIT_S,
            ok=None,
            on_line=tell,
        )
    finally:
        path.unlink(missing_ok=True)
    (LOGS / f"{stem}.log").write_text(done.out, "utf-8", errors="replace")
    if script.log:
        log = home / script.log.lstrip("/")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.out, "utf-8", errors="replace")
    if done.rc:
        last = [printable(x) for x in done.out.splitlines() if x.strip()][-1:]
        told = f"{name} exited with {done.rc}{': ' + last[0] if last else ''}"
        if script.fatal:
            # EL's words, which whoever watches the console looks for.
            raise InstallError(f"There was an error running the kickstart script {told}")
        console.say(f"warning: {told}")
