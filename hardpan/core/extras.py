"""Packages that ``pip install hardpan`` omits, and the extra that installs each."""

from collections.abc import Mapping

from hardpan.core.errors import ResourceError

EXTRA_BY_MODULE: Mapping[str, str] = {
    "paramiko": "scan",
    "pytest": "scan",
    "testinfra": "scan",
    "ansible": "build",
    "ansible_runner": "build",
    "qemu": "build",
    "qemu.qmp": "build",
    "weasyprint": "pdf",
    "rfc3161_client": "tsa",
}
"""Imported module -> extra, as in ``pip install 'hardpan[scan]'``."""

_EXTRA_BY_COMMAND: Mapping[str, str] = {"build": "build", "prove": "build"}
"""Command -> the extra with everything that it needs, ``scan`` included."""


def missing_extra_error(error: ModuleNotFoundError, command: str) -> ResourceError | None:
    """Return the error of a command whose extra is missing; None for any other module: a bug."""
    name = error.name or ""
    if name not in EXTRA_BY_MODULE:
        return None
    extra = EXTRA_BY_MODULE[name]
    if extra == "scan":
        extra = _EXTRA_BY_COMMAND.get(command, extra)
    return ResourceError(
        f"hardpan {command}: {name.partition('.')[0]} is not installed: "
        f"expected the extra '{extra}', got an installation without it",
        hint=f"pip install 'hardpan[{extra}]'",
    )
