"""RECORD, a wheel's own list of its files with their digests (the binary distribution format)."""

import base64
import binascii
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hardpan.builder.wheel_audit.model import MalformedWheelError

ALGORITHMS = ("sha256", "sha384", "sha512")
_UNLISTED = ("RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEntry:
    """What RECORD says of one file."""

    algorithm: str
    """One of ``ALGORITHMS``, or nothing for RECORD itself."""

    digest: bytes
    """The digest."""


def find_dist_info(wheel: str, members: Iterable[zipfile.ZipInfo]) -> str:
    """The wheel's dist-info folder, which has to be the one of its file name.

    Raises:
        BrokenError: there is none, another, or more than one.
    """
    names = {m.filename.split("/", 1)[0] for m in members if "/" in m.filename}
    folders = sorted(n for n in names if n.endswith(".dist-info"))
    name, version = wheel.split("-")[:2]
    if len(folders) != 1 or not _is_dist_info_of(folders[0], name, version):
        listed = ", ".join(ascii(n) for n in folders[:3]) or "none"
        raise MalformedWheelError(f"expected one folder {name}-{version}.dist-info, got {listed}")
    return folders[0]


def parse_record(data: bytes) -> dict[str, RecordEntry]:
    """The rows of RECORD by file name.

    Raises:
        BrokenError: it is no such list; says the line.
    """
    entries: dict[str, RecordEntry] = {}
    try:
        for line, row in enumerate(csv.reader(io.StringIO(data.decode("utf-8"))), 1):
            if not row:
                continue
            if len(row) != 3:
                raise MalformedWheelError(
                    f"RECORD:{line}: expected name, digest, size; got {len(row)} fields"
                )
            if row[0] in entries:
                raise MalformedWheelError(f"RECORD:{line}: {row[0][:200]!a} is there twice")
            entries[row[0]] = _parse_entry(row[1], line)
    except (UnicodeDecodeError, csv.Error) as e:
        raise MalformedWheelError(f"RECORD: not a list in UTF-8: {e!s:.100}") from e
    return entries


def compare_record(
    folder: str, entries: Mapping[str, RecordEntry], digests: Mapping[str, bytes]
) -> Iterator[tuple[str, str]]:
    """File name and what is wrong with it, for each that differs from RECORD.

    ``there`` has the digest that each file really has, by the algorithm of its row.
    """
    record_path = f"{folder}/RECORD"
    unlisted = {record_path, *(f"{folder}/{n}" for n in _UNLISTED)}
    for name in sorted(digests):
        entry = entries.get(name)
        if name in unlisted:
            continue
        if entry is None:
            yield name, "is not in RECORD"
        elif not entry.algorithm:
            yield name, "has no digest in RECORD"
        elif entry.digest != digests[name]:
            yield (
                name,
                f"expected {entry.algorithm} {entry.digest.hex()}, got {digests[name].hex()}",
            )
    for name in sorted(entries.keys() - digests.keys()):
        yield "", f"RECORD names {name[:200]!a}, which is not in the wheel"


def find_algorithm(entries: Mapping[str, RecordEntry], name: str) -> str:
    """The algorithm by which RECORD knows the file called ``name``."""
    entry = entries.get(name)
    return entry.algorithm if entry and entry.algorithm else ALGORITHMS[0]


def _parse_entry(text: str, line: int) -> RecordEntry:
    if not text:
        return RecordEntry(algorithm="", digest=b"")
    name, _, value = text.partition("=")
    if name not in ALGORITHMS:
        allowed = ", ".join(ALGORITHMS)
        raise MalformedWheelError(f"RECORD:{line}: expected one of {allowed}, got {name[:40]!a}")
    try:
        digest = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as e:
        raise MalformedWheelError(f"RECORD:{line}: not base64: {value[:100]!a}") from e
    if len(digest) != hashlib.new(name).digest_size:
        raise MalformedWheelError(f"RECORD:{line}: expected a {name}, got {len(digest)} bytes")
    return RecordEntry(algorithm=name, digest=digest)


def _is_dist_info_of(folder: str, name: str, version: str) -> bool:
    stem = folder.removesuffix(".dist-info")
    return _normalize(stem) == _normalize(f"{name}-{version}")


def _normalize(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
