import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.content import content_file, datastream
from hardpan.scanners.content.content_file import read_content_file
from hardpan.scanners.content.scap_xml import parse_data_stream
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM

XCCDF_12 = "http://checklists.nist.gov/xccdf/1.2"


def make_zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "expected_name"),
    [
        ("a-ds.xml", MINIMAL_DATASTREAM, "a-ds.xml"),
        ("a-ds.xml.gz", gzip.compress(MINIMAL_DATASTREAM, mtime=0), "a-ds.xml"),
        ("a-ds.xml.bz2", bz2.compress(MINIMAL_DATASTREAM), "a-ds.xml"),
        ("a-ds.xml.xz", lzma.compress(MINIMAL_DATASTREAM) + bytes(8), "a-ds.xml"),
        ("content", gzip.compress(MINIMAL_DATASTREAM, mtime=0), "content"),
        (
            "a-ds.xml.gz",
            gzip.compress(MINIMAL_DATASTREAM[:99], mtime=0)
            + gzip.compress(MINIMAL_DATASTREAM[99:], mtime=0),
            "a-ds.xml",
        ),
        (
            "guide.zip",
            make_zip({"x/a-ds.xml": MINIMAL_DATASTREAM, "x/a-xccdf.xml": b"<a/>"}),
            "a-ds.xml",
        ),
        (
            "U_STIG.zip",
            make_zip({"U_Benchmark.xml": MINIMAL_DATASTREAM, "U_Overview.xml": b"<a/>"}),
            "U_Benchmark.xml",
        ),
    ],
)
def test_compressed_content_is_read(
    tmp_path: Path, name: str, data: bytes, expected_name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)

    assert read_content_file(path) == (expected_name, MINIMAL_DATASTREAM)
    assert datastream.from_file(path).sha256 == datastream.sha256_bytes(MINIMAL_DATASTREAM)


@pytest.mark.parametrize("member", ["x/b-ds.xml", "b-ds.xml"])
def test_member_of_a_zip_is_named_after_a_colon(tmp_path: Path, member: str) -> None:
    data = make_zip({"x/a-ds.xml": b"<a/>", "x/b-ds.xml": MINIMAL_DATASTREAM})
    (tmp_path / "all.zip").write_bytes(data)

    assert read_content_file(tmp_path / f"all.zip:{member}") == ("b-ds.xml", MINIMAL_DATASTREAM)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        (
            "a.gz",
            gzip.compress(MINIMAL_DATASTREAM, mtime=0)[:-20],
            "damaged: the compressed data ends",
        ),
        ("a.bz2", b"BZh9" + bytes(50), "damaged: cannot be decompressed"),
        ("a.xz", lzma.compress(b"x")[:-1] + b"?", "damaged: cannot be decompressed"),
        ("a.gz", gzip.compress(b"x", mtime=0) + b"more", "damaged: cannot be decompressed"),
        ("a.gz", gzip.compress(b"", mtime=0) * 300, "at most 256 compressed streams"),
        ("a.zip", b"PK\x03\x04" + bytes(50), "damaged: the ZIP archive has no end"),
        ("a.zip", make_zip({})[:10] + b"\xff\xff\xff\xff" + bytes(8), "at most 4096 members"),
        ("a.zip", make_zip({"a.txt": b"a"}).replace(b"a.txt", b"\0.txt"), "cannot be unpacked"),
        ("a.zip", make_zip({"a.txt": b"a"}), "expected one data stream, got 0"),
        ("a.zip", make_zip({"a-ds.xml": b"", "b-ds.xml": b""}), "expected one data stream, got 2"),
    ],
)
def test_damaged_or_ambiguous_file_is_refused(
    tmp_path: Path, name: str, data: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(InputError, match=problem):
        read_content_file(tmp_path / name)


def test_ambiguous_archive_error_lists_the_members(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(make_zip({"x/a-ds.xml": b"", "x/b-ds.xml": b""}))

    with pytest.raises(InputError) as caught:
        read_content_file(tmp_path / "a.zip")
    assert caught.value.hint == "name one as a.zip:MEMBER; the archive has x/a-ds.xml, x/b-ds.xml"
    with pytest.raises(InputError, match="expected the member 'c', got 0"):
        read_content_file(tmp_path / "a.zip:c")


def test_member_of_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"<a/>")

    with pytest.raises(InputError, match="expected a ZIP archive with b"):
        read_content_file(tmp_path / "a.zip:b")


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, lambda data: make_zip({"a-ds.xml": data})],
)
def test_decompression_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: object
) -> None:
    assert callable(pack)
    monkeypatch.setattr(content_file, "MAX_DATA_STREAM_BYTES", 1 << 20)
    monkeypatch.setattr(content_file, "_CHUNK_BYTES", 1 << 16)
    (tmp_path / "bomb").write_bytes(pack(bytes((1 << 20) + 1)))

    with pytest.raises(InputError, match="MiB after decompression, got more"):
        read_content_file(tmp_path / "bomb")


@pytest.mark.parametrize(
    ("data", "description", "hint"),
    [
        (f'<Benchmark xmlns="{XCCDF_12}"/>', "an XCCDF 1.2 benchmark without", "sds-compose"),
        (
            '<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.1"/>',
            "an XCCDF 1.1 benchmark",
            "manual STIGs have no checks",
        ),
        (f'<Tailoring xmlns="{XCCDF_12}"/>', "an XCCDF tailoring", "--tailoring"),
        (
            '<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5"/>',
            "OVAL definitions",
            "sds-compose",
        ),
        ("<a/>", "<a>", "-ds.xml"),
    ],
)
def test_other_scap_file_is_refused_with_the_next_step(
    data: str, description: str, hint: str
) -> None:
    with pytest.raises(InputError, match=f"expected a source data stream, got {description}") as e:
        parse_data_stream(data.encode(), "x.xml")
    assert hint in e.value.hint
