"""Compare the verdicts of a scan with what the profile has decided about its rules."""

from collections.abc import Mapping, Sequence
from typing import Any

from hardpan.profiles.loader.profile_file import load_profile
from hardpan.workflow.stig_exceptions import decide_exceptions


def find_verdict_differences(
    profile_name: str, rules: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[str, str]]:
    """Return rule id -> (decided, actual) verdict where they differ.

    ``rules`` are those of ``findings.json``; a rule that is missing there has the verdict
    ``missing``.
    """
    verdicts = {str(rule["ruleId"]): str(rule["verdict"]) for rule in rules}
    decided = decide_exceptions(load_profile(profile_name)).decided
    assert decided
    pairs = {
        rule.rule.rule_id: (str(rule.verdict), verdicts.get(rule.rule.rule_id, "missing"))
        for rule in decided
    }
    return {rule_id: pair for rule_id, pair in pairs.items() if pair[0] != pair[1]}
