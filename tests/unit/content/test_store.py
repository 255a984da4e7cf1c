"""Folders of content: the shipped one is whole, and a damaged one is refused."""

import json
import lzma
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import HardpanError, InputError, TrustError
from hardpan.core.files import sha256_bytes
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content import benchmark, datastream, store
from hardpan.scanners.content.catalog import list_benchmarks
from hardpan.scanners.content.products import debian_package
from hardpan.scanners.content.scap_xml import parse_data_stream
from hardpan.scanners.content.selection import choose_profile
from hardpan.scanners.model.scan import ContentOrigin
from tests.unit.content import content_folders

SHIPPED = {
    "debian11": "standard",
    "debian12": "cis_level1_server",
    "debian13": "cis_level1_server",
    "fedora": "cis_server_l1",
    "ol8": "stig",
    "ol9": "stig",
    "ol10": "stig",
    "rhel8": "stig",
    "rhel9": "stig",
    "rhel10": "stig",
    "sle15": "stig",
    "sle16": "base",
    "ubuntu2204": "stig",
    "ubuntu2404": "stig",
}
"""Shipped product -> short name of its default profile."""


def test_shipped_products_are_those_of_common_hosts() -> None:
    assert datastream.list_products(ContentOrigin.SHIPPED) == tuple(SHIPPED)


@pytest.mark.parametrize("product", SHIPPED)
def test_shipped_manifest_describes_the_shipped_files(product: store.Product) -> None:
    record = datastream.find_record(ContentOrigin.SHIPPED, product)
    assert record is not None

    data = store.read_stream(store.shipped_folder(), product, record)

    assert (len(data), sha256_bytes(data)) == (record.size, record.sha256)
    assert record.package.version.split("-")[0] == record.version
    assert record.package.name == debian_package(product)
    profile, _ = choose_profile(record.benchmarks[0], None, product)
    assert shorten_id(profile.profile_id) == SHIPPED[product]


@pytest.mark.parametrize("product", ["rhel9", "debian12", "ol10"])
def test_shipped_manifest_has_the_profiles_of_the_files(product: store.Product) -> None:
    source = datastream.find(product, ContentOrigin.SHIPPED)
    root = parse_data_stream(source.data, source.name)

    assert list_benchmarks(root, source.name) == datastream.describe_benchmarks(source)
    assert benchmark.read_version_and_date(root, product) == (source.version, source.date)


def test_error_in_a_profile_names_the_file() -> None:
    source = datastream.find("debian12", ContentOrigin.SHIPPED)
    data = source.data.replace(b"<xccdf-1.2:select ", b'<xccdf-1.2:refine-rule weight="1,5" ', 1)
    assert data != source.data

    with pytest.raises(InputError, match=r"^my-ds\.xml: weight of refine-rule .*got '1,5'"):
        list_benchmarks(parse_data_stream(data, "my-ds.xml"), "my-ds.xml")


def test_shipped_folder_has_licence_and_no_other_files() -> None:
    folder = store.shipped_folder()

    packages = ("ssg-debderived", "ssg-debian", "ssg-nondebian")
    assert {p.name for p in folder.iterdir()} == {
        "manifest.json",
        *(f"ssg-{product}-ds.xml.xz" for product in SHIPPED),
        *(store.notice_name(package) for package in packages),
    }
    for package in packages:
        notice = (folder / store.notice_name(package)).read_text("utf-8")
        assert "Red Hat, Inc." in notice
        assert "License: BSD-3-clause" in notice
    assert sum(p.stat().st_size for p in folder.iterdir()) < 10 << 20


def test_written_content_is_readable_and_reproducible(tmp_path: Path) -> None:
    first_folder, second_folder = (
        content_folders.write_content_folder(tmp_path / "one", "0.1.90"),
        content_folders.write_content_folder(tmp_path / "two", "0.1.90"),
    )
    manifest = store.read_manifest(first_folder)
    assert manifest is not None

    data = store.read_stream(first_folder, "rhel9", manifest.streams["rhel9"])

    assert data == content_folders.make_stream("0.1.90")
    for path in first_folder.iterdir():
        assert path.read_bytes() == (second_folder / path.name).read_bytes()


