"""Export and import a chain as a file with one JSON object per line.

The first line is the header of the chain, its row count and its last hash; each further line is
one row with its three blobs in base64. An import verifies the whole chain before it stores a row,
and appends only new rows to a chain that it already has.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import atomic_path, canonical_json, open_regular, sha256_bytes
from hardpan.scanners.ledger.chain import (
    FORMAT,
    LOCAL,
    MAX_ROWS,
    ChainHeader,
    LedgerChain,
    LedgerRow,
    parse_chain_header,
    verify_rows,
)
from hardpan.scanners.ledger.entries import check_summary_columns
from hardpan.scanners.ledger.scan_record import ScanRecord, decompress_record
from hardpan.scanners.ledger.store import LedgerStore
from hardpan.signing import MalformedError, parse_json
from hardpan.signing.strict_json import decode_base64

_MAX_LINE_BYTES = 48 << 20
SignatureCheck = Callable[[LedgerRow, bytes, bytes, ScanRecord], None]
"""Raises unless the evidence of the row is trusted: ``(row, statement, bundle, record)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """The result of an import."""

    chain: str
    new_rows: int
    total_rows: int
    """Rows of the chain after the import."""


def export_chain(store: LedgerStore, chain: LedgerChain, out: Path) -> None:
    """Write ``chain`` to ``out``.

    Raises:
        TrustError: a blob was changed.
    """
    header = {
        "format": FORMAT,
        "chain": chain.header.to_json(),
        "count": len(chain.rows),
        "head": chain.head_hash,
    }
    with atomic_path(out) as temp, temp.open("wb") as file:
        temp.chmod(0o600)
        file.write(canonical_json(header) + b"\n")
        for row in chain.rows:
            label = f"{store.path}: chain {chain.name!r}: row {row.seq}"
            blobs = [store.read_blob(d, label=label) for d in _blob_digests(row)]
            line = {
                "row": row.model_dump(),
                "blobs": [base64.b64encode(b).decode() for b in blobs],
            }
            file.write(canonical_json(line) + b"\n")


def import_chain(
    store: LedgerStore,
    path: Path,
    check_signature: SignatureCheck,
    *,
    name: str | None = None,
    as_local: bool = False,
) -> ImportResult:
    """Import the chain in ``path`` into ``store``.

    A chain that the ledger already has is continued. Any other becomes a new chain
    called ``name``, or the local chain if ``as_local`` and the ledger has none yet.

    Raises:
        InputError: the file cannot be read, or the name or the local chain already exists.
        TrustError: the chain is incomplete, does not continue the stored one, or
            ``check_signature`` rejects one of its statements.
    """
    try:
        with open_regular(path) as file:
            return _import_file(store, path, file, check_signature, name=name, as_local=as_local)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e


def _import_file(
    store: LedgerStore,
    path: Path,
    file: IO[bytes],
    check_signature: SignatureCheck,
    *,
    name: str | None,
    as_local: bool,
) -> ImportResult:
    header, count, head_hash = _read_header(file, path)
    rows = verify_rows(header, (row for row, _ in _read_lines(file, path)), label=str(path))
    if len(rows) != count or (rows[-1].hash if rows else header.id) != head_hash:
        raise TrustError(f"{path}: expected {count} rows, got {len(rows)}: truncated?")
    chain = next((c for c in store.chains.values() if c.header.id == header.id), None)
    existing_rows = () if chain is None else chain.rows
    new_name = _choose_name(store, header, name, as_local) if chain is None else ""
    if chain is not None:
        _check_continues(chain, rows, path)
    # All rows are verified before the first is stored: SQLite then has nothing to roll back for a
    # row that is refused.
    for row, blobs in _read_rows(file, path, rows, after=len(existing_rows)):
        label = f"{path}: row {row.seq}"
        record = decompress_record(blobs[2], label=label)
        check_summary_columns(row, record.snapshot, label=label)
        check_signature(row, blobs[0], blobs[1], record)
    if chain is None:
        chain = store.create_chain(new_name, header)
    for row, blobs in _read_rows(file, path, rows, after=len(existing_rows)):
        chain = store.append_row(chain, row, blobs)
    return ImportResult(
        chain=chain.name, new_rows=len(chain.rows) - len(existing_rows), total_rows=len(chain.rows)
    )


