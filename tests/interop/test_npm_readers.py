"""Checklists and HDF through readers that hardpan's authors did not write."""

import json
from collections import Counter
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from scanners.model import Verdict
from scanners.report import requirements
from scanners.report.base import FORMATS, Report, renderer
from scanners.report.counting import categories
from scanners.report.documents import Findings
from tests.interop.conftest import unpacked
from tests.interop.npm_readers import imported, readers, saf
from tests.unit.evidence import samples
from tests.unit.report import stigs

pytestmark = pytest.mark.interop

RESULTS = {
    "open": "fail",
    "not_reviewed": "notchecked",
    "not_a_finding": "pass",
    "not_applicable": "notapplicable",
}
HOSTILE = "]]><script>alert(1)</script>&amp;&lt;&#0;\"'\x00\x1b"


def mixed() -> Report:
    """Every requirement with a rule, every verdict in turn; waivers, markup and a long text."""
    verdicts = cycle(v for v in Verdict if v is not Verdict.NOT_SELECTED)
    rules = [
        stigs.rule(n, verdict, one, found=(f"<item n='{n}'> & more", HOSTILE))
        for n, (one, verdict) in enumerate(zip(stigs.stig().requirements, verdicts, strict=False))
    ]
    rules[1] = replace(rules[1], found=("x" * 100_000,))
    waived = {r.rule_id: samples.WAIVER for r in rules[:20]}
    host = replace(samples.HOST, hostname="<script>alert(1)</script>.example")
    return stigs.report(*rules[:-3], stigs.rule(900, Verdict.FAIL), waivers=waived, host=host)


@pytest.fixture(scope="module")
def report() -> Report:
    return mixed()


def written(report: Report, name: str, folder: Path) -> Path:
    path = folder / FORMATS[name].file
    path.write_bytes(renderer(name).render(report))
    return path


@pytest.mark.parametrize("name", ["cklb", "ckl"])
def test_stig_manager_imports_every_review_as_it_is(
    report: Report, name: str, tmp_path: Path
) -> None:
    made = imported(readers(), written(report, name, tmp_path))
    (checklist,) = made["checklists"]
    judged = requirements.judged(report.findings, stigs.stig())

    assert made["target"]["name"] == "<script>alert(1)</script>.example"
    assert (checklist["benchmarkId"], checklist["revisionStr"]) == ("RHEL_9_STIG", "V2R9")
    told = {r["ruleId"]: r for r in checklist["reviews"]}
    assert len(checklist["reviews"]) == len(told) == len(judged) == 445
    assert {k: v["result"] for k, v in told.items()} == {
        j.requirement.rule_id: RESULTS[j.status] for j in judged
    }
    counted = {k: n for k, n in checklist["stats"].items() if n}
    assert counted == Counter(RESULTS[j.status] for j in judged)
    for one in judged:
        detail = told[one.requirement.rule_id]["detail"]
        assert "]]><script>alert(1)</script>" in detail or not one.rules or "xxx" in detail
        assert len(detail) <= requirements.MOST_CHARACTERS
    waived = next(j for j in judged if j.is_waived)
    assert "see T-1" in told[waived.requirement.rule_id]["comment"]


def test_stig_manager_reads_the_same_out_of_both(report: Report, tmp_path: Path) -> None:
    room = readers()
    cklb, ckl = (imported(room, written(report, n, tmp_path)) for n in ("cklb", "ckl"))
    rows = [
        [(r["ruleId"], r["result"], r["comment"]) for r in made["checklists"][0]["reviews"]]
        for made in (cklb, ckl)
    ]

    assert rows[0] == rows[1]


def test_saf_counts_what_hardpan_counts(report: Report, tmp_path: Path) -> None:
    hdf = written(report, "hdf", tmp_path)
    said = saf(readers(), tmp_path, "view", "summary", "--input", hdf, "--format", "json")
    (summary,) = json.loads(said.stdout[said.stdout.index("[") :])
    by = categories(report.findings)
    assert by is not None

    total = {k: summary[k]["total"] for k in ("passed", "failed", "no_impact")}
    assert total == {
        "passed": sum(t.not_a_finding for t in by.values()),
        # One rule that stands for no requirement fails, too.
        "failed": sum(t.open for t in by.values()) + 1,
        "no_impact": sum(t.not_applicable for t in by.values()),
    }
    not_reviewed = summary["skipped"]["total"] + summary["error"]["total"]
    assert not_reviewed == sum(t.not_reviewed for t in by.values())
    assert summary["failed"]["high"] == by["I"].open
    assert summary["error"]["total"] > 0


def test_the_checklists_and_hdf_of_the_named_evidence_are_read_as_they_are(
    given: Path | None, tmp_path: Path
) -> None:
    if given is None:
        pytest.skip("no EVIDENCE=file was named")
    files = unpacked(given)
    found = Findings.model_validate_json(files["findings.json"])
    stig = requirements.known_stig(found)
    judged = requirements.judged(found, stig)
    expected = {j.requirement.rule_id: RESULTS[j.status] for j in judged}
    passed = sum(j.status == requirements.Status.NOT_A_FINDING for j in judged)
    passed += sum(r.verdict == "pass" for r in requirements.unassigned(found, stig))

    for name in ("cklb", "ckl"):
        path = tmp_path / FORMATS[name].file
        path.write_bytes(files[path.name])
        (checklist,) = imported(readers(), path)["checklists"]
        assert {r["ruleId"]: r["result"] for r in checklist["reviews"]} == expected
    hdf = tmp_path / FORMATS["hdf"].file
    hdf.write_bytes(files[hdf.name])
    said = saf(readers(), tmp_path, "view", "summary", "--input", hdf, "--format", "json")
    (summary,) = json.loads(said.stdout[said.stdout.index("[") :])
    assert summary["passed"]["total"] == passed > 0


@pytest.mark.parametrize(("spare", "code"), [(0, 0), (-1, 1)])
def test_saf_holds_the_results_to_a_threshold(
    report: Report, tmp_path: Path, spare: int, code: int
) -> None:
    hdf = written(report, "hdf", tmp_path)
    by = categories(report.findings)
    assert by is not None
    most = sum(t.open for t in by.values()) + 1 + spare

    threshold = f"{{failed.total.max: {most}}}"
    argv = ["validate", "threshold", "--input", hdf, "--templateInline", threshold]
    # A waiver takes nothing out of the count.
    assert saf(readers(), tmp_path, *argv, ok=(0, 1)).returncode == code
