"""The audit of a folder of wheels. Nothing is unpacked to disk, imported or run."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hardpan.builder.wheels import locked
from hardpan.builder.wheels.lock import Lock
from hardpan.builder.wheels.look import look
from hardpan.builder.wheels.model import SEVERITIES, Audit, Finding, Kind, Limits, Wheel
from hardpan.errors import InputError
from hardpan.extracted_files import open_regular_file
from hardpan.files import Sha256

_WHEELS_MOST = 10_000
_NAME = re.compile(r"[\w.]+-[\w.+!]+(?:-\d[\w.]*)?-[\w.]+-[\w.]+-[\w.]+\.whl", re.ASCII)
_SOURCES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".zip", ".egg")


def audit(
    folder: Path,
    lock: Lock | None = None,
    *,
    limits: Limits | None = None,
    on_wheel: Callable[[str, int, int], None] | None = None,
) -> Audit:
    """What the wheels directly in ``folder`` would bring onto a host.

    ``on_wheel`` is called before each one with its name, how many are done, and of how many.

    Raises:
        InputError: it is no folder, has no wheel in it, or a wheel cannot be opened.
    """
    limits = limits or Limits()
    wheels: list[Wheel] = []
    findings: list[Finding] = []
    files = _files(folder)
    paths = [p for p in files if p.name.endswith(".whl")]
    for done, path in enumerate(paths):
        if on_wheel:
            on_wheel(path.name, done, len(paths))
        wheel, found = _one(path, limits)
        wheels.append(wheel)
        findings += _fewer(found, limits.findings)
    findings += [
        Finding(
            kind="not_checked",
            severity="medium",
            wheel=path.name,
            what="is no wheel: what it would build is not known",
        )
        for path in files
        if path.name.endswith(_SOURCES)
    ]
    if lock is not None:
        findings += locked.compare(wheels, lock)
    return Audit(
        lock_sha256=lock.sha256 if lock else None,
        wheels=tuple(wheels),
        findings=tuple(sorted(findings, key=_order)),
    )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of wheels")
    try:
        files = sorted(folder.iterdir())
    except OSError as e:
        raise InputError(f"{folder}: cannot be read: {e.strerror}") from e
    count = sum(p.name.endswith(".whl") for p in files)
    if not 0 < count <= _WHEELS_MOST:
        raise InputError(
            f"{folder}: expected 1 to {_WHEELS_MOST} wheels, found {count}",
            hint="files called *.whl, directly in the folder; 'pip download' makes such a one",
        )
    return files


def _one(path: Path, limits: Limits) -> tuple[Wheel, list[Finding]]:
    natives = sources = 0
    try:
        with open_regular_file(path.parent, path.name, hard_links=True) as f:
            sha256 = Sha256(hashlib.file_digest(f, "sha256").hexdigest())
            if _NAME.fullmatch(path.name):
                seen = look(path.name, f, limits)
                refused, findings = seen.refused, list(seen.findings)
                natives, sources = seen.natives, seen.sources
            else:
                refused, findings = True, [_misnamed(path.name)]
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    return Wheel(
        file=path.name, sha256=sha256, refused=refused, natives=natives, sources=sources
    ), findings


def _misnamed(name: str) -> Finding:
    return Finding(
        kind="unsafe_archive",
        severity="high",
        wheel=name,
        what="expected a wheel's name, name-version-python-abi-platform.whl; not looked into",
    )


def _fewer(found: Iterable[Finding], most: int) -> Iterator[Finding]:
    """The worst of each kind, and how many more there are."""
    told: Counter[Kind] = Counter()
    last: dict[Kind, Finding] = {}
    for finding in sorted(found, key=_order):
        told[finding.kind] += 1
        if told[finding.kind] <= most:
            yield finding
        else:
            last.setdefault(finding.kind, finding)
    for kind, finding in last.items():
        yield Finding(
            kind=kind,
            severity=finding.severity,
            wheel=finding.wheel,
            what=f"and {told[kind] - most} more of this kind",
        )


def _order(f: Finding) -> tuple[object, ...]:
    return (SEVERITIES.index(f.severity), f.wheel, f.kind, f.where, f.line, f.library, f.what)
