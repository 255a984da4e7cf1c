"""Files next to a ledger: which journal is rolled back, and that no other file changes."""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hardpan.core.errors import Exit, HardpanError, InputError, ResourceError, TrustError
from hardpan.scanners.ledger import database_file
from hardpan.scanners.ledger import rollback_journal as journal_module
from hardpan.scanners.ledger.rollback_journal import MAGIC
from hardpan.scanners.ledger.store import open_ledger
from tests.unit.ledger.fixtures import add_scans, create_ledger, scan_on_day
from tests.unit.ledger.journal_samples import (
    LOCK_PAGE,
    PAGE_BYTES,
    Pages,
    build_hot_journal,
    build_segment,
    build_super_journal_record,
    create_half_written_ledger,
    snapshot_folder,
)

VICTIM = "victim.txt"


def _sibling_path(path: Path, suffix: str = "-journal") -> Path:
    return path.with_name(f"{path.name}{suffix}")


def _count_rows(path: Path, *, write: bool) -> int:
    """How many rows the own chain has."""
    with open_ledger(path, write=write) as store:
        return len(store.chains["local"].rows)


def _create_victim(path: Path) -> Path:
    victim = path.with_name(VICTIM)
    victim.write_text("not hardpan's")
    return victim


@pytest.mark.parametrize("is_hot", [True, False])
def test_sqlite_deletes_file_named_by_super_journal(tmp_path: Path, is_hot: bool) -> None:
    path = create_ledger(tmp_path)
    victim = _create_victim(path)
    data = build_hot_journal(path) + bytes(1 << 20) + build_super_journal_record(str(victim))
    _sibling_path(path).write_bytes(data if is_hot else b"\0" + data[1:])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO blob (sha256, bytes) VALUES ('x', x'00')")
        db.execute("ROLLBACK")

    assert not victim.exists()


def _pages(path: Path) -> tuple[Pages, int]:
    data = path.read_bytes()
    count = len(data) // PAGE_BYTES
    return [(n + 1, data[n * PAGE_BYTES :][:PAGE_BYTES]) for n in range(count)], count


def _journal_with_header(**changed: int) -> Callable[[Path], bytes]:
    """A plain journal of the first page, but for what its header says."""

    def build(path: Path) -> bytes:
        pages, count = _pages(path)
        return build_segment(pages[:1], **{"database_pages": count, **changed})  # type: ignore[arg-type]

    return build


def _journal_with_page(number: int, page: bytes | None = None) -> Callable[[Path], bytes]:
    """A plain journal with one more page."""

    def build(path: Path) -> bytes:
        pages, count = _pages(path)
        return build_segment([pages[0], (number, page or pages[1][1])], database_pages=count)

    return build


def _journal_with_first_page(offset: int, data: bytes) -> Callable[[Path], bytes]:
    """A plain journal whose first page was changed, its checksum with it."""

    def build(path: Path) -> bytes:
        pages, count = _pages(path)
        page = pages[0][1]
        return build_segment(
            [(1, page[:offset] + data + page[offset + len(data) :])], database_pages=count
        )

    return build


def _journal_with_second_header(**changed: int) -> Callable[[Path], bytes]:
    def build(path: Path) -> bytes:
        pages, count = _pages(path)
        first = build_segment(pages[:1], database_pages=count)
        padding = bytes(-len(first) % 512)
        return (
            first + padding + build_segment(pages[1:2], **{"database_pages": count, **changed})  # type: ignore[arg-type]
        )

    return build


def _super_journal(path: Path) -> bytes:
    return build_super_journal_record(str(path.with_name(VICTIM)))


