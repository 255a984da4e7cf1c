# SPDX-License-Identifier: GPL-2.0-or-later
"""From Debian packages to EL packages: names, versions, dependencies. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hardpan.core.errors import InputError
from images.lab.dpkg import DebPackage
from images.lab.media_definition import MediaDefinition

_INVALID_CHARACTERS = re.compile(r"[^A-Za-z0-9._+~^]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmVersion:
    """A version as rpm knows it."""

    epoch: int
    version: str
    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ElPackage:
    """A package to be, under its EL name."""

    name: str
    version: RpmVersion
    noarch: bool
    summary: str
    members: tuple[str, ...]
    """The Debian packages that it contains."""

    requires: tuple[str, ...]
    provides: tuple[str, ...]
    conffiles: frozenset[str]


def to_rpm_version(debian: str, release: str) -> RpmVersion:
    """Convert a Debian version to an rpm version; the revision becomes the release.

    ``1:9.18.2~rc1-4+b1`` becomes epoch 1, version ``9.18.2~rc1``, release ``4+b1.lab9``.
    """
    epoch, colon, remainder = debian.partition(":")
    if not colon:
        epoch, remainder = "", debian
    upstream, _, revision = remainder.rpartition("-")
    if not upstream:
        upstream, revision = revision, "1"
    lab = f"lab{release.partition('.')[0]}"
    return RpmVersion(
        epoch=int(epoch or 0),
        version=_INVALID_CHARACTERS.sub(".", upstream),
        release=f"{_INVALID_CHARACTERS.sub('.', revision)}.{lab}",
    )


def group_packages(definition: MediaDefinition, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """EL name -> Debian packages, for all that are carried.

    Raises:
        InputError: the recipe gives one Debian package to two EL packages, or an
            EL package the name of a Debian package that it does not carry.
    """
    included = [n for n in names if n not in definition.excluded_packages]
    el_by_deb: dict[str, str] = {}
    members_by_el: dict[str, tuple[str, ...]] = {}
    for el, patterns in definition.packages.items():
        members = tuple(n for p in patterns for n in included if fnmatchcase(n, p))
        if el == "kernel-core":
            members = tuple(n for n in members if n not in definition.packages.get("kernel", ()))
        for name in members:
            if el_by_deb.setdefault(name, el) != el:
                raise InputError(f"packages.yaml: {name} is in {el_by_deb[name]} and in {el}")
        if members or not patterns:
            members_by_el[el] = members
    for name in included:
        if name not in el_by_deb:
            if name in members_by_el:
                raise InputError(f"packages.yaml: {name} is a Debian package and not in {name}")
            members_by_el[name] = (name,)
    return members_by_el


def plan_packages(definition: MediaDefinition, debs: Iterable[DebPackage]) -> dict[str, ElPackage]:
    """Every EL package of the media, by name."""
    by_name = {d.name: d for d in debs}
    members_by_el = group_packages(definition, by_name)
    el_by_deb = {member: el for el, members in members_by_el.items() for member in members}
    virtual_providers = {
        v: el_by_deb[d.name] for d in by_name.values() if d.name in el_by_deb for v in d.provides
    }
    packages = {}
    for el, members in members_by_el.items():
        parts = [by_name[m] for m in members]
        packages[el] = _build_package(
            definition, el, parts, el_by_deb, virtual_providers, members_by_el
        )
    return dict(sorted(packages.items()))


def compute_closure(
    names: Collection[str], packages: Mapping[str, ElPackage], *, setting: str
) -> frozenset[str]:
    """Return the named packages and everything that they require.

    Raises:
        InputError: ``setting`` of the recipe names a package that does not exist.
    """
    missing = sorted(set(names) - set(packages))
    if missing:
        raise InputError(f"packages.yaml: {setting}: no such packages: {', '.join(missing)}")
    pending, closed = list(names), set[str]()
    while pending:
        name = pending.pop()
        if name not in closed:
            closed.add(name)
            pending += packages[name].requires
    return frozenset(closed)


def _build_package(
    definition: MediaDefinition,
    el: str,
    parts: list[DebPackage],
    el_by_deb: Mapping[str, str],
    virtual_providers: Mapping[str, str],
    members_by_el: Mapping[str, tuple[str, ...]],
) -> ElPackage:
    required = {
        _resolve_dependency(row, el_by_deb, virtual_providers) for p in parts for row in p.depends
    }
    required |= set(definition.meta.get(el, ()))
    provided = {p.name for p in parts} | {v for p in parts for v in p.provides}
    provided |= set(definition.provides.get(el, ()))
    version = to_rpm_version(parts[0].version if parts else definition.release, definition.release)
    return ElPackage(
        name=el,
        version=version,
        noarch=all(p.architecture == "all" for p in parts),
        summary=parts[0].summary if parts else f"{el} of the hardpan lab",
        members=tuple(p.name for p in parts),
        requires=tuple(sorted(n for n in required if n and n != el)),
        provides=tuple(sorted(provided - set(members_by_el))),
        conffiles=frozenset(c for p in parts for c in p.conffiles),
    )


def _resolve_dependency(
    alternatives: tuple[str, ...],
    el_by_deb: Mapping[str, str],
    virtual_providers: Mapping[str, str],
) -> str | None:
    """The EL package that answers the first alternative that can be answered."""
    return next(
        (el for name in alternatives if (el := el_by_deb.get(name) or virtual_providers.get(name))),
        None,
    )
