"""HDF as MITRE's SAF CLI reads it; 430 MB of npm, so 'make test-interop' alone installs it."""

import json
from pathlib import Path
from typing import Any

import pytest

from hardpan.core.process import CompletedProcess
from hardpan.scanners.report.registry import Report
from hardpan.scanners.report.stig.statistics import count_by_category
from tests.consumers.checklists import mixed_report, write_format
from tests.consumers.conftest import Consumers

pytestmark = [pytest.mark.interop, pytest.mark.slow]

SAF_FOLDER = Path(__file__).with_name("saf")


@pytest.fixture(scope="module")
def report() -> Report:
    return mixed_report()


def run_saf(
    programs: Consumers, *arguments: str | Path, cwd: Path, ok: tuple[int, ...] = (0,)
) -> CompletedProcess:
    """Run the SAF CLI."""
    program = (
        programs.installed_folder(SAF_FOLDER, setup="setup-interop-full")
        / "node_modules"
        / ".bin"
        / "saf"
    )
    return programs.run("node", program, *arguments, cwd=cwd, ok=ok)


def saf_summary(programs: Consumers, hdf: Path) -> dict[str, Any]:
    """What it counts in a file."""
    argv = ("view", "summary", "--input", hdf, "--format", "json")
    stdout = run_saf(programs, *argv, cwd=hdf.parent).stdout
    (parsed,) = json.loads(stdout[stdout.index("[") :])
    assert isinstance(parsed, dict)
    return parsed


def test_saf_counts_match_hardpan(programs: Consumers, report: Report, tmp_path: Path) -> None:
    counts = saf_summary(programs, write_format(report, "hdf", tmp_path))
    counts_by_category = count_by_category(report.findings)
    assert counts_by_category is not None

    total = {k: counts[k]["total"] for k in ("passed", "failed", "no_impact")}
    assert total == {
        "passed": sum(t.not_a_finding for t in counts_by_category.values()),
        # One rule without a requirement fails, too.
        "failed": sum(t.open for t in counts_by_category.values()) + 1,
        "no_impact": sum(t.not_applicable for t in counts_by_category.values()),
    }
    not_reviewed = counts["skipped"]["total"] + counts["error"]["total"]
    assert not_reviewed == sum(t.not_reviewed for t in counts_by_category.values())
    assert counts["failed"]["high"] == counts_by_category["I"].open
    assert counts["error"]["total"] > 0


@pytest.mark.parametrize(("margin", "code"), [(0, 0), (-1, 1)])
def test_saf_threshold_counts_waived_failures(
    programs: Consumers, report: Report, tmp_path: Path, margin: int, code: int
) -> None:
    hdf = write_format(report, "hdf", tmp_path)
    counts_by_category = count_by_category(report.findings)
    assert counts_by_category is not None
    max_failed = sum(t.open for t in counts_by_category.values()) + 1 + margin

    threshold = f"{{failed.total.max: {max_failed}}}"
    argv = ("validate", "threshold", "--input", hdf, "--templateInline", threshold)
    # A waiver takes nothing out of the count.
    assert run_saf(programs, *argv, cwd=tmp_path, ok=(0, 1)).returncode == code
