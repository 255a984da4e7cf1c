"""``summary.json``: the results of one run of ``prove``, for programs."""

import json
from collections.abc import Mapping
from pathlib import Path

from hardpan.core.files import write_atomic
from hardpan.scanners.report.headline import build_headline
from hardpan.workflow.build_and_attest import RunResult

FILE_NAME = "summary.json"


def summarize(result: RunResult) -> dict[str, object]:
    """Return the results of a run as JSON data."""
    findings = result.verified.findings
    hardened = result.image.hardened
    compatibility = findings.compatibility
    return {
        "profile": findings.profile,
        "image": hardened.disk.path.name,
        "image_sha256": hardened.disk.sha256,
        "iso": result.image.iso.path.name,
        "evidence": result.evidence.name,
        "statement_sha256": result.verified.statement_sha256,
        "baseline": hardened.baseline_counts,
        "current": dict(findings.counts),
        "score": findings.score,
        "scores": findings.scores_to_json(),
        "content": findings.content.identity_to_json(),
        "headline": build_headline(findings).to_json(),
        "open": findings.count_open_by_severity(),
        "open_checks": findings.count_open_checks_by_severity(),
        "compatibility": None if compatibility is None else compatibility.count_verdicts(),
        "remediated": hardened.count_rule_outcomes(),
        "verdict": result.verified.verdict,
    }


def write_summary(summary: Mapping[str, object], folder: Path) -> None:
    """Write ``summary`` into ``folder``."""
    write_atomic(folder / FILE_NAME, json.dumps(summary, indent=1, sort_keys=True) + "\n")
