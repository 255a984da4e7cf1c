"""HDF as MITRE's SAF CLI reads it; 430 MB of npm, so 'make test-interop' alone installs it."""

import json
from pathlib import Path
from typing import Any

import pytest

from hardpan.process import Completed
from hardpan.scanners.report import requirements
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.counting import categories
from hardpan.scanners.report.documents import Findings
from tests.interop.checklists import mixed, taken, written
from tests.interop.conftest import Programs, unpacked

pytestmark = [pytest.mark.interop, pytest.mark.heavy]

ROOM = Path(__file__).with_name("saf")


@pytest.fixture(scope="module")
def report() -> Report:
    return mixed()


def saf(programs: Programs, *words: str | Path, cwd: Path, ok: tuple[int, ...] = (0,)) -> Completed:
    """Run the SAF CLI."""
    program = programs.room(ROOM, setup="setup-interop") / "node_modules" / ".bin" / "saf"
    return programs.run("node", program, *words, cwd=cwd, ok=ok)


def summary(programs: Programs, hdf: Path) -> dict[str, Any]:
    """What it counts in a file."""
    argv = ("view", "summary", "--input", hdf, "--format", "json")
    said = saf(programs, *argv, cwd=hdf.parent).stdout
    (made,) = json.loads(said[said.index("[") :])
    assert isinstance(made, dict)
    return made


def test_it_counts_what_hardpan_counts(programs: Programs, report: Report, tmp_path: Path) -> None:
    said = summary(programs, written(report, "hdf", tmp_path))
    by = categories(report.findings)
    assert by is not None

    total = {k: said[k]["total"] for k in ("passed", "failed", "no_impact")}
    assert total == {
        "passed": sum(t.not_a_finding for t in by.values()),
        # One rule that stands for no requirement fails, too.
        "failed": sum(t.open for t in by.values()) + 1,
        "no_impact": sum(t.not_applicable for t in by.values()),
    }
    not_reviewed = said["skipped"]["total"] + said["error"]["total"]
    assert not_reviewed == sum(t.not_reviewed for t in by.values())
    assert said["failed"]["high"] == by["I"].open
    assert said["error"]["total"] > 0


def test_it_counts_what_passed_in_the_named_evidence(
    programs: Programs, given: Path | None, tmp_path: Path
) -> None:
    if given is None:
        pytest.skip("no EVIDENCE=file was named")
    files = unpacked(given)
    found = Findings.model_validate_json(files["findings.json"])
    stig = requirements.known_stig(found)
    judged = requirements.judged(found, stig)
    passed = sum(j.status == requirements.Status.NOT_A_FINDING for j in judged)
    passed += sum(r.verdict == "pass" for r in requirements.unassigned(found, stig))

    assert summary(programs, taken(files, "hdf", tmp_path))["passed"]["total"] == passed > 0


@pytest.mark.parametrize(("spare", "code"), [(0, 0), (-1, 1)])
def test_it_holds_the_results_to_a_threshold(
    programs: Programs, report: Report, tmp_path: Path, spare: int, code: int
) -> None:
    hdf = written(report, "hdf", tmp_path)
    by = categories(report.findings)
    assert by is not None
    most = sum(t.open for t in by.values()) + 1 + spare

    threshold = f"{{failed.total.max: {most}}}"
    argv = ("validate", "threshold", "--input", hdf, "--templateInline", threshold)
    # A waiver takes nothing out of the count.
    assert saf(programs, *argv, cwd=tmp_path, ok=(0, 1)).returncode == code
