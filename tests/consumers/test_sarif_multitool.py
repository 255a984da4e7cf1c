"""SARIF as Microsoft's validator reads it, with its rules for GitHub code scanning."""

import json
from pathlib import Path
from typing import Any

import pytest

from hardpan.scanners.report.model.documents import Findings
from tests.consumers.conftest import Consumers

pytestmark = [pytest.mark.interop, pytest.mark.slow]

_FOLDER = Path(__file__).with_name("sarif_multitool")
_PROGRAM = Path("node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool")
# hardpan has no page for 'informationUri', and the findings do not name its version.
_ACCEPTED = {"SARIF2005"}


def validate_log(programs: Consumers, log: Path) -> list[dict[str, Any]]:
    """Return the results of the validator, which are SARIF themselves."""
    program = programs.installed_folder(_FOLDER, setup="setup-interop-full") / _PROGRAM
    # npm runs no install scripts here, and one of them would set the mode.
    program.chmod(0o755)
    out = log.with_name("validation.sarif")
    argv = ["validate", log, "--rule-kind", "Sarif;Ghas", "--output", out]
    programs.run(str(program), *argv, "--log", "ForceOverwrite", cwd=log.parent)
    (run,) = json.loads(out.read_text("utf-8-sig"))["runs"]
    assert run["invocations"][0]["executionSuccessful"] is True
    results = run.get("results", [])
    assert isinstance(results, list)
    return results


def test_validator_accepts_the_log(
    programs: Consumers, rendered_folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "findings.sarif"
    log.write_bytes((rendered_folder / "findings.sarif").read_bytes())

    results = validate_log(programs, log)

    assert {r["ruleId"].partition("/")[0] for r in results} <= _ACCEPTED, results


def test_validator_rejects_a_result_without_location(
    programs: Consumers, rendered_folder: Path, tmp_path: Path
) -> None:
    findings = Findings.model_validate_json((rendered_folder / "findings.json").read_bytes())
    document = json.loads((rendered_folder / "findings.sarif").read_bytes())
    results = document["runs"][0]["results"]
    assert len(results) == sum(r.is_open for r in findings.rules_and_checks)
    for result in results:
        result["locations"] = []
    log = tmp_path / "findings.sarif"
    log.write_text(json.dumps(document), "utf-8")

    rejected = {r["ruleId"].partition("/")[0] for r in validate_log(programs, log)} - _ACCEPTED

    assert bool(rejected) == bool(results)
