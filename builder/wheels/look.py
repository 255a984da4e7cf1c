"""One wheel, file by file: its digests against RECORD, native code, Python sources."""

import ast
import hashlib
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from hardpan.builder.wheels import crypto, elf, md5, reach, record, source
from hardpan.builder.wheels.archive import Box, opened
from hardpan.builder.wheels.model import BrokenError, Finding, Kind, Limits, Severity

_NESTED: dict[bytes, tuple[str, Severity]] = {
    b"PK\3\4": ("an archive", "medium"),
    b"PK\5\6": ("an archive", "medium"),
    b"!<arch>\n": ("a static library", "medium"),
    b"\x1f\x8b": ("compressed", "low"),
    b"BZh": ("compressed", "low"),
    b"\xfd7zXZ\0": ("compressed", "low"),
    b"\x28\xb5\x2f\xfd": ("compressed", "low"),
    b"7z\xbc\xaf\x27\x1c": ("an archive", "low"),
}
"""How a file begins, and what it is then. Python imports from zip archives alone."""

_TAR, _TAR_AT = b"ustar", 257
_ZIP_END, _ZIP_END_MOST = b"PK\5\6", 22 + 0xFFFF
"""Python finds a zip archive by its end: anything may come before it, such as ``#!``."""

_HEAD_BYTES = 512
_SHEBANG = re.compile(rb"#![^\n]*python")
_CODE_IN_PTH = re.compile(rb"^(?:\xef\xbb\xbf)?import[ \t]", re.MULTILINE)


@dataclass(slots=True)
class Look:
    """What one wheel shows, while it is being read."""

    wheel: str
    """Its file name."""

    refused: bool = False
    """True when nothing in it was looked at."""

    natives: int = 0
    """ELF files."""

    sources: int = 0
    """Python sources."""

    findings: list[Finding] = field(default_factory=list)
    """In the order in which they were found."""

    def add(self, kind: Kind, severity: Severity, what: str, where: str = "") -> None:
        """Take down a finding that is told by one sentence."""
        self.findings.append(
            Finding(kind=kind, severity=severity, wheel=self.wheel, what=what, where=where)
        )


@dataclass(slots=True)
class _Contents:
    digests: dict[str, bytes] = field(default_factory=dict)
    carried: dict[str, tuple[crypto.Carried, ...]] = field(default_factory=dict)
    uses: dict[str, tuple[md5.Use, ...]] = field(default_factory=dict)


def look(wheel: str, f: IO[bytes], limits: Limits) -> Look:
    """Everything that the wheel called ``wheel`` shows."""
    seen = Look(wheel=wheel)
    box, problems = opened(f, limits)
    for problem in problems:
        seen.add("unsafe_archive", "high", f"{problem}; not looked into")
    if box is None:
        seen.refused = True
        return seen
    folder, rows = _record(seen, box, limits)
    contents = _Contents()
    for member in box.members:
        try:
            _member(seen, contents, box, member, rows, limits)
        except BrokenError as e:
            seen.add("unsafe_archive", "high", str(e), member.filename)
            contents.digests.setdefault(member.filename, b"")
    if folder:
        for where, what in record.compare(folder, rows, contents.digests):
            seen.add("unsafe_archive", "high", what, where)
    seen.findings += _carried(wheel, contents, {m.filename for m in box.members})
    seen.findings += _uses(wheel, contents, box, limits)
    return seen


def _record(seen: Look, box: Box, limits: Limits) -> tuple[str, dict[str, record.Row]]:
    by_name = {m.filename: m for m in box.members}
    try:
        folder = record.home(seen.wheel, box.members)
        member = by_name.get(f"{folder}/RECORD")
        if member is None:
            raise BrokenError(f"expected {folder}/RECORD, found none")
        if member.file_size > limits.record_bytes:
            raise BrokenError(
                f"RECORD: expected at most {limits.record_bytes} bytes, found {member.file_size}"
            )
        return folder, record.parse(box.whole(member))
    except BrokenError as e:
        seen.add("unsafe_archive", "high", str(e))
        return "", {}


def _member(
    seen: Look,
    contents: _Contents,
    box: Box,
    member: zipfile.ZipInfo,
    rows: dict[str, record.Row],
    limits: Limits,
) -> None:
    name = member.filename
    digest = hashlib.new(record.algorithm(rows, name))
    native: crypto.Stream | None = None
    kept = bytearray()
    head = b""
    last = before = b""
    is_text = name.endswith((".py", ".pyw", ".pth")) or _is_script(name)
    for chunk in box.chunks(member):
        if not head:
            head = chunk[:_HEAD_BYTES]
            if head.startswith(elf.MAGIC):
                native = crypto.Stream(member.file_size)
        digest.update(chunk)
        if native:
            native.feed(chunk)
        elif is_text and member.file_size <= limits.source_bytes:
            kept += chunk
        before, last = last, chunk
    contents.digests[name] = digest.digest()
    if native:
        seen.natives += 1
        told = native.end(
            lambda spans: crypto.pieces(spans, box.chunks(member)), limits.table_bytes
        )
        contents.carried[name] = told.carried
        for problem in told.problems:
            seen.add("not_checked", "medium", problem, name)
    elif _is_source(name, head):
        seen.sources += 1
        _source(seen, contents, name, bytes(kept), member.file_size, limits)
    elif name.endswith(".pth"):
        _path_file(seen, name, bytes(kept), member.file_size, limits)
    elif name.endswith(".pyc"):
        seen.add("not_checked", "medium", "is compiled Python: not read", name)
    nested = _nested(head, before, last)
    if nested:
        what, severity = nested
        seen.add("not_checked", severity, f"is {what}: not looked into", name)


