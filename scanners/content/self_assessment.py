"""Content and fixes for a machine that evaluates itself, without a connection to hardpan."""

from dataclasses import dataclass, replace

from hardpan.profiles.schema.ssg import Fix
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import find_long_rules_without_fix, load_fixes, prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAssessment:
    """What one oscap process on the machine evaluates, and the fixes of what may fail."""

    data_stream: bytes
    """Reduced to the rules of the profile."""

    profile_id: str
    """Full XCCDF id."""

    fixes: tuple[Fix, ...]
    """Of all rules in ``data_stream``, in the benchmark's order."""


def prepare_self_assessment(source: ContentSource, profile: str) -> SelfAssessment:
    """Prepare the content for one process, and load the fixes of all its rules.

    Rules without a fix that search all file systems are omitted, as before a build's hardening.

    Raises:
        InputError: the data stream is invalid, or has no such profile.
    """
    omitted_rules = find_long_rules_without_fix(source, profile)
    content = prepare(source, profile, part_count=1, omitted_rules=omitted_rules)
    (part,) = content.parts
    rules = {r.rule_id: r for r in content.benchmark.rules if r.rule_id in part.rule_ids}
    # With the ids that a waiver may use for the rule.
    fixes = tuple(
        replace(
            fix,
            stig_ids=rules[fix.rule_id].stig_ids,
            sv_ids=rules[fix.rule_id].sv_ids,
            cce=rules[fix.rule_id].cce,
        )
        for fix in load_fixes(source, profile, rules)
    )
    return SelfAssessment(
        data_stream=part.data, profile_id=content.benchmark.profile_id, fixes=fixes
    )
