"""Identifiers of an unattended ISO, derived from what is on it.

Look-ups by UUID find the right medium even if several are attached; the same inputs give the same
identifiers, so that the ISO is reproducible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hardpan.core.files import Sha256, canonical_json, sha256_bytes

_FIRST_DATE = datetime(2000, 1, 1, tzinfo=UTC)
_RANGE_S = 20 * 365 * 24 * 3600
"""Twenty years of seconds: with hundredths, 2^35 values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoIdentity:
    """Identifiers of an ISO."""

    volume_uuid: str
    """``YYYYMMDDhhmmsscc``: ISO 9660 has no UUID, so blkid reads the modification date as one."""

    disk_guid: str
    """Disk GUID of the GPT, 32 hexadecimal digits in the form of RFC 9562, version 8."""


def derive_identity(
    *,
    media_sha256: Sha256,
    kickstart: str,
    arguments: Sequence[str],
    label: str,
    waits_for_key: bool = False,
    payload_sha256: str = "",
) -> IsoIdentity:
    """Return the identifiers of the ISO that is made from these inputs."""
    inputs = {
        "media": media_sha256,
        "kickstart": sha256_bytes(kickstart.encode()),
        "arguments": list(arguments),
        "label": label,
        "waits_for_key": waits_for_key,
    }
    if payload_sha256:
        inputs["layers"] = payload_sha256
    digest = sha256_bytes(canonical_json(inputs))
    hundredths = int(digest[:16], 16) % (_RANGE_S * 100)
    date = _FIRST_DATE + timedelta(seconds=hundredths // 100)
    guid = digest[32:]
    return IsoIdentity(
        volume_uuid=f"{date:%Y%m%d%H%M%S}{hundredths % 100:02d}",
        disk_guid=f"{guid[:12]}8{guid[13:16]}{(int(guid[16], 16) & 3) | 8:x}{guid[17:]}",
    )
