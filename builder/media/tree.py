"""Parse ``.treeinfo`` and ``.discinfo``, which describe an installation tree; both are untrusted.

Source: productmd's format of .treeinfo 1.2, which Anaconda reads to find the repositories
(pyanaconda/payload/install_tree_metadata.py), and the four lines of .discinfo that lorax writes.
"""

import re
from configparser import Error as ConfigError
from configparser import RawConfigParser
from dataclasses import dataclass

from hardpan.core.errors import InputError
from hardpan.core.files import Sha256

TREEINFO, DISCINFO = "/.treeinfo", "/.discinfo"
MAX_DESCRIPTION_BYTES = 256 << 10
_MAX_VARIANTS = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+ -]{0,99}", re.ASCII)
_VERSION = re.compile(r"(\d{1,4})(?:\.\d{1,4}){0,2}", re.ASCII)
_PATH = re.compile(r"(?:[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,99}/?){1,4}|\.", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeVariant:
    """A variant of the tree: a repository."""

    id: str
    repository: str
    """Its path in the tree, e.g. ``AppStream``; ``.`` is the tree itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTree:
    """The distribution of an installation tree."""

    family: str
    """Name of the distribution, e.g. ``Rocky Linux``."""

    version: str
    """Version, e.g. ``9.6``."""

    arch: str
    variants: tuple[TreeVariant, ...]

    @property
    def major(self) -> str:
        """The major version."""
        return self.version.partition(".")[0]

    def __str__(self) -> str:
        """Return the distribution, its version and architecture."""
        return f"{self.family} {self.version} {self.arch}"


def parse_treeinfo(data: bytes, source: str) -> MediaTree:
    """Parse ``.treeinfo``; ``source`` is its name in messages.

    Raises:
        InputError: it is not in productmd's format, or a value is not plain.
    """
    parser = RawConfigParser(strict=True, allow_no_value=False)
    try:
        parser.read_string(data.decode("utf-8"), source)
    except (ConfigError, UnicodeDecodeError) as e:
        problem = ascii(str(e).partition("\n")[0][:200])
        raise InputError(f"{source}: expected a description of the media, got {problem}") from e
    version = _value(parser, "release", "version", source)
    if not _VERSION.fullmatch(version):
        raise InputError(f"{source}: release version: expected e.g. 9.6, got {version[:100]!a}")
    names = [name.strip() for name in parser.get("tree", "variants", fallback="").split(",")]
    variants = [name for name in names if name]
    if len(variants) > _MAX_VARIANTS:
        raise InputError(f"{source}: expected at most {_MAX_VARIANTS} variants, got more")
    return MediaTree(
        family=_value(parser, "release", "name", source),
        version=version,
        arch=_value(parser, "tree", "arch", source),
        variants=tuple(_parse_variant(parser, name, source) for name in variants),
    )


def replace_checksum(data: bytes, name: str, sha256: Sha256) -> bytes:
    """Return ``.treeinfo`` with the digest of the file ``name``; unchanged if it has none.

    Every other byte stays: Anaconda reads the file, and people compare it.
    """
    line = re.compile(
        rb"^(?P<name>[ \t]*" + re.escape(name.encode()) + rb"[ \t]*=[ \t]*)[^\r\n]*", re.MULTILINE
    )
    head, separator, remainder = data.partition(b"[checksums]")
    section, next_section, tail = remainder.partition(b"\n[")
    edited = line.sub(lambda match: match["name"] + f"sha256:{sha256}".encode(), section)
    return head + separator + edited + next_section + tail


def parse_discinfo(data: bytes, source: str) -> str:
    """Return the architecture that ``.discinfo`` names in its third line.

    Raises:
        InputError: it has no such line.
    """
    lines = data.decode("utf-8", "replace").splitlines()
    if len(lines) < 3 or not _NAME.fullmatch(lines[2].strip()):
        raise InputError(f"{source}: expected the architecture in its third line")
    return lines[2].strip()


def _parse_variant(parser: RawConfigParser, name: str, source: str) -> TreeVariant:
    if not _NAME.fullmatch(name):
        raise InputError(f"{source}: expected a plain name of a variant, got {name[:100]!a}")
    repository = parser.get(f"variant-{name}", "repository", fallback="")
    parts = repository.split("/")
    if not _PATH.fullmatch(repository) or ".." in parts:
        raise InputError(
            f"{source}: variant {name}: expected a repository inside of the media,"
            f" got {repository[:200]!a}"
        )
    return TreeVariant(id=name, repository=repository.rstrip("/"))


def _value(parser: RawConfigParser, section: str, option: str, source: str) -> str:
    value = parser.get(section, option, fallback="").strip()
    if not _NAME.fullmatch(value):
        raise InputError(
            f"{source}: {section} {option}: expected a plain value, got {value[:100]!a}"
        )
    return value
