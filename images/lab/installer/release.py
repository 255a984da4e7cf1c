# SPDX-License-Identifier: GPL-2.0-or-later
"""The Enterprise Linux release whose Anaconda this installer follows. Pure."""

import shlex
from dataclasses import dataclass

from .plan import InstallError

_ANACONDA_VERSIONS = {9: "34.25.7.19", 10: "40.22.3.57"}
"""Versions of Anaconda, from the branches rhel-9 and rhel-10, that ANACONDA.md cites."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release of the lab."""

    major: int
    """9 or 10."""

    product: str = "hardpan lab"
    version: str = ""
    """``VERSION_ID``, e.g. ``9.0``."""

    @property
    def handler(self) -> str:
        """Name of pykickstart's syntax version: it knows the commands that were removed."""
        return f"RHEL{self.major}"

    @property
    def anaconda_version(self) -> str:
        """Version of Anaconda that the release has."""
        return _ANACONDA_VERSIONS[self.major]


def parse_os_release(text: str) -> Release:
    """The release that an os-release file names.

    Raises:
        InstallError: it is neither 9 nor 10.
    """
    assignments = (line.partition("=") for line in text.splitlines() if "=" in line)
    fields = {key: "".join(shlex.split(value)[:1]) for key, _, value in assignments}
    version = fields.get("VERSION_ID", "")
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) not in _ANACONDA_VERSIONS:
        raise InstallError(f"os-release: VERSION_ID is {version!r}: expected 9.x or 10.x")
    return Release(major=int(major), product=fields.get("NAME", ""), version=version)
