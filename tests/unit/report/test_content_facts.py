"""Every form of a scan says which SCAP content it was made with."""

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from hardpan.files import canonical_json, sha256_bytes
from hardpan.scanners.commands.scan import content_facts
from hardpan.scanners.content.datastream import Source
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.evidence import statement
from hardpan.scanners.model import ContentOrigin
from hardpan.scanners.report import fill, summary
from hardpan.scanners.report.base import Report, renderer
from hardpan.scanners.report.documents import Findings
from tests.unit.content import shelf
from tests.unit.evidence import samples

SAID = "ssg-rhel9-ds.xml 0.1.82 of 2026-09-07, shipped with hardpan, Debian ssg-nondebian 0.1.82-1"
DIGEST = samples.CONTENT.source_sha256


def findings() -> Findings:
    return fill.findings(samples.scan())


def test_text_summary_names_content_and_digest() -> None:
    lines = summary.lines(findings(), None)

    at = next(n for n, line in enumerate(lines) if line.startswith("content"))
    assert lines[at].split(maxsplit=1)[1] == SAID
    assert lines[at + 1].split() == [f"sha256:{DIGEST}"]


def test_findings_and_statement_have_the_same_facts() -> None:
    found = findings()
    claim = statement.predicate(
        found,
        None,
        arf=(),
        invocation=(),
        nonce="",
        version="0",
        signatures=("dsse",),
    )

    for part in (found.content, claim.content):
        assert (
            part.data().items()
            >= {
                "name": "ssg-rhel9-ds.xml",
                "version": "0.1.82",
                "date": "2026-09-07",
                "originKind": "shipped",
                "sourceSha256": DIGEST,
            }.items()
        )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("findings", ['"date":"2026-09-07"', '"originKind":"shipped"', DIGEST]),
        ("html", [SAID, DIGEST]),
        ("summary", ["2026-09-07", "shipped with hardpan", DIGEST]),
        ("oscal-ar", ['"name":"date"', '"value":"2026-09-07"', '"value":"shipped"', DIGEST]),
        ("hdf", [SAID, DIGEST]),
    ],
)
def test_reports_name_content_day_origin_and_digest(name: str, words: list[str]) -> None:
    report = Report(findings=findings(), smoke=None, signer_sha256=samples.SHA, predicate_type="x")

    text = renderer(name).render(report).decode()

    assert [w for w in words if w not in text] == []


def test_programs_get_the_facts_of_a_scan() -> None:
    assert content_facts(findings()) == {
        "name": "ssg-rhel9-ds.xml",
        "version": "0.1.82",
        "date": "2026-09-07",
        "origin": "shipped",
        "sha256": DIGEST,
    }


@pytest.mark.parametrize("origin", list(ContentOrigin))
def test_prepared_content_keeps_origin_and_day(origin: ContentOrigin) -> None:
    data = shelf.stream("0.1.90", "2026-10-11")
    source = Source(
        name="x-ds.xml",
        version="0.1.90",
        date="2026-10-11",
        origin="somewhere",
        origin_kind=origin,
        sha256=sha256_bytes(data),
        data=data,
    )

    made = prepare(source, "stig").content

    assert (made.version, made.date, made.origin_kind) == ("0.1.90", "2026-10-11", origin)
    scan = samples.scan()
    scan = replace(scan, evaluation=replace(scan.evaluation, content=made))
    assert fill.findings(scan).content.origin_kind == origin.value


def test_findings_of_an_older_hardpan_are_read_without_day_and_origin() -> None:
    data = json.loads(canonical_json(findings().data()))
    del data["content"]["date"], data["content"]["originKind"]

    content = Findings.model_validate(data).content

    assert (content.date, content.origin_kind) == ("", "")
    assert content.said().startswith("ssg-rhel9-ds.xml 0.1.82, shipped")


@pytest.mark.parametrize(("key", "value"), [("date", "today"), ("originKind", "mine")])
def test_other_values_are_refused(key: str, value: str) -> None:
    data = json.loads(canonical_json(findings().data()))
    data["content"][key] = value

    with pytest.raises(ValidationError):
        Findings.model_validate(data)