def _is_script(name: str) -> bool:
    """True for what pip puts among the programs; a script of Python may have any name."""
    folder, _, rest = name.partition("/")
    return folder.endswith(".data") and rest.startswith("scripts/")


def _is_source(name: str, head: bytes) -> bool:
    return name.endswith((".py", ".pyw")) or (_is_script(name) and bool(_SHEBANG.match(head)))


def _nested(head: bytes, before: bytes, last: bytes) -> tuple[str, Severity] | None:
    """What else is in a file, by how it begins and ends."""
    for magic, found in _NESTED.items():
        if head.startswith(magic):
            return found
    if head.startswith(_TAR, _TAR_AT):
        return "an archive", "low"
    tail = last if len(last) >= _ZIP_END_MOST else before[-_ZIP_END_MOST:] + last
    end = tail.rfind(_ZIP_END, max(0, len(tail) - _ZIP_END_MOST))
    return ("an archive", "medium") if 0 <= end <= len(tail) - 22 else None


def _path_file(seen: Look, name: str, data: bytes, size: int, limits: Limits) -> None:
    """A ``*.pth`` directly in site-packages: Python runs its lines that begin with import."""
    if "/" in reach.installed_at(name):
        return
    if size > limits.source_bytes:
        seen.add("not_checked", "medium", f"expected at most {limits.source_bytes} bytes", name)
    elif _CODE_IN_PTH.search(data.replace(b"\r", b"\n")):
        seen.add("not_checked", "medium", "is code that every start of Python runs: not read", name)


def _source(
    seen: Look, contents: _Contents, name: str, data: bytes, size: int, limits: Limits
) -> None:
    if size > limits.source_bytes:
        what = f"expected at most {limits.source_bytes} bytes of source, found {size}: not read"
        seen.add("not_checked", "medium", what, name)
        return
    try:
        found = md5.uses(source.parse(data)) if source.may_load_hashlib(data) else ()
    except BrokenError as e:
        seen.add("not_checked", "medium", str(e), name)
    else:
        if found:
            contents.uses[name] = found


def _carried(wheel: str, contents: _Contents, members: set[str]) -> Iterator[Finding]:
    bundled = {m.rpartition("/")[2] for m in members}
    for name, libraries in contents.carried.items():
        for found in libraries:
            asked = [n for n in found.needed if n not in bundled]
            mentioned = found.only_text and bool(asked)
            called = f"{found.library} {found.version}".strip()
            yield Finding(
                kind="bundled_crypto",
                severity="low" if mentioned else "high",
                wheel=wheel,
                where=name,
                what=f"names {called}, and asks the system for {asked[0]}"
                if mentioned
                else f"carries {called}, outside of the system's modules",
                library=found.library,
                version=found.version,
                evidence=found.evidence,
            )


def _uses(wheel: str, contents: _Contents, box: Box, limits: Limits) -> Iterator[Finding]:
    if not contents.uses:
        return
    reached = _reached(contents, box, limits)
    for name, uses in contents.uses.items():
        for use in uses:
            if name in reached:
                severity: Severity = "high"
            else:
                severity = "low" if reach.is_test(name) else "medium"
            if severity == "high" and use.how != "called":
                severity = "medium"
            yield Finding(
                kind="unguarded_md5",
                severity="low" if use.algorithm == "sha1" else severity,
                wheel=wheel,
                where=name,
                line=use.line,
                what=_told(use),
            )


def _told(use: md5.Use) -> str:
    if use.algorithm == "sha1":
        return "sha1 without usedforsecurity=False: still served in FIPS mode, not for signatures"
    if use.how == "called":
        return "md5 without usedforsecurity=False: ValueError in FIPS mode"
    if use.how == "unclear":
        return "md5 with a usedforsecurity that is not a plain False"
    return "md5 is handed on as a function, who knows to whom"


def _reached(contents: _Contents, box: Box, limits: Limits) -> set[str]:
    by_name = {m.filename: m for m in box.members}
    left = limits.closure_bytes

    def read(name: str) -> ast.Module | None:
        nonlocal left
        member = by_name[name]
        left -= member.file_size
        if left < 0 or member.file_size > limits.source_bytes:
            return None
        try:
            return source.parse(box.whole(member))
        except BrokenError:
            return None

    found = reach.reached(reach.modules(by_name), read, set(contents.uses))
    # What there was no room left to learn is taken for the worse.
    return found if left >= 0 else set(contents.uses)
