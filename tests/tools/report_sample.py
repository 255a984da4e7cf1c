"""The sample report for the tests and screenshots of the HTML report.

``load_sample()`` reads ``tests/data/page/sample.json.gz``. Its rules come from a real scan of the
lab image. Names, keys and digests are replaced, a few waivers are removed or have another expiry
date, and compatibility checks and chat measurements are added, so that every section of the report
has content. ``python -m tests.tools.report_sample EVIDENCE`` creates it again.
"""

import gzip
import hashlib
import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hardpan.scanners.compatibility.conflicts import load_conflicts
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.expected_signatures import ExpectedSignatures
from hardpan.scanners.report.model.scan_changes import AttributeChange, RuleChange, ScanChanges
from hardpan.scanners.report.registry import Report

SAMPLE_FILE = Path(__file__).parents[1] / "data" / "page" / "sample.json.gz"


def load_sample() -> Report:
    """The sample as a report."""
    document = json.loads(gzip.decompress(SAMPLE_FILE.read_bytes()))
    return Report(
        findings=Findings.model_validate_json(json.dumps(document["findings"])),
        smoke=SmokeDocument.model_validate_json(json.dumps(document["smoke"])),
        signer_sha256=_digest("key"),
        predicate_type="https://hardpan.dev/attestation/compliance-scan/v1",
        expected_signatures=ExpectedSignatures(
            algorithm="ecdsa-p256-sha256",
            post_quantum="ml-dsa-65",
            has_timestamp=True,
            has_host_signature=True,
        ),
    )


def add_changes(report: Report) -> Report:
    """Return the report with changes since a previous scan."""
    rules = report.findings.rules
    opened = [r for r in rules if r.is_open][:2]
    closed = [r for r in rules if r.verdict == "pass"][:3]
    waived = [r for r in rules if r.is_waived][:1]
    return replace(
        report,
        changes=ScanChanges(
            since="2026-10-24T03:12:40Z",
            statement_sha256="4f" * 32,
            newly_failing=tuple(_rule_change(r, "pass", r.verdict) for r in opened),
            fixed=tuple(_rule_change(r, "fail", r.verdict) for r in closed),
            other=tuple(_rule_change(r, "fail", r.verdict) for r in waived),
            attributes=(
                AttributeChange(
                    name="kernel", baseline="6.12.94", current=report.findings.host.kernel
                ),
                AttributeChange(
                    name="content", baseline="0.1.81", current=report.findings.content.version
                ),
            ),
        ),
    )


def _rule_change(rule: Any, old: Any, new: Any) -> RuleChange:
    return RuleChange(
        rule_id=rule.rule_id,
        title=rule.title,
        severity=rule.severity,
        stig_ids=rule.stig_ids,
        baseline=old,
        current=new,
        waived=rule.is_waived,
    )


def _digest(name: str) -> str:
    return hashlib.sha256(f"sample {name}".encode()).hexdigest()


def _anonymize(findings: dict[str, Any]) -> dict[str, Any]:
    host = findings["host"]
    root = "root=/dev/mapper/vg0-root ro fips=1 audit=1 audit_backlog_limit=8192"
    host.update(
        hostname="inference-07",
        hostKeySha256="SHA256:Zr1dC0xWn7q3yB5mJ8kT2vLhQ4sPfUeA6gNoYtRiXwM",
        machineIdHmac=_digest("machine")[:32],
        bootId="0b0c7a36-6f1a-4d8e-9a55-6f4f0d7f5a10",
        cmdline=f"{root} init_on_free=1 page_poison=1 pti=on vsyscall=none",
        packagesSha256=_digest("packages"),
    )
    findings["image"].update(
        sha256=_digest("image"), provenanceStatementSha256=_digest("provenance")
    )
    return findings


def _adjust_waivers(rules: list[dict[str, Any]]) -> None:
    """Convert text waivers of older evidence; change a few so that each kind occurs."""
    count = 0
    for rule in rules:
        exception = rule.pop("exception", None)
        if exception:
            rule["waiver"] = {
                "reason": exception.rpartition(" (")[0],
                "owner": "platform team",
                "expires": "2027-11-30",
                "isActive": True,
            }
        waiver = rule.setdefault("waiver", None)
        if waiver is None:
            continue
        count += 1
        if count in (2, 9, 15, 21, 26):
            rule["waiver"] = None
        elif count in (5, 18):
            waiver.update(expires="2026-11-14", isActive=False)
        elif count in (7, 12):
            waiver.update(expires="2026-12-05", owner="inference team")
        if count == 9:
            rule["severity"] = "high"


def _compatibility_section() -> dict[str, Any]:
    results = []
    for n, conflict in enumerate(load_conflicts()):
        verdict = {4: "fail", 17: "fail", 9: "not_checked"}.get(n, "pass")
        if n % 4 == 3:
            verdict = "not_applicable"
        control, workload = {
            "pass": ("satisfied", "satisfied"),
            "fail": ("violated", "satisfied") if n == 4 else ("satisfied", "violated"),
            "not_checked": ("satisfied", "not_tested"),
            "not_applicable": ("not_applicable", "not_applicable"),
        }[verdict]
        results.append(
            {
                "conflict": conflict.id,
                "row": conflict.row,
                "title": conflict.title,
                "rules": list(conflict.rules),
                "resolution": conflict.resolution,
                "verdict": verdict,
                "reason": f"control: {control}; workload: {workload}".replace("_", " "),
                "waiver": None,
                "control": _check_result(conflict.control, control),
                "workload": _check_result(conflict.workload, workload),
            }
        )
    return {
        "confinement": "of hardpan-llm.service; user ai-llm; NoNewPrivileges; seccomp",
        "results": results,
    }


def _check_result(definition: Any, outcome: str) -> dict[str, str]:
    observed = {
        "satisfied": "as expected",
        "violated": "something else",
        "not_applicable": "no such device",
    }
    return {
        "outcome": outcome,
        "inspected": definition.inspects,
        "expected": definition.expects,
        "observed": observed.get(outcome, ""),
    }


def _write_sample(evidence: Path) -> None:
    with zipfile.ZipFile(evidence) as archive:
        findings = _anonymize(json.loads(archive.read("findings.json")))
        smoke = json.loads(archive.read("smoke.json"))
    _adjust_waivers(findings["rules"])
    findings["compatibility"] = _compatibility_section()
    chat = (
        ("chat, time to first token", 645.6, 611.2, 702.9),
        ("chat, whole answer", 4888.1, 4702.5, 5120.4),
    )
    for name, value, low, high in chat:
        template = smoke["measures"][1]
        smoke["measures"].append(
            {**template, "name": name, "value": value, "minimum": low, "maximum": high, "n": 6}
        )
    findings["checks"][7].update(outcome="failed", message="expected 0600\nis 0640")
    text = json.dumps({"findings": findings, "smoke": smoke}, sort_keys=True, separators=(",", ":"))
    SAMPLE_FILE.parent.mkdir(parents=True, exist_ok=True)
    SAMPLE_FILE.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    _write_sample(Path(sys.argv[1]))
