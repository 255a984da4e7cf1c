"""Findings and fixes of a small scan."""

from hardpan.scanners.content.fixes import ContentFix, FixKind, FixValue, RuleFixes
from hardpan.scanners.remediation.header import RemediationSource
from hardpan.scanners.report.model.build import build_findings
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.waiver_sections import WaiverPart
from tests.unit.evidence import samples

PREFIX = "xccdf_org.ssgproject.content_rule_"
WAIVER = WaiverPart(reason="needed", owner="web team", expires="2099-01-31", is_active=True)
TASK = "- name: Do it\n  ansible.builtin.command: 'true'\n"


def rule(name: str, verdict: str = "fail", **changes: object) -> RulePart:
    base = RulePart(
        rule_id=PREFIX + name,
        title=f"Title of {name}",
        severity="medium",
        verdict="fail",
        waiver=None,
        stig_ids=(),
        sv_ids=(),
        nist=(),
        cce="",
        engine="OVAL",
        evidence_lines=(),
        rationale="",
        fix_text="",
    )
    return base.model_copy(update={"verdict": verdict, **changes})


def findings(*rules: RulePart) -> Findings:
    return build_findings(samples.slim_scan()).model_copy(update={"rules": rules})


def fix(*parts: str | FixValue, disruption: str = "low", needs_reboot: bool = False) -> ContentFix:
    return ContentFix(
        fix_id="f",
        parts=parts or (TASK,),
        complexity="low",
        disruption=disruption,
        strategy="configure",
        needs_reboot=needs_reboot,
    )


def value(text: str | None) -> FixValue:
    return FixValue(value_id="v", text=text, is_declared=False)


def rule_fixes(
    name: str,
    *,
    ansible: ContentFix | None = None,
    bash: ContentFix | None = None,
    requires: tuple[str, ...] = (),
    group: str = "Group",
) -> RuleFixes:
    fixes = {FixKind.ANSIBLE: ansible, FixKind.BASH: bash}
    return RuleFixes(
        rule_id=PREFIX + name,
        group=group,
        requires=tuple((PREFIX + r,) for r in requires),
        fixes={kind: f for kind, f in fixes.items() if f is not None},
    )


def source(*rules: RulePart) -> RemediationSource:
    return RemediationSource(
        findings=findings(*rules),
        evidence_sha256="a" * 64,
        statement_sha256="b" * 64,
        status="verified: signed by key 'scan'",
        content_location="arf.xml of the evidence",
    )
