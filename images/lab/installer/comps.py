# SPDX-License-Identifier: GPL-2.0-or-later
"""Package groups and environments of a repository's comps file. Pure.

Read here and not by dnf: Debian's libcomps 0.1.21 crashes under Python 3.13 as soon as
one of its sequences is iterated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

_DEFAULT_TYPES = ("mandatory", "default", "conditional")
"""What dnf installs of a group: ``GROUP_PACKAGE_TYPES``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompsPackage:
    """A package of a group."""

    name: str
    kind: str
    """``mandatory``, ``default``, ``conditional`` or ``optional``."""

    requires: str | None = None
    """Of a conditional package: only with this one."""


@dataclass(slots=True, kw_only=True)
class Comps:
    """Groups and environments of all repositories; the later definition wins."""

    groups: dict[str, tuple[CompsPackage, ...]] = field(default_factory=dict)
    environments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The mandatory groups of each environment."""

    def add(self, xml: bytes) -> None:
        """Add the definitions of one comps file.

        Raises:
            ValueError: it is not XML.
        """
        try:
            root = ElementTree.fromstring(xml)  # noqa: S314  (media that the operator trusts)
        except ElementTree.ParseError as e:
            raise ValueError(f"comps: {e}") from e
        for group in root.iter("group"):
            self.groups[group.findtext("id", "")] = tuple(
                CompsPackage(
                    name=p.text or "",
                    kind=p.get("type", "mandatory"),
                    requires=p.get("requires"),
                )
                for p in group.iter("packagereq")
            )
        for environment in root.iter("environment"):
            self.environments[environment.findtext("id", "")] = tuple(
                g.text or "" for g in environment.findall("grouplist/groupid")
            )

    def expand(self, specs: Iterable[str]) -> tuple[list[str], list[str]]:
        """Specifications with ``@`` as package names; and those that nothing defines."""
        names: list[str] = []
        packages: list[CompsPackage] = []
        missing: list[str] = []
        for spec in specs:
            if not spec.startswith("@"):
                names.append(spec)
                continue
            group, _, kinds = spec.removeprefix("@").partition("/")
            selected_kinds = tuple(kinds.split(",")) if kinds else _DEFAULT_TYPES
            if group in self.environments:
                for member in self.environments[group]:
                    packages += self._list_packages(member, selected_kinds)
            elif group in self.groups:
                packages += self._list_packages(group, selected_kinds)
            else:
                missing.append(spec)
        names += [p.name for p in packages if p.requires is None]
        names += [p.name for p in packages if p.requires in names]
        return list(dict.fromkeys(names)), missing

    def _list_packages(self, group: str, kinds: Sequence[str]) -> list[CompsPackage]:
        return [p for p in self.groups.get(group, ()) if p.kind in kinds]
