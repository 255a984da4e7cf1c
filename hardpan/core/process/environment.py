"""The environment of a local program, and where programs are searched."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

_INHERITED_ENV = ("HOME", "PATH", "TMPDIR", "SOURCE_DATE_EPOCH")
_SBIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find_program(program: str) -> Path | None:
    """Return the path of ``program`` on this machine, sbin folders included; None without one."""
    path = shutil.which(program, path=_search_path())
    return Path(path) if path else None


def build_environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Return the short environment of a program, extended by ``extra``."""
    inherited = {name: os.environ[name] for name in _INHERITED_ENV if name in os.environ}
    return {**inherited, "PATH": _search_path(), "LC_ALL": "C.UTF-8", **(extra or {})}


def _search_path() -> str:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*folders, *(p for p in _SBIN_FOLDERS if p not in folders)])
