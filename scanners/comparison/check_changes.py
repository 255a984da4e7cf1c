"""Compare the outcomes of hardpan's own checks in two scans."""

from collections.abc import Iterator

from hardpan.scanners.comparison.model import Regression, make_regression
from hardpan.scanners.model.results import NOT_COLLECTED_PREFIX
from hardpan.scanners.report.model.documents import Findings

_OUTCOMES_WORST_FIRST = ("error", "failed", "not_checked", "skipped", "passed")
_OLDER_PREFIX = "test_"
"""Checks had the names of their functions before they had ids (``test_access::test_umask``)."""

_NOT_COLLECTED = f"{NOT_COLLECTED_PREFIX}hostfacts"


def list_outcomes(findings: Findings) -> dict[str, str]:
    """Name -> outcome; the worst one if a name appears twice."""
    outcomes: dict[str, str] = {}
    for check in findings.checks:
        worst = outcomes.get(check.name, check.outcome)
        outcomes[check.name] = min(worst, check.outcome, key=_OUTCOMES_WORST_FIRST.index)
    return outcomes


def find_check_regressions(baseline: Findings, current: Findings) -> Iterator[Regression]:
    """Yield the checks that passed in the baseline and were not confirmed, unless waived."""
    current_outcomes = list_outcomes(current)
    passed_names = _list_passed(baseline)
    if passed_names and not current_outcomes:
        yield make_regression("check", "checks", f"{len(passed_names)} passed", "did not run")
        return
    waived_names = {rule.rule_id for rule in current.check_rules if rule.is_waived}
    renamed_names = _list_renamed(baseline, current)
    for name in passed_names:
        current_outcome = current_outcomes.get(name, "missing")
        if current_outcome != "passed" and name not in waived_names | renamed_names:
            yield make_regression("check", name, "passed", current_outcome)


def describe_renamed_checks(baseline: Findings, current: Findings) -> str:
    """Say that checks of an older hardpan were not compared; empty if there are none."""
    names = _list_renamed(baseline, current)
    if not names:
        return ""
    return (
        f"the baseline was scanned by an older hardpan, whose checks had no ids: {len(names)} "
        "passed checks were not compared"
    )


def _list_passed(findings: Findings) -> list[str]:
    return sorted(name for name, outcome in list_outcomes(findings).items() if outcome == "passed")


def _list_renamed(baseline: Findings, current: Findings) -> set[str]:
    """Return the passed checks whose name an older hardpan gave, if the current ones have ids.

    Such a scan in which the checks of the profile did not run confirms none of them: then they
    are regressions.
    """
    has_ids = any(check.severity is not None for check in current.checks)
    if not has_ids or any(check.name == _NOT_COLLECTED for check in current.checks):
        return set()
    return {n for n in _list_passed(baseline) if n.startswith(_OLDER_PREFIX)}
