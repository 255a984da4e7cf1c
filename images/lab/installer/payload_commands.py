# SPDX-License-Identifier: GPL-2.0-or-later
"""The installation source, repositories and packages of a kickstart."""

from collections.abc import Iterable
from typing import Any

from .plan import InstallationSource, PackageSelection, Repository, SourceKind
from .reader import ParsedCommand

_GROUP_TYPES = {0: "/mandatory", 1: "", 2: "/mandatory,default,conditional,optional"}
"""pykickstart's GROUP_REQUIRED, GROUP_DEFAULT and GROUP_ALL as dnf writes them."""


def translate_source(commands: Iterable[ParsedCommand]) -> InstallationSource | None:
    """The source of the last command that names one, as with Anaconda."""
    source: InstallationSource | None = None
    for command in commands:
        data = command.data
        match command.name:
            case "url":
                source = InstallationSource(kind=SourceKind.URL, location=data.url or "")
            case "cdrom":
                source = InstallationSource(kind=SourceKind.CDROM)
            case "harddrive":
                source = InstallationSource(
                    kind=SourceKind.HARDDRIVE, partition=data.partition, location=data.dir
                )
            case "nfs":
                source = InstallationSource(
                    kind=SourceKind.NFS, location=f"{data.server}:{data.dir}"
                )
    return source


def translate_repositories(commands: Iterable[ParsedCommand]) -> tuple[Repository, ...]:
    """The ``repo`` lines."""
    return tuple(
        Repository(name=c.data.name, url=c.data.baseurl) for c in commands if c.name == "repo"
    )


def translate_packages(parsed_packages: Any) -> PackageSelection:
    """The ``%packages`` sections; ``@core`` is what Anaconda adds by itself."""
    groups = [
        f"{g.name}{_GROUP_TYPES[g.include]}" for g in parsed_packages.groupList if g.name != "core"
    ]
    languages = parsed_packages.instLangs
    return PackageSelection(
        install=tuple(parsed_packages.packageList),
        exclude=tuple(parsed_packages.excludedList),
        environment=parsed_packages.environment,
        groups=tuple(groups),
        excluded_groups=tuple(g.name for g in parsed_packages.excludedGroupList),
        core=not parsed_packages.nocore,
        languages=languages,
        weak_dependencies=not parsed_packages.excludeWeakdeps,
        docs=not parsed_packages.excludeDocs,
        ignore_missing=parsed_packages.handleMissing == 1,
    )
