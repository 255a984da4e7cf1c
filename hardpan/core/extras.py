"""Packages that a plain ``pip install hardpan`` leaves out, and the extra that brings each."""

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
"""Name of a module as it is imported -> the extra, as in ``pip install 'hardpan[scan]'``."""

_EXTRA_BY_COMMAND: Mapping[str, str] = {"build": "build", "prove": "build"}
"""Command -> the extra that holds all it needs, ``scan`` included."""


def missing_extra_error(error: ModuleNotFoundError, command: str) -> ResourceError | None:
    """The error of a command that lacks an extra; None where another module is missing: a bug."""
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
