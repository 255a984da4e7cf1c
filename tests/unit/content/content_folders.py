"""Folders of content in the small, for tests of what is chosen and what changed."""

from pathlib import Path

from hardpan.scanners.content import apt, store, update
from hardpan.scanners.content.store import Product
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM

VERSION = b"<x:version>0.1</x:version>"
STATUS = b"<x:status>draft</x:status>"


def make_stream(version: str, day: str = "2026-09-07", data: bytes = MINIMAL_DATASTREAM) -> bytes:
    """The small data stream with another version and day."""
    dated = data.replace(STATUS, f'<x:status date="{day}">draft</x:status>'.encode())
    return dated.replace(VERSION, f"<x:version>{version}</x:version>".encode())


def make_download(
    version: str,
    day: str = "2026-09-07",
    data: bytes = MINIMAL_DATASTREAM,
    *,
    name: str = "ssg-nondebian",
    products: tuple[Product, ...] = ("rhel9", "rhel10"),
) -> apt.DownloadedContent:
    """A package with that data stream for these products."""
    stream_data = make_stream(version, day, data)
    streams: dict[Product, bytes] = dict.fromkeys(products, stream_data)
    return apt.DownloadedContent(
        name=name,
        source="scap-security-guide",
        version=f"{version}-1",
        suite="sid",
        sha256=store.Sha256("d" * 64),
        streams=streams,
        notice=b"Copyright: somebody\n",
    )


def write_content_folder(
    folder: Path, version: str, day: str = "2026-09-07", data: bytes = MINIMAL_DATASTREAM
) -> Path:
    """A folder of content of that version."""
    package = make_download(version, day, data)
    manifest = store.build_manifest(update.build_records(package))
    store.write_content(folder, manifest, package.streams, {package.name: package.notice})
    return folder
