"""The hash chain of a ledger: columns and hash of a row, and the verification of a chain. Pure.

A row's hash is SHA-256 over the canonical JSON (RFC 8785) of its columns, all but
``hash`` itself; ``previous`` is the hash of the row before it. The first row's
``previous`` is the chain's id, which is SHA-256 over its creation time and a random
salt, so that two chains never share an id.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError

from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.core.validation_errors import format_validation_error
from hardpan.scanners.report.model.types import Document, HexDigest, Timestamp

FORMAT = "hardpan-ledger/1"
MAX_ROWS = 1_000_000
LOCAL = "local"
"""Name of the chain that this ledger appends to; all others were imported."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_CHECKPOINT = re.compile(r"(?:([a-z0-9][a-z0-9._-]{0,63})=)?([0-9]{1,7}):([0-9a-f]{64})", re.ASCII)

ColumnText = Annotated[str, Field(max_length=4096)]
OptionalDigest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
"""A digest, or empty."""


class LedgerRow(Document):
    """One piece of evidence in the ledger. The blobs are bound by their digests."""

    # One name for each column: an alias would be a second name for it.
    model_config = ConfigDict(extra="forbid", alias_generator=None)

    chain: HexDigest
    seq: Annotated[int, Field(ge=1, le=MAX_ROWS)]
    previous: HexDigest
    added: Timestamp
    statement_sha256: HexDigest
    """The evidence's identity: digest of the signed payload."""
    bundle_sha256: HexDigest
    findings_sha256: HexDigest
    """Digest of ``findings.json`` as the statement lists it."""
    record_sha256: HexDigest
    """Digest of the compact findings, smoke figures and packages."""
    evidence_sha256: OptionalDigest
    """Digest of the whole evidence file, if the file is stored."""
    key_id: ColumnText
    """The policy's name of the key that signed."""
    signer_sha256: HexDigest
    verdict: Literal["verified", "thresholds exceeded"]
    hostname: ColumnText
    host_key_sha256: ColumnText
    machine_id_hmac: ColumnText
    profile: ColumnText
    image_sha256: OptionalDigest
    content: ColumnText
    content_sha256: HexDigest
    started: Timestamp
    finished: Timestamp
    score: Annotated[str, Field(pattern=r"^[0-9]{1,3}\.[0-9]{2}$")]
    counts: ColumnText
    """Verdict -> number of rules, as canonical JSON."""
    open_findings: ColumnText
    """Severity -> number of open rules and checks, as canonical JSON."""
    hash: HexDigest

    @property
    def host_identity(self) -> str:
        """What scans of one host have in common: host key, else machine id, else name."""
        return self.host_key_sha256 or self.machine_id_hmac or self.hostname


COLUMNS = tuple(LedgerRow.model_fields)
HASHED_COLUMNS = tuple(c for c in COLUMNS if c != "hash")

# What canonical_json writes, for a flat row: it looks at each value first, and a ledger of
# 10,000 rows is walked each time it is opened.
_ROW_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class ChainHeader(Document):
    """The header of a chain."""

    model_config = ConfigDict(extra="forbid")

    id: HexDigest
    created: Timestamp
    salt: HexDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerChain:
    """A verified chain."""

    name: str
    header: ChainHeader
    rows: tuple[LedgerRow, ...]

    @property
    def head_hash(self) -> str:
        """Hash of the last row; the chain's id where there is none."""
        return self.rows[-1].hash if self.rows else self.header.id

    @property
    def checkpoint(self) -> str:
        """``COUNT:HASH``, to be stored elsewhere: it detects truncation."""
        return f"{len(self.rows)}:{self.head_hash}"


def compute_row_hash(values: Mapping[str, object]) -> str:
    """The hash of a row with these columns, all of them text or whole numbers."""
    return sha256_bytes(_ROW_ENCODER.encode({c: values[c] for c in HASHED_COLUMNS}).encode())


def new_chain_header(created: str, salt: str) -> ChainHeader:
    """Create the header of a new chain."""
    content = {"format": FORMAT, "created": created, "salt": salt}
    return ChainHeader(id=sha256_bytes(canonical_json(content)), created=created, salt=salt)


