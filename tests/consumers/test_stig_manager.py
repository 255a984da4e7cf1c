"""Checklists as STIG Manager's own client reads them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hardpan.scanners.report.registry import Report
from hardpan.scanners.report.stig import checklist_model
from tests.consumers.checklists import mixed_report, write_format
from tests.consumers.conftest import Consumers
from tests.unit.report import stig_samples

pytestmark = pytest.mark.interop

STIG_MANAGER_FOLDER = Path(__file__).with_name("stig_manager")
RESULTS = {
    "open": "fail",
    "not_reviewed": "notchecked",
    "not_a_finding": "pass",
    "not_applicable": "notapplicable",
}


@pytest.fixture(scope="module")
def report() -> Report:
    return mixed_report()


def import_checklist(programs: Consumers, checklist: Path) -> dict[str, Any]:
    """What STIG Manager's client makes of a checklist."""
    script = programs.installed_folder(STIG_MANAGER_FOLDER) / "read_checklist.mjs"
    parsed = json.loads(programs.run("node", script, checklist, cwd=checklist.parent).stdout)
    assert isinstance(parsed, dict)
    return parsed


@pytest.mark.parametrize("name", ["cklb", "ckl"])
def test_stig_manager_imports_every_review(
    programs: Consumers, report: Report, name: str, tmp_path: Path
) -> None:
    parsed = import_checklist(programs, write_format(report, name, tmp_path))
    (checklist,) = parsed["checklists"]
    assessed = checklist_model.assess_requirements(report.findings, stig_samples.stig())

    assert parsed["target"]["name"] == "<script>alert(1)</script>.example"
    assert (checklist["benchmarkId"], checklist["revisionStr"]) == ("RHEL_9_STIG", "V2R9")
    review_by_rule = {r["ruleId"]: r for r in checklist["reviews"]}
    assert len(checklist["reviews"]) == len(review_by_rule) == len(assessed) == 445
    assert {k: v["result"] for k, v in review_by_rule.items()} == {
        j.requirement.rule_id: RESULTS[j.status] for j in assessed
    }
    stats = {k: n for k, n in checklist["stats"].items() if n}
    assert stats == Counter(RESULTS[j.status] for j in assessed)
    for requirement in assessed:
        detail = review_by_rule[requirement.requirement.rule_id]["detail"]
        assert "]]><script>alert(1)</script>" in detail or not requirement.rules or "xxx" in detail
        assert len(detail) <= checklist_model.MAX_CHARACTERS
    waived_requirement = next(j for j in assessed if j.is_waived)
    assert "see T-1" in review_by_rule[waived_requirement.requirement.rule_id]["comment"]


def test_stig_manager_reads_ckl_and_cklb_alike(
    programs: Consumers, report: Report, tmp_path: Path
) -> None:
    cklb, ckl = (
        import_checklist(programs, write_format(report, n, tmp_path)) for n in ("cklb", "ckl")
    )
    rows = [
        [(r["ruleId"], r["result"], r["comment"]) for r in parsed["checklists"][0]["reviews"]]
        for parsed in (cklb, ckl)
    ]

    assert rows[0] == rows[1]
