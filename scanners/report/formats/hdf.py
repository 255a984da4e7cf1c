"""HDF: Heimdall's data format, InSpec's exec-json 1.0, which the SAF tools read.

A control is a requirement of DISA's STIG with one result, its rules' worst verdict:
Heimdall calls a control passed when any of several results passed, which would hide
a check that did not run. Its id is that of DISA's group, which stays when the
requirement is revised and which ``saf convert hdf2ckl`` writes as vulnerability id.
Rules without a requirement are controls of their own, and so are hardpan's own checks.
A waiver is stored in ``waiver_data`` with ``skipped_due_to_waiver`` false, as readers
take a true one for not applicable. There is no ``attestation_data``: it is a person's
word that a control passed, and hardpan has none.
"""

from typing import Literal

from hardpan.core.files import canonical_json
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.report.model.content_sections import ContentPart
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.registry import Report
from hardpan.scanners.report.stig.checklist_model import (
    AssessedRequirement,
    ChecklistStatus,
    assess_requirements,
    find_content_stig,
    find_unassigned_rules,
    format_comments,
    format_finding_details,
    format_host_name,
    format_rule_details,
    list_waivers,
)
from hardpan.scanners.stig.manual_stig import ManualStig

HdfStatus = Literal["passed", "failed", "skipped", "error"]

IMPACT = {"high": 0.7, "medium": 0.5, "low": 0.3, "unknown": 0.5, "info": 0.1}
_UNDETERMINED = ("error", "unknown")
_STATUS_BY_VERDICT: dict[str, HdfStatus] = {
    "pass": "passed",
    "fixed": "passed",
    "fail": "failed",
    "error": "error",
    "unknown": "error",
}


class Hdf:
    """``hdf.json``."""

    def render(self, report: Report) -> bytes:
        """The scan as one profile of controls."""
        findings = report.findings
        stig = find_content_stig(findings)
        single_rules = findings.rules if stig is None else find_unassigned_rules(findings, stig)
        controls = [
            *(
                []
                if stig is None
                else [
                    _build_control(j, findings, stig) for j in assess_requirements(findings, stig)
                ]
            ),
            *(_build_rule_control(r, findings) for r in (*single_rules, *findings.check_rules)),
        ]
        return canonical_json(
            {
                "platform": {
                    "name": findings.host.os_name,
                    "release": findings.host.os_version,
                    "target_id": format_host_name(findings),
                },
                "version": f"hardpan findings {findings.schema_version}",
                "statistics": {},
                "profiles": [_build_profile(findings, stig, controls)],
                "passthrough": {"auxiliary_data": [_build_auxiliary_data(findings)]},
            }
        )


def _describe_content(content: ContentPart) -> str:
    text = f"{content.describe()}, profile {content.profile_id}"
    if content.tailoring is not None:
        text += f", tailored by {content.tailoring.identify()}"
    return text


def _build_profile(
    findings: Findings, stig: ManualStig | None, controls: list[dict[str, object]]
) -> dict[str, object]:
    content = findings.content
    return {
        "name": shorten_id(content.profile_id) if stig is None else stig.benchmark,
        "title": shorten_id(content.profile_id) if stig is None else stig.title,
        "version": content.version if stig is None else stig.revision,
        "maintainer": "hardpan",
        "summary": _describe_content(content),
        "sha256": content.source_sha256,
        "status": "loaded",
        "depends": [],
        "supports": [],
        "attributes": [],
        "groups": [],
        "controls": controls,
    }


def _build_control(
    assessed: AssessedRequirement, findings: Findings, stig: ManualStig
) -> dict[str, object]:
    requirement = assessed.requirement
    is_applicable = assessed.status is not ChecklistStatus.NOT_APPLICABLE
    controls = stig.controls_of(requirement.ccis)
    content_references = sorted({n for rule in assessed.rules for n in rule.nist})
    rule_verdicts = "; ".join(f"{shorten_id(x.rule_id)}: {x.verdict}" for x in assessed.rules)
    return {
        "id": requirement.group_id,
        "title": requirement.title,
        "desc": requirement.discussion,
        "descriptions": [
            {"label": "check", "data": requirement.check},
            {"label": "fix", "data": requirement.fix},
        ],
        "impact": IMPACT[requirement.severity] if is_applicable else 0,
        "refs": [],
        "tags": {
            "gid": requirement.group_id,
            "gtitle": requirement.group_title,
            "rid": requirement.rule_id,
            "stig_id": requirement.stig_id,
            "check_id": requirement.check_id,
            "fix_id": requirement.fix_id,
            "severity": requirement.severity,
            "cci": list(requirement.ccis),
            "nist": [*controls, "Rev_5"] if controls else content_references,
            "rules": [x.rule_id for x in assessed.rules],
        },
        "source_location": {},
        "results": [
            _build_result(
                _derive_status(assessed),
                rule_verdicts or "no rule checks it",
                format_finding_details(assessed, findings),
                findings,
            )
        ],
        **_build_waiver(assessed.rules),
    }


def _build_rule_control(rule: RulePart, findings: Findings) -> dict[str, object]:
    status = _STATUS_BY_VERDICT.get(rule.verdict, "skipped")
    description = f"{shorten_id(rule.rule_id)}: {rule.verdict}"
    return {
        "id": shorten_id(rule.rule_id),
        "title": rule.title,
        "desc": rule.rationale,
        "descriptions": [{"label": "fix", "data": rule.fix_text}],
        "impact": 0 if rule.verdict == "notapplicable" else IMPACT[rule.severity],
        "refs": [],
        "tags": {
            "severity": rule.severity,
            "cci": list(rule.ccis),
            "nist": list(rule.nist),
            "rules": [rule.rule_id],
        },
        "source_location": {},
        "results": [_build_result(status, description, format_rule_details(rule), findings)],
        **_build_waiver((rule,)),
    }


def _derive_status(assessed: AssessedRequirement) -> HdfStatus:
    if assessed.status is ChecklistStatus.OPEN:
        return "failed"
    if assessed.status is ChecklistStatus.NOT_A_FINDING:
        return "passed"
    return "error" if assessed.verdict in _UNDETERMINED else "skipped"


def _build_result(
    status: HdfStatus, description: str, message: str, findings: Findings
) -> dict[str, object]:
    message_key = "skip_message" if status == "skipped" else "message"
    return {
        "status": status,
        "code_desc": description,
        "start_time": findings.started,
        message_key: message,
    }


def _build_waiver(rules: tuple[RulePart, ...]) -> dict[str, object]:
    """Return the waivers of rules that do not pass; the result stays unchanged."""
    waived_rules = list_waivers(rules)
    if not waived_rules:
        return {}
    active_expiries = [w.expires for _, w in waived_rules if w.is_active]
    data = {
        "justification": format_comments(rules),
        "expiration_date": min(active_expiries or [w.expires for _, w in waived_rules]),
        "run": True,
        "skipped_due_to_waiver": False,
        "message": "" if active_expiries else "Waiver expired; the result counts.",
    }
    return {"waiver_data": data}


def _build_auxiliary_data(findings: Findings) -> dict[str, object]:
    image = None if findings.image is None else findings.image.to_json()
    data = {"score": findings.score, "content": findings.content.to_json(), "image": image}
    return {"name": "hardpan", "data": data}
