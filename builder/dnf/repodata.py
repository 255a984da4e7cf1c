"""Read the package list of a dnf repository; its metadata is treated as hostile.

``repomd.xml`` contains the digest of the package list, which is verified before decompression.
Compressed and uncompressed sizes are limited; DOCTYPE, entities and network access are disabled
in XML. The signature of the metadata is not checked.
"""

import hashlib
import lzma
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from hardpan.builder.dnf.repository import RepositoryClient
from hardpan.core.errors import InputError, ToolError, TrustError
from hardpan.core.files import Sha256, sha256_file
from hardpan.core.limited_process import ProcessLimits, run_limited
from hardpan.core.process import find_program

_REPO_NAMESPACE = "{http://linux.duke.edu/metadata/repo}"
_COMMON_NAMESPACE = "{http://linux.duke.edu/metadata/common}"
_MAX_REPOMD_BYTES = 1 << 20
MAX_COMPRESSED_BYTES = 256 << 20
MAX_UNCOMPRESSED_BYTES = 2 << 30
_MAX_PACKAGES = 200_000
"""Fedora, with 70,000, is the largest distribution of RPMs."""

_MAX_ELEMENTS = 500_000
"""Elements per package, or between packages; the kernel's packages have about 20,000."""

MAX_PACKAGE_BYTES = 16 << 20
"""Bytes per package entry, or between two of them."""

_MAX_XZ_MEMORY_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20
_ZSTD_TIMEOUT_S = 300
_DIGEST_ALGORITHMS = ("sha256", "sha384", "sha512")
MAX_FIELD_LENGTH = 256
"""Characters of a name, version, release or architecture."""

