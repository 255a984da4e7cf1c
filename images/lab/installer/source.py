# SPDX-License-Identifier: GPL-2.0-or-later
"""The installation source: the tree that the kickstart names, and its repositories.

Read in ``pyanaconda/payload/dnf/payload.py`` (``update_base_repo``) and
``pyanaconda/payload/install_tree_metadata.py``, branch rhel-9.
"""

from collections.abc import Callable
from configparser import Error as ConfigError
from configparser import RawConfigParser
from pathlib import Path

from .plan import InstallationSource, InstallError, Repository, SourceKind

BASE_REPOSITORY = "anaconda"
"""Name of the base repository, as Anaconda has it."""

_ENABLED_TYPES = frozenset({"addon", "optional", "variant"})
"""``enabled_repositories_from_treeinfo``."""

_MOUNTS = Path("/run/install/sources")

MountFunction = Callable[[str, Path], None]
"""Mounts a device read-only."""


class SourceError(InstallError):
    """The installation source cannot be used; the message goes to a log only, as Anaconda's."""


def parse_treeinfo(text: str, tree: Path) -> tuple[Repository, ...]:
    """The repositories of a tree: the base first, then those that are enabled.

    Raises:
        SourceError: it is not a treeinfo file.
    """
    ini = RawConfigParser()
    try:
        ini.read_string(text)
    except ConfigError as e:
        raise SourceError(f"{tree}/.treeinfo: {e}") from e
    base = ini.get("general", "variant", fallback="")
    variants = [v for v in ini.get("tree", "variants", fallback="").split(",") if v and v != base]
    repositories = [_make_repository(ini, base, BASE_REPOSITORY, tree)] if base else []
    repositories += [
        _make_repository(ini, variant, variant, tree)
        for variant in variants
        if ini.get(f"variant-{variant}", "type", fallback="") in _ENABLED_TYPES
    ]
    return tuple(repositories)


def _make_repository(ini: RawConfigParser, variant: str, name: str, tree: Path) -> Repository:
    path = ini.get(f"variant-{variant}", "repository", fallback=".")
    return Repository(name=name, url=(tree / path).resolve().as_uri())


def find_repositories(tree: Path) -> tuple[Repository, ...]:
    """The repositories of a tree, each with its metadata in place.

    Without a treeinfo file the tree itself is the repository.

    Raises:
        SourceError: a repository has no metadata.
    """
    treeinfo = next((p for n in (".treeinfo", "treeinfo") if (p := tree / n).is_file()), None)
    repositories: tuple[Repository, ...] = ()
    if treeinfo is not None:
        repositories = parse_treeinfo(treeinfo.read_text("utf-8", "replace"), tree)
    if not any(r.name == BASE_REPOSITORY for r in repositories):
        base = Repository(name=BASE_REPOSITORY, url=tree.resolve().as_uri())
        repositories = (base, *repositories)
    for repository in repositories:
        require_metadata(repository)
    return repositories


def require_metadata(repository: Repository) -> None:
    """Check that a repository on a mounted file system has metadata.

    Raises:
        SourceError: it has none, or it is on the network, which this installer has not.
    """
    if not repository.url.startswith("file:///"):
        raise SourceError(f"repo {repository.name}: {repository.url}: the lab has no network")
    metadata = Path(repository.url.removeprefix("file://"), "repodata/repomd.xml")
    if not metadata.is_file():
        raise SourceError(f"repo {repository.name}: cannot read {metadata}")


def locate_tree(source: InstallationSource | None, mount: MountFunction) -> Path:
    """The folder of the installation tree.

    Raises:
        SourceError: there is no such tree.
    """
    if source is None:
        # The default is CLOSEST_MIRROR, with a CD as the only exception.
        source = InstallationSource(kind=SourceKind.CDROM)
    match source.kind:
        case SourceKind.URL:
            if not source.location.startswith("file:///"):
                raise SourceError(f"url --url={source.location}: the lab has no network")
            return Path(source.location.removeprefix("file://"))
        case SourceKind.CDROM:
            return _locate_cdrom(mount)
        case SourceKind.HARDDRIVE:
            return _locate_harddrive(source, mount)
        case SourceKind.NFS:
            raise SourceError(f"nfs {source.location}: the lab has no network")


def _locate_cdrom(mount: MountFunction) -> Path:
    """The first optical drive that holds an installation tree: a USB disk is none."""
    for device in sorted(Path("/dev").glob("sr[0-9]*")):
        folder = _MOUNTS / f"mount-{device.name}-cdrom"
        try:
            mount(str(device), folder)
        except InstallError:
            continue
        if any((folder / name).is_file() for name in (".treeinfo", "treeinfo")):
            return folder
    raise SourceError("Found no CD-ROM")


def _locate_harddrive(source: InstallationSource, mount: MountFunction) -> Path:
    folder = _MOUNTS / "mount-0000-hdd-device"
    device = source.partition
    if not device.startswith(("LABEL=", "UUID=", "/dev/")):
        device = f"/dev/{device}"
    try:
        mount(device, folder)
    except InstallError as e:
        raise SourceError(f"harddrive --partition={source.partition}: {e}") from e
    location = folder / source.location.lstrip("/")
    images = [location] if location.suffix == ".iso" else sorted(location.glob("*.iso"))
    image = next((p for p in images if p.is_file()), None)
    if image is None:
        if (location / "repodata").is_dir() or (location / ".treeinfo").is_file():
            return location
        raise SourceError(f"harddrive --dir={source.location}: no tree and no ISO image")
    tree = _MOUNTS / "mount-0001-hdd-iso"
    mount(str(image), tree)
    return tree
