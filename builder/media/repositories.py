"""Read the packages, groups and modules on an install ISO, without mounting it.

Everything is untrusted. The repositories are those that Anaconda would use: the variants of
``.treeinfo``. The kind of media is what is on it, never its label: Rocky Linux's minimal and boot
ISOs have the label of the DVD.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from hardpan.builder.dnf.comps import MAX_COMPS_BYTES, Comps, merge_comps, parse_comps
from hardpan.builder.dnf.modules import (
    MAX_MODULES_BYTES,
    Modules,
    merge_modules,
    parse_modules,
)
from hardpan.builder.dnf.repodata import Rpm, read_packages
from hardpan.builder.dnf.repomd import REPOMD, Repomd, read_list, read_repomd
from hardpan.builder.dnf.repository import check_file_name
from hardpan.builder.media.inspect import IsoFile, copy_bytes, find_files
from hardpan.builder.media.tree import (
    DISCINFO,
    MAX_DESCRIPTION_BYTES,
    TREEINFO,
    MediaTree,
    TreeVariant,
    parse_discinfo,
    parse_treeinfo,
)
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256, canonical_json, sha256_bytes, sha256_file
from hardpan.core.stored_outputs import read_attributes

REQUIRED_VARIANTS = ("BaseOS", "AppStream")
MAX_PRIMARY_BYTES = 200 << 20
"""Uncompressed; AppStream of Rocky Linux 9 has about 40 MB."""


class MediaKind(StrEnum):
    """Kinds of install media, by the repositories on them."""

    DVD = "dvd"
    MINIMAL = "minimal"
    """BaseOS without AppStream."""

    BOOT = "boot"
    """No repository: packages come from the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRepository:
    """A repository on the media."""

    id: str
    path: str
    repomd_sha256: Sha256
    primary_sha256: Sha256
    package_count: int
    group_count: int
    module_stream_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaContent:
    """What is on install media."""

    kind: MediaKind
    tree: MediaTree | None
    """None if the media have no description."""

    repositories: tuple[MediaRepository, ...]
    rpms: tuple[Rpm, ...]
    comps: Comps
    modules: Modules
    sha256: Sha256
    """Digest of the descriptions and of each ``repomd.xml``, which has the lists' digests."""


class IsoRepository:
    """Fetches files of a repository on an ISO."""

    def __init__(self, iso: Path, variant: TreeVariant) -> None:
        """Create a client for the repository of a variant."""
        self._iso = iso
        self._folder = "" if variant.repository == "." else f"/{variant.repository}"
        self._name = variant.id

    def __str__(self) -> str:
        """Return the ISO and the repository."""
        return f"{self._iso}: {self._name}"

    def has_metadata(self) -> bool:
        """Return whether the repository has its ``repomd.xml``.

        Raises:
            InputError: it is not a regular file.
        """
        return self._find(REPOMD) is not None

    def fetch(self, name: str, destination: Path, *, max_bytes: int) -> None:
        """Copy the repository's file ``name`` to ``destination``.

        Raises:
            InputError: it does not exist, or is not a file of at most ``max_bytes`` inside of the
                repository.
        """
        name = check_file_name(name, str(self))
        file = self._find(name)
        if file is None:
            raise InputError(
                f"{self}: {name}: no such file on the ISO",
                hint="name the complete, unmodified install ISO with --media",
            )
        copy_bytes(self._iso, file, destination, max_bytes=max_bytes)

    def _find(self, name: str) -> IsoFile | None:
        path = f"{self._folder}/{name}"
        return find_files(self._iso, [path]).get(path)


def read_media_content(iso: Path) -> MediaContent:
    """Read what is on an install ISO that ``inspect_iso`` accepts; an unchanged one once a process.

    Raises:
        InputError: a description or list is missing, damaged, hostile or too large.
        TrustError: a list does not match its digest in ``repomd.xml``.
        ToolError: xorriso or zstd is not installed.
    """
    attributes = read_attributes(iso) if iso.is_file() else {}
    return _read_media_content(iso, tuple(attributes.values()))


