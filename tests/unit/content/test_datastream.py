"""Which data stream a scan takes."""

from pathlib import Path

import pytest

from hardpan.cli.content_option import ContentChoice
from hardpan.core.errors import HardpanError, InputError, TrustError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.content import datastream, listing, store
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.model.scan import ContentOrigin
from tests.unit.content import content_folders

SHIPPED, UPDATED, INSTALLED, FILE = (
    ContentOrigin.SHIPPED,
    ContentOrigin.UPDATED,
    ContentOrigin.INSTALLED,
    ContentOrigin.FILE,
)


@pytest.fixture
def content_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hardpan that ships 0.1.82, on a machine with 0.1.99 installed."""
    content_folders.write_content_folder(tmp_path / "shipped", "0.1.82")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed/ssg-rhel9-ds.xml").write_bytes(content_folders.make_stream("0.1.99"))
    monkeypatch.setattr(store, "shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.setattr(store, "updated_folder", lambda: tmp_path / "updated")
    monkeypatch.setattr(datastream, "INSTALLED", tmp_path / "installed")
    return tmp_path


@pytest.mark.parametrize(
    ("updated", "origin", "version"),
    [
        (None, SHIPPED, "0.1.82"),
        (("0.1.83", "2026-10-01"), UPDATED, "0.1.83"),
        (("0.1.100", "2026-10-01"), UPDATED, "0.1.100"),
        (("0.1.82", "2026-09-08"), UPDATED, "0.1.82"),
        (("0.1.82", "2026-09-07"), SHIPPED, "0.1.82"),
        (("0.1.9", "2026-10-01"), SHIPPED, "0.1.82"),
        (("0.1.81", "2026-10-01"), SHIPPED, "0.1.82"),
    ],
)
def test_newer_updated_content_replaces_shipped_as_default(
    content_root: Path, updated: tuple[str, str] | None, origin: ContentOrigin, version: str
) -> None:
    if updated:
        content_folders.write_content_folder(content_root / "updated", *updated)

    source = datastream.find("rhel9")

    assert (source.origin_kind, source.version) == (origin, version)
    assert source.sha256 == sha256_bytes(source.data)
    assert datastream.default_origin("rhel9") is origin


def test_explicit_choice_overrides_newer_content(content_root: Path) -> None:
    content_folders.write_content_folder(content_root / "updated", "0.1.83")
    custom_file = content_root / "mine-ds.xml"
    custom_file.write_bytes(content_folders.make_stream("0.1.5", "2020-01-02"))

    source_by_choice = {
        c: datastream.find("rhel9", c) for c in (SHIPPED, UPDATED, INSTALLED, custom_file)
    }

    assert {str(c): (s.version, s.origin_kind) for c, s in source_by_choice.items()} == {
        "shipped": ("0.1.82", SHIPPED),
        "updated": ("0.1.83", UPDATED),
        "installed": ("0.1.99", INSTALLED),
        str(custom_file): ("0.1.5", FILE),
    }
    assert (
        str(source_by_choice[custom_file])
        == "mine-ds.xml 0.1.5 of 2020-01-02, --content mine-ds.xml"
    )
    assert source_by_choice[SHIPPED].origin == "shipped with hardpan, Debian ssg-nondebian 0.1.82-1"
    assert source_by_choice[UPDATED].origin.startswith("updated on 2")
    assert source_by_choice[INSTALLED].origin == (
        f"installed on the scanning machine, {content_root / 'installed/ssg-rhel9-ds.xml'}"
    )


@pytest.mark.parametrize(
    ("product", "choice", "problem", "hint"),
    [
        ("rhel9", UPDATED, "updated: expected SCAP content for rhel9, got none", "update"),
        ("rhel10", INSTALLED, "ssg-rhel10-ds.xml: cannot be read", "scap-security-guide"),
        ("rhel9", Path("none.xml"), "none.xml: cannot be read", ""),
    ],
)
def test_missing_choice_is_an_error_with_hint(
    content_root: Path,
    product: store.Product,
    choice: datastream.ContentSelection,
    problem: str,
    hint: str,
) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        datastream.find(product, choice)

    assert hint in caught.value.hint


def test_damaged_content_is_never_skipped(content_root: Path) -> None:
    folder = content_folders.write_content_folder(content_root / "updated", "0.1.83")
    (folder / "ssg-rhel9-ds.xml.xz").write_bytes(b"")

    with pytest.raises(TrustError, match="damaged") as caught:
        datastream.find("rhel9")

    assert "--content shipped" in caught.value.hint
    assert datastream.find("rhel10").version == "0.1.83"
    assert datastream.find("rhel9", SHIPPED).version == "0.1.82"


def test_available_content_lists_every_origin_and_damaged_ones(content_root: Path) -> None:
    folder = content_folders.write_content_folder(content_root / "updated", "0.1.83")
    (folder / "ssg-rhel9-ds.xml.xz").write_bytes(b"")

    available = listing.list_available()

    assert [(a.product, a.origin) for a in available] == [
        ("rhel9", SHIPPED),
        ("rhel9", UPDATED),
        ("rhel9", INSTALLED),
        ("rhel10", SHIPPED),
        ("rhel10", UPDATED),
    ]
    assert [isinstance(a.description, HardpanError) for a in available] == [
        False,
        True,
        *[False] * 3,
    ]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("shipped", SHIPPED),
        ("updated", UPDATED),
        ("installed", INSTALLED),
        ("file", Path("file")),
        ("./shipped", Path("shipped")),
        ("x/ssg-rhel9-ds.xml", Path("x/ssg-rhel9-ds.xml")),
    ],
)
def test_content_option_accepts_origin_or_file(
    text: str, choice: datastream.ContentSelection
) -> None:
    converted = ContentChoice().convert(text, None, None)

    assert converted == choice
    assert type(converted) is type(choice)


def test_date_is_empty_for_undated_content(content_root: Path) -> None:
    path = content_root / "undated.xml"
    path.write_bytes(content_folders.make_stream("0.1.5", "soon"))

    source = datastream.find("rhel9", path)

    assert source.date == ""
    assert str(source) == "undated.xml 0.1.5, --content undated.xml"
    assert prepare(source, "stig").benchmark.date == ""
