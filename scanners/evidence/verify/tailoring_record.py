"""Whether the tailoring in the findings agrees with statement, attached file and rules."""

from hardpan.scanners.evidence.file_names import TAILORING_FILES
from hardpan.scanners.evidence.statement.model import (
    Statement,
    hash_selected_rules,
    summarize_tailoring,
)
from hardpan.scanners.report.model.content_sections import TailoringPart
from hardpan.scanners.report.model.documents import Findings


def is_tailoring_consistent(statement: Statement, findings: Findings) -> bool:
    """Return whether everything that can be derived of the tailoring again is as recorded.

    The tailored rules are the ones that were evaluated, and the tailoring file is attached if and
    only if the findings have a tailoring.
    """
    tailoring = findings.content.tailoring
    digests = statement.list_digests()
    attached = {name: digests[name] for name in TAILORING_FILES.values() if name in digests}
    if statement.predicate.content.tailoring != summarize_tailoring(findings.content):
        return False
    if tailoring is None:
        return not attached
    return attached == {TAILORING_FILES[tailoring.format]: tailoring.sha256} and _fits_rules(
        tailoring, findings
    )


def _fits_rules(tailoring: TailoringPart, findings: Findings) -> bool:
    rules_by_id = {rule.rule_id: rule for rule in findings.rules}
    severities = {s.rule_id: s.value for s in tailoring.settings if s.name == "severity"}
    return (
        tailoring.profile_id == findings.content.profile_id
        and tailoring.rules_sha256 == hash_selected_rules(findings)
        and not any(rule.rule_id in rules_by_id for rule in tailoring.unselected)
        and all(rule.rule_id in rules_by_id for rule in tailoring.selected)
        and all(
            rule_id in rules_by_id and rules_by_id[rule_id].severity == severity
            for rule_id, severity in severities.items()
        )
    )
