"""HDF: Heimdall's data format, InSpec's exec-json 1.0, which the SAF tools read.

A control is a requirement of DISA's STIG with one result, its rules' worst verdict:
Heimdall calls a control passed when any of several results passed, which would hide
what was not checked beside it. Rules that stand for no requirement are controls of
their own. A waiver stands in ``waiver_data`` with ``skipped_due_to_waiver`` false, as
readers take a true one for not applicable. There is no ``attestation_data``: it is a
person's word that a control passed, and hardpan has none.
"""

from typing import Literal

from hardpan.files import canonical_json
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.parts import Rule
from hardpan.scanners.report.requirements import (
    Judged,
    Status,
    comments,
    details,
    host_name,
    judged,
    rule_details,
    short,
    stig_of,
    unassigned,
    waivers,
)
from hardpan.scanners.stig.table import Stig

Result = Literal["passed", "failed", "skipped", "error"]

IMPACT = {"high": 0.7, "medium": 0.5, "low": 0.3, "unknown": 0.5}
_NOT_JUDGED = ("error", "unknown")
_OF_RULE: dict[str, Result] = {
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
        found = report.findings
        stig = stig_of(found)
        alone = found.rules if stig is None else unassigned(found, stig)
        controls = [
            *([] if stig is None else [_control(j, found, stig) for j in judged(found, stig)]),
            *(_rule_control(r, found) for r in alone),
        ]
        return canonical_json(
            {
                "platform": {
                    "name": found.host.os_name,
                    "release": found.host.os_version,
                    "target_id": host_name(found),
                },
                "version": f"hardpan findings {found.schema_version}",
                "statistics": {},
                "profiles": [_profile(found, stig, controls)],
                "passthrough": {"auxiliary_data": [_more(found)]},
            }
        )


def _profile(
    found: Findings, stig: Stig | None, controls: list[dict[str, object]]
) -> dict[str, object]:
    content = found.content
    return {
        "name": short(content.profile_id) if stig is None else stig.benchmark,
        "title": short(content.profile_id) if stig is None else stig.title,
        "version": content.version if stig is None else stig.revision,
        "maintainer": "hardpan",
        "summary": f"{content.said()}, profile {content.profile_id}",
        "sha256": content.source_sha256,
        "status": "loaded",
        "depends": [],
        "supports": [],
        "attributes": [],
        "groups": [],
        "controls": controls,
    }


def _control(one: Judged, found: Findings, stig: Stig) -> dict[str, object]:
    r = one.requirement
    applies = one.status is not Status.NOT_APPLICABLE
    controls = stig.controls_of(r.ccis)
    by_content = sorted({n for rule in one.rules for n in rule.nist})
    said = "; ".join(f"{short(x.rule_id)}: {x.verdict}" for x in one.rules)
    return {
        "id": r.rule_id.removesuffix("_rule"),
        "title": r.title,
        "desc": r.discussion,
        "descriptions": [{"label": "check", "data": r.check}, {"label": "fix", "data": r.fix}],
        "impact": IMPACT[r.severity] if applies else 0,
        "refs": [],
        "tags": {
            "gid": r.group_id,
            "gtitle": r.group_title,
            "rid": r.rule_id,
            "stig_id": r.stig_id,
            "check_id": r.check_id,
            "fix_id": r.fix_id,
            "severity": r.severity,
            "cci": list(r.ccis),
            "nist": [*controls, "Rev_5"] if controls else by_content,
            "rules": [x.rule_id for x in one.rules],
        },
        "source_location": {},
        "results": [_result(_status(one), said or "no rule checks it", details(one, found), found)],
        **_waiver(one.rules),
    }


def _rule_control(rule: Rule, found: Findings) -> dict[str, object]:
    status = _OF_RULE.get(rule.verdict, "skipped")
    said = f"{short(rule.rule_id)}: {rule.verdict}"
    return {
        "id": short(rule.rule_id),
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
        "results": [_result(status, said, rule_details(rule), found)],
        **_waiver((rule,)),
    }


def _status(one: Judged) -> Result:
    if one.status is Status.OPEN:
        return "failed"
    if one.status is Status.NOT_A_FINDING:
        return "passed"
    return "error" if one.verdict in _NOT_JUDGED else "skipped"


def _result(status: Result, said: str, told: str, found: Findings) -> dict[str, object]:
    where = "skip_message" if status == "skipped" else "message"
    return {"status": status, "code_desc": said, "start_time": found.started, where: told}


def _waiver(rules: tuple[Rule, ...]) -> dict[str, object]:
    """The waivers of what does not pass, beside a result that they leave as it is."""
    on_record = waivers(rules)
    if not on_record:
        return {}
    holding = [w.expires for _, w in on_record if w.holds]
    data = {
        "justification": comments(rules),
        "expiration_date": min(holding or [w.expires for _, w in on_record]),
        "run": True,
        "skipped_due_to_waiver": False,
        "message": "" if holding else "Waiver expired; the result counts.",
    }
    return {"waiver_data": data}


def _more(found: Findings) -> dict[str, object]:
    image = None if found.image is None else found.image.data()
    data = {"score": found.score, "content": found.content.data(), "image": image}
    return {"name": "hardpan", "data": data}
