"""A chain as a file: one JSON object a line, so that any tool can read it.

The first line is the chain's beginning, count and head; each further line is one
row with its three blobs in base64. An import walks the chain before it stores a
byte of it, and appends to a chain that it holds already only what follows it.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hardpan.errors import InputError, TrustError
from hardpan.files import atomic_path, canonical_json, open_regular, sha256_bytes
from hardpan.scanners.history.chain import FORMAT, MAX_ROWS, OWN, Chain, Link, Row, read_link, walk
from hardpan.scanners.history.ledger import check_told
from hardpan.scanners.history.record import Record, unpack
from hardpan.scanners.history.store import Store
from hardpan.signing import MalformedError, parse_json
from hardpan.signing.strict import decode_base64

_MAX_LINE_BYTES = 48 << 20
Vouch = Callable[[Row, bytes, bytes, Record], None]
"""Passes if the row's evidence is trusted: ``(row, statement, bundle, record)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did."""

    chain: str
    new: int
    rows: int
    """Rows of the chain now."""


def export(store: Store, chain: Chain, out: Path) -> None:
    """Write ``chain`` to ``out``.

    Raises:
        TrustError: a blob was changed.
    """
    head = {
        "format": FORMAT,
        "chain": chain.link.data(),
        "count": len(chain.rows),
        "head": chain.head,
    }
    with atomic_path(out) as temp, temp.open("wb") as f:
        temp.chmod(0o600)
        f.write(canonical_json(head) + b"\n")
        for row in chain.rows:
            what = f"{store.path}: chain {chain.name!r}: row {row.seq}"
            blobs = [store.blob(d, what=what) for d in _digests(row)]
            line = {
                "row": row.model_dump(),
                "blobs": [base64.b64encode(b).decode() for b in blobs],
            }
            f.write(canonical_json(line) + b"\n")


def import_(
    store: Store, path: Path, vouch: Vouch, *, name: str | None = None, own: bool = False
) -> Imported:
    """Take the chain in ``path`` into ``store``.

    A chain that is held already is continued; any other becomes a chain of its
    own called ``name``, or this ledger's own one (``own``) where it has none yet.

    Raises:
        InputError: the file cannot be read, or the name or the own chain is taken.
        TrustError: the chain is not whole, does not continue the one that is
            held, or ``vouch`` refuses one of its statements.
    """
    try:
        with open_regular(path) as f:
            return _imported(store, path, f, vouch, name=name, own=own)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e


def _imported(
    store: Store, path: Path, f: IO[bytes], vouch: Vouch, *, name: str | None, own: bool
) -> Imported:
    link, count, head = _beginning(f, path)
    rows = walk(link, (row for row, _ in _lines(f, path)), what=str(path))
    if len(rows) != count or (rows[-1].hash if rows else link.id) != head:
        raise TrustError(f"{path}: expected {count} rows, found {len(rows)}: cut short?")
    chain = next((c for c in store.chains.values() if c.link.id == link.id), None)
    held = () if chain is None else chain.rows
    new_name = _name(store, link, name, own) if chain is None else ""
    if chain is not None:
        _check_continues(chain, rows, path)
    # All rows are verified before the first is stored: SQLite then has nothing to roll back for a
    # row that is refused.
    for row, blobs in _read_rows(f, path, rows, after=len(held)):
        what = f"{path}: row {row.seq}"
        record = unpack(blobs[2], what=what)
        check_told(row, record.side, what=what)
        vouch(row, blobs[0], blobs[1], record)
    if chain is None:
        chain = store.begin_chain(new_name, link)
    for row, blobs in _read_rows(f, path, rows, after=len(held)):
        chain = store.append(chain, row, blobs)
    return Imported(chain=chain.name, new=len(chain.rows) - len(held), rows=len(chain.rows))


def _read_rows(
    f: IO[bytes], path: Path, rows: tuple[Row, ...], *, after: int
) -> Iterator[tuple[Row, tuple[bytes, ...]]]:
    """The rows behind the first ``after`` ones, each with its blobs; one row's are in memory.

    Raises:
        TrustError: a blob is not the one that the walked row names, whatever the file says now.
    """
    f.seek(0)
    _beginning(f, path)
    lines = _lines(f, path)
    for row in rows:
        _, parts = next(lines, ({}, []))
        if row.seq <= after:
            continue
        what = f"{path}: row {row.seq}"
        blobs = tuple(decode_base64(_text(p, what), what=what) for p in parts)
        if tuple(map(sha256_bytes, blobs)) != _digests(row):
            raise TrustError(f"{what}: a blob was changed: its digest is another")
        yield row, blobs


def _name(store: Store, link: Link, name: str | None, own: bool) -> str:
    if not own:
        if name == OWN:
            raise InputError(f"{OWN!r} is the name of this ledger's own chain", hint="see --own")
        return name or link.id[:12]
    if OWN in store.chains:
        raise InputError(
            "this ledger has an own chain already; two cannot be made one",
            hint="leave out --own: the chain is kept beside it, under a name",
        )
    return OWN


def _check_continues(chain: Chain, rows: tuple[Row, ...], path: Path) -> None:
    for ours, theirs in zip(chain.rows, rows, strict=False):
        if ours.hash != theirs.hash:
            raise TrustError(
                f"{path}: row {theirs.seq}: is another one than in chain {chain.name!r}: the two "
                "were continued apart from each other",
                hint="find out which machine added to a chain that is not its own",
            )


def _beginning(f: IO[bytes], path: Path) -> tuple[Link, int, str]:
    value = _line(f, path, 1)
    if value is None or value.get("format") != FORMAT:
        raise InputError(f"{path}: not an exported ledger ({FORMAT})")
    chain, count, head = value.get("chain"), value.get("count"), value.get("head")
    if not isinstance(chain, dict) or type(count) is not int or not isinstance(head, str):
        raise TrustError(f"{path}: line 1: expected chain, count and head")
    return read_link(chain, what=f"{path}: line 1"), count, head


def _lines(f: IO[bytes], path: Path) -> Iterator[tuple[dict[str, object], list[object]]]:
    """Each row with its blobs, as they stand there."""
    for number in range(1, MAX_ROWS + 2):
        value = _line(f, path, number + 1)
        if value is None:
            return
        row, parts = value.get("row"), value.get("blobs")
        if not isinstance(row, dict) or not isinstance(parts, list) or len(parts) != 3:
            raise TrustError(f"{path}: row {number}: expected a row and its three blobs")
        yield row, parts


def _line(f: IO[bytes], path: Path, number: int) -> dict[str, object] | None:
    data = f.readline(_MAX_LINE_BYTES + 1)
    if not data:
        return None
    value = parse_json(data, what=f"{path}: line {number}", max_bytes=_MAX_LINE_BYTES)
    if not isinstance(value, dict):
        raise MalformedError(f"{path}: line {number}: expected an object")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"{what}: expected base64")
    return value


def _digests(row: Row) -> tuple[str, str, str]:
    return row.statement_sha256, row.bundle_sha256, row.record_sha256
