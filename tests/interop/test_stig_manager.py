"""Checklists as STIG Manager's own client reads them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hardpan.scanners.report import requirements
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.documents import Findings
from tests.interop.checklists import mixed, taken, written
from tests.interop.conftest import Programs, unpacked
from tests.unit.report import stigs

pytestmark = pytest.mark.interop

ROOM = Path(__file__).with_name("stig_manager")
RESULTS = {
    "open": "fail",
    "not_reviewed": "notchecked",
    "not_a_finding": "pass",
    "not_applicable": "notapplicable",
}


@pytest.fixture(scope="module")
def report() -> Report:
    return mixed()


def imported(programs: Programs, checklist: Path) -> dict[str, Any]:
    """What STIG Manager's client makes of a checklist."""
    script = programs.room(ROOM) / "read_checklist.mjs"
    made = json.loads(programs.run("node", script, checklist, cwd=checklist.parent).stdout)
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize("name", ["cklb", "ckl"])
def test_it_imports_every_review_as_it_is(
    programs: Programs, report: Report, name: str, tmp_path: Path
) -> None:
    made = imported(programs, written(report, name, tmp_path))
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


def test_it_reads_the_same_out_of_both(programs: Programs, report: Report, tmp_path: Path) -> None:
    cklb, ckl = (imported(programs, written(report, n, tmp_path)) for n in ("cklb", "ckl"))
    rows = [
        [(r["ruleId"], r["result"], r["comment"]) for r in made["checklists"][0]["reviews"]]
        for made in (cklb, ckl)
    ]

    assert rows[0] == rows[1]


@pytest.mark.parametrize("name", ["cklb", "ckl"])
def test_the_checklists_of_the_named_evidence_are_read_as_they_are(
    programs: Programs, given: Path | None, name: str, tmp_path: Path
) -> None:
    if given is None:
        pytest.skip("no EVIDENCE=file was named")
    files = unpacked(given)
    found = Findings.model_validate_json(files["findings.json"])
    judged = requirements.judged(found, requirements.known_stig(found))
    (checklist,) = imported(programs, taken(files, name, tmp_path))["checklists"]

    assert {r["ruleId"]: r["result"] for r in checklist["reviews"]} == {
        j.requirement.rule_id: RESULTS[j.status] for j in judged
    }