REFUSED_JOURNALS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a super-journal after a rollback": (
        lambda p: build_hot_journal(p) + _super_journal(p),
        "names a super-journal",
    ),
    "a super-journal in a journal that is not hot": (
        lambda p: b"\0" + build_hot_journal(p)[1:] + _super_journal(p),
        "names a super-journal",
    ),
    "a super-journal in a journal with a header of zeros": (
        lambda p: bytes(512) + _super_journal(p),
        "names a super-journal",
    ),
    "a super-journal and nothing else": (_super_journal, "names a super-journal"),
    "a super-journal after two headers": (
        lambda p: _journal_with_second_header()(p) + _super_journal(p),
        "names a super-journal",
    ),
    "a super-journal far behind the records": (
        lambda p: build_hot_journal(p) + bytes(1 << 20) + _super_journal(p),
        "names a super-journal",
    ),
    "a super-journal with a wrong checksum": (
        lambda p: build_hot_journal(p) + _super_journal(p)[:-9] + b"\xff" + MAGIC,
        "names a super-journal",
    ),
    "a super-journal under the number of another page": (
        lambda p: build_hot_journal(p) + build_super_journal_record(str(p.with_name(VICTIM)), 1),
        "names a super-journal",
    ),
    "a super-journal among the pages": (
        lambda p: build_segment(
            [_pages(p)[0][0], (LOCK_PAGE, _super_journal(p).ljust(PAGE_BYTES, b"\0"))],
            database_pages=_pages(p)[1],
        ),
        f"no page of the ledger has the number {LOCK_PAGE}",
    ),
    "the magic number alone": (lambda _: MAGIC, "names a super-journal"),
    "another magic number": (
        lambda p: b"\xd9" + bytes(9) + build_hot_journal(p)[10:],
        "expected the magic",
    ),
    "text": (lambda _: b"#!/bin/sh\n", "expected the magic"),
    "half a header": (lambda p: build_hot_journal(p)[:20], "expected the magic"),
    "a header without its sector": (
        lambda p: build_hot_journal(p)[:100],
        "bytes for its records, got 100",
    ),
    "pages of half the size": (
        _journal_with_header(page_bytes=2048),
        "page size: expected 4096, got 2048",
    ),
    "pages of no size": (
        _journal_with_header(page_bytes=0),
        "page size: expected a power of two, got 0",
    ),
    "pages of an odd size": (
        _journal_with_header(page_bytes=4097),
        "expected a power of two, got 4097",
    ),
    "pages that are too large": (
        _journal_with_header(page_bytes=1 << 17),
        "expected a power of two, got 131072",
    ),
    "sectors of no size": (
        _journal_with_header(sector=0),
        "sector size: expected 512 or 4096, got 0",
    ),
    "sectors of a byte": (
        _journal_with_header(sector=1),
        "sector size: expected 512 or 4096, got 1",
    ),
    "large sectors": (
        _journal_with_header(sector=1 << 16),
        "sector size: expected 512 or 4096, got 65536",
    ),
    "more pages than the ledger": (_journal_with_header(database_pages=10_000), "got 10000"),
    "all pages that there can be": (
        _journal_with_header(database_pages=0xFFFF_FFFF),
        "got 4294967295",
    ),
    "fewer pages than page 1 says": (
        _journal_with_header(database_pages=2),
        "pages of page 1, got 2",
    ),
    "fewer pages without a word of page 1": (
        lambda p: build_segment([], database_pages=_pages(p)[1] - 1),
        "pages of page 1, got",
    ),
    "the first transaction of a ledger that had two": (
        lambda p: (add_scans(p, scan_on_day(4)), build_segment([], database_pages=0))[1],
        "expected the ledger's first transaction, it had 2",
    ),
    "no pages": (_journal_with_header(database_pages=0), "no page of the ledger has the number 1"),
    "more records than there are": (_journal_with_header(records=2), "bytes for its records, got"),
    "as many records as fit": (
        _journal_with_header(records=0xFFFF_FFFF),
        "bytes for its records, got",
    ),
    "page 0": (_journal_with_page(0), "no page of the ledger has the number 0"),
    "a page behind the end": (
        _journal_with_page(1_000),
        "no page of the ledger has the number 1000",
    ),
    "the same page twice": (_journal_with_page(1), "page 1: is in the journal twice"),
    "a wrong checksum": (lambda p: build_hot_journal(p)[:-1] + b"\x77", "page 1: damaged"),
    "a page of another database": (
        _journal_with_first_page(0, b"SQLite format 4"),
        "page 1: is not the first",
    ),
    "a page that turns WAL mode on": (
        _journal_with_first_page(18, b"\2\2"),
        "page 1: is not the first",
    ),
    "a page of another page size": (
        _journal_with_first_page(16, b"\2\0"),
        "page 1: is not the first",
    ),
    "a second header of another ledger": (
        _journal_with_second_header(database_pages=3),
        "its headers disagree",
    ),
    "a second header of another page size": (
        _journal_with_second_header(page_bytes=512),
        "its headers disagree",
    ),
    "the same page behind two headers": (
        lambda p: (
            build_hot_journal(p) + bytes(-len(build_hot_journal(p)) % 512) + build_hot_journal(p)
        ),
        "page 1: is in the journal twice",
    ),
}


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("name", REFUSED_JOURNALS)
def test_foreign_journal_is_refused(tmp_path: Path, name: str, write: bool) -> None:
    build, problem = REFUSED_JOURNALS[name]
    path = create_ledger(tmp_path)
    _create_victim(path)
    _sibling_path(path).write_bytes(build(path))
    before = snapshot_folder(tmp_path)

    with pytest.raises(TrustError, match=r"ledger\.sqlite-journal: ") as caught:
        _count_rows(path, write=write)
    assert problem in str(caught.value)
    assert snapshot_folder(tmp_path) == before


