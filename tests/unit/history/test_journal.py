"""What lies next to a ledger: which journal is rolled back, and that no other file is touched."""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hardpan.errors import Exit, HardpanError, InputError, ResourceError, TrustError
from hardpan.scanners.history import journal as journal_module
from hardpan.scanners.history import ledger_file
from hardpan.scanners.history.journal import MAGIC
from hardpan.scanners.history.store import opened
from tests.unit.history.books import on_day, put, three
from tests.unit.history.journals import (
    LOCK_PAGE,
    PAGE_BYTES,
    Pages,
    content,
    half_written,
    plain,
    segment,
    super_journal_record,
)

VICTIM = "victim.txt"


def _beside(path: Path, suffix: str = "-journal") -> Path:
    return path.with_name(f"{path.name}{suffix}")


def _open(path: Path, *, write: bool) -> int:
    """How many rows the own chain has."""
    with opened(path, write=write) as store:
        return len(store.chains["own"].rows)


def _victim(path: Path) -> Path:
    victim = path.with_name(VICTIM)
    victim.write_text("not hardpan's")
    return victim


@pytest.mark.parametrize("is_hot", [True, False])
def test_sqlite_itself_deletes_the_file_that_a_journal_names(tmp_path: Path, is_hot: bool) -> None:
    path = three(tmp_path)
    victim = _victim(path)
    data = plain(path) + bytes(1 << 20) + super_journal_record(str(victim))
    _beside(path).write_bytes(data if is_hot else b"\0" + data[1:])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO blob (sha256, bytes) VALUES ('x', x'00')")
        db.execute("ROLLBACK")

    assert not victim.exists()


def _pages(path: Path) -> tuple[Pages, int]:
    data = path.read_bytes()
    count = len(data) // PAGE_BYTES
    return [(n + 1, data[n * PAGE_BYTES :][:PAGE_BYTES]) for n in range(count)], count


def _with(**changed: int) -> Callable[[Path], bytes]:
    """A plain journal of the first page, but for what its header says."""

    def build(path: Path) -> bytes:
        pages, count = _pages(path)
        return segment(pages[:1], **{"database_pages": count, **changed})  # type: ignore[arg-type]

    return build


def _record(number: int, page: bytes | None = None) -> Callable[[Path], bytes]:
    """A plain journal with one more page."""

    def build(path: Path) -> bytes:
        pages, count = _pages(path)
        return segment([pages[0], (number, page or pages[1][1])], database_pages=count)

    return build


def _first_page(at: int, data: bytes) -> Callable[[Path], bytes]:
    """A plain journal whose first page was changed, its checksum with it."""

    def build(path: Path) -> bytes:
        pages, count = _pages(path)
        page = pages[0][1]
        return segment([(1, page[:at] + data + page[at + len(data) :])], database_pages=count)

    return build


def _second_header(**changed: int) -> Callable[[Path], bytes]:
    def build(path: Path) -> bytes:
        pages, count = _pages(path)
        first = segment(pages[:1], database_pages=count)
        padding = bytes(-len(first) % 512)
        return (
            first + padding + segment(pages[1:2], **{"database_pages": count, **changed})  # type: ignore[arg-type]
        )

    return build


def _super(path: Path) -> bytes:
    return super_journal_record(str(path.with_name(VICTIM)))


