"""Two package lists, held against each other."""

from collections.abc import Iterable

from hardpan.scanners.comparison.model import PackageChange, PackageChanges


def compare_packages(baseline: Iterable[str], current: Iterable[str]) -> PackageChanges:
    """What came, went and changed its version, by name and architecture."""
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


def parse_nevra(nevra: str) -> tuple[str, str]:
    """``bash-0:5.2-1.el9.x86_64`` as ``bash.x86_64`` and ``0:5.2-1.el9``.

    A line of another shape is a name without a version: it came from a target,
    and is told rather than lost.
    """
    name_version_release, _, arch = nevra.rpartition(".")
    parts = name_version_release.rsplit("-", 2)
    if len(parts) != 3 or not all(parts) or ":" not in parts[1]:
        return nevra, ""
    return f"{parts[0]}.{arch}", f"{parts[1]}-{parts[2]}"


def _versions_by_name(nevras: Iterable[str]) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for nevra in nevras:
        name, version = parse_nevra(nevra)
        versions.setdefault(name, set()).add(version)
    return versions
