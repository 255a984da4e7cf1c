"""The programs from npm that the interop tests run: where they are, and how they are called."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hardpan.process import Completed, run, which

ROOM = Path(__file__).with_name("npm")
_DONE = ROOM / "node_modules" / ".done"
_SLOW_S = 300.0
"""The SAF CLI takes seconds when the machine is idle."""


def readers() -> Path:
    """The folder with the installed programs.

    Where they are not installed the test is skipped; it fails where they were asked
    for (``HARDPAN_INTEROP=required``, as ``make test-interop-npm`` sets it).
    """
    missing = "node" if which("node") is None else "" if _DONE.is_file() else str(_DONE.parent)
    if missing:
        told = f"{missing} is not there: run 'make setup-interop-npm'"
        if os.environ.get("HARDPAN_INTEROP") == "required":
            pytest.fail(told)
        pytest.skip(told)
    return ROOM


def imported(room: Path, checklist: Path) -> dict[str, Any]:
    """What STIG Manager's client makes of a checklist."""
    argv = ["node", room / "read_checklist.mjs", checklist]
    made = json.loads(run(argv, timeout_s=_SLOW_S).stdout)
    assert isinstance(made, dict)
    return made


def saf(room: Path, home: Path, *words: str | Path, ok: tuple[int, ...] = (0,)) -> Completed:
    """Run MITRE's SAF CLI; it asks for no newer version of itself."""
    env = {"SAF_SKIP_AUTOUPDATE": "1", "HOME": str(home)}
    argv = [room / "node_modules" / ".bin" / "saf", *words]
    return run(argv, timeout_s=_SLOW_S, ok=ok, cwd=home, env=env)
