"""Which packages the target has: one query of its rpm database."""

import re

from hardpan.errors import ToolError
from hardpan.events import Emit
from hardpan.scanners.collect.base import Evidence, Task
from hardpan.scanners.transport import Transport

QUERY = r"rpm -qa --qf '%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\n'"
"""Epochs always: 0 where there is none, so that two hosts compare."""

_NEVRA = re.compile(r"[A-Za-z0-9._+~^-]{1,200}-[0-9]{1,9}:[A-Za-z0-9._+~^-]{1,200}")


class Packages:
    """Reads the NEVRAs of all installed packages."""

    def collect(self, via: Transport, task: Task, *, timeout_s: float, emit: Emit) -> Evidence:
        """The sorted NEVRAs.

        Raises:
            ToolError: there is no rpm database, or it is empty.
        """
        found = nevras(via.run(QUERY, timeout_s=timeout_s).stdout)
        if not found:
            raise ToolError(
                ["rpm"],
                f"knows no package on {via.target}",
                hint="hardpan scans systems of the EL family; is this one?",
            )
        return Evidence(packages=found)


def nevras(text: str) -> tuple[str, ...]:
    """The sorted NEVRAs in rpm's answer; public keys that rpm lists as packages are left out."""
    lines = {line.strip() for line in text.splitlines()}
    return tuple(
        sorted(x for x in lines if _NEVRA.fullmatch(x) and not x.startswith("gpg-pubkey-"))
    )
