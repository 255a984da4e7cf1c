"""Compare a folder of wheels with a lock file, in both directions."""

from collections.abc import Iterator, Sequence

from packaging.utils import canonicalize_name, canonicalize_version

from hardpan.builder.wheel_audit.lock import LockFile
from hardpan.builder.wheel_audit.model import AuditedWheel, AuditFinding


def compare_with_lock(wheels: Sequence[AuditedWheel], lock: LockFile) -> Iterator[AuditFinding]:
    """Yield findings for wheels not locked, wheels with another digest, and missing wheels."""
    allowed = {(entry.name, digest) for entry in lock.entries for digest in entry.sha256s}
    present = {(_parse_file_name(wheel.file)[0], wheel.sha256) for wheel in wheels}
    for wheel in wheels:
        name, version = _parse_file_name(wheel.file)
        if (name, wheel.sha256) in allowed:
            continue
        is_same_version = any(
            (e.name, _normalize_version(e.version)) == (name, version) for e in lock.entries
        )
        if is_same_version:
            yield AuditFinding(
                kind="digest_differs",
                severity="high",
                wheel=wheel.file,
                message=f"sha256 {wheel.sha256} is not allowed by the lock for {name}",
            )
        else:
            yield AuditFinding(
                kind="not_locked",
                severity="high",
                wheel=wheel.file,
                message=f"{name} {version} is not in the lock",
            )
    for entry in lock.entries:
        if not any((entry.name, digest) in present for digest in entry.sha256s):
            marker_note = "; its marker may exclude this machine" if entry.is_conditional else ""
            yield AuditFinding(
                kind="missing",
                severity="medium" if entry.is_conditional else "high",
                wheel=f"{entry.name}=={entry.version}",
                message=f"is locked, but no wheel with a locked digest is present{marker_note}",
            )


def _parse_file_name(file: str) -> tuple[str, str]:
    name, _, remainder = file.removesuffix(".whl").partition("-")
    return canonicalize_name(name), _normalize_version(remainder.partition("-")[0])


def _normalize_version(text: str) -> str:
    """Return a version in canonical form; in file names ``_`` stands for ``-``."""
    return canonicalize_version(text.lower().replace("_", "-"), strip_trailing_zero=False)
