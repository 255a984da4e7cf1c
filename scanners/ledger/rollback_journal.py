"""SQLite's rollback journal, checked and rolled back without SQLite.

The format is https://www.sqlite.org/fileformat2.html, section 3; what SQLite does with a journal is
in its ``pager.c``. A journal may end with a super-journal record: the name of a file that SQLite
deletes after the rollback, whatever file it is. Only a transaction over attached databases writes
such a record, and hardpan attaches none. So only the form is accepted that a killed writer of one
database leaves, and the pages are restored here: SQLite never reads a journal that it did not
write itself.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.core.errors import TrustError

MAGIC = bytes.fromhex("d9d505f920a163d7")
HEADER = struct.Struct(">8s5I")
"""Magic, records, nonce, pages of the database before, sector size, page size."""

_SECTOR_BYTES = (512, 4096)
"""What SQLite writes on Linux: with and without its ``psow`` (powersafe overwrite)."""

_PAGE_BYTES = tuple(512 << n for n in range(8))
_LOCK_BYTE = 1 << 30
"""SQLite never uses the page of this byte; its number marks a super-journal record."""

_HINT = "hardpan never leaves such a journal; keep it, and find out who wrote it"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackJournal:
    """A journal from which the database can be restored."""

    label: str
    records: int
    """Pages after the first header."""

    nonce: int
    """What the checksums of these pages begin with."""

    database_pages: int
    """Size of the database before the transaction."""

    sector_bytes: int
    page_bytes: int


def check_journal(file: int, database: int, *, label: str) -> RollbackJournal | None:
    """The journal in the open ``file``, every page checked; None where SQLite would ignore it.

    A journal is hot, that is to be rolled back, when its first byte is not zero and no writer
    holds a lock. ``database`` is the ledger, open.

    Raises:
        TrustError: it has a super-journal record, does not fit the ledger, or is damaged.
    """
    size = os.fstat(file).st_size
    # SQLite looks for the record at the end of the file alone, and so in a journal that is not
    # hot as well: when the next writer, which writes over the beginning, rolls back.
    if os.pread(file, len(MAGIC), max(size - len(MAGIC), 0)) == MAGIC:
        raise _journal_error(label, "names a super-journal, a file that SQLite would delete")
    if os.pread(file, 1, 0) in (b"", b"\0"):
        return None
    journal = _read_header(file, 0, label)
    if journal is None:
        raise _journal_error(label, f"expected the magic number {MAGIC.hex()}")
    if journal.sector_bytes not in _SECTOR_BYTES:
        expected = " or ".join(map(str, _SECTOR_BYTES))
        raise _journal_error(label, f"sector size: expected {expected}, got {journal.sector_bytes}")
    _check_fit(journal, database)
    original_header = current_header = os.pread(database, 100, 0)
    for number, page in read_pages(file, journal):
        if number == 1:
            original_header = page[:100]
    _check_first_page(journal, original_header, current_header)
    return journal


def read_pages(file: int, journal: RollbackJournal) -> Iterator[tuple[int, bytes]]:
    """Number and content of each page in ``journal``, in the order of the file.

    Raises:
        TrustError: a record is damaged, or has no place in the database.
    """
    label, page_bytes = journal.label, journal.page_bytes
    size = os.fstat(file).st_size
    lock_page = _LOCK_BYTE // page_bytes + 1
    is_page_read = bytearray(journal.database_pages // 8 + 1)
    offset = 0
    header: RollbackJournal | None = journal
    while header is not None:
        start = offset + journal.sector_bytes
        end = start + header.records * (page_bytes + 8)
        if end > size:
            raise _journal_error(label, f"expected {end} bytes for its records, got {size}")
        for record_offset in range(start, end, page_bytes + 8):
            record = os.pread(file, page_bytes + 8, record_offset)
            number = int.from_bytes(record[:4], "big")
            page = record[4:-4]
            if not 1 <= number <= journal.database_pages or number == lock_page:
                raise _journal_error(label, f"no page of the ledger has the number {number}")
            if is_page_read[number // 8] >> number % 8 & 1:
                raise _journal_error(label, f"page {number}: is in the journal twice")
            is_page_read[number // 8] |= 1 << number % 8
            if int.from_bytes(record[-4:], "big") != checksum(page, header.nonce):
                raise _journal_error(label, f"page {number}: damaged: its checksum is another")
            yield number, page
        offset = -(-end // journal.sector_bytes) * journal.sector_bytes
        header = _read_header(file, offset, label)
        if header is not None and _size_fields(header) != _size_fields(journal):
            raise _journal_error(label, "its headers disagree about the size of the ledger")


def restore_pages(file: int, database: int, journal: RollbackJournal) -> None:
    """Give ``database`` the size and the pages that it had before the transaction.

    Killed in between, it can be done again: the journal is not changed.

    Raises:
        TrustError: the journal was changed since it was checked.
        OSError: the database cannot be written.
    """
    os.ftruncate(database, journal.database_pages * journal.page_bytes)
    for number, page in read_pages(file, journal):
        written = os.pwrite(database, page, (number - 1) * journal.page_bytes)
        if written != len(page):
            raise OSError(f"expected to write {len(page)} bytes, wrote {written}")
    os.fsync(database)


def checksum(page: bytes, nonce: int) -> int:
    """The checksum of a page in a journal: every 200th byte from its end, added to the nonce."""
    return (nonce + sum(page[len(page) - 200 : 0 : -200])) & 0xFFFF_FFFF


def _read_header(file: int, offset: int, label: str) -> RollbackJournal | None:
    """The header at ``offset``; None where there is none, and the journal ends."""
    data = os.pread(file, HEADER.size, offset)
    if len(data) < HEADER.size or data[:8] != MAGIC:
        return None
    _, records, nonce, pages, sector, page = HEADER.unpack(data)
    return RollbackJournal(
        label=label,
        records=records,
        nonce=nonce,
        database_pages=pages,
        sector_bytes=sector,
        page_bytes=page,
    )


def _size_fields(journal: RollbackJournal) -> tuple[int, int, int]:
    return journal.database_pages, journal.sector_bytes, journal.page_bytes


def _check_fit(journal: RollbackJournal, database: int) -> None:
    """Pass if the sizes in the header are those of the database."""
    label, page_bytes = journal.label, journal.page_bytes
    if page_bytes not in _PAGE_BYTES:
        raise _journal_error(label, f"page size: expected a power of two, got {page_bytes}")
    if journal.database_pages == 0:
        return
    expected = int.from_bytes(os.pread(database, 2, 16), "big")
    if page_bytes != (1 << 16 if expected == 1 else expected):
        raise _journal_error(label, f"page size: expected {expected}, got {page_bytes}")
    pages = os.fstat(database).st_size // page_bytes
    if journal.database_pages > pages:
        raise _journal_error(label, f"expected at most {pages} pages, got {journal.database_pages}")


def _check_first_page(
    journal: RollbackJournal, original_header: bytes, current_header: bytes
) -> None:
    """Pass if the database can have begun with ``before``; it begins with ``now``.

    Each transaction counts in bytes 24 to 27; bytes 28 to 31 are the size in pages. What adds a
    page changes the first one, so that is in the journal.
    """
    label = journal.label
    if journal.database_pages == 0:  # the transaction that created the ledger
        count = int.from_bytes(current_header[24:28], "big")
        if count > 1:
            raise _journal_error(label, f"expected the ledger's first transaction, it had {count}")
        return
    if original_header[:20] != current_header[:20]:
        raise _journal_error(label, "page 1: is not the first page of this ledger")
    pages = int.from_bytes(original_header[28:32], "big")
    if pages != journal.database_pages:
        raise _journal_error(
            label, f"expected the {pages} pages of page 1, got {journal.database_pages}"
        )


def _journal_error(label: str, problem: str) -> TrustError:
    return TrustError(f"{label}: {problem}", hint=_HINT)
