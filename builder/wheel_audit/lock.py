"""Read a lock file with hashes in pip's requirements format; entries without hashes are refused."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from hardpan.core.errors import InputError
from hardpan.core.files import Sha256, read_limited, sha256_bytes

_MAX_BYTES = 16 << 20
_PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*(?P<version>[A-Za-z0-9.!+_-]+)"
    r"\s*(?:;(?P<marker>.*))?"
)
_HASH = re.compile(r"--hash[= ](?P<algorithm>[a-z0-9]+):(?P<digest>[0-9a-fA-F]+)")
_INCLUDES = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable")
_HINT = "write it with 'pip-compile --generate-hashes' or 'uv pip compile --generate-hashes'"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEntry:
    """One locked package."""

    name: str
    """Its normalised name."""

    version: str
    """Its version as written."""

    sha256s: frozenset[str]
    """SHA-256 digests of the allowed files."""

    is_conditional: bool
    """True if an environment marker limits it to some machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """A lock file."""

    sha256: Sha256
    """Digest of the file."""

    entries: tuple[LockEntry, ...]
    """In its order."""


def load_lock(path: Path) -> LockFile:
    """Read the lock file at ``path``.

    Raises:
        InputError: it cannot be read, or an entry has no version or no SHA-256; says the line.
    """
    data = read_limited(path, _MAX_BYTES)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise InputError(f"{path}: expected UTF-8, byte {e.start} is not") from e
    entries = tuple(_parse_entries(path, text))
    if not entries:
        raise InputError(f"{path}: expected locked packages, got none", hint=_HINT)
    return LockFile(sha256=sha256_bytes(data), entries=entries)


def format_requirements(entries: Iterable[LockEntry]) -> str:
    """Format entries for pip: pins and digests, without options from the lock file."""
    lines = []
    for entry in entries:
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in sorted(entry.sha256s))
        lines.append(f"{entry.name}=={entry.version} {hashes}\n")
    return "".join(lines)


def _parse_entries(path: Path, text: str) -> Iterator[LockEntry]:
    for line, logical_line in _logical_lines(text):
        location = f"{path}:{line}"
        tokens = logical_line.split(None, 1)
        if tokens[0].split("=")[0] in _INCLUDES or tokens[0][:2] in ("-r", "-c", "-e"):
            raise InputError(f"{location}: expected one complete lock, got {tokens[0]!a}")
        if logical_line.startswith("-"):
            continue
        requirement, *_ = logical_line.split(" --hash", 1)
        match = _PINNED.fullmatch(requirement.strip())
        if match is None:
            raise InputError(f"{location}: expected name==version, got {requirement[:100]!a}")
        digests = [(m["algorithm"], m["digest"].lower()) for m in _HASH.finditer(logical_line)]
        allowed = frozenset(d for a, d in digests if a == "sha256" and len(d) == 64)
        if not allowed:
            raise InputError(f"{location}: {match['name']}: expected a sha256 hash", hint=_HINT)
        yield LockEntry(
            name=canonicalize_name(match["name"]),
            version=match["version"],
            sha256s=allowed,
            is_conditional=bool(match["marker"]),
        )


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield start line and text of each logical line, joined and without comments."""
    start_line = 0
    parts: list[str] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = re.sub(r"(?:^|(?<=\s))#.*", "", raw.rstrip("\r"))
        start_line = start_line if parts else number
        continues = line.endswith("\\")
        parts.append(line.removesuffix("\\").strip())
        if not continues:
            joined = " ".join(p for p in parts if p)
            parts = []
            if joined:
                yield start_line, joined
    joined = " ".join(p for p in parts if p)
    if joined:
        yield start_line, joined
