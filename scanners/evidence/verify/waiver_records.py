"""Whether the waivers of the findings agree with the rules they are for, derived again."""

from collections import defaultdict

from hardpan.profiles.schema.rule_names import matches_rule
from hardpan.scanners.model.waiver_status import MAX_WAIVER_MATCHES, derive_waiver_status
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.model.waiver_sections import WaiverPart, WaiverRecordPart

_MAX_NAMES = 100
"""Ids of DISA that one rule has; in the content it is at most seven."""


def are_waivers_consistent(findings: Findings) -> bool:
    """Return whether each waiver has the state that follows from rules and times.

    The day on which the scan ended decides whether a waiver had expired. A rule's waiver must be
    one of the records, and a record may list only rules that it names.
    """
    day = findings.finished[:10]
    if not _is_bounded(findings):
        return False
    rules_by_id = {rule.rule_id: rule for rule in findings.rules_and_checks}
    if not all(_is_record_consistent(record, rules_by_id, day) for record in findings.waivers):
        return False
    contents_by_rule: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for record in findings.waivers:
        for rule_id in record.rule_ids:
            contents_by_rule[rule_id].add((record.reason, record.owner, record.expires))
    return all(
        _is_waiver_recorded(rule.waiver, contents_by_rule.get(rule.rule_id, set()), day)
        for rule in findings.rules_and_checks
    )


def _is_bounded(findings: Findings) -> bool:
    """Return whether the names can be compared in a short time; a scan is far below the limits."""
    matches = sum(len(record.rule_ids) for record in findings.waivers)
    names = max((len(rule.stig_ids) + len(rule.sv_ids) for rule in findings.rules), default=0)
    return matches <= MAX_WAIVER_MATCHES and (not matches or names <= _MAX_NAMES)


def _is_record_consistent(
    record: WaiverRecordPart, rules_by_id: dict[str, RulePart], day: str
) -> bool:
    if not all(
        rule_id in rules_by_id and matches_rule(record.selector, rules_by_id[rule_id])
        for rule_id in record.rule_ids
    ):
        return False
    verdicts = (rules_by_id[rule_id].verdict for rule_id in record.rule_ids)
    return record.status == derive_waiver_status(verdicts, has_expired=record.expires < day)


def _is_waiver_recorded(
    waiver: WaiverPart | None, contents: set[tuple[str, str, str]], day: str
) -> bool:
    """Return whether the records of a rule give it exactly the waiver that it has."""
    if waiver is None:
        return not contents
    return (waiver.reason, waiver.owner, waiver.expires) in contents and waiver.is_active == (
        waiver.expires >= day
    )
