# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe: ``packages.yaml`` as a frozen, checked model."""

import re
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hardpan.core import validation_errors
from hardpan.core.errors import InputError
from hardpan.core.yaml_source import read_yaml

LAB_FOLDER = Path(__file__).parent
"""The folder of the lab media: recipe, overlay, scripts, installer."""


RELEASES = ("9", "10")
"""Releases of EL that the lab has."""


class ReleaseDefinition(BaseModel):
    """What only one release of the lab media has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str = Field(pattern=r"^\d+\.\d+$")
    """The lab's version, e.g. ``9.0``."""

    volume_label: str = Field(pattern=r"^[A-Z0-9_-]{1,32}$")
    """The ISO's label; udev must not have to escape it."""

    modules: bool
    """Whether AppStream has module streams."""

    excluded: tuple[str, ...]
    """Debian packages that are not carried, in addition to ``MediaDefinition.excluded``."""

    remove: tuple[str, ...]
    """Globs of what is deleted from the root, in addition to ``MediaDefinition.remove``."""


class MediaDefinition(BaseModel):
    """Contents of the lab media."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str = Field(pattern=r"^[a-z]+$")
    """The Debian release the packages come from."""

    releases: dict[Literal["9", "10"], ReleaseDefinition]
    """What differs between the releases, by major version."""

    major: Literal["9", "10"] = "9"
    """The release that is built: set by ``load_definition``, not by the file."""

    install: tuple[tuple[str, ...], ...]
    """Debian packages that apt installs, in groups that only help the reader."""

    excluded: tuple[str, ...]
    """Debian packages that are installed but not carried."""

    packages: dict[str, tuple[str, ...]]
    """EL name -> Debian packages (globs) whose files it carries."""

    meta: dict[str, tuple[str, ...]]
    """EL packages without files of their own -> what they require."""

    provides: dict[str, tuple[str, ...]]
    """EL package -> what else it provides."""

    base: tuple[tuple[str, ...], ...]
    """EL packages in the payload in addition to the group core; all that they require is, too."""

    installer_only: tuple[str, ...]
    """EL packages that the installer uses and its image holds, and the payload does not."""

    moves: dict[str, str]
    """Files that take an EL path; the old path becomes a link."""

    links: dict[str, str]
    """Link -> target."""

    folders: dict[str, str]
    """Folder -> octal mode."""

    remove: tuple[str, ...]
    """Globs of what is deleted from the root."""

    owners: dict[str, tuple[str, ...]]
    """EL package -> globs of files that no Debian package lists."""

    ghosts: tuple[str, ...]
    """Globs of owned files whose content rpm does not compare."""

    config: tuple[str, ...]
    """Globs of configuration files beyond Debian's conffiles."""

    @property
    def release(self) -> str:
        """The version of the release that is built, e.g. ``9.0``."""
        return self.releases[self.major].release

    @property
    def volume_label(self) -> str:
        """The label of its ISO."""
        return self.releases[self.major].volume_label

    @property
    def has_modules(self) -> bool:
        """Whether its AppStream has module streams."""
        return self.releases[self.major].modules

    @property
    def excluded_packages(self) -> frozenset[str]:
        """Debian packages that it does not carry."""
        return frozenset((*self.excluded, *self.releases[self.major].excluded))

    @property
    def removed_paths(self) -> tuple[str, ...]:
        """Globs of what is deleted from its root."""
        return (*self.remove, *self.releases[self.major].remove)

    @cached_property
    def base_packages(self) -> tuple[str, ...]:
        """The additions to the group core, in one row."""
        return tuple(name for group in self.base for name in group)

    @cached_property
    def install_packages(self) -> tuple[str, ...]:
        """All Debian packages to install, in one row."""
        return tuple(name for group in self.install for name in group)


class Globs:
    """Path globs: ``*`` stays within a folder, ``**`` crosses them."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._re = re.compile("|".join(map(_to_regex, patterns)) or r"(?!)")

    def __contains__(self, path: str) -> bool:
        return self._re.fullmatch(path) is not None


def _to_regex(glob: str) -> str:
    token = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(token.get(t) or re.escape(t) for t in re.split(r"(\*\*|[*?])", glob))


def load_definition(
    path: Path = LAB_FOLDER / "packages.yaml", *, major: Literal["9", "10"] = "9"
) -> MediaDefinition:
    """Read the recipe for one release.

    Raises:
        InputError: it is not YAML or not a recipe; each problem is reported on a line.
    """
    tree = read_yaml(path.read_bytes(), str(path))
    try:
        definition = MediaDefinition.model_validate(tree.to_plain())
    except ValidationError as e:
        problems = validation_errors.locate_errors(tree, e)
        raise InputError(validation_errors.format_problems(problems)) from e
    return definition.model_copy(update={"major": major})
