"""Inspect one wheel file by file: digests by RECORD, native code, Python sources."""

import ast
import hashlib
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from hardpan.builder.wheel_audit import crypto, elf, import_graph, md5, record, source
from hardpan.builder.wheel_audit.archive import WheelArchive, open_archive
from hardpan.builder.wheel_audit.model import (
    AuditFinding,
    AuditLimits,
    FindingKind,
    MalformedWheelError,
    Severity,
)

_MAGIC_NUMBERS: dict[bytes, tuple[str, Severity]] = {
    b"PK\3\4": ("an archive", "medium"),
    b"PK\5\6": ("an archive", "medium"),
    b"!<arch>\n": ("a static library", "medium"),
    b"\x1f\x8b": ("compressed", "low"),
    b"BZh": ("compressed", "low"),
    b"\xfd7zXZ\0": ("compressed", "low"),
    b"\x28\xb5\x2f\xfd": ("compressed", "low"),
    b"7z\xbc\xaf\x27\x1c": ("an archive", "low"),
}
"""First bytes of nested files -> description and severity. Python imports only from zip."""

_TAR, _TAR_OFFSET = b"ustar", 257
_ZIP_END, _MAX_ZIP_END_BYTES = b"PK\5\6", 22 + 0xFFFF
"""Python finds a zip archive by its end: anything may precede it, such as ``#!``."""

_HEAD_BYTES = 512
_SHEBANG = re.compile(rb"#![^\n]*python")
_CODE_IN_PTH = re.compile(rb"^(?:\xef\xbb\xbf)?import[ \t]", re.MULTILINE)


@dataclass(slots=True)
class WheelInspection:
    """Findings and counts of one wheel while it is read."""

    wheel: str
    """Its file name."""

    is_refused: bool = False
    """True if the archive was refused and nothing in it was read."""

    native_files: int = 0
    """ELF files."""

    python_sources: int = 0
    """Python sources."""

    findings: list[AuditFinding] = field(default_factory=list)
    """In reading order."""

    def add_finding(
        self, kind: FindingKind, severity: Severity, message: str, path: str = ""
    ) -> None:
        """Add a finding with a one-sentence message."""
        self.findings.append(
            AuditFinding(kind=kind, severity=severity, wheel=self.wheel, message=message, path=path)
        )


@dataclass(slots=True)
class _Contents:
    digests: dict[str, bytes] = field(default_factory=dict)
    libraries: dict[str, tuple[crypto.BundledLibrary, ...]] = field(default_factory=dict)
    digest_uses: dict[str, tuple[md5.DigestUse, ...]] = field(default_factory=dict)


def inspect_wheel(wheel: str, f: IO[bytes], limits: AuditLimits) -> WheelInspection:
    """Inspect the wheel with the file name ``wheel``."""
    inspection = WheelInspection(wheel=wheel)
    archive, problems = open_archive(f, limits)
    for problem in problems:
        inspection.add_finding("unsafe_archive", "high", f"{problem}; not inspected")
    if archive is None:
        inspection.is_refused = True
        return inspection
    folder, rows = _read_record(inspection, archive, limits)
    contents = _Contents()
    for member in archive.members:
        try:
            _inspect_member(inspection, contents, archive, member, rows, limits)
        except MalformedWheelError as e:
            inspection.add_finding("unsafe_archive", "high", str(e), member.filename)
            contents.digests.setdefault(member.filename, b"")
    if folder:
        for path, message in record.compare_record(folder, rows, contents.digests):
            inspection.add_finding("unsafe_archive", "high", message, path)
    inspection.findings += _library_findings(wheel, contents, {m.filename for m in archive.members})
    inspection.findings += _md5_findings(wheel, contents, archive, limits)
    return inspection


