"""The compact record of one scan: enough to compare it and to check its signatures again.

What only readers need is left out. A record of before signatures beside the bundle's own were
stored has none, and is read as it was.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field, ValidationError

from hardpan.errors import InputError, TrustError
from hardpan.scanners.history.diff import Side
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import Document, Many
from hardpan.signing import parse_json
from hardpan.signing.strict import decode_base64

MAX_RECORD_BYTES = 8 << 20
_MAX_UNPACKED_BYTES = 48 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is stored of one scan beside its signed statement and the bundle."""

    side: Side
    proofs: Mapping[str, bytes] = field(default_factory=dict)
    """Name in the evidence -> what others than the scan key signed; the caller's to read."""


class _Stored(Document):
    findings: Findings
    smoke: SmokeDocument | None
    packages: Many[str] | None
    proofs: dict[str, str] = Field(default_factory=dict)
    """In base64."""


def pack(record: Record) -> bytes:
    """``record`` without rationales, fix texts, findings' details and messages; deflated.

    Raises:
        InputError: it is larger than any scan should be.
    """
    side, found = record.side, record.side.findings
    compact = found.model_copy(
        update={
            "rules": tuple(
                r.model_copy(update={"found": (), "rationale": "", "fix_text": ""})
                for r in found.rules
            ),
            "checks": tuple(
                c.model_copy(update={"message": "", "took_s": 0}) for c in found.checks
            ),
        }
    )
    made = _Stored(
        findings=compact,
        smoke=side.smoke,
        packages=side.packages,
        proofs={n: base64.b64encode(data).decode() for n, data in record.proofs.items()},
    ).data()
    text = json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = text.encode()
    packed = zlib.compress(data, 9)
    if len(data) > _MAX_UNPACKED_BYTES or len(packed) > MAX_RECORD_BYTES:
        raise InputError(f"the record is too large for the ledger: {len(data)} bytes")
    return packed


def unpack(packed: bytes, *, what: str) -> Record:
    """The record in ``packed``.

    Raises:
        TrustError: it is damaged, too large, or no record.
    """
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, _MAX_UNPACKED_BYTES + 1)
    except zlib.error as e:
        raise TrustError(f"{what}: damaged: cannot be unpacked") from e
    if not inflate.eof or inflate.unused_data or len(data) > _MAX_UNPACKED_BYTES:
        raise TrustError(f"{what}: damaged, or unpacks to more than {_MAX_UNPACKED_BYTES} bytes")
    value = parse_json(data, what=what, max_bytes=_MAX_UNPACKED_BYTES)
    try:
        made = _Stored.read(value)
    except ValidationError as e:
        found = e.errors(include_url=False, include_context=False, include_input=False)[0]
        raise TrustError(f"{what}: {'.'.join(map(str, found['loc']))}: {found['msg']}") from e
    return Record(
        side=Side(findings=made.findings, smoke=made.smoke, packages=made.packages),
        proofs={n: decode_base64(text, what=f"{what}: proofs") for n, text in made.proofs.items()},
    )
