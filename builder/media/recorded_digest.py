"""The digest of an ISO, recorded in the cache folder so that the ISO is read only once.

A DVD of 12 GB takes half a minute to read. The record counts while the file system describes the
file as it was before it was read (``hardpan.core.stored_outputs``).
"""

import json
from pathlib import Path

from hardpan.core.files import Sha256, sha256_bytes, write_atomic
from hardpan.core.stage_cache import read_record
from hardpan.core.stored_outputs import OutputState, compare_output, describe_output

_FOLDER = "media-digests"


def find_digest(iso: Path, cache: Path) -> Sha256 | None:
    """Return the recorded digest of an unchanged ISO; None if the ISO has to be read."""
    record = read_record(_record_path(iso, cache))
    if record is None or compare_output(iso, record, may_read=False) != OutputState.UNCHANGED:
        return None
    digest = record.get("sha256")
    return Sha256(digest) if isinstance(digest, str) else None


def read_digest(iso: Path, cache: Path) -> Sha256:
    """Return the digest of an ISO, which is read and recorded unless its record counts.

    Raises:
        InputError: the file cannot be read.
    """
    digest = find_digest(iso, cache)
    if digest is not None:
        return digest
    record = describe_output(iso)
    write_atomic(_record_path(iso, cache), json.dumps(record) + "\n", mode=0o600)
    return Sha256(str(record["sha256"]))


def _record_path(iso: Path, cache: Path) -> Path:
    return cache / _FOLDER / f"{sha256_bytes(bytes(iso.resolve()))[:24]}.json"
