"""Archives that are not safe to unpack, and wheels that are not what RECORD says."""

import base64
import hashlib
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from hardpan.builder.wheels.audit import audit
from hardpan.builder.wheels.model import Audit, Limits
from tests.unit.wheels.makers import WHEEL, patched, put, record, wheel, zipped

INFO = "demo-1.0.dist-info"
GOOD = wheel({"demo/__init__.py": b"x = 1\n", "demo/data.txt": b"text" * 50})


def look(tmp_path: Path, data: bytes, limits: Limits | None = None, name: str = WHEEL) -> Audit:
    return audit(put(tmp_path / "house", data, name), limits=limits)


def info(name: str, mode: int = 0) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    return made


def named(*names: str) -> bytes:
    return zipped([(n, b"x") for n in names])


def raw(name: bytes) -> bytes:
    """An archive whose one entry is called ``name``, which zipfile itself would not write."""
    return zipped([("N" * len(name), b"x")]).replace(b"N" * len(name), name)


def central(data: bytes, field: int, shape: str, value: int) -> bytes:
    """One number of the first entry in the list of entries, written over."""
    return patched(data, data.index(b"PK\1\2") + field, shape, value)


def with_method(method: int) -> bytes:
    made = info("demo/x")
    made.compress_type = method
    return zipped([(made, b"x" * 50)])


def test_a_sound_wheel_has_no_finding(tmp_path: Path) -> None:
    found = look(tmp_path, GOOD)

    assert found.findings == ()
    (seen,) = found.wheels
    assert (seen.file, seen.refused, seen.sources, seen.natives) == (WHEEL, False, 1, 0)
    assert seen.sha256 == hashlib.sha256(GOOD).hexdigest()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not a zip archive: expected its end record as the last bytes"),
        (b"not a zip" * 99, "not a zip archive: expected its end record as the last bytes"),
        (GOOD[:-1], "not a zip archive: expected its end record as the last bytes"),
        (GOOD + b"x", "not a zip archive: expected its end record as the last bytes"),
        (b"#!/bin/sh\n" + GOOD, "expected the list of entries to end at byte "),
        (
            patched(GOOD, len(GOOD) - 12, "<H", 9999),
            "expected 9999 entries by the end record, found 4",
        ),
        (patched(GOOD, len(GOOD) - 10, "<I", 0), "expected the list of entries to end at byte "),
        (patched(GOOD, len(GOOD) - 6, "<I", 2**32 - 1), "expected the list of entries to end at"),
        (central(GOOD, 0, "<I", 0), "not a zip archive: Bad magic number"),
        (named("../evil"), "'../evil': leads out of the folder"),
        (named("demo/../../evil"), "'demo/../../evil': leads out of the folder"),
        (named("/etc/passwd"), "'/etc/passwd': an absolute name"),
        (raw(b"\\etc\\passwd"), "'\\\\etc\\\\passwd': an absolute name"),
        (named("C:/windows"), "'C:/windows': an absolute name"),
        (raw(b"demo\\evil"), "a backslash or a character that cannot be printed in the name"),
        (raw(b"demo.py\0.txt"), "'demo.py\\x00.txt': a backslash or a character"),
        (named("demo/\x1b[31m"), "a backslash or a character that cannot be printed"),
        (named("demo/\u202egnp.py"), "'demo/\\u202egnp.py': a backslash or a character"),
        (named("demo//x"), "'demo//x': an empty part in the name"),
        (named("./x"), "'./x': an empty part in the name"),
        (named("d" * 1025), "a name of 1025 characters"),
        (named("demo/a", "demo/A"), "'demo/A': there twice, also as 'demo/a'"),
        (named("demo/\u00e9", "demo/e\u0301"), "there twice, also as 'demo/\\xe9'"),
        (named("demo", "demo/x"), "'demo': there as a file and as a folder"),
        (zipped([(info("l", stat.S_IFLNK | 0o777), b"/etc")]), "'l': a link"),
        (zipped([(info("p", stat.S_IFIFO | 0o644), b"")]), "'p': neither a file nor a folder"),
        (central(GOOD, 8, "<H", 1), "'demo/__init__.py': is encrypted"),
        (with_method(zipfile.ZIP_BZIP2), "'demo/x': expected stored or deflated, found 12"),
        (with_method(zipfile.ZIP_LZMA), "'demo/x': expected stored or deflated, found 14"),
        (central(named("a", "b"), 42, "<I", 32), "'b': shares its bytes with 'a'"),
        (central(named("a"), 20, "<I", 10**6), "'a': reaches into the list of entries"),
    ],
)
def test_an_unsafe_archive_is_refused_whole(tmp_path: Path, data: bytes, problem: str) -> None:
    found = look(tmp_path, data)

    assert problem in " | ".join(f.what for f in found.findings)
    assert {(f.kind, f.severity) for f in found.findings} == {("unsafe_archive", "high")}
    assert all(f.what.endswith("not looked into") for f in found.findings)
    assert found.wheels[0].refused
    assert sorted(p.name for p in tmp_path.rglob("*")) == [WHEEL, "house"]


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = named("demo/a", "demo/a")

    (finding,) = look(tmp_path, data).findings
    assert finding.what == "'demo/a': there twice, also as 'demo/a'; not looked into"


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (Limits(members=3), "expected at most 3 entries in 67108864 bytes, found 4 in "),
        (Limits(directory_bytes=99), "expected at most 200000 entries in 99 bytes, found 4 in "),
        (Limits(open_bytes=99), "expected at most 99 bytes unpacked, found "),
        (Limits(calm_bytes=9, ratio=0), "a bomb: "),
    ],
)
def test_what_is_too_large_is_refused(tmp_path: Path, limits: Limits, problem: str) -> None:
    (finding,) = look(tmp_path, GOOD, limits).findings

    assert finding.what.startswith(problem)


