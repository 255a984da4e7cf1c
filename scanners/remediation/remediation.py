"""Remediation of a scan: from evidence and its content to a playbook or a script."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hardpan.core.errors import InputError, TrustError
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content.fixes import ContentFix, FixKind, read_rule_fixes, render_bash_fix
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.verify.sources import UnverifiedEvidence
from hardpan.scanners.evidence.verify.verifier import VerifiedEvidence
from hardpan.scanners.remediation.ansible_fix import AnsibleTasks, parse_ansible_fix
from hardpan.scanners.remediation.header import RemediationSource
from hardpan.scanners.remediation.plan import (
    Omission,
    OmittedRule,
    Plan,
    PlannedFix,
    RuleSelection,
    build_plan,
)
from hardpan.scanners.remediation.playbook import render_playbook
from hardpan.scanners.remediation.scanned_content import load_scanned_content
from hardpan.scanners.remediation.shell_script import render_script
from hardpan.scanners.report.model.sections import RulePart

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remediation:
    """A playbook or a script, and what it does."""

    document: bytes
    plan: Plan
    source: RemediationSource

    def to_json(self) -> dict[str, object]:
        """Return the summary as JSON data."""
        findings = self.source.findings
        return {
            "kind": self.plan.kind.value,
            "signature": self.source.status,
            "evidenceSha256": self.source.evidence_sha256,
            "statementSha256": self.source.statement_sha256,
            "host": findings.host.hostname,
            "hostKeySha256": findings.host.host_key_sha256,
            "finished": findings.finished,
            "content": findings.content.identity_to_json(),
            "contentLocation": self.source.content_location,
            "profileId": findings.content.profile_id,
            "remediated": [
                {
                    **_rule_to_json(planned.rule),
                    "complexity": planned.fix.complexity,
                    "disruption": planned.fix.disruption,
                    "strategy": planned.fix.strategy,
                    "needsReboot": planned.needs_reboot,
                    "isDisruptive": planned.is_disruptive,
                }
                for planned in self.plan.fixes
            ],
            "omitted": [
                {**_rule_to_json(o.rule), "reason": o.reason.value, "message": o.message}
                for o in self.plan.omitted
            ],
        }


def build_remediation(
    path: Path,
    evidence: UnverifiedEvidence | VerifiedEvidence,
    status: str,
    kind: FixKind,
    selection: RuleSelection,
    *,
    content_file: Path | None = None,
) -> Remediation:
    """Build the remediation of the failed rules of ``evidence``, which was read from ``path``.

    Raises:
        InputError: the content is nowhere, or a requested rule is not one of the scan.
        TrustError: the content has another digest, or the file changed since it was verified.
    """
    findings = evidence.findings
    with EvidenceArchive(path) as archive:
        if (
            isinstance(evidence, VerifiedEvidence)
            and evidence.evidence_sha256 != archive.file_sha256
        ):
            raise TrustError(f"{path}: changed since it was verified")
        content = load_scanned_content(archive, evidence.statement, findings.content, content_file)
        evidence_sha256 = archive.file_sha256
    rules = read_rule_fixes(content.bench, findings.content.profile_id, findings.content.name)
    plan = build_plan(findings, rules, kind, selection)
    source = RemediationSource(
        findings=findings,
        evidence_sha256=evidence_sha256,
        statement_sha256=evidence.statement_sha256,
        status=status,
        content_location=content.description,
    )
    if kind is FixKind.ANSIBLE:
        tasks, plan = _convert(plan, parse_ansible_fix)
        if not selection.allow_collections:
            tasks, plan = _omit_collections(tasks, plan)
        return Remediation(document=render_playbook(source, plan, tasks), plan=plan, source=source)
    scripts, plan = _convert(plan, render_bash_fix)
    return Remediation(document=render_script(source, plan, scripts), plan=plan, source=source)


def _convert(
    plan: Plan, convert: Callable[[ContentFix], T]
) -> tuple[Sequence[tuple[PlannedFix, T]], Plan]:
    """Convert the fixes; one that cannot be converted is omitted with the reason."""
    converted: list[tuple[PlannedFix, T]] = []
    omitted = list(plan.omitted)
    for planned in plan.fixes:
        try:
            converted.append((planned, convert(planned.fix)))
        except InputError as e:
            omitted.append(
                OmittedRule(rule=planned.rule, reason=Omission.INVALID_FIX, message=str(e))
            )
    fixes = tuple(planned for planned, _ in converted)
    return converted, replace(plan, fixes=fixes, omitted=tuple(omitted))


def _omit_collections(
    tasks: Sequence[tuple[PlannedFix, AnsibleTasks]], plan: Plan
) -> tuple[Sequence[tuple[PlannedFix, AnsibleTasks]], Plan]:
    remaining = [(planned, t) for planned, t in tasks if not t.collections]
    omitted = tuple(
        OmittedRule(
            rule=planned.rule,
            reason=Omission.COLLECTION,
            message=f"needs {', '.join(sorted(t.collections))}",
        )
        for planned, t in tasks
        if t.collections
    )
    fixes = tuple(planned for planned, _ in remaining)
    return remaining, replace(plan, fixes=fixes, omitted=(*plan.omitted, *omitted))


def _rule_to_json(rule: RulePart) -> dict[str, object]:
    return {
        "ruleId": rule.rule_id,
        "name": shorten_id(rule.rule_id),
        "stigIds": list(rule.stig_ids),
        "severity": rule.severity,
        "title": rule.title,
    }
