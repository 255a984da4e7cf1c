"""The few facts of an ELF file that tell whose code it carries (System V gABI, chapters 4 and 5).

Every number in the file is taken for hostile: a table has to lie inside of the file and below a
limit, or it is not read and the reason is told.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.builder.wheels.model import BrokenError

MAGIC = b"\x7fELF"
HEADER_BYTES = 64
_SECTIONS_MOST = 65_279
_TABLES_MOST = 4
_ENTRIES_MOST = 4096
_NAME_MOST = 255
_SYMTAB, _STRTAB, _DYNAMIC, _DYNSYM = 2, 3, 6, 11
_NEEDED, _SONAME = 1, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of the file."""

    at: int
    """Where it begins."""

    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the first bytes say."""

    wide: bool
    """True for 64 bit."""

    order: str
    """``struct``'s letter for the byte order."""

    sections: Span | None
    """The table of sections, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A symbol table or the dynamic section, with the names it uses."""

    kind: int
    """Its section type."""

    entries: Span
    """The table."""

    names: Span
    """The string table that it is linked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What a shared library calls itself, and what it asks the system for."""

    soname: str = ""
    """Its own name."""

    needed: tuple[str, ...] = ()
    """Names of libraries that the loader has to find."""


def header(first: bytes, size: int) -> Header:
    """What the header says of a file of ``size`` bytes.

    Raises:
        BrokenError: it is cut off, or its numbers cannot be.
    """
    wide = first[4:5] == b"\x02"
    if first[4:5] not in (b"\x01", b"\x02") or first[5:6] not in (b"\x01", b"\x02"):
        raise BrokenError("ELF header: expected a class and a byte order")
    order = "<" if first[5:6] == b"\x01" else ">"
    shape, ends = ("16xHHIQQQIHHHHHH", 64) if wide else ("16xHHIIIIIHHHHHH", 52)
    if len(first) < ends:
        raise BrokenError(f"ELF header: expected {ends} bytes, found {len(first)}")
    fields = struct.unpack(order + shape, first[:ends])
    at, each, count = fields[5], fields[10], fields[11]
    if at == 0:
        return Header(wide=wide, order=order, sections=None)
    if each != (64 if wide else 40) or not 0 < count <= _SECTIONS_MOST:
        raise BrokenError(f"ELF header: cannot be: {count} sections of {each} bytes")
    span = Span(at=at, size=each * count)
    _inside(span, size, "table of sections")
    return Header(wide=wide, order=order, sections=span)


def tables(head: Header, sections: bytes, size: int, most: int) -> tuple[list[Table], list[str]]:
    """The symbol tables and dynamic section, and why others are not read."""
    shape = head.order + ("IIQQQQIIQQ" if head.wide else "IIIIIIIIII")
    rows = list(struct.iter_unpack(shape, sections))
    found, problems = [], []
    for row in rows:
        if row[1] not in (_SYMTAB, _DYNSYM, _DYNAMIC):
            continue
        try:
            found.append(_table(rows, row, size, most))
        except BrokenError as e:
            problems.append(str(e))
    if len(found) > _TABLES_MOST:
        problems.append(f"{len(found)} symbol tables: the first {_TABLES_MOST} were read")
    return found[:_TABLES_MOST], problems[:_TABLES_MOST]


def defined(head: Header, entries: bytes, wanted: set[int]) -> set[int]:
    """Those offsets of names in ``wanted`` that a symbol defined in this file has."""
    shape = head.order + ("IBBHQQ" if head.wide else "IIIBBH")
    place = 3 if head.wide else 5
    whole = len(entries) - len(entries) % struct.calcsize(shape)
    rows = struct.iter_unpack(shape, entries[:whole])
    return {row[0] for row in rows if row[0] in wanted and row[place]}


def linked(head: Header, entries: bytes, names: bytes) -> Linked:
    """SONAME and NEEDED of the dynamic section."""
    soname, needed = "", []
    for tag, value in _dynamic(head, entries):
        if tag == _SONAME:
            soname = _text(names, value)
        elif tag == _NEEDED:
            needed.append(_text(names, value))
    return Linked(soname=soname, needed=tuple(needed))


def is_dynamic(table: Table) -> bool:
    """True for the dynamic section, False for a symbol table."""
    return table.kind == _DYNAMIC


def _dynamic(head: Header, entries: bytes) -> Iterator[tuple[int, int]]:
    shape = head.order + ("qQ" if head.wide else "iI")
    whole = len(entries) - len(entries) % struct.calcsize(shape)
    for count, (tag, value) in enumerate(struct.iter_unpack(shape, entries[:whole])):
        if tag == 0 or count >= _ENTRIES_MOST:
            return
        yield tag, value


def _table(rows: list[tuple[int, ...]], row: tuple[int, ...], size: int, most: int) -> Table:
    what = "dynamic section" if row[1] == _DYNAMIC else "symbol table"
    if row[6] >= len(rows) or rows[row[6]][1] != _STRTAB:
        raise BrokenError(f"{what}: expected names in a string table, found section {row[6]}")
    names = rows[row[6]]
    made = Table(
        kind=row[1],
        entries=Span(at=row[4], size=row[5]),
        names=Span(at=names[4], size=names[5]),
    )
    for span in (made.entries, made.names):
        _inside(span, size, what)
        if span.size > most:
            raise BrokenError(f"{what}: expected at most {most} bytes, found {span.size}")
    return made


def _inside(span: Span, size: int, what: str) -> None:
    if span.at + span.size > size:
        raise BrokenError(f"{what}: reaches to byte {span.at + span.size} of {size}")


def _text(names: bytes, at: int) -> str:
    found = names[at : at + _NAME_MOST].split(b"\0", 1)[0]
    return found.decode("ascii", "backslashreplace")
