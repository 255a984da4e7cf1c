"""Ledgers for tests: a few rows each, and a way to lay hands on their file."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hardpan.scanners.ledger import entries
from hardpan.scanners.ledger.entries import VerifiedScan
from hardpan.scanners.ledger.store import open_ledger
from hardpan.scanners.model.scan import Scan
from tests.unit.evidence import samples
from tests.unit.ledger.samples import snapshot

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
OTHER_KEY = "SHA256:" + "B" * 43


def scan_on_day(day: int, **overrides: object) -> Scan:
    """A scan on that day of November."""
    time_prefix = f"2026-11-{day:02}T04"
    return samples.scan(
        started=f"{time_prefix}:00:00Z", finished=f"{time_prefix}:05:00Z", **overrides
    )


def other_host(**overrides: object) -> dict[str, object]:
    """Another host, for ``on_day``."""
    return {"host": replace(samples.HOST, **overrides)}  # type: ignore[arg-type]


def verified_scan(scan: Scan, name: str = "") -> VerifiedScan:
    """``scan`` as if its signature had been checked."""
    return VerifiedScan(
        statement=f"statement {name}{scan.finished}{scan.host.host_key_sha256}".encode(),
        bundle=b"bundle " + scan.finished.encode(),
        snapshot=snapshot(scan),
        findings_sha256=samples.SHA,
        key_id="scan",
        signer_sha256=samples.SHA,
        is_within_thresholds=True,
    )


def add_scans(path: Path, *scans: Scan) -> None:
    """Add ``scans`` to the ledger in ``path``."""
    with open_ledger(path, write=True) as store:
        for scan in scans:
            entries.add_scan(store, verified_scan(scan), NOW)


def create_ledger(folder: Path) -> Path:
    """A ledger of three rows."""
    path = folder / "ledger.sqlite"
    add_scans(path, scan_on_day(1), scan_on_day(2), scan_on_day(3))
    return path


def tamper(path: Path, *statements: str, triggers: bool = False) -> None:
    """Change the file behind the ledger's back; the triggers are put back unless ``triggers``."""
    with closing(sqlite3.connect(path)) as db:
        triggers_before = db.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers_before:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, sql in () if triggers else triggers_before:
            db.execute(sql)
        db.commit()
