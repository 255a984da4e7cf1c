# SPDX-License-Identifier: GPL-2.0-or-later
"""Which EL package owns which path of the root. Reads the root, changes nothing."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from images.lab.dpkg import DebPackage
from images.lab.media_definition import Globs, MediaDefinition
from images.lab.plan import ElPackage
from images.lab.root import list_overlay

_BYTECODE = re.compile(r"/__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc$")
_SKIPPED = frozenset({"/proc", "/sys", "/dev", "/run", "/tmp", "/lost+found"})  # noqa: S108
_MAX_FOLDER_OWNERS = 5
"""A folder that more packages than this list is the filesystem package's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedPath:
    """One path of the root, as an rpm file list needs it."""

    path: str
    is_folder: bool
    is_config: bool
    is_ghost: bool
    owner: str = ""
    """``user,group`` where it is not root's; rpmbuild takes root for all else."""

    capabilities: str = ""
    """File capabilities in text form, e.g. ``cap_net_raw=ep``."""


OwnedPaths = dict[str, list[OwnedPath]]
"""EL name -> what it owns."""


def walk_root(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every path below the root with its own stat, in sorted order."""
    for current, folders, files in os.walk(root):
        prefix = "/" + os.path.relpath(current, root) if current != str(root) else ""
        folders[:] = sorted(f for f in folders if f"{prefix}/{f}" not in _SKIPPED)
        for name in sorted({*folders, *files}):
            yield f"{prefix}/{name}", (Path(current) / name).lstat()


class OwnershipMap:
    """Answers who owns a path."""

    def __init__(
        self,
        definition: MediaDefinition,
        debs: Iterable[DebPackage],
        packages: Mapping[str, ElPackage],
    ) -> None:
        el_by_deb = {m: p.name for p in packages.values() for m in p.members}
        self._owners_by_path: dict[str, set[str]] = {}
        self._excluded: set[str] = set()
        for deb in debs:
            el_name = el_by_deb.get(deb.name)
            for path in deb.files:
                moved_path = definition.moves.get(path, path)
                for p in {path, moved_path}:
                    if el_name is None:
                        self._excluded.add(p)
                    else:
                        self._owners_by_path.setdefault(p, set()).add(el_name)
        self._globs = tuple((el_name, Globs(globs)) for el_name, globs in definition.owners.items())
        self._added_paths = {f"/{f.as_posix()}" for f in list_overlay()} | set(definition.links)
        self._folders = set(definition.folders)

    def find_owners(self, path: str, root: Path) -> frozenset[str]:
        """Return the owners of one path; empty for a path that only this build created."""
        owners = self._owners_by_path.get(path)
        if owners:
            return frozenset(owners)
        for el_name, globs in self._globs:
            if path in globs:
                return frozenset({el_name})
        if path in self._added_paths or path in self._folders:
            return frozenset({"hardpan-lab-release"})
        source = _BYTECODE.sub(r"/\1.py", path)
        if source != path:
            return frozenset(self._owners_by_path.get(source, ()))
        if path.endswith("/__pycache__"):
            return frozenset(self._owners_by_path.get(path.removesuffix("/__pycache__"), ()))
        return self._find_alternative_owners(path, root)

    def is_excluded(self, path: str) -> bool:
        """Whether only packages that are not carried list the path."""
        return path in self._excluded and path not in self._owners_by_path

    def _find_alternative_owners(self, path: str, root: Path) -> frozenset[str]:
        """Return the owners of the target if update-alternatives created the link."""
        link = root / path[1:]
        for _ in range(3):
            if not link.is_symlink():
                break
            target = str(link.readlink())
            absolute = target if target.startswith("/") else f"{Path(path).parent}/{target}"
            path = os.path.normpath(absolute)
            if owner := self._owners_by_path.get(_merge_usr(path)):
                return frozenset(owner)
            link = root / path[1:]
        return frozenset()


def assign_owners(
    definition: MediaDefinition,
    root: Path,
    owners: OwnershipMap,
    packages: Mapping[str, ElPackage],
    capabilities: Mapping[str, str],
) -> tuple[OwnedPaths, tuple[str, ...], tuple[str, ...]]:
    """Return the paths of each package, of omitted packages, and of no package."""
    users, group_names = _read_names(root / "etc/passwd"), _read_names(root / "etc/group")
    config, ghosts = Globs(definition.config), Globs(definition.ghosts)
    conffiles = {definition.moves.get(c, c) for p in packages.values() for c in p.conffiles}
    owned: OwnedPaths = {name: [] for name in packages}
    excluded: list[str] = []
    unowned: list[str] = []
    for path, status in walk_root(root):
        names = owners.find_owners(path, root)
        is_folder = stat.S_ISDIR(status.st_mode)
        if is_folder and len(names) > _MAX_FOLDER_OWNERS:
            names = frozenset({"filesystem"})
        if not names:
            (excluded if owners.is_excluded(path) else unowned).append(path)
        is_regular = stat.S_ISREG(status.st_mode)
        entry = OwnedPath(
            path=path,
            is_folder=is_folder,
            is_config=is_regular and (path in conffiles or path in config),
            is_ghost=not is_folder and path in ghosts,
            owner=f"{users[status.st_uid]},{group_names[status.st_gid]}"
            if status.st_uid or status.st_gid
            else "",
            capabilities=capabilities.get(path, ""),
        )
        for name in names:
            owned[name].append(entry)
    return owned, tuple(excluded), tuple(unowned)


def find_optional_paths(owned: OwnedPaths, base: frozenset[str]) -> tuple[str, ...]:
    """The paths that no base package owns, deepest first."""
    counts = Counter(e.path for name in base for e in owned.get(name, ()))
    paths = {e.path for name, es in owned.items() if name not in base for e in es}
    return tuple(sorted((p for p in paths if p not in counts), reverse=True))


def _read_names(database: Path) -> dict[int, str]:
    """Number -> name, from a passwd or group file."""
    rows = (line.split(":") for line in database.read_text("utf-8").splitlines() if line)
    return {int(r[2]): r[0] for r in rows}


def _merge_usr(path: str) -> str:
    return re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", path)
