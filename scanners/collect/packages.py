"""Which packages the target has: one query of its rpm database."""

import re

from hardpan.errors import ToolError
from hardpan.events import Emit
from hardpan.scanners.collect.base import Evidence, Task
from hardpan.scanners.transport import Transport

QUERY = r"rpm -qa --qf '%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\n'"
"""Epochs always: 0 where there is none, so that two hosts compare."""

MAX_BYTES = 4 << 20
"""Of rpm's answer; a host with every package of a release has a tenth of it."""

_MAX_PACKAGES = 50_000
_KEYS = "gpg-pubkey-"
_NEVRA = re.compile(r"[A-Za-z0-9._+~^-]{1,200}-[0-9]{1,9}:[A-Za-z0-9._+~^-]{1,200}")


class Packages:
    """Reads the NEVRAs of all installed packages."""

    def collect(self, via: Transport, task: Task, *, timeout_s: float, emit: Emit) -> Evidence:
        """The sorted NEVRAs.

        Raises:
            ToolError: there is no rpm database, it is empty, or the answer is not rpm's.
        """
        found = nevras(via.run(QUERY, timeout_s=timeout_s, max_bytes=MAX_BYTES).stdout)
        if not found:
            raise ToolError(
                ["rpm"],
                f"knows no package on {via.target}",
                hint="hardpan scans systems of the EL family; is this one?",
            )
        return Evidence(packages=found)


def nevras(text: str) -> tuple[str, ...]:
    """The sorted NEVRAs in rpm's answer; public keys that rpm lists as packages are left out.

    Raises:
        ToolError: a line is no package, or there are too many.
    """
    lines = {line.strip() for line in text.split("\n")} - {""}
    found = {line for line in lines if not line.startswith(_KEYS)}
    if len(found) > _MAX_PACKAGES:
        raise ToolError(["rpm"], f"named {len(found)} packages: expected {_MAX_PACKAGES} at most")
    odd = min((line for line in found if not _NEVRA.fullmatch(line)), default=None)
    if odd is not None:
        raise ToolError(["rpm"], f"gave a line that is no package: {odd[:80]!a}")
    return tuple(sorted(found))
