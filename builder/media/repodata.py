"""What packages a dnf repository has, from its metadata, which is taken for hostile.

``repomd.xml`` names the list of packages and its digest; the list is checked against
it before a byte is unpacked. Sizes are limited packed and unpacked, XML has no
DOCTYPE, entities or network. The metadata's own signature is not looked at.
"""

import hashlib
import lzma
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from hardpan.builder.repository import Files
from hardpan.errors import InputError, ToolError, TrustError
from hardpan.files import Sha256, sha256_file
from hardpan.limited_process import ProcessLimits, run_limited
from hardpan.process import which

_REPO = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"
_REPOMD_MOST = 1 << 20
PACKED_MOST = 256 << 20
OPEN_MOST = 2 << 30
_PACKAGES_MOST = 200_000
"""Fedora, with 70,000, is the largest distribution of RPMs."""

_PARTS_MOST = 500_000
"""Elements in one package or outside of any; the kernel's packages have some 20,000."""

MAX_PACKAGE_BYTES = 16 << 20
"""Bytes of one package's description, or between two of them."""

_XZ_MEMORY = 256 << 20
_CHUNK = 1 << 20
_ZSTD_S = 300
_DIGESTS = ("sha256", "sha384", "sha512")
MAX_FIELD_LENGTH = 256
"""Characters of a name, version, release or architecture."""

