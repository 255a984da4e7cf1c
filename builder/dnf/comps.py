"""Read the groups and environments of a repository (comps); the list is treated as hostile."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from lxml import etree

from hardpan.builder.dnf.metadata_xml import iterate_elements
from hardpan.core.errors import InputError

MAX_COMPS_BYTES = 32 << 20
"""Uncompressed; the list of Rocky Linux 9 has 700 KB, most of it translations."""

_MAX_GROUPS = 5_000
_MAX_MEMBERS = 20_000
"""Members of a group."""

_MAX_NAME_LENGTH = 256

# Distributions' lists have a DOCTYPE that names an external DTD, which is never read. It is removed
# before parsing, so the parser can reject every other DOCTYPE.
_DOCTYPE = re.compile(
    rb"<!DOCTYPE\s+comps\s+(?:PUBLIC\s+(?:'[^'<>\[]*'|\"[^\"<>\[]*\")|SYSTEM)"
    rb"\s+(?:'[^'<>\[]*'|\"[^\"<>\[]*\")\s*>"
)
_PROLOG_BYTES = 4096

MemberKind = Literal["mandatory", "default", "optional", "conditional"]
_MEMBER_KINDS: tuple[MemberKind, ...] = ("mandatory", "default", "optional", "conditional")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """A package of a group."""

    name: str
    kind: MemberKind
    """dnf installs mandatory and default members, and conditional ones with ``requires``."""

    requires: str = ""
    """Package with which a conditional member is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageGroup:
    """A group of packages."""

    id: str
    name: str
    members: tuple[GroupMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEnvironment:
    """An environment: groups that are installed together."""

    id: str
    name: str
    group_ids: tuple[str, ...]
    """Groups that are installed with it: its own, and optional ones marked as default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comps:
    """Groups and environments of one or more repositories."""

    groups: tuple[PackageGroup, ...] = ()
    environments: tuple[GroupEnvironment, ...] = ()

    def find_group(self, name: str) -> PackageGroup | None:
        """Return the group with the id or, in any case, the name ``name``, as dnf does."""
        return next((g for g in self.groups if _has_name(g.id, g.name, name)), None)

    def find_environment(self, name: str) -> GroupEnvironment | None:
        """Return the environment with the id or, in any case, the name ``name``."""
        return next((e for e in self.environments if _has_name(e.id, e.name, name)), None)


def parse_comps(chunks: Iterable[bytes], source: str) -> Comps:
    """Parse a list of groups; ``source`` is its name in messages.

    Raises:
        InputError: it is not XML, declares entities, or exceeds a limit.
    """
    data = b"".join(chunks)
    head = _DOCTYPE.sub(b"", data[:_PROLOG_BYTES], count=1)
    groups: list[PackageGroup] = []
    environments: list[GroupEnvironment] = []
    document = iter([head + data[_PROLOG_BYTES:]])
    for element in iterate_elements(document, source, ("group", "environment")):
        if len(groups) + len(environments) >= _MAX_GROUPS:
            raise InputError(f"{source}: expected at most {_MAX_GROUPS} groups, got more")
        if element.tag == "group":
            groups.append(_parse_group(element, source))
        else:
            environments.append(_parse_environment(element, source))
        element.clear()
    return Comps(groups=tuple(groups), environments=tuple(environments))


def merge_comps(lists: Iterable[Comps]) -> Comps:
    """Merge the lists of several repositories: a group has the members of all of them."""
    groups: dict[str, PackageGroup] = {}
    environments: dict[str, GroupEnvironment] = {}
    for comps in lists:
        for group in comps.groups:
            other = groups.get(group.id)
            members = (*other.members, *group.members) if other else group.members
            groups[group.id] = PackageGroup(
                id=group.id, name=group.name, members=tuple(dict.fromkeys(members))
            )
        for environment in comps.environments:
            earlier = environments.get(environment.id)
            ids = (*earlier.group_ids, *environment.group_ids) if earlier else environment.group_ids
            environments[environment.id] = GroupEnvironment(
                id=environment.id, name=environment.name, group_ids=tuple(dict.fromkeys(ids))
            )
    return Comps(groups=tuple(groups.values()), environments=tuple(environments.values()))


def _parse_group(element: etree._Element, source: str) -> PackageGroup:
    requirements = element.findall("packagelist/packagereq")
    if len(requirements) > _MAX_MEMBERS:
        raise InputError(f"{source}: expected at most {_MAX_MEMBERS} packages in a group, got more")
    return PackageGroup(
        id=_text(element, "id", source),
        name=_text(element, "name", source),
        members=tuple(_parse_members(requirements, source)),
    )


def _parse_members(requirements: list[etree._Element], source: str) -> Iterator[GroupMember]:
    for requirement in requirements:
        name = _check_length((requirement.text or "").strip(), source)
        kind = next((k for k in _MEMBER_KINDS if k == requirement.get("type")), None)
        if not name or kind is None:
            # dnf ignores such members, too.
            continue
        yield GroupMember(
            name=name,
            kind=kind,
            requires=_check_length(str(requirement.get("requires", "")), source),
        )


def _parse_environment(element: etree._Element, source: str) -> GroupEnvironment:
    options = element.findall("optionlist/groupid")
    groups = [
        *element.findall("grouplist/groupid"),
        *(option for option in options if option.get("default") == "true"),
    ]
    ids = (_check_length((group.text or "").strip(), source) for group in groups)
    return GroupEnvironment(
        id=_text(element, "id", source),
        name=_text(element, "name", source),
        group_ids=tuple(dict.fromkeys(group_id for group_id in ids if group_id)),
    )


def _text(element: etree._Element, tag: str, source: str) -> str:
    """Return the untranslated text of the child ``tag``, which comes first."""
    return _check_length((element.findtext(tag) or "").strip(), source)


def _check_length(text: str, source: str) -> str:
    if len(text) > _MAX_NAME_LENGTH:
        raise InputError(
            f"{source}: expected names of at most {_MAX_NAME_LENGTH} characters, got {len(text)}"
        )
    return text


def _has_name(group_id: str, group_name: str, name: str) -> bool:
    return group_id == name or group_name.lower() == name.lower()
