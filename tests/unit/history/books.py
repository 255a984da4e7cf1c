"""Ledgers for tests: a few rows each, and a way to lay hands on their file."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hardpan.scanners.history import ledger
from hardpan.scanners.history.ledger import Entry
from hardpan.scanners.history.store import opened
from hardpan.scanners.model import Scan
from tests.unit.evidence import samples
from tests.unit.history.scans import side

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
OTHER_KEY = "SHA256:" + "B" * 43


def on_day(day: int, **more: object) -> Scan:
    """A scan on that day of November."""
    hour = f"2026-11-{day:02}T04"
    return samples.scan(started=f"{hour}:00:00Z", finished=f"{hour}:05:00Z", **more)


def host(**more: object) -> dict[str, object]:
    """Another host, for ``on_day``."""
    return {"host": replace(samples.HOST, **more)}  # type: ignore[arg-type]


def entry(scan: Scan, name: str = "") -> Entry:
    """``scan`` as if its signature had been checked."""
    return Entry(
        statement=f"statement {name}{scan.finished}{scan.host.host_key_sha256}".encode(),
        bundle=b"bundle " + scan.finished.encode(),
        side=side(scan),
        findings_sha256=samples.SHA,
        key_id="scan",
        signer_sha256=samples.SHA,
        within_limits=True,
    )


def put(path: Path, *scans: Scan) -> None:
    """Add ``scans`` to the ledger in ``path``."""
    with opened(path, write=True) as store:
        for scan in scans:
            ledger.add(store, entry(scan), NOW)


def three(folder: Path) -> Path:
    """A ledger of three rows."""
    path = folder / "ledger.sqlite"
    put(path, on_day(1), on_day(2), on_day(3))
    return path


def tamper(path: Path, *statements: str, triggers: bool = False) -> None:
    """Change the file behind the ledger's back; the triggers are put back unless ``triggers``."""
    with closing(sqlite3.connect(path)) as db:
        held = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in held:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, sql in () if triggers else held:
            db.execute(sql)
        db.commit()