def _read_rows(
    file: IO[bytes], path: Path, rows: tuple[LedgerRow, ...], *, after: int
) -> Iterator[tuple[LedgerRow, tuple[bytes, ...]]]:
    """The rows behind the first ``after`` ones, each with its blobs; one row's are in memory.

    Raises:
        TrustError: a blob is not the one that the walked row names, whatever the file says now.
    """
    file.seek(0)
    _read_header(file, path)
    lines = _read_lines(file, path)
    for row in rows:
        _, encoded_blobs = next(lines, ({}, []))
        if row.seq <= after:
            continue
        label = f"{path}: row {row.seq}"
        blobs = tuple(
            decode_base64(_require_text(encoded, label), label=label) for encoded in encoded_blobs
        )
        if tuple(map(sha256_bytes, blobs)) != _blob_digests(row):
            raise TrustError(f"{label}: a blob was changed: its digest does not match")
        yield row, blobs


def _choose_name(store: LedgerStore, header: ChainHeader, name: str | None, as_local: bool) -> str:
    if not as_local:
        if name == LOCAL:
            raise InputError(
                f"{LOCAL!r} is the name of this ledger's local chain", hint="see --local"
            )
        return name or header.id[:12]
    if LOCAL in store.chains:
        raise InputError(
            "this ledger already has a local chain; two chains cannot be merged",
            hint="leave out --local: the chain is stored under a name of its own",
        )
    return LOCAL


def _check_continues(chain: LedgerChain, rows: tuple[LedgerRow, ...], path: Path) -> None:
    for existing_row, imported_row in zip(chain.rows, rows, strict=False):
        if existing_row.hash != imported_row.hash:
            raise TrustError(
                f"{path}: row {imported_row.seq}: differs from chain {chain.name!r}: "
                "the two chains have diverged",
                hint="find out which machine appended to an imported chain",
            )


def _read_header(file: IO[bytes], path: Path) -> tuple[ChainHeader, int, str]:
    value = _read_line(file, path, 1)
    if value is None or value.get("format") != FORMAT:
        raise InputError(f"{path}: not an exported ledger ({FORMAT})")
    chain, count, head_hash = value.get("chain"), value.get("count"), value.get("head")
    if not isinstance(chain, dict) or type(count) is not int or not isinstance(head_hash, str):
        raise TrustError(f"{path}: line 1: expected chain, count and head")
    return parse_chain_header(chain, label=f"{path}: line 1"), count, head_hash


def _read_lines(file: IO[bytes], path: Path) -> Iterator[tuple[dict[str, object], list[object]]]:
    """Each row with its blobs, as they stand there."""
    for number in range(1, MAX_ROWS + 2):
        value = _read_line(file, path, number + 1)
        if value is None:
            return
        row, encoded_blobs = value.get("row"), value.get("blobs")
        if (
            not isinstance(row, dict)
            or not isinstance(encoded_blobs, list)
            or len(encoded_blobs) != 3
        ):
            raise TrustError(f"{path}: row {number}: expected a row and its three blobs")
        yield row, encoded_blobs


def _read_line(file: IO[bytes], path: Path, number: int) -> dict[str, object] | None:
    data = file.readline(_MAX_LINE_BYTES + 1)
    if not data:
        return None
    value = parse_json(data, label=f"{path}: line {number}", max_bytes=_MAX_LINE_BYTES)
    if not isinstance(value, dict):
        raise MalformedError(f"{path}: line {number}: expected an object")
    return value


def _require_text(value: object, label: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"{label}: expected base64")
    return value


def _blob_digests(row: LedgerRow) -> tuple[str, str, str]:
    return row.statement_sha256, row.bundle_sha256, row.record_sha256
