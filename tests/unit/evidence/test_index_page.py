"""index.html: every file of the evidence with its purpose, and nothing that a host can forge."""

from dataclasses import replace
from pathlib import Path

import lxml.html
import pytest

from hardpan.core import events
from hardpan.core.compression import compress
from hardpan.core.errors import TrustError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.file_names import BUNDLE, CMS, INDEX, PQ_ENVELOPE, TIMESTAMP
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.sign.index_page import find_description, render_index
from hardpan.scanners.report.registry import FORMATS
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture, read_archive
from tests.unit.report.test_reports import hostile_scan, report_of


def _rows(page: bytes) -> dict[str, list[str]]:
    """File name -> text of the cells of its row."""
    tree = lxml.html.fromstring(page.decode())
    return {
        " ".join(row.xpath("./th")[0].text_content().split()): [
            " ".join(cell.text_content().split()) for cell in row.xpath("./td")
        ]
        for row in tree.xpath("//tbody/tr")
    }


def test_index_lists_every_file_with_size_and_digest(lab: EvidenceFixture) -> None:
    files = lab.read_files()
    rows = _rows(files[INDEX])
    unlisted = {s["name"] for s in lab.read_statement()["subject"]} ^ (files.keys() - {INDEX})

    assert rows.keys() == files.keys()
    for name, data in files.items():
        assert all(rows[name][:2]), name  # purpose and consumers
        if name not in unlisted and name != INDEX:
            assert f"sha256 {sha256_bytes(data)}" in rows[name][0]
            assert rows[name][2] == f"{len(data):,}"
    assert BUNDLE in unlisted
    assert rows["report.html"][1] == "people"
    lab.verify(lab.valid_path)


def test_index_links_stay_in_the_archive(lab: EvidenceFixture) -> None:
    files = lab.read_files()
    tree = lxml.html.fromstring(files[INDEX].decode())
    links = set(tree.xpath("//@href | //@src"))

    assert links <= files.keys()
    assert {"report.html", "VERIFY.md", "findings.json"} <= links
    assert not tree.xpath("//script")


def test_index_has_the_headline(lab: EvidenceFixture) -> None:
    text = lxml.html.fromstring(lab.read_files()[INDEX].decode()).text_content()

    assert "✗ 2 open (1 waived until 2027-01-31)" in " ".join(text.split())
    assert "--fail-on" in text
    assert samples.HOST.hostname in text


def test_index_is_covered_by_the_signature(lab: EvidenceFixture) -> None:
    files = lab.read_files()

    with pytest.raises(TrustError, match=r"index\.html"):
        lab.verify(lab.pack({**files, INDEX: files[INDEX].replace(b"open", b"shut")}))
    with pytest.raises(TrustError, match=r"index\.html"):
        lab.verify(lab.pack({n: d for n, d in files.items() if n != INDEX}))


def test_same_scan_gives_the_same_index(lab: EvidenceFixture, tmp_path: Path) -> None:
    pages = [
        read_archive(
            writer.write_evidence(
                samples.scan(), lab.scan, tmp_path / f"{n}.evidence.zip", events.discard
            )
        )[INDEX]
        for n in range(2)
    ]

    assert pages[0] == pages[1]


def test_hostile_texts_and_names_are_escaped() -> None:
    report = report_of(hostile_scan())
    name = '"><script>alert(1)</script>'
    page = render_index(report, {name: compress(b"x"), "javascript:x": compress(b"y")}, ())
    tree = lxml.html.fromstring(page.decode())

    assert not tree.xpath("//script | //img")
    assert name in _rows(page)
    assert tree.xpath("//@href") == ["report.html", "VERIFY.md"]


def test_optional_signature_files_are_listed_only_if_expected() -> None:
    report = report_of(replace(samples.scan(), host=samples.HOST))
    names = (TIMESTAMP, CMS, PQ_ENVELOPE)

    assert names[0] not in _rows(render_index(report, {}, ()))
    assert set(names) < _rows(render_index(report, {}, names)).keys()


def test_every_format_names_its_consumers() -> None:
    descriptions = {spec.filename: find_description(spec.filename) for spec in FORMATS.values()}

    assert len(descriptions) >= 15
    assert [name for name, texts in descriptions.items() if not all(texts)] == []
    assert find_description("raw/fips.json")[1] == "auditors who compute results again"
    assert find_description("unknown.bin") == ("", "")
