"""Packages of OpenSCAP that a scan uploads for its length (``--push-openscap``)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.files import read_limited

_MAX_PACKAGE_BYTES = 64 << 20
_MAGIC = {".rpm": b"\xed\xab\xee\xdb", ".deb": b"!<arch>\n"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~^:%-]{0,160}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedPackage:
    """One package file."""

    name: str
    """File name, safe in a shell script."""

    data: bytes

    @property
    def is_rpm(self) -> bool:
        """Whether it is an RPM; else it is a Debian package."""
        return self.name.endswith(".rpm")


def load_packages(paths: Sequence[Path]) -> tuple[PushedPackage, ...]:
    """Read package files.

    Raises:
        InputError: a file cannot be read, is too long, or is neither an RPM nor a Debian package.
    """
    return tuple(_load_package(path) for path in paths)


def _load_package(path: Path) -> PushedPackage:
    data = read_limited(path, _MAX_PACKAGE_BYTES)
    magic = _MAGIC.get(path.suffix)
    if magic is None or not data.startswith(magic) or not _NAME.fullmatch(path.name):
        raise InputError(f"{path}: expected an RPM or Debian package, NAME.rpm or NAME.deb")
    return PushedPackage(name=path.name, data=data)