_ZST_MEMORY_BYTES = 1 << 30
_BASE = "{http://www.w3.org/XML/1998/namespace}base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpm:
    """One package of a repository."""

    name: str
    """Its name."""

    version: str
    """Its version, without epoch and release."""

    release: str
    """Its release."""

    arch: str
    """Its architecture, ``noarch`` for all."""

    size: int
    """Bytes of the file."""

    installed: int
    """Bytes that it takes once installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What a repository has."""

    revision: str
    """What the repository calls this state of itself."""

    primary_sha256: Sha256
    """Digest of the packed list."""

    rpms: tuple[Rpm, ...]
    """In the order of the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Primary:
    """Where the list of packages lies."""

    href: str
    algorithm: str
    digest: str
    revision: str


def read(repo: str, *, open_most: int = OPEN_MOST) -> Packages:
    """The packages of the repository at ``repo``, a folder or an http(s) address.

    Raises:
        InputError: it is no repository, or its metadata is broken or too large.
        TrustError: the list of packages is not the one that repomd.xml names.
        UnreachableError: the server does not answer.
        ToolError: the list is packed with zstd and there is no ``zstd`` here.
    """
    files = Files(repo)
    with tempfile.TemporaryDirectory(prefix="hardpan-repodata-") as name:
        room = Path(name)
        files.fetch("repodata/repomd.xml", room / "repomd.xml", most=_REPOMD_MOST)
        said = _primary(f"{files}: repomd.xml", (room / "repomd.xml").read_bytes())
        packed = room / "primary"
        files.fetch(said.href, packed, most=PACKED_MOST)
        where = f"{files}: {said.href}"
        with packed.open("rb") as f:
            found = hashlib.file_digest(f, said.algorithm).hexdigest()
        if found != said.digest:
            raise TrustError(
                f"{where}: expected {said.algorithm} {_shown(said.digest)}, found {found}",
                hint="the repository is being changed, was cut, or was tampered with: try again",
            )
        chunks = _opened(packed, said.href, where, open_most)
        return Packages(
            revision=said.revision,
            primary_sha256=sha256_file(packed),
            rpms=tuple(_rpms(chunks, where)),
        )


def _primary(where: str, data: bytes) -> _Primary:
    entries, revision = [], ""
    for element in _elements(iter([data]), where, (f"{_REPO}data", f"{_REPO}revision")):
        if element.tag == f"{_REPO}revision":
            revision = (element.text or "").strip()[:100]
        elif element.get("type") == "primary":
            entries.append(element)
    if len(entries) != 1:
        raise InputError(f"{where}: expected one list of type primary, found {len(entries)}")
    location, checksum = (entries[0].find(f"{_REPO}{x}") for x in ("location", "checksum"))
    if location is None or checksum is None:
        raise InputError(f"{where}: expected the list of packages with location and checksum")
    algorithm = str(checksum.get("type", ""))
    if algorithm not in _DIGESTS:
        known = ", ".join(_DIGESTS)
        raise InputError(f"{where}: expected one of {known}, found {algorithm[:100]!a}")
    if location.get(_BASE):
        raise InputError(f"{where}: expected a location inside of the repository, found a base")
    return _Primary(
        href=str(location.get("href", "")),
        algorithm=algorithm,
        digest=(checksum.text or "").strip().lower(),
        revision=revision if revision.isprintable() else "",
    )


def _rpms(chunks: Iterator[bytes], where: str) -> Iterator[Rpm]:
    for count, element in enumerate(_elements(chunks, where, (f"{_COMMON}package",)), 1):
        if count > _PACKAGES_MOST:
            raise InputError(f"{where}: expected at most {_PACKAGES_MOST} packages, found more")
        version, size = element.find(f"{_COMMON}version"), element.find(f"{_COMMON}size")
        name = element.findtext(f"{_COMMON}name")
        if not name or version is None:
            raise InputError(f"{where}: package {count}: expected a name and a version")
        texts = (
            name,
            str(version.get("ver", "")),
            str(version.get("rel", "")),
            element.findtext(f"{_COMMON}arch") or "",
        )
        for text in texts:
            if len(text) > MAX_FIELD_LENGTH:
                raise InputError(
                    f"{where}: package {count}: expected a name or version of at most"
                    f" {MAX_FIELD_LENGTH} characters, found {len(text)}"
                )
        yield Rpm(
            name=texts[0],
            version=texts[1],
            release=texts[2],
            arch=texts[3],
            size=_whole(size, "package"),
            installed=_whole(size, "installed"),
        )
        element.clear()
        # Elements that were read would pile up below the root.
        while element.getprevious() is not None:
            del element.getparent()[0]  # type: ignore[union-attr]


def _whole(element: etree._Element | None, name: str) -> int:
    text = "" if element is None else str(element.get(name, ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _elements(
    chunks: Iterator[bytes], where: str, tags: tuple[str, ...]
) -> Iterator[etree._Element]:
    """The finished elements called one of ``tags``, while the document still comes."""
    parser = etree.XMLPullParser(
        # Comments and instructions take memory as elements do, and so they count as well.
        events=("start", "end", "comment", "pi"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
    )
    fresh, parts, size = True, 0, 0
    try:
        for chunk in chunks:
            size += len(chunk)
            parser.feed(chunk)
            for event, element in parser.read_events():
                if not isinstance(element, etree._Element):
                    continue
                # Comments and instructions may stand before the root, without which nothing is
                # known of a DOCTYPE.
                if fresh and event == "start":
                    if element.getroottree().docinfo.internalDTD is not None:
                        raise InputError(f"{where}: has a DOCTYPE, which metadata never has")
                    fresh = False
                parts += 1
                if parts > _PARTS_MOST:
                    raise InputError(f"{where}: expected packages, found too many other elements")
                if event == "end" and element.tag in tags:
                    parts = size = 0
                    yield element
            if size > MAX_PACKAGE_BYTES:
                raise InputError(
                    f"{where}: expected a package within {MAX_PACKAGE_BYTES} bytes, found none"
                )
        parser.close()
    except etree.XMLSyntaxError as e:
        raise InputError(f"{where}: not whole XML: {_shown(str(e.msg))}") from e


def _shown(text: str) -> str:
    """Text of the repository as a message may hold it."""
    return text[:200].encode("ascii", "backslashreplace").decode("ascii")


def _opened(packed: Path, href: str, where: str, most: int) -> Iterator[bytes]:
    """The unpacked bytes, in pieces, never more than ``most`` of them."""
    kind = href.rpartition(".")[2]
    if kind == "gz":
        chunks = _gz(packed, where)
    elif kind == "xz":
        chunks = _xz(packed, where)
    elif kind == "zst":
        chunks = _zst(packed, where, most)
    elif kind == "xml":
        chunks = _plain(packed)
    else:
        raise InputError(f"{where}: expected .xml, .gz, .xz or .zst")
    left = most
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise InputError(f"{where}: expected at most {most} bytes unpacked, found more")
        yield chunk


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as f:
        while chunk := f.read(_CHUNK):
            yield chunk


def _gz(path: Path, where: str) -> Iterator[bytes]:
    opener = zlib.decompressobj(wbits=31)
    try:
        for data in _plain(path):
            rest = data
            while rest and not opener.eof:
                yield opener.decompress(rest, _CHUNK)
                rest = opener.unconsumed_tail
    except zlib.error as e:
        raise InputError(f"{where}: is broken: {e}") from e
    if not opener.eof:
        raise InputError(f"{where}: is cut off")


def _xz(path: Path, where: str) -> Iterator[bytes]:
    opener = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    try:
        for data in _plain(path):
            rest = data
            while not opener.eof and (rest or not opener.needs_input):
                yield opener.decompress(rest, _CHUNK)
                rest = b""
    except lzma.LZMAError as e:
        raise InputError(f"{where}: is broken: {e}") from e
    if not opener.eof:
        raise InputError(f"{where}: is cut off")


def _zst(path: Path, where: str, most: int) -> Iterator[bytes]:
    """By the program: Python reads zstd from 3.14 on. The kernel stops it at ``most`` bytes."""
    if which("zstd") is None:
        raise ToolError(["zstd"], "is not installed", hint="install zstd, or mirror with gz")
    to = path.with_name("primary.xml")
    argv: list[str | Path] = ["zstd", "-d", "-q", "-f", "--memory=256MiB", "-o", to, path]
    limits = ProcessLimits(file_bytes=most + 1, memory_bytes=_ZST_MEMORY_BYTES)
    try:
        run_limited(argv, limits=limits, timeout_s=_ZSTD_S)
    except ToolError as e:
        if "SIGXFSZ" in str(e):
            raise InputError(f"{where}: expected at most {most} bytes unpacked, found more") from e
        raise InputError(f"{where}: is broken or cut off: {e.tail or e}") from e
    yield from _plain(to)
