"""Ledgers whose pages promise more than there is: each is refused after little work."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hardpan.core.errors import TrustError
from hardpan.scanners.ledger import entries
from hardpan.scanners.ledger.store import open_ledger
from tests.unit.ledger.fixtures import NOW, create_ledger, scan_on_day, verified_scan

PAGE_BYTES = 4096
_CHILDREN = 400


def _build_interior_page(children: list[int], *, last: int) -> bytes:
    """An inner page of a table with these children; the keys do not matter to a full scan."""
    cells = [child.to_bytes(4, "big") + b"\1" for child in children]
    start = PAGE_BYTES - 5 * len(cells)
    pointers = b"".join((start + 5 * n).to_bytes(2, "big") for n in range(len(cells)))
    header = b"\5\0\0" + len(cells).to_bytes(2, "big") + start.to_bytes(2, "big") + b"\0"
    head = header + last.to_bytes(4, "big") + pointers
    return head.ljust(start, b"\0") + b"".join(cells)


def _build_leaf_page(payload: bytes) -> bytes:
    """The last page of a table, with one row."""
    cell = bytes([len(payload), 1]) + payload
    start = PAGE_BYTES - len(cell)
    head = b"\x0d\0\0\0\1" + start.to_bytes(2, "big") + b"\0" + start.to_bytes(2, "big")
    return head.ljust(start, b"\0") + cell


def _write_pages(path: Path, pages: list[bytearray | bytes]) -> None:
    pages[0] = pages[0][:28] + len(pages).to_bytes(4, "big") + pages[0][32:]
    path.write_bytes(b"".join(pages))


def _read_pages(path: Path) -> list[bytearray | bytes]:
    data = path.read_bytes()
    return [
        bytearray(data[offset : offset + PAGE_BYTES]) for offset in range(0, len(data), PAGE_BYTES)
    ]


def _plant_endless_schema(path: Path) -> None:
    """After the real schema, 400 to the power of 6 rows that repeat one of its indexes."""
    with closing(sqlite3.connect(path)) as db:
        kind, name, table, root = db.execute(
            "SELECT type, name, tbl_name, rootpage FROM sqlite_master WHERE sql IS NULL"
        ).fetchone()
    texts = [kind.encode(), name.encode(), table.encode()]
    types = bytes([6, *(13 + 2 * len(t) for t in texts), 1, 0])
    pages = _read_pages(path)
    first = pages[0]
    if first[100] == 5:
        original_root = int.from_bytes(first[108:112], "big")
    else:  # a leaf: it becomes a page of its own, and page 1 its parent
        original_root = len(pages) + 1
        end = 108 + 2 * int.from_bytes(first[103:105], "big")
        pages.append(first[100:end].ljust(end, b"\0") + first[end:])
        first[100:112] = b"\5\0\0\0\0\x10\0\0" + bytes(4)
    pages.append(_build_leaf_page(types + b"".join(texts) + bytes([root])))
    for _ in range(6):
        child = len(pages)
        pages.append(_build_interior_page([child] * _CHILDREN, last=child))
    child = len(pages)
    pages.append(_build_interior_page([original_root], last=child))
    first[108:112] = len(pages).to_bytes(4, "big")
    _write_pages(path, pages)


def _claim_many_pages(path: Path) -> None:
    pages = _read_pages(path)
    pages[0][28:32] = b"\xff\xff\xff\xfe"
    path.write_bytes(b"".join(pages))


def _plant_invalid_utf8(path: Path) -> None:
    data = path.read_bytes()
    assert b"append-only'" in data
    path.write_bytes(data.replace(b"append-only'", b"append-onl\x80'"))


def _plant_unclosed_quote(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b"append-only')", b"append-only\x80)"))


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_plant_endless_schema, "damaged, or not a ledger: 'interrupted'"),
        (_claim_many_pages, "damaged, or not a ledger"),
        (_plant_invalid_utf8, "damaged, or not a ledger|which no ledger has"),
        (_plant_unclosed_quote, "damaged, or not a ledger: its schema is not UTF-8"),
    ],
)
def test_hostile_schema_is_refused_after_little_work(
    tmp_path: Path, change: Callable[[Path], object], problem: str, write: bool
) -> None:
    path = create_ledger(tmp_path)
    change(path)
    before = path.read_bytes()

    with pytest.raises(TrustError, match=problem), open_ledger(path, write=write):
        pass
    assert path.read_bytes() == before


def test_ledger_of_unused_pages_is_refused(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    pages = _read_pages(path)
    count = (8 << 30) // PAGE_BYTES
    pages[0][28:32] = count.to_bytes(4, "big")
    path.write_bytes(b"".join(pages))
    with path.open("r+b") as f:
        f.truncate(count * PAGE_BYTES)

    with open_ledger(path) as store, pytest.raises(TrustError, match="is never used"):
        store.check_integrity()


def test_circular_overflow_pages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    name = "".join(f"{n:06}" for n in range(4000))
    with open_ledger(path, write=True) as store:
        entry, _ = entries.add_scan(store, verified_scan(scan_on_day(1), name), NOW)
    pages = _read_pages(path)
    circle = [n for n, page in enumerate(pages) if page[4:].isdigit()]
    for n in circle:
        pages[n][:4] = (n + 1).to_bytes(4, "big")
    path.write_bytes(b"".join(pages))

    assert len(circle) > 3
    with open_ledger(path) as store:
        with pytest.raises(TrustError, match="was changed: its digest does not match"):
            store.read_blob(entry.row.statement_sha256, label="statement")
        with pytest.raises(TrustError, match="damaged"):
            store.check_integrity()
