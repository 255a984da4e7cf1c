"""The hash chain of a ledger: what a row holds, its hash, and whether a chain is whole. Pure.

A row's hash is SHA-256 over the canonical JSON (RFC 8785) of its columns, all but
``hash`` itself; ``previous`` is the hash of the row before it. The first row's
``previous`` is the chain's id, which is SHA-256 over when it began and a random
salt, so that two chains never begin alike.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError

from hardpan.errors import InputError, TrustError
from hardpan.files import canonical_json, sha256_bytes
from hardpan.scanners.report.fields import Document, HexDigest, Moment

FORMAT = "hardpan-ledger/1"
MAX_ROWS = 1_000_000
OWN = "own"
"""Name of the chain that this ledger adds to; every other one was imported."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_HEAD = re.compile(r"(?:([a-z0-9][a-z0-9._-]{0,63})=)?([0-9]{1,7}):([0-9a-f]{64})", re.ASCII)

Text = Annotated[str, Field(max_length=4096)]
Maybe = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
"""A digest, or empty where there is none."""


class Row(Document):
    """One piece of evidence in the ledger. The blobs are bound by their digests."""

    # One name for each column: an alias beside it would be a second way to say it.
    model_config = ConfigDict(extra="forbid", alias_generator=None)

    chain: HexDigest
    seq: Annotated[int, Field(ge=1, le=MAX_ROWS)]
    previous: HexDigest
    added: Moment
    statement_sha256: HexDigest
    """The evidence's identity: digest of the signed payload."""
    bundle_sha256: HexDigest
    findings_sha256: HexDigest
    """Digest of ``findings.json`` as the statement lists it."""
    record_sha256: HexDigest
    """Digest of the compact findings, smoke figures and packages."""
    evidence_sha256: Maybe
    """Digest of the whole evidence file, where it was kept."""
    key_id: Text
    """The policy's name of the key that signed."""
    signer_sha256: HexDigest
    verdict: Literal["verified", "over the limits"]
    hostname: Text
    host_key_sha256: Text
    machine_id_hmac: Text
    profile: Text
    image_sha256: Maybe
    content: Text
    content_sha256: HexDigest
    started: Moment
    finished: Moment
    score: Annotated[str, Field(pattern=r"^[0-9]{1,3}\.[0-9]{2}$")]
    counts: Text
    """Verdict -> number of rules, as canonical JSON."""
    open_findings: Text
    """Severity -> number of open rules, as canonical JSON."""
    hash: HexDigest


COLUMNS = tuple(Row.model_fields)
HASHED = tuple(c for c in COLUMNS if c != "hash")

# What canonical_json writes, for a flat row: it looks at each value first, and a ledger of
# 10,000 rows is walked each time it is opened.
_FLAT = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Link(Document):
    """A chain's beginning."""

    model_config = ConfigDict(extra="forbid")

    id: HexDigest
    created: Moment
    salt: HexDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain that was walked and is whole."""

    name: str
    link: Link
    rows: tuple[Row, ...]

    @property
    def head(self) -> str:
        """Hash of the last row; the chain's id where there is none."""
        return self.rows[-1].hash if self.rows else self.link.id

    @property
    def anchor(self) -> str:
        """``COUNT:HASH``, to be kept elsewhere: it shows when the tail is cut off."""
        return f"{len(self.rows)}:{self.head}"


def row_hash(values: Mapping[str, object]) -> str:
    """The hash of a row with these columns, all of them text or whole numbers."""
    return sha256_bytes(_FLAT.encode({c: values[c] for c in HASHED}).encode())


def begin(created: str, salt: str) -> Link:
    """The beginning of a chain."""
    made = {"format": FORMAT, "created": created, "salt": salt}
    return Link(id=sha256_bytes(canonical_json(made)), created=created, salt=salt)


def is_name(name: str) -> bool:
    """True for lower-case ASCII letters, digits, dots, underscores and dashes."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """``name`` if it may be a chain's.

    Raises:
        InputError: other characters, or too long.
    """
    if not is_name(name):
        raise InputError(f"not a chain's name: {name[:80]!r}", hint="e.g. 'office-2'")
    return name


def read_link(values: Mapping[str, object], *, what: str) -> Link:
    """A chain's beginning, its id recomputed.

    Raises:
        TrustError: it is malformed or the id is not its own.
    """
    try:
        link = Link.read(dict(values))
    except ValidationError as e:
        raise TrustError(f"{what}: {_first(e)}") from e
    if begin(link.created, link.salt).id != link.id:
        raise TrustError(f"{what}: id: is not the digest of the chain's beginning")
    return link


def walk(link: Link, rows: Iterable[Mapping[str, object]], *, what: str) -> tuple[Row, ...]:
    """The rows of one chain, in order, each following the one before it.

    Raises:
        TrustError: the first row that is malformed, out of place or changed.
    """
    made: list[Row] = []
    previous = link.id
    seen: set[str] = set()
    for number, values in enumerate(rows, 1):
        row = _follows(values, number, previous, link.id, what)
        if row.statement_sha256 in seen:
            raise TrustError(f"{what}: row {number}: the same evidence is there twice")
        seen.add(row.statement_sha256)
        previous = row.hash
        made.append(row)
    return tuple(made)


def _follows(
    values: Mapping[str, object], number: int, previous: str, chain: str, what: str
) -> Row:
    if number > MAX_ROWS:
        raise TrustError(f"{what}: more than {MAX_ROWS} rows")
    try:
        row = Row.read(values)
    except ValidationError as e:
        raise TrustError(f"{what}: row {number}: {_first(e)}") from e
    if row.seq != number:
        raise TrustError(f"{what}: row {number}: is missing or out of order, found {row.seq}")
    if row.chain != chain:
        raise TrustError(f"{what}: row {number}: belongs to another chain")
    if row.previous != previous:
        raise TrustError(f"{what}: row {number}: does not follow the row before it")
    if row.hash != row_hash(values):
        raise TrustError(f"{what}: row {number}: was changed: its hash is another")
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A head that was noted earlier."""

    chain: str
    count: int
    hash: str


def read_anchor(text: str) -> Anchor:
    """``[CHAIN=]COUNT:HASH`` as ``ledger head`` prints it.

    Raises:
        InputError: another form.
    """
    match = _HEAD.fullmatch(text)
    if match is None:
        raise InputError(
            f"not a head: {text[:120]!r}", hint="expected COUNT:HASH as 'ledger head' prints it"
        )
    return Anchor(chain=match[1] or OWN, count=int(match[2]), hash=match[3])


def check_anchor(anchor: Anchor, chain: Chain | None) -> None:
    """Pass if ``chain`` still holds what the anchor was noted of; it may have grown since.

    Raises:
        TrustError: the chain is gone, was cut, or is another one.
    """
    if chain is None:
        raise TrustError(f"chain {anchor.chain!r}: is not in the ledger, a head of it was expected")
    there = len(chain.rows)
    if there < anchor.count:
        raise TrustError(
            f"chain {anchor.chain!r}: expected at least {anchor.count} rows, found {there}: "
            "its tail was cut off, or this is an older copy"
        )
    found = chain.rows[anchor.count - 1].hash if anchor.count else chain.link.id
    if found != anchor.hash:
        raise TrustError(f"chain {anchor.chain!r}: row {anchor.count}: is not the expected one")


def _first(e: ValidationError) -> str:
    found = e.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