REFUSED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a super-journal after a rollback": (lambda p: plain(p) + _super(p), "names a super-journal"),
    "a super-journal in a journal that is not hot": (
        lambda p: b"\0" + plain(p)[1:] + _super(p),
        "names a super-journal",
    ),
    "a super-journal in a journal with a header of zeros": (
        lambda p: bytes(512) + _super(p),
        "names a super-journal",
    ),
    "a super-journal and nothing else": (_super, "names a super-journal"),
    "a super-journal after two headers": (
        lambda p: _second_header()(p) + _super(p),
        "names a super-journal",
    ),
    "a super-journal far behind the records": (
        lambda p: plain(p) + bytes(1 << 20) + _super(p),
        "names a super-journal",
    ),
    "a super-journal with a wrong checksum": (
        lambda p: plain(p) + _super(p)[:-9] + b"\xff" + MAGIC,
        "names a super-journal",
    ),
    "a super-journal under the number of another page": (
        lambda p: plain(p) + super_journal_record(str(p.with_name(VICTIM)), 1),
        "names a super-journal",
    ),
    "a super-journal among the pages": (
        lambda p: segment(
            [_pages(p)[0][0], (LOCK_PAGE, _super(p).ljust(PAGE_BYTES, b"\0"))],
            database_pages=_pages(p)[1],
        ),
        f"no page of the ledger has the number {LOCK_PAGE}",
    ),
    "the magic number alone": (lambda _: MAGIC, "names a super-journal"),
    "another magic number": (lambda p: b"\xd9" + bytes(9) + plain(p)[10:], "expected the magic"),
    "text": (lambda _: b"#!/bin/sh\n", "expected the magic"),
    "half a header": (lambda p: plain(p)[:20], "expected the magic"),
    "a header without its sector": (lambda p: plain(p)[:100], "bytes for its records, got 100"),
    "pages of half the size": (_with(page_bytes=2048), "page size: expected 4096, got 2048"),
    "pages of no size": (_with(page_bytes=0), "page size: expected a power of two, got 0"),
    "pages of an odd size": (_with(page_bytes=4097), "expected a power of two, got 4097"),
    "pages that are too large": (_with(page_bytes=1 << 17), "expected a power of two, got 131072"),
    "sectors of no size": (_with(sector=0), "sector size: expected 512 or 4096, got 0"),
    "sectors of a byte": (_with(sector=1), "sector size: expected 512 or 4096, got 1"),
    "large sectors": (_with(sector=1 << 16), "sector size: expected 512 or 4096, got 65536"),
    "more pages than the ledger": (_with(database_pages=10_000), "got 10000"),
    "all pages that there can be": (_with(database_pages=0xFFFF_FFFF), "got 4294967295"),
    "fewer pages than page 1 says": (_with(database_pages=2), "pages of page 1, got 2"),
    "fewer pages without a word of page 1": (
        lambda p: segment([], database_pages=_pages(p)[1] - 1),
        "pages of page 1, got",
    ),
    "the first transaction of a ledger that had two": (
        lambda p: (put(p, on_day(4)), segment([], database_pages=0))[1],
        "expected the ledger's first transaction, it had 2",
    ),
    "no pages": (_with(database_pages=0), "no page of the ledger has the number 1"),
    "more records than there are": (_with(records=2), "bytes for its records, got"),
    "as many records as fit": (_with(records=0xFFFF_FFFF), "bytes for its records, got"),
    "page 0": (_record(0), "no page of the ledger has the number 0"),
    "a page behind the end": (_record(1_000), "no page of the ledger has the number 1000"),
    "the same page twice": (_record(1), "page 1: is in the journal twice"),
    "a wrong checksum": (lambda p: plain(p)[:-1] + b"\x77", "page 1: damaged"),
    "a page of another database": (_first_page(0, b"SQLite format 4"), "page 1: is not the first"),
    "a page that turns WAL mode on": (_first_page(18, b"\2\2"), "page 1: is not the first"),
    "a page of another page size": (_first_page(16, b"\2\0"), "page 1: is not the first"),
    "a second header of another ledger": (
        _second_header(database_pages=3),
        "its headers disagree",
    ),
    "a second header of another page size": (
        _second_header(page_bytes=512),
        "its headers disagree",
    ),
    "the same page behind two headers": (
        lambda p: plain(p) + bytes(-len(plain(p)) % 512) + plain(p),
        "page 1: is in the journal twice",
    ),
}


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_journal_that_hardpan_never_leaves_is_refused(
    tmp_path: Path, name: str, write: bool
) -> None:
    build, problem = REFUSED[name]
    path = three(tmp_path)
    _victim(path)
    _beside(path).write_bytes(build(path))
    before = content(tmp_path)

    with pytest.raises(TrustError, match=r"ledger\.sqlite-journal: ") as caught:
        _open(path, write=write)
    assert problem in str(caught.value)
    assert content(tmp_path) == before


