"""Archives that are not safe to unpack, and wheels that are not what RECORD says."""

import base64
import hashlib
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from hardpan.builder.wheel_audit.audit import audit_wheels
from hardpan.builder.wheel_audit.model import AuditLimits, WheelAudit
from tests.unit.wheel_audit.factories import (
    WHEEL,
    make_record,
    make_wheel,
    make_zip,
    patch_number,
    write_wheel,
)

INFO = "demo-1.0.dist-info"
GOOD = make_wheel({"demo/__init__.py": b"x = 1\n", "demo/data.txt": b"text" * 50})


def audit_bytes(
    tmp_path: Path, data: bytes, limits: AuditLimits | None = None, name: str = WHEEL
) -> WheelAudit:
    return audit_wheels(write_wheel(tmp_path / "wheelhouse", data, name), limits=limits)


def make_entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def zip_with_names(*names: str) -> bytes:
    return make_zip([(n, b"x") for n in names])


def zip_with_raw_name(name: bytes) -> bytes:
    """An archive whose one entry is called ``name``, which zipfile itself would not write."""
    return make_zip([("N" * len(name), b"x")]).replace(b"N" * len(name), name)


def patch_directory(data: bytes, field: int, shape: str, value: int) -> bytes:
    """One number of the first entry in the list of entries, written over."""
    return patch_number(data, data.index(b"PK\1\2") + field, shape, value)


def zip_with_method(method: int) -> bytes:
    entry = make_entry("demo/x")
    entry.compress_type = method
    return make_zip([(entry, b"x" * 50)])


def test_valid_wheel_has_no_finding(tmp_path: Path) -> None:
    result = audit_bytes(tmp_path, GOOD)

    assert result.findings == ()
    (audited,) = result.wheels
    assert (audited.file, audited.refused, audited.python_sources, audited.native_files) == (
        WHEEL,
        False,
        1,
        0,
    )
    assert audited.sha256 == hashlib.sha256(GOOD).hexdigest()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not a zip archive: expected its end record as the last bytes"),
        (b"not a zip" * 99, "not a zip archive: expected its end record as the last bytes"),
        (GOOD[:-1], "not a zip archive: expected its end record as the last bytes"),
        (GOOD + b"x", "not a zip archive: expected its end record as the last bytes"),
        (b"#!/bin/sh\n" + GOOD, "expected the list of entries to end at byte "),
        (
            patch_number(GOOD, len(GOOD) - 12, "<H", 9999),
            "expected 9999 entries by the end record, got 4",
        ),
        (
            patch_number(GOOD, len(GOOD) - 10, "<I", 0),
            "expected the list of entries to end at byte ",
        ),
        (
            patch_number(GOOD, len(GOOD) - 6, "<I", 2**32 - 1),
            "expected the list of entries to end at",
        ),
        (patch_directory(GOOD, 0, "<I", 0), "not a zip archive: Bad magic number"),
        (zip_with_names("../evil"), "'../evil': outside of the folder"),
        (zip_with_names("demo/../../evil"), "'demo/../../evil': outside of the folder"),
        (zip_with_names("/etc/passwd"), "'/etc/passwd': an absolute name"),
        (zip_with_raw_name(b"\\etc\\passwd"), "'\\\\etc\\\\passwd': an absolute name"),
        (zip_with_names("C:/windows"), "'C:/windows': an absolute name"),
        (
            zip_with_raw_name(b"demo\\evil"),
            "a backslash or a character that cannot be printed in the name",
        ),
        (zip_with_raw_name(b"demo.py\0.txt"), "'demo.py\\x00.txt': a backslash or a character"),
        (zip_with_names("demo/\x1b[31m"), "a backslash or a character that cannot be printed"),
        (zip_with_names("demo/\u202egnp.py"), "'demo/\\u202egnp.py': a backslash or a character"),
        (zip_with_names("demo//x"), "'demo//x': an empty part in the name"),
        (zip_with_names("./x"), "'./x': an empty part in the name"),
        (zip_with_names("d" * 1025), "a name of 1025 characters"),
        (zip_with_names("demo/a", "demo/A"), "'demo/A': duplicate of 'demo/a'"),
        (zip_with_names("demo/\u00e9", "demo/e\u0301"), "duplicate of 'demo/\\xe9'"),
        (zip_with_names("demo", "demo/x"), "'demo': both a file and a folder"),
        (make_zip([(make_entry("l", stat.S_IFLNK | 0o777), b"/etc")]), "'l': a link"),
        (
            make_zip([(make_entry("p", stat.S_IFIFO | 0o644), b"")]),
            "'p': neither a file nor a folder",
        ),
        (patch_directory(GOOD, 8, "<H", 1), "'demo/__init__.py': is encrypted"),
        (zip_with_method(zipfile.ZIP_BZIP2), "'demo/x': expected stored or deflated, got 12"),
        (zip_with_method(zipfile.ZIP_LZMA), "'demo/x': expected stored or deflated, got 14"),
        (patch_directory(zip_with_names("a", "b"), 42, "<I", 32), "'b': shares its bytes with 'a'"),
        (
            patch_directory(zip_with_names("a"), 20, "<I", 10**6),
            "'a': reaches into the list of entries",
        ),
    ],
)
def test_unsafe_archive_is_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    result = audit_bytes(tmp_path, data)

    assert problem in " | ".join(f.message for f in result.findings)
    assert {(f.kind, f.severity) for f in result.findings} == {("unsafe_archive", "high")}
    assert all(f.message.endswith("not inspected") for f in result.findings)
    assert result.wheels[0].refused
    assert sorted(p.name for p in tmp_path.rglob("*")) == [WHEEL, "wheelhouse"]