_MAX_ZSTD_MEMORY_BYTES = 1 << 30
_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryIndex:
    """Package list of a repository."""

    revision: str
    """Revision of the metadata, as in repomd.xml."""

    primary_sha256: Sha256
    """SHA-256 of the compressed package list."""

    rpms: tuple[Rpm, ...]
    """Packages, in repository order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _PrimaryReference:
    """Location and digest of the package list."""

    href: str
    algorithm: str
    digest: str
    revision: str


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
        client.fetch("repodata/repomd.xml", workdir / "repomd.xml", max_bytes=_MAX_REPOMD_BYTES)
        primary = _parse_repomd(f"{client}: repomd.xml", (workdir / "repomd.xml").read_bytes())
        compressed = workdir / "primary"
        client.fetch(primary.href, compressed, max_bytes=MAX_COMPRESSED_BYTES)
        source = f"{client}: {primary.href}"
        with compressed.open("rb") as f:
            digest = hashlib.file_digest(f, primary.algorithm).hexdigest()
        if digest != primary.digest:
            raise TrustError(
                f"{source}: expected {primary.algorithm} {_to_ascii(primary.digest)}, got {digest}",
                hint="the repository is being updated, was truncated or was modified: try again",
            )
        chunks = _decompress(compressed, primary.href, source, max_uncompressed_bytes)
        return RepositoryIndex(
            revision=primary.revision,
            primary_sha256=sha256_file(compressed),
            rpms=tuple(_parse_packages(chunks, source)),
        )


def _parse_repomd(source: str, data: bytes) -> _PrimaryReference:
    entries, revision = [], ""
    for element in _iterate_elements(
        iter([data]), source, (f"{_REPO_NAMESPACE}data", f"{_REPO_NAMESPACE}revision")
    ):
        if element.tag == f"{_REPO_NAMESPACE}revision":
            revision = (element.text or "").strip()[:100]
        elif element.get("type") == "primary":
            entries.append(element)
    if len(entries) != 1:
        raise InputError(f"{source}: expected one list of type primary, got {len(entries)}")
    location, checksum = (
        entries[0].find(f"{_REPO_NAMESPACE}{x}") for x in ("location", "checksum")
    )
    if location is None or checksum is None:
        raise InputError(f"{source}: expected the list of packages with location and checksum")
    algorithm = str(checksum.get("type", ""))
    if algorithm not in _DIGEST_ALGORITHMS:
        algorithms = ", ".join(_DIGEST_ALGORITHMS)
        raise InputError(f"{source}: expected one of {algorithms}, got {algorithm[:100]!a}")
    if location.get(_XML_BASE):
        raise InputError(f"{source}: expected a location inside of the repository, got a base")
    return _PrimaryReference(
        href=str(location.get("href", "")),
        algorithm=algorithm,
        digest=(checksum.text or "").strip().lower(),
        revision=revision if revision.isprintable() else "",
    )


def _parse_packages(chunks: Iterator[bytes], source: str) -> Iterator[Rpm]:
    for count, element in enumerate(
        _iterate_elements(chunks, source, (f"{_COMMON_NAMESPACE}package",)), 1
    ):
        if count > _MAX_PACKAGES:
            raise InputError(f"{source}: expected at most {_MAX_PACKAGES} packages, got more")
        version, size = (
            element.find(f"{_COMMON_NAMESPACE}version"),
            element.find(f"{_COMMON_NAMESPACE}size"),
        )
        name = element.findtext(f"{_COMMON_NAMESPACE}name")
        if not name or version is None:
            raise InputError(f"{source}: package {count}: expected a name and a version")
        texts = (
            name,
            str(version.get("ver", "")),
            str(version.get("rel", "")),
            element.findtext(f"{_COMMON_NAMESPACE}arch") or "",
        )
        for text in texts:
            if len(text) > MAX_FIELD_LENGTH:
                raise InputError(
                    f"{source}: package {count}: expected a name or version of at most"
                    f" {MAX_FIELD_LENGTH} characters, got {len(text)}"
                )
        yield Rpm(
            name=texts[0],
            version=texts[1],
            release=texts[2],
            arch=texts[3],
            size_bytes=_parse_size(size, "package"),
            installed_bytes=_parse_size(size, "installed"),
        )
        element.clear()
        # Elements that were read would accumulate below the root.
        while element.getprevious() is not None:
            del element.getparent()[0]  # type: ignore[union-attr]


def _parse_size(element: etree._Element | None, name: str) -> int:
    text = "" if element is None else str(element.get(name, ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _iterate_elements(
    chunks: Iterator[bytes], source: str, tags: tuple[str, ...]
) -> Iterator[etree._Element]:
    """Yield the complete elements with one of ``tags`` while the document is read."""
    parser = etree.XMLPullParser(
        # Comments and processing instructions use memory like elements, so they count as well.
        events=("start", "end", "comment", "pi"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
    )
    is_before_root, element_count, byte_count = True, 0, 0
    try:
        for chunk in chunks:
            byte_count += len(chunk)
            parser.feed(chunk)
            for event, element in parser.read_events():
                if not isinstance(element, etree._Element):
                    continue
                # Comments and processing instructions may precede the root element; the DOCTYPE
                # is known only after its start.
                if is_before_root and event == "start":
                    if element.getroottree().docinfo.internalDTD is not None:
                        raise InputError(f"{source}: has a DOCTYPE, which metadata never has")
                    is_before_root = False
                element_count += 1
                if element_count > _MAX_ELEMENTS:
                    raise InputError(f"{source}: expected packages, got too many other elements")
                if event == "end" and element.tag in tags:
                    element_count = byte_count = 0
                    yield element
            if byte_count > MAX_PACKAGE_BYTES:
                raise InputError(
                    f"{source}: expected a package within {MAX_PACKAGE_BYTES} bytes, got none"
                )
        parser.close()
    except etree.XMLSyntaxError as e:
        raise InputError(f"{source}: invalid XML: {_to_ascii(str(e.msg))}") from e


def _to_ascii(text: str) -> str:
    """Return repository text in a form that is safe in messages."""
    return text[:200].encode("ascii", "backslashreplace").decode("ascii")


def _decompress(compressed: Path, href: str, source: str, max_bytes: int) -> Iterator[bytes]:
    """Yield the uncompressed bytes, at most ``max_bytes``."""
    kind = href.rpartition(".")[2]
    if kind == "gz":
        chunks = _decompress_gzip(compressed, source)
    elif kind == "xz":
        chunks = _decompress_xz(compressed, source)
    elif kind == "zst":
        chunks = _decompress_zstd(compressed, source, max_bytes)
    elif kind == "xml":
        chunks = _read_chunks(compressed)
    else:
        raise InputError(f"{source}: expected .xml, .gz, .xz or .zst")
    remaining = max_bytes
    for chunk in chunks:
        remaining -= len(chunk)
        if remaining < 0:
            raise InputError(f"{source}: expected at most {max_bytes} bytes unpacked, got more")
        yield chunk


def _read_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as f:
        while chunk := f.read(_CHUNK_BYTES):
            yield chunk


def _decompress_gzip(path: Path, source: str) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(wbits=31)
    try:
        for data in _read_chunks(path):
            pending = data
            while pending and not decompressor.eof:
                yield decompressor.decompress(pending, _CHUNK_BYTES)
                pending = decompressor.unconsumed_tail
    except zlib.error as e:
        raise InputError(f"{source}: is damaged: {e}") from e
    if not decompressor.eof:
        raise InputError(f"{source}: is truncated")


def _decompress_xz(path: Path, source: str) -> Iterator[bytes]:
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY_BYTES)
    try:
        for data in _read_chunks(path):
            pending = data
            while not decompressor.eof and (pending or not decompressor.needs_input):
                yield decompressor.decompress(pending, _CHUNK_BYTES)
                pending = b""
    except lzma.LZMAError as e:
        raise InputError(f"{source}: is damaged: {e}") from e
    if not decompressor.eof:
        raise InputError(f"{source}: is truncated")


def _decompress_zstd(path: Path, source: str, max_bytes: int) -> Iterator[bytes]:
    """Run zstd: Python supports it from 3.14 on. The kernel limits its output to ``max_bytes``."""
    if find_program("zstd") is None:
        raise ToolError(["zstd"], "is not installed", hint="install zstd, or mirror with gz")
    output = path.with_name("primary.xml")
    argv: list[str | Path] = ["zstd", "-d", "-q", "-f", "--memory=256MiB", "-o", output, path]
    limits = ProcessLimits(max_file_bytes=max_bytes + 1, max_memory_bytes=_MAX_ZSTD_MEMORY_BYTES)
    try:
        run_limited(argv, limits=limits, timeout_s=_ZSTD_TIMEOUT_S)
    except ToolError as e:
        if "SIGXFSZ" in str(e):
            raise InputError(
                f"{source}: expected at most {max_bytes} bytes unpacked, got more"
            ) from e
        raise InputError(f"{source}: is damaged or truncated: {e.output_tail or e}") from e
    yield from _read_chunks(output)