def _symlink_to_victim(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    ("suffix", "make", "problem"),
    [
        ("-wal", lambda p, _: p.write_bytes(bytes(100)), "expected no such file"),
        ("-wal", lambda p, _: p.touch(), "expected no such file"),
        ("-wal", _symlink_to_victim, "expected no such file"),
        ("-wal", lambda p, _: p.symlink_to("nowhere"), "expected no such file"),
        ("-wal", lambda p, _: p.mkdir(), "expected no such file"),
        ("-shm", lambda p, _: p.write_bytes(bytes(100)), "expected no such file"),
        ("-shm", _symlink_to_victim, "expected no such file"),
        ("-journal", _symlink_to_victim, "expected a regular file"),
        ("-journal", lambda p, _: p.symlink_to("nowhere"), "expected a regular file"),
        ("-journal", lambda p, _: p.symlink_to(p), "expected a regular file"),
        ("-journal", lambda p, _: p.mkdir(), "expected a regular file"),
        ("-journal", lambda p, _: os.mkfifo(p), "expected a regular file"),
        ("-journal", lambda p, v: p.hardlink_to(v), "expected a file with one name"),
    ],
)
def test_unexpected_file_next_to_ledger_is_refused(
    tmp_path: Path,
    suffix: str,
    make: Callable[[Path, Path], object],
    problem: str,
    write: bool,
) -> None:
    path = create_ledger(tmp_path)
    make(_sibling_path(path, suffix), _create_victim(path))
    before, names = snapshot_folder(tmp_path), sorted(tmp_path.iterdir())

    with pytest.raises(TrustError, match=problem):
        _count_rows(path, write=write)
    assert snapshot_folder(tmp_path) == before
    assert sorted(tmp_path.iterdir()) == names


def test_wal_next_to_hot_journal_is_refused_first(tmp_path: Path) -> None:
    path, _ = create_half_written_ledger(tmp_path)
    _sibling_path(path, "-wal").write_bytes(bytes(32))
    before = snapshot_folder(tmp_path)

    with pytest.raises(TrustError, match="sqlite-wal: expected no such file"):
        _count_rows(path, write=True)
    assert snapshot_folder(tmp_path) == before


def test_reader_reports_a_hot_journal_and_changes_nothing(tmp_path: Path) -> None:
    path, _ = create_half_written_ledger(tmp_path)
    before = snapshot_folder(tmp_path)

    with pytest.raises(InputError, match="a killed writer left it half-written") as caught:
        _count_rows(path, write=False)
    assert caught.value.exit_code == Exit.INPUT
    assert caught.value.hint.startswith("'hardpan ledger add' rolls it back")
    assert snapshot_folder(tmp_path) == before


def test_writer_rolls_back_hot_journal_and_continues(tmp_path: Path) -> None:
    path, before = create_half_written_ledger(tmp_path)
    assert path.read_bytes() != before

    assert _count_rows(path, write=True) == 3
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    add_scans(path, scan_on_day(4))
    with open_ledger(path) as store:
        store.check_integrity()
        assert len(store.chains["local"].rows) == 4


def test_rollback_restores_same_bytes_as_sqlite(tmp_path: Path) -> None:
    path, before = create_half_written_ledger(tmp_path)
    hardpan_folder, sqlite_folder = tmp_path / "ours", tmp_path / "theirs"
    for folder in (hardpan_folder, sqlite_folder):
        folder.mkdir()
        for file in (path, _sibling_path(path)):
            (folder / file.name).write_bytes(file.read_bytes())
    _count_rows(hardpan_folder / path.name, write=True)
    with closing(sqlite3.connect(sqlite_folder / path.name)) as db:
        db.execute("SELECT * FROM chain").fetchall()

    assert (
        (hardpan_folder / path.name).read_bytes()
        == (sqlite_folder / path.name).read_bytes()
        == before
    )


