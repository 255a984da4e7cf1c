"""Installed packages of the target: one query of its rpm and dpkg databases.

An RPM is listed as NEVRA, which the FIPS certificates and the comparison of scans use; a Debian
package as package URL (purl-spec, type deb), which has the distribution in it.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from hardpan.core.errors import ToolError, UnavailableError
from hardpan.core.events import Emit
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    Collector,
    CollectTask,
    build_failed_check,
)
from hardpan.scanners.collect.preconditions import RPM_DATABASE_TEST
from hardpan.scanners.model.results import HostCheck
from hardpan.ssh.connection import Connection

_NO_MANAGER = 127
QUERY = (
    "status=127; "
    "if command -v dpkg-query >/dev/null 2>&1; then "
    r"dpkg-query -W -f='deb\t${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n'; "
    "status=$?; fi; "
    # A Debian host may have the program without a database.
    "if command -v rpm >/dev/null 2>&1 && "
    f"{{ [ $status = 127 ] || {RPM_DATABASE_TEST}; }}; then "
    # Always with epoch, 0 if there is none, so that two hosts can be compared.
    r"rpm -qa --qf '%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\n' && "
    "{ [ $status != 127 ] || status=0; } || status=$?; fi; exit $status"
)
"""Prints the packages of both managers; a host may have both programs."""

MAX_BYTES = 4 << 20
"""Of the output; a host with every package of a release has a tenth of it."""

_MAX_PACKAGES = 50_000
_PUBLIC_KEY_PREFIX = "gpg-pubkey-"
_NEVRA = re.compile(r"[A-Za-z0-9._+~^-]{1,200}-[0-9]{1,9}:[A-Za-z0-9._+~^-]{1,200}")
_DEB = re.compile(
    r"deb\t(?P<status>[a-z-]{1,20})\t(?P<name>[a-z0-9][a-z0-9+.-]{0,200})"
    r"\t(?P<version>[A-Za-z0-9.+~:-]{0,200})\t(?P<arch>[a-z0-9-]{0,40})"
)
_ABSENT_STATUSES = ("config-files", "not-installed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageList:
    """The packages in an answer."""

    packages: tuple[str, ...]
    """Sorted NEVRAs and package URLs."""

    invalid_lines: tuple[str, ...]
    """Sorted lines that are no package; the list does not have them."""


class PackageCollector(Collector):
    """Collects all installed packages."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return the sorted packages; lines that are no package are reported in a check.

        Raises:
            UnavailableError: the target has neither rpm nor dpkg.
            ToolError: a database is damaged, or the output names no package or too many.
        """
        output = connection.run(
            QUERY, timeout_s=timeout_s, max_bytes=MAX_BYTES, ok=(0, _NO_MANAGER)
        )
        task.answer_log.add("packages", QUERY, output.exit_status, output.stdout)
        if output.exit_status == _NO_MANAGER:
            raise UnavailableError(
                ["the package list:"],
                "neither rpm nor dpkg-query is installed",
                hint="hardpan reads the package lists of rpm and dpkg only",
            )
        result = parse_packages(output.stdout, distro=task.distro)
        if not result.packages:
            raise ToolError(["the package list:"], "rpm and dpkg-query name no package")
        checks: tuple[HostCheck, ...] = ()
        if result.invalid_lines:
            first = result.invalid_lines[0][:80]
            reason = f"{len(result.invalid_lines)} lines are no package: {first!a}"
            checks = (
                build_failed_check("packages[lines]", UnavailableError(["the answer:"], reason)),
            )
        return CollectedEvidence(packages=result.packages, checks=checks)


def parse_packages(text: str, *, distro: str) -> PackageList:
    """Parse the output of ``QUERY``, without public keys that rpm lists as packages.

    ``distro`` is the distribution for package URLs, e.g. ``debian-12``.

    Raises:
        ToolError: there are too many packages.
    """
    lines = {line.strip(" \r") for line in text.split("\n")} - {""}
    if len(lines) > _MAX_PACKAGES:
        raise ToolError(
            ["the package list:"],
            f"has {len(lines)} lines: expected {_MAX_PACKAGES} packages at most",
        )
    packages, invalid_lines = set(), set()
    for line in lines:
        if line.startswith(_PUBLIC_KEY_PREFIX):
            continue
        deb = _DEB.fullmatch(line)
        if deb and deb["version"] and deb["arch"] and deb["status"] not in _ABSENT_STATUSES:
            packages.add(build_deb_url(deb["name"], deb["version"], deb["arch"], distro))
        elif deb is None and _NEVRA.fullmatch(line):
            packages.add(line)
        elif deb is None:
            invalid_lines.add(line)
    return PackageList(packages=tuple(sorted(packages)), invalid_lines=tuple(sorted(invalid_lines)))


def build_deb_url(name: str, version: str, arch: str, distro: str) -> str:
    """Return the package URL of a Debian package; ``distro`` is e.g. ``debian-12``."""
    namespace = quote(distro.partition("-")[0] or "debian", safe="")
    return (
        f"pkg:deb/{namespace}/{quote(name, safe='')}@{quote(version, safe=':')}"
        f"?arch={arch}&distro={quote(distro, safe='')}"
    )
