"""Names of an evidence file and of the public keys next to it."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.files import reserve_path
from hardpan.scanners.evidence.file_names import EVIDENCE_SUFFIX
from hardpan.scanners.report.model.documents import Findings

_UNSAFE_IN_NAMES = re.compile(r"[^A-Za-z0-9._]+")
_MAX_PART_LENGTH = 64
_MAX_SAME_NAMES = 1000
"""Evidence files of one host and profile that end in the same second, in one folder."""


def default_filename(findings: Findings) -> str:
    """Return the default file name, ``host-profile-time.evidence.zip``.

    NOTE: the host chooses its own name. The sanitized name cannot leave the folder, is no
    hidden file and no option of a program that is given it.
    """
    finished = findings.finished.replace("-", "").replace(":", "")
    host, profile = _sanitize_part(findings.host.hostname), _sanitize_part(findings.profile)
    return f"{host}-{profile}-{finished}{EVIDENCE_SUFFIX}"


def public_key_path(evidence: Path) -> Path:
    """Return the path of the public key next to the evidence: a convenience, never trusted."""
    return evidence.with_name(evidence.name.removesuffix(EVIDENCE_SUFFIX) + ".pub")


def pq_public_key_path(evidence: Path) -> Path:
    """Return the path of the post-quantum public key next to the evidence."""
    return public_key_path(evidence).with_suffix(".pq.pub")


@contextlib.contextmanager
def unused_path(path: Path) -> Iterator[Path]:
    """Yield ``path``, or ``…-2``, ``…-3`` if it or its public key exists; nothing is replaced.

    The path is reserved for the block: scans that end in the same second get different names.

    Raises:
        InputError: all numbers are in use.
    """
    stem = path.name.removesuffix(EVIDENCE_SUFFIX)
    names = (stem, *(f"{stem}-{n}" for n in range(2, _MAX_SAME_NAMES)))
    for name in names:
        candidate = path.with_name(name + EVIDENCE_SUFFIX)
        keys = (public_key_path(candidate), pq_public_key_path(candidate))
        if any(key.exists() for key in keys):
            continue
        try:
            reserve_path(candidate)
        except FileExistsError:
            continue
        try:
            yield candidate
        except BaseException:
            with contextlib.suppress(OSError):
                if candidate.stat().st_size == 0:  # not written
                    candidate.unlink()
            raise
        return
    raise InputError(
        f"{path}: {_MAX_SAME_NAMES} files of this name exist", hint="name another one with -o"
    )


def _sanitize_part(text: str) -> str:
    sanitized = _UNSAFE_IN_NAMES.sub("-", text).strip("-._")[:_MAX_PART_LENGTH].rstrip("-._")
    return sanitized or "unnamed"
