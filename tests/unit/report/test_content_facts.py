"""Every report format names the SCAP content of the scan."""

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.evidence.statement import model
from hardpan.scanners.model.scan import ContentOrigin
from hardpan.scanners.report.formats import text_summary
from hardpan.scanners.report.model import build
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.registry import Report, load_renderer
from hardpan.scanners.report.stig import checklist_model
from tests.unit.content import content_folders
from tests.unit.evidence import samples

DESCRIPTION = (
    "ssg-rhel9-ds.xml 0.1.82 of 2026-09-07, shipped with hardpan, Debian ssg-nondebian 0.1.82-1"
)
DIGEST = samples.CONTENT.source_sha256


def findings() -> Findings:
    return build.build_findings(samples.scan())


def test_text_summary_names_content_and_digest() -> None:
    lines = text_summary.format_summary(findings(), None)

    index = next(n for n, line in enumerate(lines) if line.startswith("content"))
    assert lines[index].split(maxsplit=1)[1] == DESCRIPTION
    assert lines[index + 1].split() == [f"sha256:{DIGEST}"]


def test_findings_and_statement_have_the_same_content() -> None:
    sample = findings()
    predicate = model.build_predicate(
        sample,
        None,
        arf=(),
        invocation=(),
        nonce="",
        version="0",
        signatures=("dsse",),
    )

    for part in (sample.content, predicate.content):
        assert (
            part.to_json().items()
            >= {
                "name": "ssg-rhel9-ds.xml",
                "version": "0.1.82",
                "date": "2026-09-07",
                "originKind": "shipped",
                "sourceSha256": DIGEST,
            }.items()
        )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("findings", ['"date":"2026-09-07"', '"originKind":"shipped"', DIGEST]),
        ("html", [DESCRIPTION, DIGEST]),
        ("summary", ["2026-09-07", "shipped with hardpan", DIGEST]),
        ("oscal-ar", ['"name":"date"', '"value":"2026-09-07"', '"value":"shipped"', DIGEST]),
        ("hdf", [DESCRIPTION, DIGEST]),
    ],
)
def test_reports_contain_content_date_origin_and_digest(name: str, expected: list[str]) -> None:
    report = Report(findings=findings(), smoke=None, signer_sha256=samples.SHA, predicate_type="x")

    text = load_renderer(name).render(report).decode()

    assert [w for w in expected if w not in text] == []


def test_content_identity_is_listed_as_json() -> None:
    assert findings().content.identity_to_json() == {
        "name": "ssg-rhel9-ds.xml",
        "version": "0.1.82",
        "date": "2026-09-07",
        "origin": "shipped",
        "sha256": DIGEST,
    }


@pytest.mark.parametrize("origin", list(ContentOrigin))
def test_prepared_content_keeps_origin_and_date(origin: ContentOrigin) -> None:
    data = content_folders.make_stream("0.1.90", "2026-10-11")
    source = ContentSource(
        name="x-ds.xml",
        version="0.1.90",
        date="2026-10-11",
        origin="somewhere",
        origin_kind=origin,
        sha256=sha256_bytes(data),
        data=data,
    )

    prepared = prepare(source, "stig").content

    assert (prepared.version, prepared.date, prepared.origin_kind) == (
        "0.1.90",
        "2026-10-11",
        origin,
    )
    scan = samples.scan()
    scan = replace(scan, evaluation=replace(scan.evaluation, content=prepared))
    assert build.build_findings(scan).content.origin_kind == origin.value


def test_findings_without_content_date_and_origin_are_accepted() -> None:
    data = json.loads(canonical_json(findings().to_json()))
    del data["content"]["date"], data["content"]["originKind"]

    content = Findings.model_validate(data).content

    assert (content.date, content.origin_kind) == ("", "")
    assert content.describe().startswith("ssg-rhel9-ds.xml 0.1.82, shipped")


@pytest.mark.parametrize(("key", "value"), [("date", "today"), ("originKind", "mine")])
def test_invalid_content_values_are_rejected(key: str, value: str) -> None:
    data = json.loads(canonical_json(findings().to_json()))
    data["content"][key] = value

    with pytest.raises(ValidationError):
        Findings.model_validate(data)


def test_formats_name_the_rules_that_scripts_evaluated() -> None:
    scan = samples.scan()
    first, *others = scan.evaluation.results
    results = (replace(first, engine="SCE"), *(replace(r, engine="OVAL") for r in others))
    script = build.build_findings(
        replace(scan, evaluation=replace(scan.evaluation, results=results))
    )
    line = f"engine: SCE for {shorten_id(first.rule_id)}; OVAL for the others"

    assert script.describe_script_rules() == line
    assert line in " ".join(" ".join(text_summary.format_summary(script, None)).split())
    report = Report(findings=script, smoke=None, signer_sha256=samples.SHA, predicate_type="x")
    for name in ("html", "summary"):
        assert line in load_renderer(name).render(report).decode().replace("\\_", "_")
    assert f"{shorten_id(first.rule_id)}: {first.verdict} (engine: SCE)" in (
        checklist_model.format_rule_details(script.rules[0])
    )
    oval = tuple(replace(r, engine="OVAL") for r in results)
    plain = build.build_findings(replace(scan, evaluation=replace(scan.evaluation, results=oval)))
    assert plain.describe_script_rules() == ""