def test_duplicate_name_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zip_with_names("demo/a", "demo/a")

    (finding,) = audit_bytes(tmp_path, data).findings
    assert finding.message == "'demo/a': duplicate of 'demo/a'; not inspected"


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (AuditLimits(max_members=3), "expected at most 3 entries in 67108864 bytes, got 4 in "),
        (
            AuditLimits(max_directory_bytes=99),
            "expected at most 200000 entries in 99 bytes, got 4 in ",
        ),
        (AuditLimits(max_unpacked_bytes=99), "expected at most 99 bytes unpacked, got "),
        (AuditLimits(min_ratio_bytes=9, max_ratio=0), "a zip bomb: "),
    ],
)
def test_archive_over_limit_is_refused(tmp_path: Path, limits: AuditLimits, problem: str) -> None:
    (finding,) = audit_bytes(tmp_path, GOOD, limits).findings

    assert finding.message.startswith(problem)


def test_zip_bomb_is_refused_before_unpacking(tmp_path: Path) -> None:
    data = make_wheel({f"demo/{n}.bin": bytes(8 << 20) for n in range(4)})

    (finding,) = audit_bytes(tmp_path, data, AuditLimits(min_ratio_bytes=1 << 20)).findings
    assert "more than 100 times as many; not inspected" in finding.message


def test_huge_declared_size_is_refused(tmp_path: Path) -> None:
    (finding,) = audit_bytes(tmp_path, patch_directory(GOOD, 24, "<I", 2**32 - 2)).findings

    assert "a zip bomb: " in finding.message


def test_zip64_archive_is_read(tmp_path: Path) -> None:
    directory_offset, count = GOOD.index(b"PK\1\2"), 4
    end = len(GOOD) - 22
    wide = struct.pack(
        "<4sQHHIIQQQQ",
        b"PK\6\6",
        44,
        45,
        45,
        0,
        0,
        count,
        count,
        end - directory_offset,
        directory_offset,
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)

    assert audit_bytes(tmp_path, GOOD[:end] + wide + locator + GOOD[end:]).findings == ()
    broken = GOOD[:end] + b"xx" + wide[2:] + locator + GOOD[end:]
    (finding,) = audit_bytes(tmp_path, broken).findings
    assert "expected the zip64 record before its locator" in finding.message


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (patch_directory(GOOD, 16, "<I", 1), "does not unpack: Bad CRC-32"),
        (patch_directory(GOOD, 24, "<I", 3), "does not unpack: Bad CRC-32"),
        (patch_directory(GOOD, 24, "<I", 99), "does not unpack: 93 of 99 bytes are missing"),
        (patch_number(GOOD, 46, "<H", 0xFFFF), "does not unpack: "),
        (patch_number(GOOD, 30, "<B", 0x45), "does not unpack: File name in directory"),
    ],
)
def test_member_that_does_not_unpack_is_a_finding(
    tmp_path: Path, data: bytes, problem: str
) -> None:
    findings = audit_bytes(tmp_path, data).findings

    assert findings[0].path == "demo/__init__.py"
    assert problem in " | ".join(f.message for f in findings)
    assert {f.severity for f in findings} == {"high"}


