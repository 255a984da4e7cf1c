"""Two package lists, held against each other."""

from collections.abc import Iterable

from hardpan.scanners.history.model import PackageChange, Packages


def compare(old: Iterable[str], new: Iterable[str]) -> Packages:
    """What came, went and changed its version, by name and architecture."""
    before, after = _by_name(old), _by_name(new)
    moved = [
        PackageChange(
            name=name,
            old=tuple(sorted(before.get(name, set()) - after.get(name, set()))),
            new=tuple(sorted(after.get(name, set()) - before.get(name, set()))),
        )
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    return Packages(
        added=tuple(c for c in moved if not c.old),
        removed=tuple(c for c in moved if not c.new),
        changed=tuple(c for c in moved if c.old and c.new),
    )


def split(nevra: str) -> tuple[str, str]:
    """``bash-0:5.2-1.el9.x86_64`` as ``bash.x86_64`` and ``0:5.2-1.el9``.

    A line of another shape is a name without a version: it came from a target,
    and is told rather than lost.
    """
    rest, _, arch = nevra.rpartition(".")
    parts = rest.rsplit("-", 2)
    if len(parts) != 3 or not all(parts) or ":" not in parts[1]:
        return nevra, ""
    return f"{parts[0]}.{arch}", f"{parts[1]}-{parts[2]}"


def _by_name(nevras: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for nevra in nevras:
        name, version = split(nevra)
        found.setdefault(name, set()).add(version)
    return found