def test_a_real_bomb_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    data = wheel({f"demo/{n}.bin": bytes(8 << 20) for n in range(4)})

    (finding,) = look(tmp_path, data, Limits(calm_bytes=1 << 20)).findings
    assert "more than 100 times as many; not looked into" in finding.what


def test_a_claim_of_terabytes_is_refused(tmp_path: Path) -> None:
    (finding,) = look(tmp_path, central(GOOD, 24, "<I", 2**32 - 2)).findings

    assert "a bomb: " in finding.what


def test_an_archive_with_wide_numbers_is_read(tmp_path: Path) -> None:
    at, count = GOOD.index(b"PK\1\2"), 4
    end = len(GOOD) - 22
    wide = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, end - at, at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)

    assert look(tmp_path, GOOD[:end] + wide + locator + GOOD[end:]).findings == ()
    broken = GOOD[:end] + b"xx" + wide[2:] + locator + GOOD[end:]
    (finding,) = look(tmp_path, broken).findings
    assert "expected the zip64 record before its locator" in finding.what


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (central(GOOD, 16, "<I", 1), "does not unpack: Bad CRC-32"),
        (central(GOOD, 24, "<I", 3), "does not unpack: Bad CRC-32"),
        (central(GOOD, 24, "<I", 99), "does not unpack: 93 of 99 bytes are missing"),
        (patched(GOOD, 46, "<H", 0xFFFF), "does not unpack: "),
        (patched(GOOD, 30, "<B", 0x45), "does not unpack: File name in directory"),
    ],
)
def test_a_file_that_does_not_unpack_is_a_finding(
    tmp_path: Path, data: bytes, problem: str
) -> None:
    found = look(tmp_path, data).findings

    assert found[0].where == "demo/__init__.py"
    assert problem in " | ".join(f.what for f in found)
    assert {f.severity for f in found} == {"high"}


def b64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


WIDE = f"demo/x,sha512={b64(hashlib.sha512(b'x').digest())},1\n{INFO}/RECORD,,\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (record({"demo/x": b"y"}), "expected sha256 a1fce4"),
        (record({}), "is not in RECORD"),
        (b"demo/x,,\n", "has no digest in RECORD"),
        (record({"demo/x": b"x", "demo/z": b""}), "RECORD names 'demo/z', which is not in the"),
        (record({"demo/x": b"x"}) * 2, "RECORD:3: 'demo/x' is there twice"),
        (b"demo/x,md5=rL0Y20zC-Fzt72VPzMSk2A,1\n", "RECORD:1: expected one of sha256, sha384,"),
        (b"demo/x,sha256=***,1\n", "RECORD:1: not base64: '***'"),
        (b"demo/x,sha256=AAAA,1\n", "RECORD:1: expected a sha256, found 3 bytes"),
        (b"demo/x,sha256=AAAA\n", "RECORD:1: expected name, digest, size; found 2 fields"),
        (b"\xff\xfe", "RECORD: not a list in UTF-8"),
        (b'"' + b"a" * 200_000, "RECORD: not a list in UTF-8: field larger than"),
    ],
)
def test_a_wheel_that_differs_from_record_is_a_finding(
    tmp_path: Path, text: bytes, problem: str
) -> None:
    found = look(tmp_path, zipped([("demo/x", b"x"), (f"{INFO}/RECORD", text)])).findings

    assert problem in " | ".join(f.what for f in found)
    assert {(f.kind, f.severity) for f in found} == {("unsafe_archive", "high")}


def test_record_may_use_a_wider_digest(tmp_path: Path) -> None:
    data = zipped([("demo/x", b"x"), (f"{INFO}/RECORD", WIDE.encode())])

    assert look(tmp_path, data).findings == ()


@pytest.mark.parametrize(
    ("data", "name", "problem"),
    [
        (named("demo/x"), WHEEL, "expected one folder demo-1.0.dist-info, found none"),
        (named(f"{INFO}/METADATA"), WHEEL, f"expected {INFO}/RECORD, found none"),
        (GOOD, "other-1.0-py3-none-any.whl", "expected one folder other-1.0.dist-info, found"),
        (GOOD, "demo-1.1-py3-none-any.whl", "expected one folder demo-1.1.dist-info, found"),
        (GOOD, "demo.whl", "expected a wheel's name, name-version-python-abi-platform.whl"),
        (GOOD, "demo-1.0-py3-none-\u202eany.whl", "expected a wheel's name, "),
    ],
)
def test_a_wheel_has_its_own_dist_info(
    tmp_path: Path, data: bytes, name: str, problem: str
) -> None:
    found = look(tmp_path, data, name=name).findings

    assert problem in found[0].what
    assert found[0].severity == "high"


def test_a_huge_record_is_not_read(tmp_path: Path) -> None:
    (finding,) = look(tmp_path, GOOD, Limits(record_bytes=10)).findings

    assert finding.what.startswith("RECORD: expected at most 10 bytes, found ")


def test_findings_beyond_a_number_are_counted(tmp_path: Path) -> None:
    data = zipped([*((f"demo/{n}", b"x") for n in range(30)), (f"{INFO}/RECORD", b"")])

    found = look(tmp_path, data, Limits(findings=5)).findings
    assert len(found) == 6
    assert [f.what for f in found].count("and 25 more of this kind") == 1