def is_chain_name(name: str) -> bool:
    """True for lower-case ASCII letters, digits, dots, underscores and dashes."""
    return _NAME.fullmatch(name) is not None


def require_chain_name(name: str) -> str:
    """``name`` if it may be a chain's.

    Raises:
        InputError: other characters, or too long.
    """
    if not is_chain_name(name):
        raise InputError(f"not a chain's name: {name[:80]!r}", hint="e.g. 'office-2'")
    return name


def parse_chain_header(values: Mapping[str, object], *, label: str) -> ChainHeader:
    """A chain's beginning, its id recomputed.

    Raises:
        TrustError: it is malformed or the id is not its own.
    """
    try:
        header = ChainHeader.from_json(dict(values))
    except ValidationError as e:
        raise TrustError(f"{label}: {format_validation_error(e)}") from e
    if new_chain_header(header.created, header.salt).id != header.id:
        raise TrustError(f"{label}: id: is not the digest of the chain's beginning")
    return header


def verify_rows(
    header: ChainHeader, rows: Iterable[Mapping[str, object]], *, label: str
) -> tuple[LedgerRow, ...]:
    """The rows of one chain, in order, each following the one before it.

    Raises:
        TrustError: the first row that is malformed, out of place or changed.
    """
    verified: list[LedgerRow] = []
    previous = header.id
    digests: set[str] = set()
    for number, values in enumerate(rows, 1):
        row = _verify_row(values, number, previous, header.id, label)
        if row.statement_sha256 in digests:
            raise TrustError(f"{label}: row {number}: contains the same evidence twice")
        digests.add(row.statement_sha256)
        previous = row.hash
        verified.append(row)
    return tuple(verified)


def _verify_row(
    values: Mapping[str, object], number: int, previous: str, chain: str, label: str
) -> LedgerRow:
    if number > MAX_ROWS:
        raise TrustError(f"{label}: more than {MAX_ROWS} rows")
    try:
        row = LedgerRow.from_json(values)
    except ValidationError as e:
        raise TrustError(f"{label}: row {number}: {format_validation_error(e)}") from e
    if row.seq != number:
        raise TrustError(f"{label}: row {number}: is missing or out of order, got {row.seq}")
    if row.chain != chain:
        raise TrustError(f"{label}: row {number}: belongs to another chain")
    if row.previous != previous:
        raise TrustError(f"{label}: row {number}: does not follow the row before it")
    if row.hash != compute_row_hash(values):
        raise TrustError(f"{label}: row {number}: was changed: its hash does not match")
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was stored earlier."""

    chain: str
    count: int
    hash: str


def parse_checkpoint(text: str) -> Checkpoint:
    """``[CHAIN=]COUNT:HASH`` as ``ledger checkpoint`` prints it.

    Raises:
        InputError: another form.
    """
    match = _CHECKPOINT.fullmatch(text)
    if match is None:
        raise InputError(
            f"not a checkpoint: {text[:120]!r}",
            hint="expected COUNT:HASH as 'ledger checkpoint' prints it",
        )
    return Checkpoint(chain=match[1] or LOCAL, count=int(match[2]), hash=match[3])


def verify_checkpoint(checkpoint: Checkpoint, chain: LedgerChain | None) -> None:
    """Pass if ``chain`` still contains the checkpoint; it may have grown since.

    Raises:
        TrustError: the chain is missing, truncated or another one.
    """
    if chain is None:
        raise TrustError(
            f"chain {checkpoint.chain!r}: is not in the ledger, but a checkpoint of it was given"
        )
    row_count = len(chain.rows)
    if row_count < checkpoint.count:
        raise TrustError(
            f"chain {checkpoint.chain!r}: "
            f"expected at least {checkpoint.count} rows, got {row_count}: "
            "the ledger was truncated, or this is an older copy"
        )
    actual_hash = chain.rows[checkpoint.count - 1].hash if checkpoint.count else chain.header.id
    if actual_hash != checkpoint.hash:
        raise TrustError(
            f"chain {checkpoint.chain!r}: row {checkpoint.count}: does not match the checkpoint"
        )
