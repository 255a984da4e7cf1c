"""``summary.json`` of a run of ``prove``."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.builder.artifacts import DiskImage, LayerResult, RuleOutcome
from hardpan.builder.hardened_image import HardenedImage
from hardpan.scanners.report.headline import build_headline
from hardpan.scanners.report.model.build import build_findings
from hardpan.workflow.summary import summarize, write_summary
from tests.unit.evidence import samples


def make_layer(*outcomes: str) -> LayerResult:
    return LayerResult(
        layer="stig",
        changed_tasks=1,
        duration_s=1.0,
        outcomes=tuple(RuleOutcome(rule_id="r", outcome=o, detail="") for o in outcomes),
    )


HARDENED = HardenedImage(
    disk=DiskImage(path=Path("lab.qcow2"), virtual_size_mib=1, sha256=samples.SHA, duration_s=1.0),
    layers=(make_layer(), make_layer("waived", "applied", "error", "applied")),
    baseline_counts={"fail": 2, "pass": 1},
    packages=(),
    started=samples.STARTED,
    finished=samples.FINISHED,
)


@pytest.fixture
def result() -> Any:
    """A finished run; it has only what the summary reads."""
    return SimpleNamespace(
        image=SimpleNamespace(hardened=HARDENED, iso=SimpleNamespace(path=Path("out/lab.iso"))),
        evidence=Path("out/lab.evidence.zip"),
        verified=SimpleNamespace(
            findings=build_findings(samples.scan()), statement_sha256="ab", verdict="verified"
        ),
    )


def test_summary_has_every_result_of_the_run(result: Any, tmp_path: Path) -> None:
    findings = result.verified.findings

    write_summary(summarize(result), tmp_path)

    assert json.loads((tmp_path / "summary.json").read_text("utf-8")) == {
        "profile": findings.profile,
        "image": "lab.qcow2",
        "image_sha256": samples.SHA,
        "iso": "lab.iso",
        "evidence": "lab.evidence.zip",
        "statement_sha256": "ab",
        "baseline": {"fail": 2, "pass": 1},
        "current": findings.counts,
        "score": findings.score,
        "scores": {
            "xccdf": findings.score,
            "pass_ratio": findings.pass_ratio,
            "coverage": findings.coverage,
        },
        "content": {
            "name": "ssg-rhel9-ds.xml",
            "version": "0.1.82",
            "date": "2026-09-07",
            "origin": "shipped",
            "sha256": samples.SHA,
        },
        "headline": build_headline(findings).to_json(),
        "open": findings.count_open_by_severity(),
        "open_checks": findings.count_open_checks_by_severity(),
        "compatibility": findings.compatibility and findings.compatibility.count_verdicts(),
        "remediated": {"applied": 2, "error": 1, "waived": 1},
        "verdict": "verified",
    }
