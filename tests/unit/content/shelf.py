"""Folders of content in the small, for tests of what is chosen and what changed."""

from pathlib import Path

from hardpan.scanners.content import apt, store, update
from hardpan.scanners.content.store import Product
from tests.unit.content.tiny import TINY

VERSION = b"<x:version>0.1</x:version>"
STATUS = b"<x:status>draft</x:status>"


def stream(version: str, day: str = "2026-09-07", data: bytes = TINY) -> bytes:
    """The small data stream with another version and day."""
    dated = data.replace(STATUS, f'<x:status date="{day}">draft</x:status>'.encode())
    return dated.replace(VERSION, f"<x:version>{version}</x:version>".encode())


def download(version: str, day: str = "2026-09-07", data: bytes = TINY) -> apt.Download:
    """A package with that data stream for both products."""
    one = stream(version, day, data)
    streams: dict[Product, bytes] = {"rhel9": one, "rhel10": one}
    return apt.Download(
        name=apt.PACKAGE,
        source="scap-security-guide",
        version=f"{version}-1",
        suite="sid",
        sha256=store.Sha256("d" * 64),
        streams=streams,
        notice=b"Copyright: somebody\n",
    )


def put(folder: Path, version: str, day: str = "2026-09-07", data: bytes = TINY) -> Path:
    """A folder of content of that version."""
    package = download(version, day, data)
    store.write(folder, update.manifest_of(package), package.streams, package.notice)
    return folder
