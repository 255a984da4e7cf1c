"""Rollback journals for tests: those that SQLite leaves, and those that only an attacker writes."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from hardpan.scanners.ledger.rollback_journal import HEADER, MAGIC, checksum
from tests.unit.ledger.fixtures import create_ledger

PAGE_BYTES = 4096
NONCE = 0x1234_5678
LOCK_PAGE = (1 << 30) // PAGE_BYTES + 1
Pages = Sequence[tuple[int, bytes]]


def build_segment(
    pages: Pages,
    *,
    database_pages: int,
    records: int | None = None,
    sector: int = 512,
    page_bytes: int = PAGE_BYTES,
) -> bytes:
    """A header and its page records."""
    count = len(pages) if records is None else records
    header = HEADER.pack(MAGIC, count, NONCE, database_pages, sector, page_bytes)
    return header.ljust(sector, b"\0") + b"".join(
        n.to_bytes(4, "big") + page + checksum(page, NONCE).to_bytes(4, "big") for n, page in pages
    )


def build_hot_journal(ledger: Path) -> bytes:
    """The hot journal of a transaction that changed the first page of ``ledger``, and no more."""
    data = ledger.read_bytes()
    return build_segment([(1, data[:PAGE_BYTES])], database_pages=len(data) // PAGE_BYTES)


def build_super_journal_record(name: str, number: int = LOCK_PAGE) -> bytes:
    """What SQLite looks for at the end of a journal: a file to be deleted after the rollback."""
    text = name.encode()
    trailer = (len(text), sum(text) & 0xFFFF_FFFF)
    return (
        number.to_bytes(4, "big") + text + b"".join(n.to_bytes(4, "big") for n in trailer) + MAGIC
    )


def create_half_written_ledger(folder: Path) -> tuple[Path, bytes]:
    """A ledger of three rows that a killed writer left half-written, and what it was before.

    SQLite's own: its cache holds one page, so that it changes the file before the transaction ends.
    """
    path = create_ledger(folder)
    original = path.read_bytes()
    journal = path.with_name(f"{path.name}-journal")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN IMMEDIATE")
        for n in range(40):
            db.execute("INSERT INTO blob (sha256, bytes) VALUES (?, zeroblob(5000))", (f"{n:064}",))
        files = {p: p.read_bytes() for p in (path, journal)}
        db.execute("ROLLBACK")
    for p, data in files.items():
        p.write_bytes(data)
    return path, original


def snapshot_folder(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Name -> content and time of the last change, of all files in ``folder``."""
    files = (p for p in folder.iterdir() if p.is_file() and not p.is_symlink())
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}