def _link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    ("suffix", "make", "problem"),
    [
        ("-wal", lambda p, _: p.write_bytes(bytes(100)), "expected no such file"),
        ("-wal", lambda p, _: p.touch(), "expected no such file"),
        ("-wal", _link, "expected no such file"),
        ("-wal", lambda p, _: p.symlink_to("nowhere"), "expected no such file"),
        ("-wal", lambda p, _: p.mkdir(), "expected no such file"),
        ("-shm", lambda p, _: p.write_bytes(bytes(100)), "expected no such file"),
        ("-shm", _link, "expected no such file"),
        ("-journal", _link, "expected a regular file"),
        ("-journal", lambda p, _: p.symlink_to("nowhere"), "expected a regular file"),
        ("-journal", lambda p, _: p.symlink_to(p), "expected a regular file"),
        ("-journal", lambda p, _: p.mkdir(), "expected a regular file"),
        ("-journal", lambda p, _: os.mkfifo(p), "expected a regular file"),
        ("-journal", lambda p, v: p.hardlink_to(v), "expected a file with one name"),
    ],
)
def test_file_next_to_the_ledger_that_hardpan_never_makes_is_refused(
    tmp_path: Path,
    suffix: str,
    make: Callable[[Path, Path], object],
    problem: str,
    write: bool,
) -> None:
    path = three(tmp_path)
    make(_beside(path, suffix), _victim(path))
    before, names = content(tmp_path), sorted(tmp_path.iterdir())

    with pytest.raises(TrustError, match=problem):
        _open(path, write=write)
    assert content(tmp_path) == before
    assert sorted(tmp_path.iterdir()) == names


def test_wal_next_to_a_plain_journal_is_refused_first(tmp_path: Path) -> None:
    path, _ = half_written(tmp_path)
    _beside(path, "-wal").write_bytes(bytes(32))
    before = content(tmp_path)

    with pytest.raises(TrustError, match="sqlite-wal: expected no such file"):
        _open(path, write=True)
    assert content(tmp_path) == before


def test_reader_reports_a_hot_journal_and_changes_nothing(tmp_path: Path) -> None:
    path, _ = half_written(tmp_path)
    before = content(tmp_path)

    with pytest.raises(InputError, match="a killed writer left it half-written") as caught:
        _open(path, write=False)
    assert caught.value.exit_code == Exit.INPUT
    assert caught.value.hint.startswith("'hardpan ledger add' rolls it back")
    assert content(tmp_path) == before


def test_writer_rolls_a_hot_journal_back_and_goes_on(tmp_path: Path) -> None:
    path, before = half_written(tmp_path)
    assert path.read_bytes() != before

    assert _open(path, write=True) == 3
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    put(path, on_day(4))
    with opened(path) as store:
        store.check_pages()
        assert len(store.chains["own"].rows) == 4


def test_hardpan_restores_the_bytes_that_sqlite_restores(tmp_path: Path) -> None:
    path, before = half_written(tmp_path)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        for file in (path, _beside(path)):
            (folder / file.name).write_bytes(file.read_bytes())
    _open(ours / path.name, write=True)
    with closing(sqlite3.connect(theirs / path.name)) as db:
        db.execute("SELECT * FROM chain").fetchall()

    assert (ours / path.name).read_bytes() == (theirs / path.name).read_bytes() == before


def test_journal_of_the_transaction_that_made_the_ledger_empties_it(tmp_path: Path) -> None:
    path = three(tmp_path)
    _beside(path).write_bytes(segment([], database_pages=0))
    with pytest.raises(InputError, match="half-written"):
        _open(path, write=False)
    put(path, on_day(7))

    assert _open(path, write=False) == 1


def test_rollback_that_is_killed_in_the_middle_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, before = half_written(tmp_path)
    pwrite, count = os.pwrite, iter(range(2))

    def fail(file: int, data: bytes, at: int) -> int:
        if next(count, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(file, data, at)

    monkeypatch.setattr(journal_module.os, "pwrite", fail)
    with pytest.raises(ResourceError, match=r"cannot be rolled back: .*No space left"):
        _open(path, write=True)
    assert path.read_bytes() != before
    with pytest.raises(InputError, match="half-written"):
        _open(path, write=False)
    monkeypatch.setattr(journal_module.os, "pwrite", pwrite)

    assert _open(path, write=True) == 3
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "data",
    [b"", bytes(1), bytes(512), bytes(28) + b"rest" * 999, b"\0" + MAGIC + bytes(99)],
    ids=["empty", "one byte", "a sector", "a header of zeros", "the magic number later"],
)
def test_journal_that_is_not_hot_is_ignored_by_readers_and_removed_by_writers(
    tmp_path: Path, data: bytes
) -> None:
    path = three(tmp_path)
    _beside(path).write_bytes(data)
    before = content(tmp_path)

    assert _open(path, write=False) == 3
    assert content(tmp_path) == before
    assert _open(path, write=True) == 3
    assert not _beside(path).exists()


