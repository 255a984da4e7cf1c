"""Compare two package lists."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from hardpan.core.nevra import parse_nevra
from hardpan.scanners.comparison.model import PackageChange, PackageChanges

_DEB_URL = re.compile(
    r"pkg:deb/[^/@?\s]{1,80}/(?P<name>[^/@?\s]{1,300})@(?P<version>[^@?\s]{1,300})"
    r"\?arch=(?P<arch>[a-z0-9-]{1,40})(?:&|$)"
)


def compare_packages(baseline: Iterable[str], current: Iterable[str]) -> PackageChanges:
    """Compare by name and architecture: added, removed and changed packages."""
    baseline_versions, current_versions = _versions_by_name(baseline), _versions_by_name(current)
    changes = [
        PackageChange(
            name=name,
            baseline=tuple(
                sorted(baseline_versions.get(name, set()) - current_versions.get(name, set()))
            ),
            current=tuple(
                sorted(current_versions.get(name, set()) - baseline_versions.get(name, set()))
            ),
        )
        for name in sorted(baseline_versions.keys() | current_versions.keys())
        if baseline_versions.get(name) != current_versions.get(name)
    ]
    return PackageChanges(
        added=tuple(c for c in changes if not c.baseline),
        removed=tuple(c for c in changes if not c.current),
        changed=tuple(c for c in changes if c.baseline and c.current),
    )


def split_name_and_version(text: str) -> tuple[str, str]:
    """Return ``bash-0:5.2-1.el9.x86_64`` as ``bash.x86_64`` and ``0:5.2-1.el9``.

    A package URL, ``pkg:deb/debian/bash@5.2-1?arch=amd64``, is ``bash.amd64`` and ``5.2-1``.
    Text in another form comes from a hostile target; it is reported as a name without version.
    """
    deb = _DEB_URL.match(text)
    if deb is not None:
        return f"{unquote(deb['name'])}.{deb['arch']}", unquote(deb["version"])
    package = parse_nevra(text)
    if package is None or package.epoch is None:
        return text, ""
    return f"{package.name}.{package.arch}", package.evr


def _versions_by_name(nevras: Iterable[str]) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for nevra in nevras:
        name, version = split_name_and_version(nevra)
        versions.setdefault(name, set()).add(version)
    return versions
