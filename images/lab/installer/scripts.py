# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the kickstart's script sections, in the new system or in the installer.

Their output is in a log only, never on the console.
"""

import secrets
from collections.abc import Iterable
from pathlib import Path

from .plan import InstallError, Script
from .process import LOGS, SYSROOT, append_log, run

_TIMEOUT_S = 3600
_PRIVATE = 0o600


class ScriptFailedError(InstallError):
    """A script with ``--erroronfail`` failed."""

    def __init__(self, line: int, details: str) -> None:
        self.line = line
        self.details = details
        super().__init__(f"script at line {line}: {details}")


def run_all(scripts: Iterable[Script]) -> None:
    """Run scripts in order.

    Raises:
        ScriptFailedError: one with ``--erroronfail`` failed.
    """
    for script in scripts:
        _run_script(script)


def _run_script(script: Script) -> None:
    stem = f"ks-script-{secrets.token_hex(4)}"
    script_root = SYSROOT if script.chroot else Path("/")
    path = script_root / "tmp" / stem
    path.write_text(script.body, "utf-8")
    # NOTE: 0700 as Anaconda has it: a script may hold what others must not read.
    path.chmod(0o700)
    append_log("anaconda", f"Running kickstart {script.section.value} script at line {script.line}")
    try:
        done = run(
            [*script.interpreter.split(), f"/tmp/{stem}"],  # noqa: S108  (no other users yet)
            chroot=script.chroot,
            timeout_s=_TIMEOUT_S,
            ok=None,
        )
    finally:
        path.unlink(missing_ok=True)
    log = script_root / script.log.lstrip("/") if script.log else LOGS / f"{stem}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.output, "utf-8", errors="replace")
    log.chmod(_PRIVATE)
    if done.exit_status:
        append_log(
            "anaconda",
            f"Error code {done.exit_status} running the kickstart script at line {script.line}",
        )
        if script.fatal:
            raise ScriptFailedError(script.line, done.output)
