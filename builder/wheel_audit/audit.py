"""The audit of a folder of wheels. Nothing is unpacked to disk, imported or run."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hardpan.builder.wheel_audit import lock_comparison
from hardpan.builder.wheel_audit.inspection import inspect_wheel
from hardpan.builder.wheel_audit.lock import LockFile
from hardpan.builder.wheel_audit.model import (
    SEVERITIES,
    AuditedWheel,
    AuditFinding,
    AuditLimits,
    FindingKind,
    WheelAudit,
)
from hardpan.core.errors import InputError
from hardpan.core.extracted_files import open_regular_file
from hardpan.core.files import Sha256

_MAX_WHEELS = 10_000
_NAME = re.compile(r"[\w.]+-[\w.+!]+(?:-\d[\w.]*)?-[\w.]+-[\w.]+-[\w.]+\.whl", re.ASCII)
_SOURCE_SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".zip", ".egg")


def audit_wheels(
    folder: Path,
    lock: LockFile | None = None,
    *,
    limits: AuditLimits | None = None,
    on_wheel: Callable[[str, int, int], None] | None = None,
) -> WheelAudit:
    """What the wheels directly in ``folder`` would bring onto a host.

    ``on_wheel`` is called before each one with its name, how many are done, and of how many.

    Raises:
        InputError: it is no folder, has no wheel in it, or a wheel cannot be opened.
    """
    limits = limits or AuditLimits()
    wheels: list[AuditedWheel] = []
    findings: list[AuditFinding] = []
    files = _list_files(folder)
    paths = [p for p in files if p.name.endswith(".whl")]
    for done, path in enumerate(paths):
        if on_wheel:
            on_wheel(path.name, done, len(paths))
        wheel, wheel_findings = _audit_wheel(path, limits)
        wheels.append(wheel)
        findings += _limit_findings(wheel_findings, limits.max_findings_per_kind)
    findings += [
        AuditFinding(
            kind="not_checked",
            severity="medium",
            wheel=path.name,
            message="is no wheel: what it would build is not known",
        )
        for path in files
        if path.name.endswith(_SOURCE_SUFFIXES)
    ]
    if lock is not None:
        findings += lock_comparison.compare_with_lock(wheels, lock)
    return WheelAudit(
        lock_sha256=lock.sha256 if lock else None,
        wheels=tuple(wheels),
        findings=tuple(sorted(findings, key=_sort_key)),
    )


def _list_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of wheels")
    try:
        files = sorted(folder.iterdir())
    except OSError as e:
        raise InputError(f"{folder}: cannot be read: {e.strerror}") from e
    count = sum(p.name.endswith(".whl") for p in files)
    if not 0 < count <= _MAX_WHEELS:
        raise InputError(
            f"{folder}: expected 1 to {_MAX_WHEELS} wheels, got {count}",
            hint="files called *.whl, directly in the folder; 'pip download' makes such a one",
        )
    return files


def _audit_wheel(path: Path, limits: AuditLimits) -> tuple[AuditedWheel, list[AuditFinding]]:
    native_files = python_sources = 0
    try:
        with open_regular_file(path.parent, path.name, allow_hard_links=True) as f:
            sha256 = Sha256(hashlib.file_digest(f, "sha256").hexdigest())
            if _NAME.fullmatch(path.name):
                inspection = inspect_wheel(path.name, f, limits)
                refused, findings = inspection.is_refused, list(inspection.findings)
                native_files = inspection.native_files
                python_sources = inspection.python_sources
            else:
                refused, findings = True, [_misnamed_finding(path.name)]
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    return AuditedWheel(
        file=path.name,
        sha256=sha256,
        refused=refused,
        native_files=native_files,
        python_sources=python_sources,
    ), findings


def _misnamed_finding(name: str) -> AuditFinding:
    return AuditFinding(
        kind="unsafe_archive",
        severity="high",
        wheel=name,
        message="expected a wheel's name, name-version-python-abi-platform.whl; not inspected",
    )


def _limit_findings(findings: Iterable[AuditFinding], max_per_kind: int) -> Iterator[AuditFinding]:
    """The worst of each kind, and how many more there are."""
    counts: Counter[FindingKind] = Counter()
    last_by_kind: dict[FindingKind, AuditFinding] = {}
    for finding in sorted(findings, key=_sort_key):
        counts[finding.kind] += 1
        if counts[finding.kind] <= max_per_kind:
            yield finding
        else:
            last_by_kind.setdefault(finding.kind, finding)
    for kind, finding in last_by_kind.items():
        yield AuditFinding(
            kind=kind,
            severity=finding.severity,
            wheel=finding.wheel,
            message=f"and {counts[kind] - max_per_kind} more of this kind",
        )


def _sort_key(f: AuditFinding) -> tuple[object, ...]:
    return (SEVERITIES.index(f.severity), f.wheel, f.kind, f.path, f.line, f.library, f.message)
