"""Third-party programs read the numbers that the evidence states out of every one of its formats.

The other tests of this folder read sample scans. These read a file that a scan wrote, such as the
demo's: a program that ends with 0 but read nothing would fail them.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft201909Validator
from lxml import etree, html

from hardpan.core.process import run
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.oscal.elements import NOT_PASSED
from hardpan.scanners.report.registry import FORMATS
from hardpan.scanners.report.stig import checklist_model
from hardpan.scanners.report.stig.checklist_model import AssessedRequirement, ChecklistStatus
from tests.consumers.conftest import REPO, Consumers, read_archive
from tests.consumers.test_saf import run_saf, saf_summary
from tests.consumers.test_sarif_multitool import validate_log
from tests.consumers.test_stig_manager import RESULTS, import_checklist

pytestmark = [pytest.mark.interop, pytest.mark.evidence]

_TRESTLE = """
import pathlib, sys
from trestle.oscal import assessment_results, poam
for name, model in (
    ("assessment-results", assessment_results.AssessmentResults),
    ("poam", poam.PlanOfActionAndMilestones),
):
    document = model.oscal_read(pathlib.Path(sys.argv[1], name + ".json"))
    document.oscal_write(pathlib.Path(sys.argv[2], name + ".json"))
"""


@pytest.fixture(scope="module")
def archive(evidence_file: Path) -> dict[str, bytes]:
    return read_archive(evidence_file)


@pytest.fixture(scope="module")
def folder(archive: Mapping[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The formats in the evidence, as files."""
    folder = tmp_path_factory.mktemp("evidence")
    for name, data in archive.items():
        if "/" not in name:  # the collectors' raw answers have a folder
            (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def findings(archive: Mapping[str, bytes]) -> Findings:
    return Findings.model_validate_json(archive["findings.json"])


@pytest.fixture(scope="module")
def verdicts(findings: Findings) -> Counter[str]:
    """Verdict -> number of rules, as the evidence states it."""
    counts = Counter({verdict: n for verdict, n in findings.counts.items() if n})
    assert counts == Counter[str](r.verdict for r in findings.rules)
    assert counts["pass"] > 0
    return counts


@pytest.fixture(scope="module")
def assessed(findings: Findings) -> tuple[AssessedRequirement, ...]:
    """The requirements of the STIG, as the evidence's checklists state them."""
    return checklist_model.assess_requirements(findings, checklist_model.require_stig(findings))


def test_oscap_reads_the_verdicts_of_the_arf(
    folder: Path, verdicts: Counter[str], tmp_path: Path
) -> None:
    arf = folder / "arf.xml"
    run(["oscap", "ds", "rds-validate", arf], timeout_s=300, cwd=tmp_path)
    report = tmp_path / "report.html"
    run(
        ["oscap", "xccdf", "generate", "report", "--output", report, arf],
        timeout_s=300,
        cwd=tmp_path,
    )
    rows = html.parse(report).xpath('//tr[contains(@class, "rule-overview-leaf-")]/@class')
    prefix = "rule-overview-leaf-"
    numbers = Counter(
        name.removeprefix(prefix)
        for row in rows
        for name in str(row).split()
        if name.startswith(prefix) and not name.startswith(f"{prefix}id-")
    )

    assert {k: n for k, n in numbers.items() if k != "notselected"} == verdicts


def test_openscap_report_reads_the_verdicts_of_the_arf(
    programs: Consumers, folder: Path, verdicts: Counter[str], tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    programs.run("oscap-report", "-f", "JSON", "-o", out, folder / "arf.xml", cwd=tmp_path)
    rules = json.loads(out.read_text("utf-8"))["rules"]
    # Rules that the profile does not select have no result.
    assert Counter(rule["result"] for rule in rules.values() if "result" in rule) == verdicts


def test_trestle_reads_the_verdicts_of_the_oscal_documents(
    programs: Consumers, folder: Path, findings: Findings, verdicts: Counter[str], tmp_path: Path
) -> None:
    programs.run("python", "-c", _TRESTLE, folder, tmp_path, cwd=tmp_path)
    results = json.loads((tmp_path / "assessment-results.json").read_bytes())["assessment-results"]
    poam = json.loads((tmp_path / "poam.json").read_bytes())["plan-of-action-and-milestones"]
    (result,) = results["results"]
    rules = findings.rules_and_checks
    not_passed = {r.rule_id for r in rules if r.verdict in NOT_PASSED}
    open_rules = {
        "open": sum(r.is_open for r in rules),
        "waived": sum(r.is_waived for r in rules),
    }
    states = Counter(_list_props(poam["poam-items"], "state"))
    risks = Counter(r["status"] for r in result.get("risks", ()))

    assert Counter(_list_props(result["observations"], "verdict")) == verdicts + _count_checks(
        findings
    )
    assert set(_list_props(result.get("findings", ()), "rule")) == not_passed
    assert {"open": risks["open"], "waived": risks["deviation-approved"]} == open_rules
    assert {"open": states["open"], "waived": states["waived"]} == open_rules


@pytest.mark.parametrize("name", ["cklb", "ckl"])
def test_stig_manager_reads_the_statuses_of_the_checklists(
    programs: Consumers, folder: Path, assessed: tuple[AssessedRequirement, ...], name: str
) -> None:
    (checklist,) = import_checklist(programs, folder / FORMATS[name].filename)["checklists"]

    assert {r["ruleId"]: r["result"] for r in checklist["reviews"]} == {
        a.requirement.rule_id: RESULTS[a.status] for a in assessed
    }


def test_ckl_matches_the_schema_of_stig_viewer(
    folder: Path, assessed: tuple[AssessedRequirement, ...]
) -> None:
    schema = etree.XMLSchema(etree.parse(REPO / "tests" / "data" / "ckl" / "checklist-2.5.xsd"))
    document = etree.parse(folder / "checklist.ckl")

    assert schema.validate(document), schema.error_log
    assert len(document.findall(".//VULN")) == len(assessed)
    status = document.find(".//STATUS")
    assert status is not None
    status.text = "Failed"
    assert not schema.validate(document)


def test_cklb_matches_the_schema_of_stig_viewer(
    folder: Path, assessed: tuple[AssessedRequirement, ...]
) -> None:
    schema = REPO / "tests" / "data" / "cklb" / "cklb-1.0.schema.json"
    validator = Draft201909Validator(json.loads(schema.read_text("utf-8")))
    document = json.loads((folder / "checklist.cklb").read_bytes())
    (stig,) = document["stigs"]
    # STIG Viewer writes it, and STIG Manager reads it; the published schema lacks it.
    assert isinstance(stig.pop("version"), str)

    assert [e.message for e in validator.iter_errors(document)] == []
    assert Counter(r["status"] for r in stig["rules"]) == Counter(a.status for a in assessed)
    stig["rules"][0]["status"] = "failed"
    assert [e.validator for e in validator.iter_errors(document)] == ["enum"]


@pytest.mark.slow
def test_saf_reads_the_statuses_of_the_hdf(
    programs: Consumers,
    folder: Path,
    findings: Findings,
    assessed: tuple[AssessedRequirement, ...],
    tmp_path: Path,
) -> None:
    (tmp_path / "hdf.json").write_bytes((folder / "hdf.json").read_bytes())
    counts = saf_summary(programs, tmp_path / "hdf.json")
    expected = Counter(_hdf_status(a.status, a.verdict) for a in assessed)
    stig = checklist_model.require_stig(findings)
    expected.update(
        _RULE_STATUS.get(r.verdict, "skipped")
        for r in (
            *checklist_model.find_unassigned_rules(findings, stig),
            *findings.check_rules,
        )
    )
    numbers = {k: counts[k]["total"] for k in ("passed", "failed", "skipped", "error", "no_impact")}

    assert _without_zeros(numbers) == expected
    for margin, code in ((0, 0), (-1, 1)):
        threshold = f"{{failed.total.max: {expected['failed'] + margin}}}"
        argv = ("validate", "threshold", "--input", tmp_path / "hdf.json")
        completed = run_saf(programs, *argv, "--templateInline", threshold, cwd=tmp_path, ok=(0, 1))
        assert completed.returncode == code


@pytest.mark.slow
def test_saf_converts_the_hdf_to_the_same_checklist(
    programs: Consumers, folder: Path, assessed: tuple[AssessedRequirement, ...], tmp_path: Path
) -> None:
    converted = tmp_path / "converted.ckl"
    argv = ("convert", "hdf2ckl", "--input", folder / "hdf.json", "--output", converted)
    run_saf(programs, *argv, cwd=tmp_path)

    checklist, converted_checklist = _read_ckl(folder / "checklist.ckl"), _read_ckl(converted)

    assert checklist.keys() == {a.requirement.group_id for a in assessed}
    # HDF also has controls without a requirement.
    assert {k: converted_checklist.get(k) for k in checklist} == checklist


@pytest.mark.slow
def test_sarif_validator_reads_the_open_rules(
    programs: Consumers, folder: Path, findings: Findings, tmp_path: Path
) -> None:
    log = tmp_path / "findings.sarif"
    log.write_bytes((folder / "findings.sarif").read_bytes())
    results = json.loads(log.read_bytes())["runs"][0]["results"]

    assert {r["ruleId"] for r in validate_log(programs, log)} <= {"SARIF2005"}
    assert {r["ruleId"] for r in results} == {
        r.rule_id for r in findings.rules_and_checks if r.is_open
    }


def test_junit_and_csv_have_the_verdicts(
    folder: Path, findings: Findings, verdicts: Counter[str]
) -> None:
    suite = etree.parse(folder / "junit-rules.xml").find("testsuite")
    assert suite is not None
    waived = sum(r.is_waived for r in findings.rules)
    failing = Counter(r.verdict for r in findings.rules if not r.is_waived)
    text = (folder / "findings.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    assert dict(suite.attrib) | {
        "tests": str(len(findings.rules)),
        "failures": str(failing["fail"]),
        "errors": str(failing["error"] + failing["unknown"]),
        "skipped": str(
            waived + verdicts["notapplicable"] + verdicts["notchecked"] + verdicts["informational"]
        ),
    } == dict(suite.attrib)
    assert len(suite.findall("testcase/failure")) == failing["fail"]
    assert Counter(row["verdict"] for row in rows) == verdicts + _count_checks(findings)


_RULE_STATUS = {
    "pass": "passed",
    "fixed": "passed",
    "fail": "failed",
    "error": "error",
    "unknown": "error",
    "notapplicable": "no_impact",
}


def _hdf_status(status: ChecklistStatus, verdict: str) -> str:
    if status is ChecklistStatus.NOT_REVIEWED:
        return "error" if verdict in ("error", "unknown") else "skipped"
    return {
        ChecklistStatus.OPEN: "failed",
        ChecklistStatus.NOT_A_FINDING: "passed",
        ChecklistStatus.NOT_APPLICABLE: "no_impact",
    }[status]


def _read_ckl(path: Path) -> dict[str, tuple[str, str, str, frozenset[str]]]:
    """Group id -> rule id, STIG id, status and CCIs."""
    rows = {}
    for element in etree.parse(path).iter("VULN"):
        pairs = [
            (e.findtext("VULN_ATTRIBUTE", ""), e.findtext("ATTRIBUTE_DATA", ""))
            for e in element.findall("STIG_DATA")
        ]
        first = dict(reversed(pairs))
        ccis = frozenset(value for name, value in pairs if name == "CCI_REF" and value)
        status = element.findtext("STATUS", "")
        rows[first["Vuln_Num"]] = (first["Rule_ID"], first["Rule_Ver"], status, ccis)
    return rows


def _count_checks(findings: Findings) -> Counter[str]:
    """Verdict -> number of hardpan's own checks, which most formats have as rules."""
    return Counter(r.verdict for r in findings.check_rules)


def _list_props(items: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    """Values of the properties of that name."""
    return [p["value"] for item in items for p in item.get("props", ()) if p["name"] == name]


def _without_zeros(counts: Mapping[str, int]) -> Counter[str]:
    return Counter({name: n for name, n in counts.items() if n})
