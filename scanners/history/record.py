"""The compact record of one scan: enough to compare it, without what only readers need."""

import json
import zlib

from pydantic import ValidationError

from hardpan.errors import InputError, TrustError
from hardpan.scanners.history.diff import Side
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import Document, Many
from hardpan.signing import parse_json

MAX_RECORD_BYTES = 8 << 20
_MAX_UNPACKED_BYTES = 48 << 20


class _Record(Document):
    findings: Findings
    smoke: SmokeDocument | None
    packages: Many[str] | None


def pack(side: Side) -> bytes:
    """``side`` without rationales, fix texts, findings' details and messages; deflated.

    Raises:
        InputError: it is larger than any scan should be.
    """
    found = side.findings
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
    made = _Record(findings=compact, smoke=side.smoke, packages=side.packages).data()
    text = json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = text.encode()
    packed = zlib.compress(data, 9)
    if len(data) > _MAX_UNPACKED_BYTES or len(packed) > MAX_RECORD_BYTES:
        raise InputError(f"the findings are too large for the ledger: {len(data)} bytes")
    return packed


def unpack(packed: bytes, *, what: str) -> Side:
    """The scan in ``packed``.

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
        made = _Record.model_validate(value)
    except ValidationError as e:
        found = e.errors(include_url=False, include_context=False, include_input=False)[0]
        raise TrustError(f"{what}: {'.'.join(map(str, found['loc']))}: {found['msg']}") from e
    return Side(findings=made.findings, smoke=made.smoke, packages=made.packages)