def test_journal_of_first_transaction_empties_ledger(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    _sibling_path(path).write_bytes(build_segment([], database_pages=0))
    with pytest.raises(InputError, match="half-written"):
        _count_rows(path, write=False)
    add_scans(path, scan_on_day(7))

    assert _count_rows(path, write=False) == 1


def test_interrupted_rollback_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, before = create_half_written_ledger(tmp_path)
    pwrite, count = os.pwrite, iter(range(2))

    def fail(file: int, data: bytes, offset: int) -> int:
        if next(count, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(file, data, offset)

    monkeypatch.setattr(journal_module.os, "pwrite", fail)
    with pytest.raises(ResourceError, match=r"cannot be rolled back: .*No space left"):
        _count_rows(path, write=True)
    assert path.read_bytes() != before
    with pytest.raises(InputError, match="half-written"):
        _count_rows(path, write=False)
    monkeypatch.setattr(journal_module.os, "pwrite", pwrite)

    assert _count_rows(path, write=True) == 3
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "data",
    [b"", bytes(1), bytes(512), bytes(28) + b"rest" * 999, b"\0" + MAGIC + bytes(99)],
    ids=["empty", "one byte", "a sector", "a header of zeros", "the magic number later"],
)
def test_journal_that_is_not_hot_is_ignored_by_readers_and_removed_by_writers(
    tmp_path: Path, data: bytes
) -> None:
    path = create_ledger(tmp_path)
    _sibling_path(path).write_bytes(data)
    before = snapshot_folder(tmp_path)

    assert _count_rows(path, write=False) == 3
    assert snapshot_folder(tmp_path) == before
    assert _count_rows(path, write=True) == 3
    assert not _sibling_path(path).exists()


def test_reader_does_not_modify_writable_ledger(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    before, folder = snapshot_folder(tmp_path), tmp_path.stat().st_mtime_ns
    with open_ledger(path) as store:
        store.check_integrity()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store._db.execute("DELETE FROM chain WHERE FALSE")

    assert snapshot_folder(tmp_path) == before
    assert tmp_path.stat().st_mtime_ns == folder


def test_reader_and_active_writer_do_not_interfere(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    with open_ledger(path, write=True) as store:
        store._db.execute("INSERT INTO blob (sha256, bytes) VALUES ('x', x'00')")
        assert _sibling_path(path).exists()
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as other:
            assert other.execute("SELECT count(*) FROM entry").fetchone() == (3,)

    assert not _sibling_path(path).exists()


def test_files_next_to_symlink_target_are_checked(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    path = create_ledger(tmp_path / "there")
    link = tmp_path / "ledger.sqlite"
    link.symlink_to(path)
    victim = _create_victim(link)
    journal = build_hot_journal(path) + build_super_journal_record(str(victim))
    _sibling_path(link).write_bytes(journal)

    assert (
        _count_rows(link, write=False) == _count_rows(link, write=True) == 3
    )  # SQLite does not look there
    assert _sibling_path(link).read_bytes() == journal
    _sibling_path(path).write_bytes(journal)
    for write in (False, True):
        with pytest.raises(TrustError, match=r"there/ledger\.sqlite-journal: names"):
            _count_rows(link, write=write)
    assert victim.exists()


@pytest.mark.parametrize("target", ["nowhere", "ledger.sqlite", VICTIM])
def test_symlink_to_non_ledger_is_refused(tmp_path: Path, target: str) -> None:
    path = tmp_path / "ledger.sqlite"
    victim = _create_victim(path)
    path.symlink_to(target)
    for write in (False, True):
        with pytest.raises(InputError):
            _count_rows(path, write=write)

    assert victim.read_text() == "not hardpan's"
    assert not (tmp_path / "nowhere").exists()


def _plant_after(monkeypatch: pytest.MonkeyPatch, name: str, plant: Callable[[], object]) -> None:
    """Let somebody write to the folder after it was examined and before SQLite opens the file."""
    original = getattr(database_file, name)

    def wrapper(*arguments: object) -> object:
        result = original(*arguments)
        plant()
        return result

    monkeypatch.setattr(database_file, name, wrapper)


def test_super_journal_planted_after_check_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = create_ledger(tmp_path)
    victim = _create_victim(path)
    data = build_hot_journal(path) + build_super_journal_record(str(victim))
    for name in ("check_for_reader", "acquire_reserved_lock"):
        _plant_after(monkeypatch, name, lambda: _sibling_path(path).write_bytes(data))

    with pytest.raises(InputError, match="half-written"):
        _count_rows(path, write=False)
    _sibling_path(path).unlink()
    assert _count_rows(path, write=True) == 3
    assert victim.exists()


def test_wal_planted_after_check_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = create_ledger(tmp_path)
    victim = _create_victim(path)
    for name in ("check_for_reader", "acquire_reserved_lock"):
        _plant_after(
            monkeypatch, name, lambda: _sibling_path(path, "-wal").write_bytes(bytes(4096))
        )
    for write in (False, True):
        with pytest.raises(HardpanError, match="expected journal mode 'delete', got 'wal'"):
            _count_rows(path, write=write)
        _sibling_path(path, "-wal").unlink(missing_ok=True)
        _sibling_path(path, "-shm").unlink(missing_ok=True)

    assert victim.exists()


def test_ledger_replaced_after_check_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = create_ledger(tmp_path)
    victim = _create_victim(path)
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    data = build_hot_journal(path) + build_super_journal_record(str(victim))

    def replace() -> None:
        other.replace(path)
        _sibling_path(path).write_bytes(data)

    _plant_after(monkeypatch, "acquire_reserved_lock", replace)
    with pytest.raises(TrustError, match="was replaced while it was opened"):
        _count_rows(path, write=True)
    assert victim.exists()
