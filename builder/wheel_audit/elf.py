"""Parse the parts of an ELF file that identify bundled code (System V gABI, chapters 4 and 5).

Every number in the file is untrusted: a table outside of the file or over a limit is not read, and
the reason is reported.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hardpan.builder.wheel_audit.model import MalformedWheelError

MAGIC = b"\x7fELF"
HEADER_BYTES = 64
_MAX_SECTIONS = 65_279
_MAX_TABLES = 4
_MAX_DYNAMIC_ENTRIES = 4096
_MAX_NAME_BYTES = 255
_SYMTAB, _STRTAB, _DYNAMIC, _DYNSYM = 2, 3, 6, 11
_NEEDED, _SONAME = 1, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of bytes in the file."""

    offset: int
    """Offset of the first byte."""

    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfHeader:
    """Fields of the ELF header."""

    is_64_bit: bool
    """True for ELFCLASS64."""

    byte_order: str
    """``struct``'s letter for the byte order."""

    sections: Span | None
    """The table of sections, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfTable:
    """A symbol table or the dynamic section, with the names it uses."""

    kind: int
    """Its section type."""

    entries: Span
    """The table."""

    names: Span
    """The string table that it is linked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicInfo:
    """SONAME and NEEDED entries of the dynamic section."""

    soname: str = ""
    """DT_SONAME."""

    needed: tuple[str, ...] = ()
    """DT_NEEDED: libraries that the loader has to find."""


def parse_header(data: bytes, size: int) -> ElfHeader:
    """Parse the header of a file of ``size`` bytes.

    Raises:
        BrokenError: it is cut off, or its numbers cannot be.
    """
    is_64_bit = data[4:5] == b"\x02"
    if data[4:5] not in (b"\x01", b"\x02") or data[5:6] not in (b"\x01", b"\x02"):
        raise MalformedWheelError("ELF header: expected a class and a byte order")
    byte_order = "<" if data[5:6] == b"\x01" else ">"
    layout, length = ("16xHHIQQQIHHHHHH", 64) if is_64_bit else ("16xHHIIIIIHHHHHH", 52)
    if len(data) < length:
        raise MalformedWheelError(f"ELF header: expected {length} bytes, got {len(data)}")
    fields = struct.unpack(byte_order + layout, data[:length])
    offset, entry_size, count = fields[5], fields[10], fields[11]
    if offset == 0:
        return ElfHeader(is_64_bit=is_64_bit, byte_order=byte_order, sections=None)
    if entry_size != (64 if is_64_bit else 40) or not 0 < count <= _MAX_SECTIONS:
        raise MalformedWheelError(f"ELF header: impossible: {count} sections of {entry_size} bytes")
    span = Span(offset=offset, size=entry_size * count)
    _require_inside(span, size, "table of sections")
    return ElfHeader(is_64_bit=is_64_bit, byte_order=byte_order, sections=span)


def find_tables(
    head: ElfHeader, sections: bytes, size: int, max_bytes: int
) -> tuple[list[ElfTable], list[str]]:
    """Return the symbol tables and the dynamic section, and why others are not read."""
    layout = head.byte_order + ("IIQQQQIIQQ" if head.is_64_bit else "IIIIIIIIII")
    rows = list(struct.iter_unpack(layout, sections))
    parsed_tables, problems = [], []
    for row in rows:
        if row[1] not in (_SYMTAB, _DYNSYM, _DYNAMIC):
            continue
        try:
            parsed_tables.append(_parse_table(rows, row, size, max_bytes))
        except MalformedWheelError as e:
            problems.append(str(e))
    if len(parsed_tables) > _MAX_TABLES:
        problems.append(f"{len(parsed_tables)} symbol tables: the first {_MAX_TABLES} were read")
    return parsed_tables[:_MAX_TABLES], problems[:_MAX_TABLES]


def find_defined(head: ElfHeader, entries: bytes, name_offsets: set[int]) -> set[int]:
    """Return the ``name_offsets`` that belong to symbols defined in this file."""
    layout = head.byte_order + ("IBBHQQ" if head.is_64_bit else "IIIBBH")
    section_field = 3 if head.is_64_bit else 5
    complete_bytes = len(entries) - len(entries) % struct.calcsize(layout)
    rows = struct.iter_unpack(layout, entries[:complete_bytes])
    return {row[0] for row in rows if row[0] in name_offsets and row[section_field]}


def parse_dynamic(head: ElfHeader, entries: bytes, names: bytes) -> DynamicInfo:
    """Parse SONAME and NEEDED of the dynamic section."""
    soname, needed = "", []
    for tag, value in _iterate_dynamic(head, entries):
        if tag == _SONAME:
            soname = _read_name(names, value)
        elif tag == _NEEDED:
            needed.append(_read_name(names, value))
    return DynamicInfo(soname=soname, needed=tuple(needed))


def is_dynamic(table: ElfTable) -> bool:
    """True for the dynamic section, False for a symbol table."""
    return table.kind == _DYNAMIC


def _iterate_dynamic(head: ElfHeader, entries: bytes) -> Iterator[tuple[int, int]]:
    layout = head.byte_order + ("qQ" if head.is_64_bit else "iI")
    complete_bytes = len(entries) - len(entries) % struct.calcsize(layout)
    for count, (tag, value) in enumerate(struct.iter_unpack(layout, entries[:complete_bytes])):
        if tag == 0 or count >= _MAX_DYNAMIC_ENTRIES:
            return
        yield tag, value


def _parse_table(
    rows: list[tuple[int, ...]], row: tuple[int, ...], size: int, max_bytes: int
) -> ElfTable:
    label = "dynamic section" if row[1] == _DYNAMIC else "symbol table"
    if row[6] >= len(rows) or rows[row[6]][1] != _STRTAB:
        raise MalformedWheelError(
            f"{label}: expected names in a string table, got section {row[6]}"
        )
    names = rows[row[6]]
    table = ElfTable(
        kind=row[1],
        entries=Span(offset=row[4], size=row[5]),
        names=Span(offset=names[4], size=names[5]),
    )
    for span in (table.entries, table.names):
        _require_inside(span, size, label)
        if span.size > max_bytes:
            raise MalformedWheelError(
                f"{label}: expected at most {max_bytes} bytes, got {span.size}"
            )
    return table


def _require_inside(span: Span, size: int, label: str) -> None:
    if span.offset + span.size > size:
        raise MalformedWheelError(f"{label}: reaches to byte {span.offset + span.size} of {size}")


def _read_name(names: bytes, offset: int) -> str:
    name = names[offset : offset + _MAX_NAME_BYTES].split(b"\0", 1)[0]
    return name.decode("ascii", "backslashreplace")