@lru_cache(maxsize=1)
def _read_media_content(iso: Path, _attributes: tuple[int, ...]) -> MediaContent:
    with tempfile.TemporaryDirectory(prefix="hardpan-media-") as name:
        workdir = Path(name)
        tree, description_digests = _read_tree(iso, workdir)
        parts: list[_RepositoryContent] = []
        for variant in tree.variants if tree else ():
            repository = IsoRepository(iso, variant)
            if not repository.has_metadata():
                continue
            folder = workdir / f"repository{len(parts)}"
            folder.mkdir()
            parts.append(_read_repository(repository, variant, folder))
    repositories = [part.repository for part in parts]
    return MediaContent(
        kind=_identify_kind([repository.id for repository in repositories]),
        tree=tree,
        repositories=tuple(repositories),
        rpms=tuple(rpm for part in parts for rpm in part.rpms),
        comps=merge_comps(part.comps for part in parts),
        modules=merge_modules(part.modules for part in parts),
        sha256=sha256_bytes(
            canonical_json(
                {**description_digests, **{r.path: r.repomd_sha256 for r in repositories}}
            )
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RepositoryContent:
    repository: MediaRepository
    rpms: tuple[Rpm, ...]
    comps: Comps
    modules: Modules


def _read_tree(iso: Path, workdir: Path) -> tuple[MediaTree | None, dict[str, str]]:
    """Return the description of the media, and the digests of its files."""
    files = find_files(iso, (TREEINFO, DISCINFO))
    digests: dict[str, str] = {}
    for number, (name, file) in enumerate(files.items()):
        path = workdir / f"description{number}"
        copy_bytes(iso, file, path, max_bytes=MAX_DESCRIPTION_BYTES)
        digests[name] = sha256_file(path)
    if TREEINFO not in files:
        return None, digests
    paths = {name: workdir / f"description{number}" for number, name in enumerate(files)}
    tree = parse_treeinfo(paths[TREEINFO].read_bytes(), f"{iso}: {TREEINFO}")
    if DISCINFO in paths:
        arch = parse_discinfo(paths[DISCINFO].read_bytes(), f"{iso}: {DISCINFO}")
        if arch != tree.arch:
            raise InputError(
                f"{iso}: {DISCINFO}: expected {tree.arch}, as in {TREEINFO}, got {arch}"
            )
    return tree, digests


def _read_repository(
    client: IsoRepository, variant: TreeVariant, workdir: Path
) -> _RepositoryContent:
    repomd = read_repomd(client, workdir)
    index = read_packages(
        client,
        repomd,
        workdir,
        max_uncompressed_bytes=MAX_PRIMARY_BYTES,
        with_dependencies=True,
    )
    comps = _read_comps(client, repomd, workdir)
    modules = _read_modules(client, repomd, workdir)
    return _RepositoryContent(
        repository=MediaRepository(
            id=variant.id,
            path=variant.repository,
            repomd_sha256=repomd.sha256,
            primary_sha256=index.primary_sha256,
            package_count=len(index.rpms),
            group_count=len(comps.groups),
            module_stream_count=len(modules.streams),
        ),
        rpms=index.rpms,
        comps=comps,
        modules=modules,
    )


def _read_comps(client: IsoRepository, repomd: Repomd, workdir: Path) -> Comps:
    if repomd.groups is None:
        return Comps()
    groups = read_list(client, repomd.groups, workdir, max_uncompressed_bytes=MAX_COMPS_BYTES)
    return parse_comps(groups.chunks, groups.source)


def _read_modules(client: IsoRepository, repomd: Repomd, workdir: Path) -> Modules:
    if repomd.modules is None:
        return Modules()
    streams = read_list(client, repomd.modules, workdir, max_uncompressed_bytes=MAX_MODULES_BYTES)
    return parse_modules(streams.chunks, streams.source)


def _identify_kind(repository_ids: list[str]) -> MediaKind:
    if all(variant in repository_ids for variant in REQUIRED_VARIANTS):
        return MediaKind.DVD
    return MediaKind.MINIMAL if repository_ids else MediaKind.BOOT


def describe_repositories(content: MediaContent) -> Iterator[str]:
    """Yield a line for each repository."""
    for repository in content.repositories:
        yield (
            f"{repository.id}: {repository.package_count} packages,"
            f" {repository.group_count} groups, {repository.module_stream_count} module streams"
        )
