"""Which data stream a scan takes."""

from pathlib import Path

import pytest

from hardpan.errors import HardpanError, InputError, TrustError
from hardpan.files import sha256_bytes
from hardpan.scanners.commands.content_option import ContentChoice
from hardpan.scanners.content import datastream, store
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.model import ContentOrigin
from tests.unit.content import shelf

SHIPPED, UPDATED, INSTALLED, FILE = (
    ContentOrigin.SHIPPED,
    ContentOrigin.UPDATED,
    ContentOrigin.INSTALLED,
    ContentOrigin.FILE,
)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hardpan that ships 0.1.82, on a machine with 0.1.99 installed."""
    shelf.put(tmp_path / "shipped", "0.1.82")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed/ssg-rhel9-ds.xml").write_bytes(shelf.stream("0.1.99"))
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
def test_newer_updated_content_is_the_default_and_else_the_shipped(
    room: Path, updated: tuple[str, str] | None, origin: ContentOrigin, version: str
) -> None:
    if updated:
        shelf.put(room / "updated", *updated)

    found = datastream.find("rhel9")

    assert (found.origin_kind, found.version) == (origin, version)
    assert found.sha256 == sha256_bytes(found.data)
    assert datastream.default_origin("rhel9") is origin


def test_every_choice_is_taken_whatever_is_newer(room: Path) -> None:
    shelf.put(room / "updated", "0.1.83")
    mine = room / "mine-ds.xml"
    mine.write_bytes(shelf.stream("0.1.5", "2020-01-02"))

    found = {c: datastream.find("rhel9", c) for c in (SHIPPED, UPDATED, INSTALLED, mine)}

    assert {str(c): (s.version, s.origin_kind) for c, s in found.items()} == {
        "shipped": ("0.1.82", SHIPPED),
        "updated": ("0.1.83", UPDATED),
        "installed": ("0.1.99", INSTALLED),
        str(mine): ("0.1.5", FILE),
    }
    assert str(found[mine]) == "mine-ds.xml 0.1.5 of 2020-01-02, --content mine-ds.xml"
    assert found[SHIPPED].origin == "shipped with hardpan, Debian ssg-nondebian 0.1.82-1"
    assert found[UPDATED].origin.startswith("updated on 2")
    assert found[INSTALLED].origin == (
        f"installed on the scanning machine, {room / 'installed/ssg-rhel9-ds.xml'}"
    )


@pytest.mark.parametrize(
    ("product", "choice", "problem", "hint"),
    [
        ("rhel9", UPDATED, "updated: expected SCAP content for rhel9, found none", "update"),
        ("rhel10", INSTALLED, "ssg-rhel10-ds.xml: cannot be read", "scap-security-guide"),
        ("rhel9", Path("none.xml"), "none.xml: cannot be read", ""),
    ],
)
def test_a_choice_that_is_not_there_is_an_error_with_a_next_step(
    room: Path,
    product: store.Product,
    choice: datastream.Choice,
    problem: str,
    hint: str,
) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        datastream.find(product, choice)

    assert hint in caught.value.hint


def test_damaged_content_is_never_passed_over_for_other_content(room: Path) -> None:
    folder = shelf.put(room / "updated", "0.1.83")
    (folder / "ssg-rhel9-ds.xml.xz").write_bytes(b"")

    with pytest.raises(TrustError, match="damaged") as caught:
        datastream.find("rhel9")

    assert "--content shipped" in caught.value.hint
    assert datastream.find("rhel10").version == "0.1.83"
    assert datastream.find("rhel9", SHIPPED).version == "0.1.82"


def test_available_content_has_every_place_and_the_damaged_ones(room: Path) -> None:
    folder = shelf.put(room / "updated", "0.1.83")
    (folder / "ssg-rhel9-ds.xml.xz").write_bytes(b"")

    found = datastream.available()

    assert [(a.product, a.origin) for a in found] == [
        ("rhel9", SHIPPED),
        ("rhel9", UPDATED),
        ("rhel9", INSTALLED),
        ("rhel10", SHIPPED),
        ("rhel10", UPDATED),
    ]
    assert [isinstance(a.source, HardpanError) for a in found] == [False, True, *[False] * 3]


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
def test_content_option_takes_a_place_or_a_file(text: str, choice: datastream.Choice) -> None:
    made = ContentChoice().convert(text, None, None)

    assert made == choice
    assert type(made) is type(choice)


def test_date_of_content_that_names_none_is_empty(room: Path) -> None:
    path = room / "undated.xml"
    path.write_bytes(shelf.stream("0.1.5", "soon"))

    found = datastream.find("rhel9", path)

    assert found.date == ""
    assert str(found) == "undated.xml 0.1.5, --content undated.xml"
    assert prepare(found, "stig").benchmark.date == ""
