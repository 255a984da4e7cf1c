"""Read ``repomd.xml``, the index of a dnf repository's metadata, and the lists that it names."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from hardpan.builder.dnf.decompression import decompress
from hardpan.builder.dnf.metadata_xml import iterate_elements, to_ascii
from hardpan.builder.dnf.repository import MetadataSource
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256, sha256_file

REPOMD = "repodata/repomd.xml"
_REPO_NAMESPACE = "{http://linux.duke.edu/metadata/repo}"
_MAX_REPOMD_BYTES = 1 << 20
MAX_COMPRESSED_BYTES = 256 << 20
_DIGEST_ALGORITHMS = ("sha256", "sha384", "sha512")
_TIMESTAMP = re.compile(r"\d{9,11}(?:\.\d{1,9})?", re.ASCII)
_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"
_GROUP_LISTS = ("group", "group_gz", "group_xz", "group_zst")
"""createrepo_c before 1.0 adds the compressed list as another type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataReference:
    """Location and digest of a list."""

    href: str
    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repomd:
    """The lists of a repository."""

    sha256: Sha256
    """Digest of ``repomd.xml`` itself."""

    revision: str
    primary: MetadataReference
    """The packages."""

    groups: MetadataReference | None
    """Groups and environments, in the format of comps."""

    modules: MetadataReference | None
    """Module streams; EL 10 has none."""

    created: datetime | None = None
    """When the newest list was written, as the repository says; None if it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataList:
    """A verified list, to be read once."""

    source: str
    """Its name in messages."""

    sha256: Sha256
    """Digest of the compressed list."""

    chunks: Iterator[bytes]
    """The uncompressed bytes, within the limit."""


def read_repomd(client: MetadataSource, workdir: Path) -> Repomd:
    """Read the index of the repository; the files are written to ``workdir``.

    Raises:
        InputError: it is missing, damaged, or names a list that cannot be verified.
        UnreachableError: the server does not respond.
    """
    path = workdir / "repomd.xml"
    client.fetch(REPOMD, path, max_bytes=_MAX_REPOMD_BYTES)
    source = f"{client}: repomd.xml"
    revision, lists = _parse_repomd(source, path.read_bytes())
    primary = lists.get("primary", [])
    if len(primary) != 1:
        raise InputError(f"{source}: expected one list of type primary, got {len(primary)}")
    groups = [element for kind in _GROUP_LISTS for element in lists.get(kind, [])]
    modules = lists.get("modules", [])
    return Repomd(
        sha256=sha256_file(path),
        revision=revision,
        primary=_parse_reference(source, primary[0], "packages"),
        groups=_parse_reference(source, groups[0], "groups") if groups else None,
        modules=_parse_reference(source, modules[0], "modules") if modules else None,
        created=_parse_created(element for elements in lists.values() for element in elements),
    )


def read_list(
    client: MetadataSource,
    reference: MetadataReference,
    workdir: Path,
    *,
    max_uncompressed_bytes: int,
) -> MetadataList:
    """Fetch a list and verify its digest.

    Raises:
        InputError: it is missing, damaged or too large.
        TrustError: it does not match its digest in repomd.xml.
        UnreachableError: the server does not respond.
        ToolError: it is compressed with zstd, which is not installed.
    """
    compressed = workdir / f"list-{hashlib.sha256(reference.href.encode()).hexdigest()[:16]}"
    client.fetch(reference.href, compressed, max_bytes=MAX_COMPRESSED_BYTES)
    source = f"{client}: {reference.href}"
    with compressed.open("rb") as f:
        digest = hashlib.file_digest(f, reference.algorithm).hexdigest()
    if digest != reference.digest:
        raise TrustError(
            f"{source}: expected {reference.algorithm} {to_ascii(reference.digest)}, got {digest}",
            hint="the repository is being updated, was truncated or was modified: try again",
        )
    return MetadataList(
        source=source,
        sha256=sha256_file(compressed),
        chunks=decompress(compressed, reference.href, source, max_uncompressed_bytes),
    )


def _parse_repomd(source: str, data: bytes) -> tuple[str, dict[str, list[etree._Element]]]:
    """Return the revision, and the entries by type."""
    entries: dict[str, list[etree._Element]] = {}
    revision = ""
    for element in iterate_elements(
        iter([data]), source, (f"{_REPO_NAMESPACE}data", f"{_REPO_NAMESPACE}revision")
    ):
        if element.tag == f"{_REPO_NAMESPACE}revision":
            revision = (element.text or "").strip()[:100]
        else:
            entries.setdefault(str(element.get("type", "")), []).append(element)
    return (revision if revision.isprintable() else ""), entries


def _parse_created(elements: Iterable[etree._Element]) -> datetime | None:
    """Return the newest timestamp of the lists; seconds since 1970, in UTC."""
    texts = [(e.findtext(f"{_REPO_NAMESPACE}timestamp") or "").strip() for e in elements]
    # Some programs write fractions.
    seconds = [int(t.partition(".")[0]) for t in texts if _TIMESTAMP.fullmatch(t)]
    return datetime.fromtimestamp(max(seconds), UTC) if seconds else None


def _parse_reference(source: str, entry: etree._Element, content: str) -> MetadataReference:
    location, checksum = (entry.find(f"{_REPO_NAMESPACE}{x}") for x in ("location", "checksum"))
    if location is None or checksum is None:
        raise InputError(f"{source}: expected the list of {content} with location and checksum")
    algorithm = str(checksum.get("type", ""))
    if algorithm not in _DIGEST_ALGORITHMS:
        algorithms = ", ".join(_DIGEST_ALGORITHMS)
        raise InputError(f"{source}: expected one of {algorithms}, got {algorithm[:100]!a}")
    if location.get(_XML_BASE):
        raise InputError(f"{source}: expected a location inside of the repository, got a base")
    return MetadataReference(
        href=str(location.get("href", "")),
        algorithm=algorithm,
        digest=(checksum.text or "").strip().lower(),
    )
