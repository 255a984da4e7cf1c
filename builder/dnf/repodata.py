"""Read the package list of a dnf repository; its metadata is treated as hostile.

``repomd.xml`` contains the digest of each list, which is verified before decompression.
Compressed and uncompressed sizes are limited; DOCTYPE, entities and network access are disabled
in XML. ``repository_trust`` checks the signature of the metadata.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from hardpan.builder.dnf.metadata_xml import iterate_elements, release_element
from hardpan.builder.dnf.repomd import Repomd, read_list, read_repomd
from hardpan.builder.dnf.repository import MetadataSource, RepositoryClient
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256

_COMMON_NAMESPACE = "{http://linux.duke.edu/metadata/common}"
_RPM_NAMESPACE = "{http://linux.duke.edu/metadata/rpm}"
MAX_UNCOMPRESSED_BYTES = 2 << 30
_MAX_PACKAGES = 200_000
"""Fedora, with 70,000, is the largest distribution of RPMs."""

MAX_FIELD_LENGTH = 256
"""Characters of a name, version, release or architecture."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MAX_DEPENDENCY_LENGTH = 1024
"""Characters of a dependency that is kept; longer ones are rich dependencies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpm:
    """A package of a repository."""

    name: str
    """Name."""

    version: str
    """Version, without epoch and release."""

    release: str
    """Release."""

    arch: str
    """Architecture, or ``noarch``."""

    size_bytes: int
    """Size of the file."""

    installed_bytes: int
    """Installed size."""

    epoch: str = "0"
    """Epoch."""

    sha256: str = field(default="", compare=False)
    """Digest of the file; empty if the list has none of this kind."""

    # Not compared: a package is identified by the fields above, and hashes stay fast.
    provides: tuple[str, ...] = field(default=(), compare=False)
    """Names of what it provides, and the files that the package list names; without versions."""

    requires: tuple[str, ...] = field(default=(), compare=False)
    """Names of what it requires, without versions; not what rpm itself provides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryIndex:
    """Package list of a repository."""

    revision: str
    """Revision of the metadata, as in repomd.xml."""

    primary_sha256: Sha256
    """SHA-256 of the compressed package list."""

    rpms: tuple[Rpm, ...]
    """Packages, in repository order."""


def read_repository(
    repo: str, *, max_uncompressed_bytes: int = MAX_UNCOMPRESSED_BYTES
) -> RepositoryIndex:
    """Read the packages of the repository at ``repo``, a folder or an http(s) URL.

    Raises:
        InputError: it is not a repository, or its metadata is damaged or too large.
        TrustError: the package list does not match its digest in repomd.xml.
        UnreachableError: the server does not respond.
        ToolError: the package list is compressed with zstd, which is not installed.
    """
    client = RepositoryClient(repo)
    with tempfile.TemporaryDirectory(prefix="hardpan-repodata-") as name:
        workdir = Path(name)
        repomd = read_repomd(client, workdir)
        return read_packages(client, repomd, workdir, max_uncompressed_bytes=max_uncompressed_bytes)


def read_packages(
    client: MetadataSource,
    repomd: Repomd,
    workdir: Path,
    *,
    max_uncompressed_bytes: int = MAX_UNCOMPRESSED_BYTES,
    with_dependencies: bool = False,
) -> RepositoryIndex:
    """Read the package list that ``repomd`` names.

    ``with_dependencies`` also reads what each package provides and requires.

    Raises:
        InputError, TrustError, UnreachableError, ToolError: as ``read_repository``.
    """
    metadata = read_list(
        client, repomd.primary, workdir, max_uncompressed_bytes=max_uncompressed_bytes
    )
    return RepositoryIndex(
        revision=repomd.revision,
        primary_sha256=metadata.sha256,
        rpms=tuple(
            _parse_packages(metadata.chunks, metadata.source, with_dependencies=with_dependencies)
        ),
    )


def _parse_packages(
    chunks: Iterator[bytes], source: str, *, with_dependencies: bool
) -> Iterator[Rpm]:
    for count, element in enumerate(
        iterate_elements(chunks, source, (f"{_COMMON_NAMESPACE}package",)), 1
    ):
        if count > _MAX_PACKAGES:
            raise InputError(f"{source}: expected at most {_MAX_PACKAGES} packages, got more")
        yield _parse_package(element, f"{source}: package {count}", with_dependencies)
        release_element(element)


def _parse_package(element: etree._Element, source: str, with_dependencies: bool) -> Rpm:
    version, size = (
        element.find(f"{_COMMON_NAMESPACE}version"),
        element.find(f"{_COMMON_NAMESPACE}size"),
    )
    name = element.findtext(f"{_COMMON_NAMESPACE}name")
    if not name or version is None:
        raise InputError(f"{source}: expected a name and a version")
    texts = (
        name,
        str(version.get("ver", "")),
        str(version.get("rel", "")),
        element.findtext(f"{_COMMON_NAMESPACE}arch") or "",
        str(version.get("epoch", "0")),
    )
    for text in texts:
        if len(text) > MAX_FIELD_LENGTH:
            raise InputError(
                f"{source}: expected a name or version of at most"
                f" {MAX_FIELD_LENGTH} characters, got {len(text)}"
            )
    return Rpm(
        name=texts[0],
        version=texts[1],
        release=texts[2],
        arch=texts[3],
        epoch=texts[4],
        size_bytes=_parse_size(size, "package"),
        installed_bytes=_parse_size(size, "installed"),
        sha256=_parse_checksum(element.find(f"{_COMMON_NAMESPACE}checksum")),
        provides=_parse_provides(element) if with_dependencies else (),
        requires=_parse_entries(element, "requires") if with_dependencies else (),
    )


def _parse_checksum(element: etree._Element | None) -> str:
    if element is None or element.get("type") != "sha256":
        return ""
    text = (element.text or "").strip()
    return text if _SHA256.fullmatch(text) else ""


def _parse_provides(element: etree._Element) -> tuple[str, ...]:
    files = element.iterfind(f"{_COMMON_NAMESPACE}format/{_COMMON_NAMESPACE}file")
    paths = (file.text or "" for file in files)
    return (*_parse_entries(element, "provides"), *(path for path in paths if path))


def _parse_entries(element: etree._Element, kind: str) -> tuple[str, ...]:
    entries = element.iterfind(
        f"{_COMMON_NAMESPACE}format/{_RPM_NAMESPACE}{kind}/{_RPM_NAMESPACE}entry"
    )
    names = (str(entry.get("name", "")) for entry in entries)
    return tuple(dict.fromkeys(n for n in names if n and len(n) <= _MAX_DEPENDENCY_LENGTH))


def _parse_size(element: etree._Element | None, name: str) -> int:
    text = "" if element is None else str(element.get(name, ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