def encode_digest(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


WIDE = f"demo/x,sha512={encode_digest(hashlib.sha512(b'x').digest())},1\n{INFO}/RECORD,,\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (make_record({"demo/x": b"y"}), "expected sha256 a1fce4"),
        (make_record({}), "is not in RECORD"),
        (b"demo/x,,\n", "has no digest in RECORD"),
        (
            make_record({"demo/x": b"x", "demo/z": b""}),
            "RECORD names 'demo/z', which is not in the",
        ),
        (make_record({"demo/x": b"x"}) * 2, "RECORD:3: 'demo/x' is there twice"),
        (b"demo/x,md5=rL0Y20zC-Fzt72VPzMSk2A,1\n", "RECORD:1: expected one of sha256, sha384,"),
        (b"demo/x,sha256=***,1\n", "RECORD:1: not base64: '***'"),
        (b"demo/x,sha256=AAAA,1\n", "RECORD:1: expected a sha256, got 3 bytes"),
        (b"demo/x,sha256=AAAA\n", "RECORD:1: expected name, digest, size; got 2 fields"),
        (b"\xff\xfe", "RECORD: not a list in UTF-8"),
        (b'"' + b"a" * 200_000, "RECORD: not a list in UTF-8: field larger than"),
    ],
)
def test_difference_from_record_is_a_finding(tmp_path: Path, text: bytes, problem: str) -> None:
    findings = audit_bytes(
        tmp_path, make_zip([("demo/x", b"x"), (f"{INFO}/RECORD", text)])
    ).findings

    assert problem in " | ".join(f.message for f in findings)
    assert {(f.kind, f.severity) for f in findings} == {("unsafe_archive", "high")}


def test_record_may_use_sha512(tmp_path: Path) -> None:
    data = make_zip([("demo/x", b"x"), (f"{INFO}/RECORD", WIDE.encode())])

    assert audit_bytes(tmp_path, data).findings == ()


@pytest.mark.parametrize(
    ("data", "name", "problem"),
    [
        (zip_with_names("demo/x"), WHEEL, "expected one folder demo-1.0.dist-info, got none"),
        (zip_with_names(f"{INFO}/METADATA"), WHEEL, f"expected {INFO}/RECORD, got none"),
        (GOOD, "other-1.0-py3-none-any.whl", "expected one folder other-1.0.dist-info, got"),
        (GOOD, "demo-1.1-py3-none-any.whl", "expected one folder demo-1.1.dist-info, got"),
        (GOOD, "demo.whl", "expected a wheel's name, name-version-python-abi-platform.whl"),
        (GOOD, "demo-1.0-py3-none-\u202eany.whl", "expected a wheel's name, "),
    ],
)
def test_wheel_requires_matching_dist_info(
    tmp_path: Path, data: bytes, name: str, problem: str
) -> None:
    findings = audit_bytes(tmp_path, data, name=name).findings

    assert problem in findings[0].message
    assert findings[0].severity == "high"


def test_oversized_record_is_not_read(tmp_path: Path) -> None:
    (finding,) = audit_bytes(tmp_path, GOOD, AuditLimits(max_record_bytes=10)).findings

    assert finding.message.startswith("RECORD: expected at most 10 bytes, got ")


def test_findings_over_limit_are_counted(tmp_path: Path) -> None:
    data = make_zip([*((f"demo/{n}", b"x") for n in range(30)), (f"{INFO}/RECORD", b"")])

    findings = audit_bytes(tmp_path, data, AuditLimits(max_findings_per_kind=5)).findings
    assert len(findings) == 6
    assert [f.message for f in findings].count("and 25 more of this kind") == 1
