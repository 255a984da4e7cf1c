"""Installed packages of the target: one query of its rpm database."""

import re

from hardpan.core.errors import ToolError
from hardpan.core.events import Emit
from hardpan.scanners.collect.base import CollectedEvidence, Collector, CollectTask
from hardpan.ssh.connection import Connection

QUERY = r"rpm -qa --qf '%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\n'"
"""Always with epoch, 0 if there is none, so that two hosts can be compared."""

MAX_BYTES = 4 << 20
"""Of rpm's output; a host with every package of a release has a tenth of it."""

_MAX_PACKAGES = 50_000
_PUBLIC_KEY_PREFIX = "gpg-pubkey-"
_NEVRA = re.compile(r"[A-Za-z0-9._+~^-]{1,200}-[0-9]{1,9}:[A-Za-z0-9._+~^-]{1,200}")


class PackageCollector(Collector):
    """Collects the NEVRAs of all installed packages."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return the sorted NEVRAs.

        Raises:
            ToolError: there is no rpm database, it is empty, or the output is not rpm's.
        """
        packages = parse_nevras(
            connection.run(QUERY, timeout_s=timeout_s, max_bytes=MAX_BYTES).stdout
        )
        if not packages:
            raise ToolError(
                ["rpm"],
                f"reports no package on {connection.target}",
                hint="hardpan scans systems of the EL family; check that the target is one",
            )
        return CollectedEvidence(packages=packages)


def parse_nevras(text: str) -> tuple[str, ...]:
    """Parse rpm's output into sorted NEVRAs, without public keys that rpm lists as packages.

    Raises:
        ToolError: a line is no package, or there are too many.
    """
    lines = {line.strip() for line in text.split("\n")} - {""}
    package_lines = {line for line in lines if not line.startswith(_PUBLIC_KEY_PREFIX)}
    if len(package_lines) > _MAX_PACKAGES:
        raise ToolError(
            ["rpm"], f"named {len(package_lines)} packages: expected {_MAX_PACKAGES} at most"
        )
    invalid_line = min((line for line in package_lines if not _NEVRA.fullmatch(line)), default=None)
    if invalid_line is not None:
        raise ToolError(["rpm"], f"gave a line that is no package: {invalid_line[:80]!a}")
    return tuple(sorted(package_lines))
