"""``hardpan content`` on the command line; apt's downloads are stubs."""

import bz2
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.core.errors import Exit, InputError, ToolError
from hardpan.core.events import Event, StageProgress, discard
from hardpan.scanners.content import apt, datastream, store, update
from hardpan.scanners.model.scan import ContentOrigin
from tests.unit.content import content_folders
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM, PROFILE, RULE

BEFORE = MINIMAL_DATASTREAM
AFTER = MINIMAL_DATASTREAM.replace(f"{RULE}five".encode(), f"{RULE}six".encode()).replace(
    b"high", b"low"
)


class FakeArchive:
    """What answers in the place of Debian's archive."""

    def __init__(self) -> None:
        self.package = content_folders.make_download("0.1.83", "2026-10-01", AFTER)
        self.downloads = 0
        self.error: ToolError | None = None

    def newest(self, _cache: Path, packages: tuple[str, ...]) -> tuple[apt.PackageCandidate, ...]:
        return tuple(
            apt.PackageCandidate(
                name=name, version=self.package.version, suite="sid", config=Path("apt.conf")
            )
            for name in packages
        )

    def download(
        self,
        candidate: apt.PackageCandidate,
        products: tuple[store.Product, ...],
        _cache: Path,
        on_percent: apt.OnPercent,
    ) -> apt.DownloadedContent:
        self.downloads += 1
        on_percent(42.5)
        if self.error is not None:
            raise self.error
        data = next(iter(self.package.streams.values()))
        return replace(self.package, name=candidate.name, streams=dict.fromkeys(products, data))