def _read_record(
    inspection: WheelInspection, archive: WheelArchive, limits: AuditLimits
) -> tuple[str, dict[str, record.RecordEntry]]:
    by_name = {m.filename: m for m in archive.members}
    try:
        folder = record.find_dist_info(inspection.wheel, archive.members)
        member = by_name.get(f"{folder}/RECORD")
        if member is None:
            raise MalformedWheelError(f"expected {folder}/RECORD, got none")
        if member.file_size > limits.max_record_bytes:
            raise MalformedWheelError(
                f"RECORD: expected at most {limits.max_record_bytes} bytes, got {member.file_size}"
            )
        return folder, record.parse_record(archive.read(member))
    except MalformedWheelError as e:
        inspection.add_finding("unsafe_archive", "high", str(e))
        return "", {}


def _inspect_member(
    inspection: WheelInspection,
    contents: _Contents,
    archive: WheelArchive,
    member: zipfile.ZipInfo,
    rows: dict[str, record.RecordEntry],
    limits: AuditLimits,
) -> None:
    name = member.filename
    digest = hashlib.new(record.find_algorithm(rows, name))
    scanner: crypto.CryptoScanner | None = None
    text = bytearray()
    head = b""
    last_chunk = previous_chunk = b""
    is_text = name.endswith((".py", ".pyw", ".pth")) or _is_script(name)
    for chunk in archive.read_chunks(member):
        if not head:
            head = chunk[:_HEAD_BYTES]
            if head.startswith(elf.MAGIC):
                scanner = crypto.CryptoScanner(member.file_size)
        digest.update(chunk)
        if scanner:
            scanner.feed(chunk)
        elif is_text and member.file_size <= limits.max_source_bytes:
            text += chunk
        previous_chunk, last_chunk = last_chunk, chunk
    contents.digests[name] = digest.digest()
    if scanner:
        inspection.native_files += 1
        native_code = scanner.finish(
            lambda spans: crypto.extract_spans(spans, archive.read_chunks(member)),
            limits.max_table_bytes,
        )
        contents.libraries[name] = native_code.libraries
        for problem in native_code.problems:
            inspection.add_finding("not_checked", "medium", problem, name)
    elif _is_source(name, head):
        inspection.python_sources += 1
        _inspect_source(inspection, contents, name, bytes(text), member.file_size, limits)
    elif name.endswith(".pth"):
        _inspect_pth(inspection, name, bytes(text), member.file_size, limits)
    elif name.endswith(".pyc"):
        inspection.add_finding("not_checked", "medium", "is compiled Python: not read", name)
    nested = _detect_nested(head, previous_chunk, last_chunk)
    if nested:
        label, severity = nested
        inspection.add_finding("not_checked", severity, f"is {label}: not inspected", name)


def _is_script(name: str) -> bool:
    """Return whether pip installs the file as a program; a Python script may have any name."""
    folder, _, remainder = name.partition("/")
    return folder.endswith(".data") and remainder.startswith("scripts/")


def _is_source(name: str, head: bytes) -> bool:
    return name.endswith((".py", ".pyw")) or (_is_script(name) and bool(_SHEBANG.match(head)))


def _detect_nested(
    head: bytes, previous_chunk: bytes, last_chunk: bytes
) -> tuple[str, Severity] | None:
    """Detect a nested archive by the first and last bytes of a file."""
    for magic, match in _MAGIC_NUMBERS.items():
        if head.startswith(magic):
            return match
    if head.startswith(_TAR, _TAR_OFFSET):
        return "an archive", "low"
    tail = (
        last_chunk
        if len(last_chunk) >= _MAX_ZIP_END_BYTES
        else previous_chunk[-_MAX_ZIP_END_BYTES:] + last_chunk
    )
    end = tail.rfind(_ZIP_END, max(0, len(tail) - _MAX_ZIP_END_BYTES))
    return ("an archive", "medium") if 0 <= end <= len(tail) - 22 else None


