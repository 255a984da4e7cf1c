"""The files that OpenSCAP's script sends from a target; all of it is hostile."""

import codecs
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from hardpan.core.clock import Deadline
from hardpan.core.compression import CompressedBlob
from hardpan.core.errors import ToolError
from hardpan.core.redaction import SecretFilter, cut_password_hashes
from hardpan.scanners.collect.base import MAX_REASON_CHARS
from hardpan.scanners.openscap.arf.process import LIMITS, ArfLimits, read_arf
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.scanners.openscap.exit_status import find_failure

_FILE_HEADER = re.compile(rb"([a-z0-9.]{1,20}) ([0-9]{1,12})\n")
_MAX_HEADER_BYTES = 64
_CHUNK = 1 << 18
_XML_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
_FORBIDDEN_IN_XML = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters outside of ``Char`` (XML 1.0, production 2) that oscap can write."""


def read_results(
    data: bytes, part_count: int, secrets: SecretFilter, *, limits: ArfLimits = LIMITS
) -> dict[str, tuple[Arf | UnreadableArf, CompressedBlob | None]]:
    """Read the ARFs that the target sent, in order of the parts, with secrets redacted.

    The parts share the time that ``limits`` has for one.
    """
    deadline = Deadline(limits.time_s)
    arf_by_name: dict[str, tuple[Arf | UnreadableArf, CompressedBlob | None]] = {}
    try:
        members = unpack_results(data, part_count)
    except ValueError as e:
        reason = f"the results that oscap's script sent cannot be unpacked: {e}"
        return {f"arf-{n}.xml": (UnreadableArf(reason=reason), None) for n in range(part_count)}
    for n in range(part_count):
        name = f"arf-{n}.xml"
        compressed, plain = members.get(f"arf{n}.xml.gz"), members.get(f"arf{n}.xml")
        if failure := _find_failure(members, n, secrets):
            arf_by_name[name] = (failure, None)
            continue
        if compressed is None and plain is None:
            arf_by_name[name] = (UnreadableArf(reason=f"oscap left no {name}"), None)
            continue
        time_s = max(1.0, deadline.remaining_s / (part_count - n))
        content = _split(plain) if compressed is None else _decompress(compressed, name)
        chunks = cut_password_hashes(replace_invalid_text(secrets.filter_chunks(content)))
        arf_by_name[name] = read_arf(chunks, name=name, limits=replace(limits, time_s=time_s))
    return arf_by_name


def _find_failure(
    members: Mapping[str, memoryview], part: int, secrets: SecretFilter
) -> UnreadableArf | None:
    status_file = members.get(f"rc{part}")
    failure = find_failure(
        None if status_file is None else bytes(status_file[:8]),
        secrets.filter_bytes(bytes(members.get(f"err{part}", memoryview(b""))[-_CHUNK:])),
    )
    if failure is None:
        return None
    return UnreadableArf(
        reason=failure.reason[:MAX_REASON_CHARS], is_due_to_content=failure.is_due_to_content
    )


def unpack_results(data: bytes, part_count: int) -> dict[str, memoryview]:
    """Return name -> content of the files that the script sends.

    For the part ``N`` these are ``rcN``, ``errN`` and ``arfN.xml`` or ``arfN.xml.gz``. Each file
    is a line with name and length, and its bytes; the name of the last line is ``end``.

    Raises:
        ValueError: it is not the output of the script.
    """
    names = ("rc{}", "err{}", "arf{}.xml", "arf{}.xml.gz")
    expected = {name.format(n) for n in range(part_count) for name in names}
    view = memoryview(data)
    content_by_name: dict[str, memoryview] = {}
    offset = 0
    while True:
        match = _FILE_HEADER.match(data, offset, offset + _MAX_HEADER_BYTES)
        if match is None:
            raise ValueError(f"no file header at byte {offset}")
        name, start = match[1].decode("ascii"), match.end()
        end = start + int(match[2])
        if name == "end":
            return content_by_name
        if name not in expected:
            raise ValueError(f"unexpected file {name!a}")
        if name in content_by_name:
            raise ValueError(f"{name} is duplicated")
        if end > len(data):
            raise ValueError(f"{name} is cut short")
        content_by_name[name] = view[start:end]
        offset = end


def replace_invalid_text(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield an ARF with U+FFFD for what XML forbids in text.

    oscap 1.3.7 to 1.4.4 write the output of a script check as it is, so that one escape code or
    Latin-1 letter makes the ARF unreadable. A document that does not begin as oscap's is unchanged.
    """
    iterator = iter(chunks)
    head = b""
    while len(head) < len(_XML_DECLARATION) and (chunk := next(iterator, b"")):
        head += chunk
    if not head.startswith(_XML_DECLARATION):
        yield head
        yield from iterator
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in itertools.chain((head,), iterator):
        yield _FORBIDDEN_IN_XML.sub("\ufffd", decoder.decode(chunk)).encode()
    yield decoder.decode(b"", final=True).encode()


def _decompress(data: memoryview, name: str) -> Iterator[bytes]:
    """Yield the bytes of a gzip file in chunks, so that the consumer can refuse a bomb.

    Raises:
        ToolError: it is damaged or cut short.
    """
    unpacker = zlib.decompressobj(wbits=31)
    offset = 0
    while not unpacker.eof:
        compressed = unpacker.unconsumed_tail
        if not compressed:
            compressed = bytes(data[offset : offset + _CHUNK])
            offset += len(compressed)
        if not compressed:
            raise ToolError([f"the ARF {name}"], "cannot be unpacked: it is cut short")
        try:
            yield unpacker.decompress(compressed, 4 * _CHUNK)
        except zlib.error as e:
            raise ToolError([f"the ARF {name}"], f"cannot be unpacked: {e}") from e


def _split(data: memoryview | None) -> Iterator[bytes]:
    view = data or memoryview(b"")
    yield from (bytes(view[n : n + _CHUNK]) for n in range(0, len(view), _CHUNK))
