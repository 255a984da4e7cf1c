"""RECORD, a wheel's own list of its files with their digests (the binary distribution format)."""

import base64
import binascii
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hardpan.builder.wheels.model import BrokenError

ALGORITHMS = ("sha256", "sha384", "sha512")
_UNLISTED = ("RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What RECORD says of one file."""

    algorithm: str
    """One of ``ALGORITHMS``, or nothing for RECORD itself."""

    digest: bytes
    """The digest."""


def home(wheel: str, members: Iterable[zipfile.ZipInfo]) -> str:
    """The wheel's dist-info folder, which has to be the one of its file name.

    Raises:
        BrokenError: there is none, another, or more than one.
    """
    names = {m.filename.split("/", 1)[0] for m in members if "/" in m.filename}
    found = sorted(n for n in names if n.endswith(".dist-info"))
    name, version = wheel.split("-")[:2]
    if len(found) != 1 or not _fits(found[0], name, version):
        told = ", ".join(ascii(n) for n in found[:3]) or "none"
        raise BrokenError(f"expected one folder {name}-{version}.dist-info, found {told}")
    return found[0]


def parse(data: bytes) -> dict[str, Row]:
    """The rows of RECORD by file name.

    Raises:
        BrokenError: it is no such list; says the line.
    """
    rows: dict[str, Row] = {}
    try:
        for line, row in enumerate(csv.reader(io.StringIO(data.decode("utf-8"))), 1):
            if not row:
                continue
            if len(row) != 3:
                raise BrokenError(
                    f"RECORD:{line}: expected name, digest, size; found {len(row)} fields"
                )
            if row[0] in rows:
                raise BrokenError(f"RECORD:{line}: {row[0][:200]!a} is there twice")
            rows[row[0]] = _row(row[1], line)
    except (UnicodeDecodeError, csv.Error) as e:
        raise BrokenError(f"RECORD: not a list in UTF-8: {e!s:.100}") from e
    return rows


def compare(
    folder: str, rows: Mapping[str, Row], there: Mapping[str, bytes]
) -> Iterator[tuple[str, str]]:
    """File name and what is wrong with it, for each that differs from RECORD.

    ``there`` has the digest that each file really has, by the algorithm of its row.
    """
    own = f"{folder}/RECORD"
    free = {own, *(f"{folder}/{n}" for n in _UNLISTED)}
    for name in sorted(there):
        row = rows.get(name)
        if name in free:
            continue
        if row is None:
            yield name, "is not in RECORD"
        elif not row.algorithm:
            yield name, "has no digest in RECORD"
        elif row.digest != there[name]:
            yield name, f"expected {row.algorithm} {row.digest.hex()}, found {there[name].hex()}"
    for name in sorted(rows.keys() - there.keys()):
        yield "", f"RECORD names {name[:200]!a}, which is not in the wheel"


def algorithm(rows: Mapping[str, Row], name: str) -> str:
    """The algorithm by which RECORD knows the file called ``name``."""
    row = rows.get(name)
    return row.algorithm if row and row.algorithm else ALGORITHMS[0]


def _row(text: str, line: int) -> Row:
    if not text:
        return Row(algorithm="", digest=b"")
    name, _, value = text.partition("=")
    if name not in ALGORITHMS:
        told = ", ".join(ALGORITHMS)
        raise BrokenError(f"RECORD:{line}: expected one of {told}, found {name[:40]!a}")
    try:
        digest = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as e:
        raise BrokenError(f"RECORD:{line}: not base64: {value[:100]!a}") from e
    if len(digest) != hashlib.new(name).digest_size:
        raise BrokenError(f"RECORD:{line}: expected a {name}, found {len(digest)} bytes")
    return Row(algorithm=name, digest=digest)


def _fits(folder: str, name: str, version: str) -> bool:
    own = folder.removesuffix(".dist-info")
    return _plain(own) == _plain(f"{name}-{version}")


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
