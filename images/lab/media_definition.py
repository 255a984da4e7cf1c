# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe: ``packages.yaml`` as a frozen, checked model."""

import re
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hardpan.core import validation_errors
from hardpan.core.errors import InputError
from hardpan.core.yaml_source import read_yaml

LAB_FOLDER = Path(__file__).parent
"""The folder of the lab media: recipe, overlay, scripts, installer."""


class MediaDefinition(BaseModel):
    """Contents of the lab media."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str = Field(pattern=r"^\d+\.\d+$")
    """The lab's version, e.g. ``9.0``."""

    suite: str = Field(pattern=r"^[a-z]+$")
    """The Debian release the packages come from."""

    volume_label: str = Field(pattern=r"^[A-Z0-9_-]{1,32}$")
    """The ISO's label; udev must not have to escape it."""

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

    base: tuple[str, ...]
    """EL packages in the payload; all that they require is, too."""

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


def load_definition(path: Path = LAB_FOLDER / "packages.yaml") -> MediaDefinition:
    """Read the recipe.

    Raises:
        InputError: it is not YAML or not a recipe; each problem is reported on a line.
    """
    tree = read_yaml(path.read_bytes(), str(path))
    try:
        return MediaDefinition.model_validate(tree.to_plain())
    except ValidationError as e:
        problems = validation_errors.locate_errors(tree, e)
        raise InputError(validation_errors.format_problems(problems)) from e