def _inspect_pth(
    inspection: WheelInspection, name: str, data: bytes, size: int, limits: AuditLimits
) -> None:
    """A ``*.pth`` directly in site-packages: Python runs its lines that begin with import."""
    if "/" in import_graph.site_packages_path(name):
        return
    if size > limits.max_source_bytes:
        inspection.add_finding(
            "not_checked", "medium", f"expected at most {limits.max_source_bytes} bytes", name
        )
    elif _CODE_IN_PTH.search(data.replace(b"\r", b"\n")):
        inspection.add_finding(
            "not_checked", "medium", "is code that runs at every start of Python: not read", name
        )


def _inspect_source(
    inspection: WheelInspection,
    contents: _Contents,
    name: str,
    data: bytes,
    size: int,
    limits: AuditLimits,
) -> None:
    if size > limits.max_source_bytes:
        message = (
            f"expected at most {limits.max_source_bytes} bytes of source, got {size}: not read"
        )
        inspection.add_finding("not_checked", "medium", message, name)
        return
    try:
        digest_uses = (
            md5.find_uses(source.parse_source(data)) if source.may_load_hashlib(data) else ()
        )
    except MalformedWheelError as e:
        inspection.add_finding("not_checked", "medium", str(e), name)
    else:
        if digest_uses:
            contents.digest_uses[name] = digest_uses


def _library_findings(wheel: str, contents: _Contents, members: set[str]) -> Iterator[AuditFinding]:
    bundled = {m.rpartition("/")[2] for m in members}
    for name, libraries in contents.libraries.items():
        for library in libraries:
            system_libraries = [n for n in library.needed if n not in bundled]
            is_mention = library.is_text_only and bool(system_libraries)
            label = f"{library.library} {library.version}".strip()
            yield AuditFinding(
                kind="bundled_crypto",
                severity="low" if is_mention else "high",
                wheel=wheel,
                path=name,
                message=f"names {label}, and is linked with the system's {system_libraries[0]}"
                if is_mention
                else f"bundles {label}, outside of the system's FIPS modules",
                library=library.library,
                version=library.version,
                evidence=library.evidence,
            )


def _md5_findings(
    wheel: str, contents: _Contents, archive: WheelArchive, limits: AuditLimits
) -> Iterator[AuditFinding]:
    if not contents.digest_uses:
        return
    reached = _find_reached_members(contents, archive, limits)
    for name, uses in contents.digest_uses.items():
        for use in uses:
            if name in reached:
                severity: Severity = "high"
            else:
                severity = "low" if import_graph.is_test(name) else "medium"
            if severity == "high" and use.form != "called":
                severity = "medium"
            yield AuditFinding(
                kind="unguarded_md5",
                severity="low" if use.algorithm == "sha1" else severity,
                wheel=wheel,
                path=name,
                line=use.line,
                message=_describe_use(use),
            )


def _describe_use(use: md5.DigestUse) -> str:
    if use.algorithm == "sha1":
        return "sha1 without usedforsecurity=False: allowed in FIPS mode, but not for signatures"
    if use.form == "called":
        return "md5 without usedforsecurity=False: ValueError in FIPS mode"
    if use.form == "unclear":
        return "md5 with a usedforsecurity that is not a plain False"
    return "md5 is passed as a function to unknown code"


def _find_reached_members(
    contents: _Contents, archive: WheelArchive, limits: AuditLimits
) -> set[str]:
    by_name = {m.filename: m for m in archive.members}
    remaining_bytes = limits.max_closure_bytes

    def read(name: str) -> ast.Module | None:
        nonlocal remaining_bytes
        member = by_name[name]
        remaining_bytes -= member.file_size
        if remaining_bytes < 0 or member.file_size > limits.max_source_bytes:
            return None
        try:
            return source.parse_source(archive.read(member))
        except MalformedWheelError:
            return None

    reached_members = import_graph.find_reached(
        import_graph.index_modules(by_name), read, set(contents.digest_uses)
    )
    # Files over the limit count as reached.
    return reached_members if remaining_bytes >= 0 else set(contents.digest_uses)