@pytest.fixture
def content_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hardpan that ships 0.1.82."""
    content_folders.write_content_folder(tmp_path / "shipped", "0.1.82", data=BEFORE)
    monkeypatch.setattr(store, "shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.setattr(store, "updated_folder", lambda: tmp_path / "updated")
    monkeypatch.setattr(datastream, "INSTALLED", tmp_path / "installed")
    return tmp_path


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    fake = FakeArchive()
    monkeypatch.setattr(apt, "find_newest", fake.newest)
    monkeypatch.setattr(apt, "download", fake.download)
    return fake


def test_newer_content_is_stored_and_becomes_default(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["content", "update", "-q"]) == Exit.OK

    lines = capsys.readouterr().out.splitlines()
    assert lines[:12] == [
        "ssg-nondebian 0.1.83-1 from Debian's archive (sid)",
        "rhel9: 0.1.82 of 2026-09-07 (shipped) -> 0.1.83 of 2026-10-01",
        "  rules     5 -> 5; selected by stig: 4 -> 4",
        "  added     1, selected by stig: 0",
        "  removed   1, selected by stig: 0",
        "  changed   2, selected by stig: 2",
        "    one: severity",
        "    three: dependencies",
        "  reworded  0, selected by stig: 0 (title, description or references alone)",
        "rhel10: 0.1.82 of 2026-09-07 (shipped) -> 0.1.83 of 2026-10-01",
        "  rules     5 -> 5; selected by stig: 4 -> 4",
        "  added     1, selected by stig: 0",
    ]
    assert lines[-1] == f"stored in {content_root / 'updated'}"
    source = datastream.find("rhel10")
    assert (source.origin_kind, source.version) == (ContentOrigin.UPDATED, "0.1.83")
    assert source.data == content_folders.make_stream("0.1.83", "2026-10-01", AFTER)
    assert (content_root / "updated/copyright-ssg-nondebian").read_bytes() == archive.package.notice
    assert archive.downloads == 1


def test_current_content_is_not_downloaded_again(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["content", "update", "-q"])
    capsys.readouterr()

    assert cli.run(["content", "update", "-q"]) == Exit.OK

    message = "ssg-nondebian 0.1.83-1 (sid) is the archive's newest and is here already\n"
    assert capsys.readouterr().out == message
    assert archive.downloads == 1


def test_damaged_content_is_downloaded_again(content_root: Path, archive: FakeArchive) -> None:
    cli.run(["content", "update", "-q"])
    (content_root / "updated/ssg-rhel9-ds.xml.xz").write_bytes(b"")
    assert cli.run(["content", "list"]) == Exit.TRUST

    assert cli.run(["content", "update", "-q"]) == Exit.OK

    assert datastream.find("rhel9").version == "0.1.83"
    assert archive.downloads == 2


def test_dry_run_shows_changes_and_stores_nothing(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["content", "update", "--dry-run", "-q"]) == Exit.OK

    out = capsys.readouterr().out
    assert "    one: severity\n" in out
    assert out.endswith("dry run: nothing is stored\n")
    assert not (content_root / "updated").exists()


def test_older_content_is_reported_and_not_stored(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.package = content_folders.make_download("0.1.9", "2026-12-01")

    assert cli.run(["content", "update", "-q"]) == Exit.OK

    out = capsys.readouterr().out
    older = "rhel9: 0.1.82 of 2026-09-07 (shipped) -> 0.1.9 of 2026-12-01, which is NOT NEWER\n"
    assert older in out
    assert out.endswith("nothing is stored: the archive's content is not newer\n")
    assert not (content_root / "updated").exists()


def test_other_folder_is_compared_with_its_current_content(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    into = content_root / "into"
    cli.run(["content", "update", "-q", "--into", str(into)])
    assert "rhel9: 0.1.83 of 2026-10-01, nothing to compare with" in capsys.readouterr().out
    archive.package = content_folders.make_download("0.1.84", "2026-11-01", AFTER)

    cli.run(["content", "update", "-q", "--into", str(into)])

    assert "rhel9: 0.1.83 of 2026-10-01 (updated) -> 0.1.84" in capsys.readouterr().out
    manifest = store.read_manifest(into)
    assert manifest is not None
    assert manifest.streams["rhel9"].package.version == "0.1.84-1"
    assert not (content_root / "updated").exists()


def test_json_output_lists_every_rule(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["content", "update", "-q", "--json"]) == Exit.OK

    output = json.loads(capsys.readouterr().out)
    assert output["stored"] == str(content_root / "updated")
    assert output["dry_run"] is False
    assert output["packages"] == [
        {"name": "ssg-nondebian", "version": "0.1.83-1", "suite": "sid", "downloaded": True}
    ]
    nine, ten = output["products"]
    assert (nine["product"], ten["product"]) == ("rhel9", "rhel10")
    assert nine["is_newer"] is True
    assert nine["baseline"]["origin"] == "shipped"
    assert nine["current"]["date"] == "2026-10-01"
    assert len(nine["current"]["sha256"]) == 64
    assert nine["rules"] == {"baseline": 5, "current": 5}
    assert [r["rule"] for r in nine["added"]] == [RULE + "six"]
    assert [r["rule"] for r in nine["removed"]] == [RULE + "five"]
    assert [(r["rule"], r["aspects"], r["in_profile"]) for r in nine["changed"]] == [
        (RULE + "one", ["severity"], True),
        (RULE + "three", ["dependencies"], True),
    ]


def test_unreachable_archive_exits_4_and_changes_nothing(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    content_folders.write_content_folder(content_root / "updated", "0.1.82", "2026-09-08")
    before = {p.name: p.read_bytes() for p in (content_root / "updated").iterdir()}
    archive.error = ToolError(
        ["apt-get"], "cannot download", output_tail="E: Failed to fetch", hint="x"
    )

    assert cli.run(["content", "update", "-q"]) == Exit.TOOL

    captured = capsys.readouterr()
    assert "error: apt-get cannot download" in captured.err
    assert "  | E: Failed to fetch" in captured.err
    assert captured.out == ""
    assert {p.name: p.read_bytes() for p in (content_root / "updated").iterdir()} == before
    assert sorted(p.name for p in content_root.iterdir()) == ["shipped", "updated"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"<html/>", "expected a source data stream"),
        (MINIMAL_DATASTREAM, "expected a benchmark with version and date"),
        (content_folders.make_stream("draft"), "ssg-rhel9-ds.xml: version: "),
        (content_folders.make_stream("0.1", "2026-99-99"), "with version and date"),
        (content_folders.make_stream("9" * 101), "version: expected at most 100 characters"),
    ],
)
def test_package_with_invalid_content_is_refused_and_stores_nothing(
    content_root: Path, archive: FakeArchive, data: bytes, problem: str
) -> None:
    archive.package = replace(archive.package, streams={"rhel9": data, "rhel10": data})

    with pytest.raises(InputError, match=problem):
        update.update_content(discard, cache=content_root / "cache")

    assert not (content_root / "updated").exists()


def test_progress_is_the_percentage_that_apt_reports(
    content_root: Path, archive: FakeArchive
) -> None:
    events: list[Event] = []

    update.update_content(events.append, cache=content_root / "cache", dry_run=True)

    (progress,) = [e for e in events if isinstance(e, StageProgress)]
    assert (progress.stage, progress.completed, progress.total) == ("content", 42, 100)
    assert "ssg-nondebian 0.1.83-1 (sid)" in progress.text


def test_list_marks_the_default_content(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["content", "update", "-q"])
    (content_root / "installed").mkdir()
    (content_root / "installed/ssg-rhel9-ds.xml").write_bytes(content_folders.make_stream("0.1.99"))
    capsys.readouterr()

    assert cli.run(["content", "list"]) == Exit.OK

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("    ")] == [
        "    xccdf_b: stig 4, other 1"
    ] * 5
    rows = [line.split()[:4] for line in lines if not line.startswith("    ")]
    assert rows == [
        ["rhel9", "shipped", "0.1.82", "2026-09-07"],
        ["*", "rhel9", "updated", "0.1.83"],
        ["rhel9", "installed", "0.1.99", "2026-09-07"],
        ["rhel10", "shipped", "0.1.82", "2026-09-07"],
        ["*", "rhel10", "updated", "0.1.83"],
    ]


def test_json_list_has_digests_and_damage(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["content", "update", "-q"])
    (content_root / "updated/ssg-rhel9-ds.xml.xz").unlink()
    capsys.readouterr()

    assert cli.run(["content", "list", "--json"]) == Exit.INPUT

    rows = json.loads(capsys.readouterr().out)["content"]
    assert [(r["product"], r["origin"], r["default"]) for r in rows] == [
        ("rhel9", "shipped", False),
        ("rhel9", "updated", True),
        ("rhel10", "shipped", False),
        ("rhel10", "updated", True),
    ]
    assert "cannot be read" in rows[1]["problem"]
    assert len(rows[0]["sha256"]) == 64
    assert rows[0]["origin_text"] == "shipped with hardpan, Debian ssg-nondebian 0.1.82-1"
    (bench,) = rows[0]["benchmarks"]
    assert (bench["id"], bench["rules"]) == ("xccdf_b", 5)
    assert bench["profiles"][1] == {"id": PROFILE + "other", "title": "other", "rules": 1}


def test_requested_product_is_added_to_the_stored_content(
    content_root: Path, archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["content", "update", "-q"])

    assert cli.run(["content", "update", "-q", "debian12"]) == Exit.OK

    assert "debian12: 0.1.83 of 2026-10-01, nothing to compare with" in capsys.readouterr().out
    assert datastream.list_products(ContentOrigin.UPDATED) == ("debian12", "rhel9", "rhel10")
    assert datastream.find("debian12").origin.endswith("Debian ssg-debian 0.1.83-1")
    assert datastream.find("rhel9").origin.endswith("Debian ssg-nondebian 0.1.83-1")
    assert sorted(p.name for p in (content_root / "updated").glob("copyright-*")) == [
        *("copyright-ssg-debian", "copyright-ssg-nondebian")
    ]


def test_invalid_product_is_refused(archive: FakeArchive) -> None:
    assert cli.run(["content", "update", "-q", "../rhel9"]) == Exit.INPUT
    assert archive.downloads == 0


def test_list_of_a_product_has_titles_and_counts(
    content_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["content", "list", "rhel10"]) == Exit.OK

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("* rhel10       shipped   0.1.82   2026-09-07  sha256 ")
    assert lines[1:] == [
        "  benchmark xccdf_b: Tiny, version 0.1.82",
        "    for cpe:/o:redhat:enterprise_linux:9; 5 rules",
        "    stig      4 rules  stig",
        "    other     1 rules  other",
    ]


def test_list_of_an_unknown_product_is_an_error(
    content_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["content", "list", "debian12"]) == Exit.INPUT

    assert "'hardpan content update debian12'" in capsys.readouterr().err


def test_list_of_a_file_has_its_benchmarks(
    content_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = content_root / "mine-ds.xml.bz2"
    path.write_bytes(bz2.compress(content_folders.make_stream("0.1.5")))

    assert cli.run(["content", "list", "--content", str(path)]) == Exit.OK
    assert "benchmark xccdf_b: Tiny, version 0.1.5" in capsys.readouterr().out
    assert cli.run(["content", "list", "--content", str(path), "--json"]) == Exit.OK

    (row,) = json.loads(capsys.readouterr().out)["content"]
    assert (row["name"], row["version"]) == ("mine-ds.xml", "0.1.5")
    assert row["benchmarks"][0]["profiles"][0]["rules"] == 4