def test_folder_without_manifest_is_not_an_error(tmp_path: Path) -> None:
    assert store.read_manifest(tmp_path / "none") is None


def _manifest_with(**changes: object) -> bytes:
    manifest = store.read_manifest(store.shipped_folder())
    assert manifest is not None
    return json.dumps(manifest.model_dump(mode="json") | changes).encode()


def _manifest_with_stream(**changes: object) -> bytes:
    record = {"version": "0.1.82", "date": "2026-09-07", "size": 3, "sha256": "0" * 64}
    return _manifest_with(streams={"rhel9": record | changes})


INVALID_MANIFESTS = [
    (b"", "(top): Invalid JSON"),
    (b"[]", "(top): "),
    (b"{}", "schema_version: Field required"),
    (_manifest_with(schema_version=2), "schema_version: Input should be 1"),
    (_manifest_with(licence="GPL"), "licence: Input should be 'BSD-3-Clause'"),
    (_manifest_with(more=1), "more: Extra inputs are not permitted"),
    (_manifest_with(streams={}), "streams: "),
    (_manifest_with(streams={"../x": {}}), "streams.../x"),
    (_manifest_with_stream(sha256="0"), "streams.rhel9.sha256: "),
    (_manifest_with_stream(size=0), "streams.rhel9.size: "),
    (_manifest_with_stream(size=1 << 40), "streams.rhel9.size: "),
    (_manifest_with_stream(version="0.1.x"), "streams.rhel9.version: "),
    (_manifest_with_stream(date="soon"), "streams.rhel9.date: "),
]


@pytest.mark.parametrize(("data", "problem"), INVALID_MANIFESTS)
def test_invalid_manifest_reports_location(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / store.MANIFEST
    path.write_bytes(data)

    with pytest.raises(InputError) as caught:
        store.read_manifest(tmp_path)

    assert f"{path}: not a manifest of SCAP content: {problem}" in str(caught.value)


def test_long_manifest_is_not_read(tmp_path: Path) -> None:
    (tmp_path / store.MANIFEST).write_bytes(b" " * (513 << 10))

    with pytest.raises(InputError, match="longer than 512 KiB"):
        store.read_manifest(tmp_path)


def _compress(data: bytes) -> bytes:
    return lzma.compress(data)


def _compress_with_large_dictionary() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 128 << 20}]
    return lzma.compress(content_folders.make_stream("0.1.90"), filters=filters)


def _flip_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


VALID_STREAM = content_folders.make_stream("0.1.90")
DAMAGED = [
    ("empty", b"", TrustError, "damaged: expected "),
    ("no XZ", b"<xml/>" * 9, TrustError, "damaged: expected XZ data"),
    ("cut short", _compress(VALID_STREAM)[:-20], TrustError, "damaged: expected "),
    ("a flipped bit", _flip_bit(_compress(VALID_STREAM)), TrustError, "damaged: expected XZ data"),
    ("more behind it", _compress(VALID_STREAM) + b"more", TrustError, "damaged: expected "),
    ("a longer one", _compress(VALID_STREAM + b" "), TrustError, "damaged: expected "),
    ("a shorter one", _compress(VALID_STREAM[:-1]), TrustError, "damaged: expected "),
    ("another one", _compress(VALID_STREAM[:-1] + b" "), TrustError, "expected sha256 "),
    (
        "a huge dictionary",
        _compress_with_large_dictionary(),
        TrustError,
        "damaged: expected XZ data, got: Memory usage",
    ),
]


@pytest.mark.parametrize(
    ("data", "error", "problem"), [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED]
)
def test_damaged_stream_is_refused(
    tmp_path: Path, data: bytes, error: type[HardpanError], problem: str
) -> None:
    _require_refusal(tmp_path, data, error, problem)


