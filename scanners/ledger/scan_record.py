"""The compact record of one scan: enough to compare it and to verify its signatures again.

Texts that only people read are omitted.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field, ValidationError

from hardpan.core.errors import InputError, TrustError
from hardpan.core.validation_errors import format_validation_error
from hardpan.scanners.comparison.scan_diff import ScanSnapshot
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.types import Document, JsonList
from hardpan.signing import parse_json
from hardpan.signing.strict_json import decode_base64

MAX_RECORD_BYTES = 8 << 20
_MAX_UNCOMPRESSED_BYTES = 48 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRecord:
    """The stored data of one scan besides its signed statement and bundle."""

    snapshot: ScanSnapshot
    signature_files: Mapping[str, bytes] = field(default_factory=dict)
    """Name in the evidence -> content of the signatures by other keys."""


_OMITTED_FROM_CHECKS = {
    "message": "",
    "observed": "",
    "rationale": "",
    "remedy": "",
    "duration_s": 0,
}


class _StoredRecord(Document):
    findings: Findings
    smoke: SmokeDocument | None
    packages: JsonList[str] | None
    signature_files: dict[str, str] = Field(default_factory=dict)
    """In base64."""


def compress_record(record: ScanRecord) -> bytes:
    """``record`` without rationales, fix texts, findings' details and messages; deflated.

    Raises:
        InputError: it is larger than any scan should be.
    """
    snapshot, findings = record.snapshot, record.snapshot.findings
    compact = findings.model_copy(
        update={
            "rules": tuple(
                r.model_copy(update={"evidence_lines": (), "rationale": "", "fix_text": ""})
                for r in findings.rules
            ),
            "checks": tuple(c.model_copy(update=_OMITTED_FROM_CHECKS) for c in findings.checks),
        }
    )
    stored = _StoredRecord(
        findings=compact,
        smoke=snapshot.smoke,
        packages=snapshot.packages,
        signature_files={
            n: base64.b64encode(data).decode() for n, data in record.signature_files.items()
        },
    ).to_json()
    text = json.dumps(stored, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = text.encode()
    compressed = zlib.compress(data, 9)
    if len(data) > _MAX_UNCOMPRESSED_BYTES or len(compressed) > MAX_RECORD_BYTES:
        raise InputError(f"the record is too large for the ledger: {len(data)} bytes")
    return compressed


def decompress_record(compressed: bytes, *, label: str) -> ScanRecord:
    """The record in ``packed``.

    Raises:
        TrustError: it is damaged, too large, or no record.
    """
    decompressor = zlib.decompressobj()
    try:
        data = decompressor.decompress(compressed, _MAX_UNCOMPRESSED_BYTES + 1)
    except zlib.error as e:
        raise TrustError(f"{label}: damaged: cannot be unpacked") from e
    if not decompressor.eof or decompressor.unused_data or len(data) > _MAX_UNCOMPRESSED_BYTES:
        raise TrustError(
            f"{label}: damaged, or unpacks to more than {_MAX_UNCOMPRESSED_BYTES} bytes"
        )
    value = parse_json(data, label=label, max_bytes=_MAX_UNCOMPRESSED_BYTES)
    try:
        stored = _StoredRecord.from_json(value)
    except ValidationError as e:
        raise TrustError(f"{label}: {format_validation_error(e)}") from e
    return ScanRecord(
        snapshot=ScanSnapshot(
            findings=stored.findings, smoke=stored.smoke, packages=stored.packages
        ),
        signature_files={
            n: decode_base64(text, label=f"{label}: signature_files")
            for n, text in stored.signature_files.items()
        },
    )
