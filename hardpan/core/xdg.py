"""The user's folders, by the XDG Base Directory Specification 0.8."""

import os
from pathlib import Path


def cache_home() -> Path:
    """``$XDG_CACHE_HOME/hardpan``: media, base installs, AI models; safe to delete."""
    return _xdg_folder("XDG_CACHE_HOME", ".cache")


def data_home() -> Path:
    """``$XDG_DATA_HOME/hardpan``: keys that hardpan generated, updated SCAP content."""
    return _xdg_folder("XDG_DATA_HOME", ".local/share")


def state_home() -> Path:
    """``$XDG_STATE_HOME/hardpan``: the ledger and the debug log."""
    return _xdg_folder("XDG_STATE_HOME", ".local/state")


def _xdg_folder(variable: str, default: str) -> Path:
    # The specification: a relative path is invalid and must be ignored.
    value = os.environ.get(variable, "")
    base = Path(value) if Path(value).is_absolute() else Path.home() / default
    return base / "hardpan"