def _require_refusal(tmp_path: Path, data: bytes, error: type[HardpanError], problem: str) -> None:
    folder = content_folders.write_content_folder(tmp_path / "content", "0.1.90")
    manifest = store.read_manifest(folder)
    assert manifest is not None
    path = folder / "ssg-rhel9-ds.xml.xz"
    path.write_bytes(data)

    with pytest.raises(error, match=problem) as caught:
        store.read_stream(folder, "rhel9", manifest.streams["rhel9"])

    assert str(path) in str(caught.value)


def test_decompression_bomb_is_never_unpacked(tmp_path: Path) -> None:
    bomb = lzma.compress(b"\0" * (32 << 20), preset=0)
    _require_refusal(tmp_path, bomb, TrustError, "damaged: expected ")
    tracemalloc.start()
    try:
        with pytest.raises(TrustError, match="damaged: expected 1000 bytes"):
            store._decompress(bomb, 1000, Path("bomb.xz"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 12 << 20, "8 MiB of it are the decoder's dictionary"


def test_missing_stream_is_an_input_error(tmp_path: Path) -> None:
    folder = content_folders.write_content_folder(tmp_path / "content", "0.1.90")
    manifest = store.read_manifest(folder)
    assert manifest is not None
    (folder / "ssg-rhel9-ds.xml.xz").unlink()

    with pytest.raises(InputError, match="cannot be read"):
        store.read_stream(folder, "rhel9", manifest.streams["rhel9"])


def test_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", "utf-8")

    with pytest.raises(InputError, match=r"expected a folder of SCAP content or none, got mine"):
        content_folders.write_content_folder(tmp_path, "0.1.90")

    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_content_replaces_older_content_completely(tmp_path: Path) -> None:
    folder = content_folders.write_content_folder(tmp_path / "content", "0.1.90")

    content_folders.write_content_folder(folder, "0.1.91")

    manifest = store.read_manifest(folder)
    assert manifest is not None
    assert manifest.streams["rhel9"].package.version == "0.1.91-1"
    data = store.read_stream(folder, "rhel10", manifest.streams["rhel10"])
    assert data == content_folders.make_stream("0.1.91")
    assert [p.name for p in tmp_path.iterdir()] == ["content"]


def _read_manifest_and_stream(folder: Path, record: store.StreamRecord) -> None:
    store.read_manifest(folder)
    store.read_stream(folder, "rhel9", record)


@pytest.mark.parametrize("name", [store.MANIFEST, "ssg-rhel9-ds.xml.xz"])
@pytest.mark.parametrize(
    ("replace", "kind"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link"),
        (lambda path: path.symlink_to(path.name), "a symbolic link"),
        (os.mkfifo, "a pipe"),
        (lambda path: path.mkdir(), "a folder"),
    ],
)
def test_content_that_is_no_regular_file_is_refused(
    tmp_path: Path, name: str, replace: Callable[[Path], object], kind: str
) -> None:
    folder = content_folders.write_content_folder(tmp_path / "content", "0.1.90")
    manifest = store.read_manifest(folder)
    assert manifest is not None
    (folder / name).unlink()
    replace(folder / name)
    record = manifest.streams["rhel9"]
    with pytest.raises(InputError, match=f"{name}: expected a regular file, got {kind}"):
        _read_manifest_and_stream(folder, record)


def test_user_content_file_may_be_a_symlink_but_not_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "real.xml").write_bytes(content_folders.make_stream("0.1.90"))
    (tmp_path / "link.xml").symlink_to("real.xml")
    os.mkfifo(tmp_path / "pipe.xml")

    assert datastream.from_file(tmp_path / "link.xml").version == "0.1.90"
    with pytest.raises(InputError, match=r"pipe\.xml: expected a regular file, got a pipe"):
        datastream.from_file(tmp_path / "pipe.xml")


def test_oversized_sparse_content_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.xml").touch()
    os.truncate(tmp_path / "x.xml", 40 << 30)

    with pytest.raises(InputError, match="too long: expected at most 268435456 bytes"):
        datastream.from_file(tmp_path / "x.xml")