def test_reader_leaves_a_ledger_that_may_be_written_as_it_is(tmp_path: Path) -> None:
    path = three(tmp_path)
    before, folder = content(tmp_path), tmp_path.stat().st_mtime_ns
    with opened(path) as store:
        store.check_pages()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store._db.execute("DELETE FROM chain WHERE FALSE")

    assert content(tmp_path) == before
    assert tmp_path.stat().st_mtime_ns == folder


def test_reader_and_writer_at_work_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = three(tmp_path)
    with opened(path, write=True) as store:
        store._db.execute("INSERT INTO blob (sha256, bytes) VALUES ('x', x'00')")
        assert _beside(path).exists()
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as other:
            assert other.execute("SELECT count(*) FROM entry").fetchone() == (3,)

    assert not _beside(path).exists()


def test_files_next_to_the_target_of_a_link_count(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    path = three(tmp_path / "there")
    link = tmp_path / "ledger.sqlite"
    link.symlink_to(path)
    victim = _victim(link)
    named = plain(path) + super_journal_record(str(victim))
    _beside(link).write_bytes(named)

    assert _open(link, write=False) == _open(link, write=True) == 3  # SQLite does not look there
    assert _beside(link).read_bytes() == named
    _beside(path).write_bytes(named)
    for write in (False, True):
        with pytest.raises(TrustError, match=r"there/ledger\.sqlite-journal: names"):
            _open(link, write=write)
    assert victim.exists()


@pytest.mark.parametrize("target", ["nowhere", "ledger.sqlite", VICTIM])
def test_link_that_leads_to_no_ledger_is_refused(tmp_path: Path, target: str) -> None:
    path = tmp_path / "ledger.sqlite"
    victim = _victim(path)
    path.symlink_to(target)
    for write in (False, True):
        with pytest.raises(InputError):
            _open(path, write=write)

    assert victim.read_text() == "not hardpan's"
    assert not (tmp_path / "nowhere").exists()


def _planted(monkeypatch: pytest.MonkeyPatch, name: str, plant: Callable[[], object]) -> None:
    """Let somebody write to the folder after it was examined and before SQLite opens the file."""
    examine = getattr(ledger_file, name)

    def and_plant(*arguments: object) -> object:
        answer = examine(*arguments)
        plant()
        return answer

    monkeypatch.setattr(ledger_file, name, and_plant)


def test_super_journal_that_comes_after_the_look_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = three(tmp_path)
    victim = _victim(path)
    data = plain(path) + super_journal_record(str(victim))
    for name in ("check_for_reader", "reserve"):
        _planted(monkeypatch, name, lambda: _beside(path).write_bytes(data))

    with pytest.raises(InputError, match="half-written"):
        _open(path, write=False)
    _beside(path).unlink()
    assert _open(path, write=True) == 3
    assert victim.exists()


def test_wal_that_comes_after_the_look_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = three(tmp_path)
    victim = _victim(path)
    for name in ("check_for_reader", "reserve"):
        _planted(monkeypatch, name, lambda: _beside(path, "-wal").write_bytes(bytes(4096)))
    for write in (False, True):
        with pytest.raises(HardpanError, match="expected journal mode 'delete', got 'wal'"):
            _open(path, write=write)
        _beside(path, "-wal").unlink(missing_ok=True)
        _beside(path, "-shm").unlink(missing_ok=True)

    assert victim.exists()


def test_ledger_that_is_replaced_after_the_look_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = three(tmp_path)
    victim = _victim(path)
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    data = plain(path) + super_journal_record(str(victim))

    def replace() -> None:
        other.replace(path)
        _beside(path).write_bytes(data)

    _planted(monkeypatch, "reserve", replace)
    with pytest.raises(TrustError, match="was replaced while it was opened"):
        _open(path, write=True)
    assert victim.exists()
