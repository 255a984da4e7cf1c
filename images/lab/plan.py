# SPDX-License-Identifier: GPL-2.0-or-later
"""From Debian packages to EL packages: names, versions, dependencies. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hardpan.errors import InputError
from images.lab.dpkg import DebPackage
from images.lab.recipe import Recipe

_ODD = re.compile(r"[^A-Za-z0-9._+~^]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version as rpm knows it."""

    epoch: int
    version: str
    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ElPackage:
    """A package to be, under its EL name."""

    name: str
    version: Version
    noarch: bool
    summary: str
    members: tuple[str, ...]
    """The Debian packages it is made of."""

    requires: tuple[str, ...]
    provides: tuple[str, ...]
    conffiles: frozenset[str]


def rpm_version(debian: str, release: str) -> Version:
    """A Debian version made legal for rpm, its revision kept in the release.

    ``1:9.18.2~rc1-4+b1`` becomes epoch 1, version ``9.18.2~rc1``, release ``4+b1.lab9``.
    """
    epoch, colon, rest = debian.partition(":")
    if not colon:
        epoch, rest = "", debian
    upstream, _, revision = rest.rpartition("-")
    if not upstream:
        upstream, revision = revision, "1"
    lab = f"lab{release.partition('.')[0]}"
    return Version(
        epoch=int(epoch or 0),
        version=_ODD.sub(".", upstream),
        release=f"{_ODD.sub('.', revision)}.{lab}",
    )


def groups(recipe: Recipe, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """EL name -> Debian packages, for all that are carried.

    Raises:
        InputError: the recipe gives one Debian package to two EL packages, or an
            EL package the name of a Debian package that it does not carry.
    """
    carried = [n for n in names if n not in recipe.left_out]
    taken: dict[str, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    for el, patterns in recipe.packages.items():
        members = tuple(n for p in patterns for n in carried if fnmatchcase(n, p))
        if el == "kernel-core":
            members = tuple(n for n in members if n not in recipe.packages.get("kernel", ()))
        for name in members:
            if taken.setdefault(name, el) != el:
                raise InputError(f"packages.yaml: {name} is in {taken[name]} and in {el}")
        if members or not patterns:
            found[el] = members
    for name in carried:
        if name not in taken:
            if name in found:
                raise InputError(f"packages.yaml: {name} is a Debian package and not in {name}")
            found[name] = (name,)
    return found


def plan(recipe: Recipe, debs: Iterable[DebPackage]) -> dict[str, ElPackage]:
    """Every EL package of the media, by name."""
    by_name = {d.name: d for d in debs}
    made = groups(recipe, by_name)
    home = {member: el for el, members in made.items() for member in members}
    virtual = {v: home[d.name] for d in by_name.values() if d.name in home for v in d.provides}
    found = {}
    for el, members in made.items():
        parts = [by_name[m] for m in members]
        found[el] = _one(recipe, el, parts, home, virtual, made)
    return dict(sorted(found.items()))


def closure(recipe: Recipe, packages: Mapping[str, ElPackage]) -> frozenset[str]:
    """The base packages and everything that they require.

    Raises:
        InputError: the recipe names a base package that does not exist.
    """
    missing = sorted(set(recipe.base) - set(packages))
    if missing:
        raise InputError(f"packages.yaml: base: no such packages: {', '.join(missing)}")
    todo, done = list(recipe.base), set[str]()
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            todo += packages[name].requires
    return frozenset(done)


def _one(
    recipe: Recipe,
    el: str,
    parts: list[DebPackage],
    home: Mapping[str, str],
    virtual: Mapping[str, str],
    made: Mapping[str, tuple[str, ...]],
) -> ElPackage:
    needs = {_resolved(row, home, virtual) for p in parts for row in p.depends}
    needs |= set(recipe.meta.get(el, ()))
    offers = {p.name for p in parts} | {v for p in parts for v in p.provides}
    offers |= set(recipe.provides.get(el, ()))
    own = rpm_version(parts[0].version if parts else recipe.release, recipe.release)
    return ElPackage(
        name=el,
        version=own,
        noarch=all(p.architecture == "all" for p in parts),
        summary=parts[0].summary if parts else f"{el} of the hardpan lab",
        members=tuple(p.name for p in parts),
        requires=tuple(sorted(n for n in needs if n and n != el)),
        provides=tuple(sorted(offers - set(made))),
        conffiles=frozenset(c for p in parts for c in p.conffiles),
    )


def _resolved(
    row: tuple[str, ...], home: Mapping[str, str], virtual: Mapping[str, str]
) -> str | None:
    """The EL package that answers the first alternative that can be answered."""
    return next((el for name in row if (el := home.get(name) or virtual.get(name))), None)
