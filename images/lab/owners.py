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
from images.lab.plan import ElPackage
from images.lab.recipe import Globs, Recipe
from images.lab.root import overlay_files

_BYTECODE = re.compile(r"/__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc$")
_SKIPPED = frozenset({"/proc", "/sys", "/dev", "/run", "/tmp", "/lost+found"})  # noqa: S108
_SHARED_BY = 5
"""A folder that more packages than this list is the filesystem package's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of the root, as an rpm file list needs it."""

    path: str
    folder: bool
    config: bool
    ghost: bool
    people: str = ""
    """``user,group`` where it is not root's; rpmbuild takes root for all else."""

    caps: str = ""
    """File capabilities in text form, e.g. ``cap_net_raw=ep``."""


Owned = dict[str, list[Entry]]
"""EL name -> what it owns."""


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every path below the root with its own stat, in sorted order."""
    for here, folders, files in os.walk(root):
        at = "/" + os.path.relpath(here, root) if here != str(root) else ""
        folders[:] = sorted(f for f in folders if f"{at}/{f}" not in _SKIPPED)
        for name in sorted({*folders, *files}):
            yield f"{at}/{name}", (Path(here) / name).lstat()


class Owners:
    """Answers who owns a path."""

    def __init__(
        self, recipe: Recipe, debs: Iterable[DebPackage], packages: Mapping[str, ElPackage]
    ) -> None:
        home = {m: p.name for p in packages.values() for m in p.members}
        self._listed: dict[str, set[str]] = {}
        self._left_out: set[str] = set()
        for deb in debs:
            el = home.get(deb.name)
            for path in deb.files:
                place = recipe.moves.get(path, path)
                for p in {path, place}:
                    if el is None:
                        self._left_out.add(p)
                    else:
                        self._listed.setdefault(p, set()).add(el)
        self._globs = tuple((el, Globs(globs)) for el, globs in recipe.owners.items())
        self._ours = {f"/{f.as_posix()}" for f in overlay_files()} | set(recipe.links)
        self._folders = set(recipe.folders)

    def of(self, path: str, root: Path) -> frozenset[str]:
        """The owners of one path; none for what only this build made."""
        listed = self._listed.get(path)
        if listed:
            return frozenset(listed)
        for el, globs in self._globs:
            if path in globs:
                return frozenset({el})
        if path in self._ours or path in self._folders:
            return frozenset({"hardpan-lab-release"})
        source = _BYTECODE.sub(r"/\1.py", path)
        if source != path:
            return frozenset(self._listed.get(source, ()))
        if path.endswith("/__pycache__"):
            return frozenset(self._listed.get(path.removesuffix("/__pycache__"), ()))
        return self._of_alternative(path, root)

    def left_out(self, path: str) -> bool:
        """Whether only packages that are not carried list the path."""
        return path in self._left_out and path not in self._listed

    def _of_alternative(self, path: str, root: Path) -> frozenset[str]:
        """A link that update-alternatives made belongs to what it leads to."""
        link = root / path[1:]
        for _ in range(3):
            if not link.is_symlink():
                break
            target = str(link.readlink())
            inside = target if target.startswith("/") else f"{Path(path).parent}/{target}"
            path = os.path.normpath(inside)
            if owner := self._listed.get(_merged(path)):
                return frozenset(owner)
            link = root / path[1:]
        return frozenset()


def assign(
    recipe: Recipe,
    root: Path,
    owners: Owners,
    packages: Mapping[str, ElPackage],
    caps: Mapping[str, str],
) -> tuple[Owned, tuple[str, ...], tuple[str, ...]]:
    """Who owns what; which paths belong to left-out packages; which to nobody."""
    users, group_names = _names(root / "etc/passwd"), _names(root / "etc/group")
    config, ghosts = Globs(recipe.config), Globs(recipe.ghosts)
    conffiles = {recipe.moves.get(c, c) for p in packages.values() for c in p.conffiles}
    owned: Owned = {name: [] for name in packages}
    rejected: list[str] = []
    nobody: list[str] = []
    for path, facts in walk(root):
        names = owners.of(path, root)
        folder = stat.S_ISDIR(facts.st_mode)
        if folder and len(names) > _SHARED_BY:
            names = frozenset({"filesystem"})
        if not names:
            (rejected if owners.left_out(path) else nobody).append(path)
        regular = stat.S_ISREG(facts.st_mode)
        entry = Entry(
            path=path,
            folder=folder,
            config=regular and (path in conffiles or path in config),
            ghost=not folder and path in ghosts,
            people=f"{users[facts.st_uid]},{group_names[facts.st_gid]}"
            if facts.st_uid or facts.st_gid
            else "",
            caps=caps.get(path, ""),
        )
        for name in names:
            owned[name].append(entry)
    return owned, tuple(rejected), tuple(nobody)


def only_optional(owned: Owned, base: frozenset[str]) -> tuple[str, ...]:
    """The paths that no base package owns, deepest first."""
    counts = Counter(e.path for name in base for e in owned.get(name, ()))
    paths = {e.path for name, es in owned.items() if name not in base for e in es}
    return tuple(sorted((p for p in paths if p not in counts), reverse=True))


def _names(database: Path) -> dict[int, str]:
    """Number -> name, from a passwd or group file."""
    rows = (line.split(":") for line in database.read_text("utf-8").splitlines() if line)
    return {int(r[2]): r[0] for r in rows}


def _merged(path: str) -> str:
    return re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", path)
