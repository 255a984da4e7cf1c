"""One wheel, file by file: its digests against RECORD, native code, Python sources."""

import ast
import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from hardpan.builder.wheels import crypto, elf, md5, reach, record, source
from hardpan.builder.wheels.archive import Box, opened
from hardpan.builder.wheels.model import BrokenError, Finding, Kind, Limits, Severity

_NESTED = {b"PK\3\4": "an archive", b"!<arch>\n": "a static library"}
_FOUND_BY = (b"md5", b"sha1", b"MD5", b"SHA1")


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
    first = b""
    is_source = name.endswith(".py")
    for chunk in box.chunks(member):
        if not first:
            first = chunk[:8]
            if first.startswith(elf.MAGIC):
                native = crypto.Stream(member.file_size)
        digest.update(chunk)
        if native:
            native.feed(chunk)
        elif is_source and member.file_size <= limits.source_bytes:
            kept += chunk
    contents.digests[name] = digest.digest()
    if native:
        seen.natives += 1
        told = native.end(
            lambda spans: crypto.pieces(spans, box.chunks(member)), limits.table_bytes
        )
        contents.carried[name] = told.carried
        for problem in told.problems:
            seen.add("not_checked", "medium", problem, name)
    elif is_source:
        seen.sources += 1
        _source(seen, contents, name, bytes(kept), member.file_size, limits)
    for magic, what in _NESTED.items():
        if first.startswith(magic):
            seen.add("not_checked", "medium", f"is {what}: not looked into", name)


def _source(
    seen: Look, contents: _Contents, name: str, data: bytes, size: int, limits: Limits
) -> None:
    if size > limits.source_bytes:
        what = f"expected at most {limits.source_bytes} bytes of source, found {size}: not read"
        seen.add("not_checked", "medium", what, name)
    # Encodings that are read write these names as they are here.
    elif any(word in data for word in _FOUND_BY):
        try:
            found = md5.uses(source.parse(data))
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
