# SPDX-License-Identifier: GPL-2.0-or-later
"""Package groups of the media: ``groups.yaml`` as a model, and comps.xml. Pure but for one read."""

from collections.abc import Collection, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from pydantic import BaseModel, ConfigDict, ValidationError

from hardpan.core import validation_errors
from hardpan.core.errors import InputError
from hardpan.core.yaml_source import read_yaml
from images.lab.media_definition import LAB_FOLDER

_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<!DOCTYPE comps PUBLIC '-//Red Hat, Inc.//DTD Comps info//EN' 'comps.dtd'>\n"
)
_MEMBER_TYPES = ("mandatory", "default", "optional")

PackageRows = tuple[tuple[str, ...], ...]


class PackageGroup(BaseModel):
    """A group of EL's comps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    mandatory: PackageRows
    default: PackageRows
    optional: PackageRows = ()

    def members(self, *kinds: str) -> tuple[str, ...]:
        """Return the members of these types: ``mandatory``, ``default``, ``optional``."""
        rows = (row for kind in kinds for row in getattr(self, kind))
        return tuple(name for row in rows for name in row)


class Environment(BaseModel):
    """An environment: what ``@^NAME`` in a kickstart installs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    groups: tuple[str, ...]
    options: tuple[str, ...] = ()


class PackageGroups(BaseModel):
    """All groups and environments, and what the media lack of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: dict[str, PackageGroup]
    environments: dict[str, Environment]

    absent: dict[str, str]
    """Members of ``core`` that the lab's group has not -> the reason."""

    absent_in_10: dict[str, str]
    """Members of ``core`` that EL 10 no longer has -> the reason."""


def load_groups(path: Path = LAB_FOLDER / "groups.yaml") -> PackageGroups:
    """Read the groups.

    Raises:
        InputError: it is not YAML or not a list of groups; each problem is reported on a line.
    """
    tree = read_yaml(path.read_bytes(), str(path))
    try:
        return PackageGroups.model_validate(tree.to_plain())
    except ValidationError as e:
        problems = validation_errors.locate_errors(tree, e)
        raise InputError(validation_errors.format_problems(problems)) from e


def select_core(groups: PackageGroups, available: Collection[str], major: str) -> tuple[str, ...]:
    """Return what ``@core`` installs of the packages ``available``.

    Raises:
        InputError: a member is neither on the media nor listed as absent.
    """
    members = groups.groups["core"].members("mandatory", "default")
    absent = set(groups.absent) | (set(groups.absent_in_10) if major == "10" else set())
    missing = sorted(set(members) - set(available) - absent)
    if missing:
        raise InputError(
            f"groups.yaml: core: expected a package or an entry in 'absent': {', '.join(missing)}"
        )
    return tuple(name for name in members if name not in absent)


def render_comps(groups: PackageGroups, available: Collection[str]) -> str:
    """Render comps.xml for a repository that holds the packages ``available``.

    A group without a member there is left out, and with it the environments that need it.
    """
    root = ET.Element("comps")
    rendered: set[str] = set()
    for group_id, group in groups.groups.items():
        if _append_group(root, group_id, group, set(available) - set(groups.absent)):
            rendered.add(group_id)
    for environment_id, environment in groups.environments.items():
        if set(environment.groups) <= rendered:
            _append_environment(root, environment_id, environment, rendered)
    ET.indent(root)
    return _DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"


def _append_group(
    root: ET.Element, group_id: str, group: PackageGroup, available: Collection[str]
) -> bool:
    members = [
        (kind, name) for kind in _MEMBER_TYPES for name in group.members(kind) if name in available
    ]
    if not members:
        return False
    element = _append_fields(
        root,
        "group",
        {
            "id": group_id,
            "name": group.name,
            "description": group.description,
            "default": "false",
            "uservisible": "false",
        },
    )
    package_list = ET.SubElement(element, "packagelist")
    for kind, name in members:
        ET.SubElement(package_list, "packagereq", {"type": kind}).text = name
    return True


def _append_environment(
    root: ET.Element, environment_id: str, environment: Environment, rendered: Collection[str]
) -> None:
    element = _append_fields(
        root,
        "environment",
        {
            "id": environment_id,
            "name": environment.name,
            "description": environment.description,
            "display_order": "3",
        },
    )
    for tag, names in (("grouplist", environment.groups), ("optionlist", environment.options)):
        row = ET.SubElement(element, tag)
        for name in names:
            if name in rendered:
                ET.SubElement(row, "groupid").text = name


def _append_fields(root: ET.Element, tag: str, fields: Mapping[str, str]) -> ET.Element:
    element = ET.SubElement(root, tag)
    for name, value in fields.items():
        ET.SubElement(element, name).text = value
    return element
