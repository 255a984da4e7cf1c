"""The rules of a profile that the content has no fix in bash for."""

from dataclasses import dataclass

from hardpan.profiles.schema.ssg import RuleWithoutFix
from hardpan.scanners.content.benchmark import expand_profile_id, read_benchmark, read_rule_names
from hardpan.scanners.content.datastream import ContentSource, parse_source
from hardpan.scanners.content.fixes import FixKind, read_rule_fixes
from hardpan.scanners.content.scap_xml import find_benchmark


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesWithoutFix:
    """What a profile selects without a fix."""

    rules: tuple[RuleWithoutFix, ...]
    """In the order of the benchmark."""

    all_rule_ids: frozenset[str]
    """Full ids of every rule of the benchmark."""

    benchmark_id: str
    version: str
    """Version of the benchmark."""


def find_rules_without_fix(source: ContentSource, profile: str) -> RulesWithoutFix:
    """Return the rules that the ``stig`` layer cannot remediate.

    Raises:
        InputError: the content is no data stream or has no such profile.
    """
    root, profile_id = parse_source(source), expand_profile_id(profile)
    tree = find_benchmark(root, source.name)
    benchmark = read_benchmark(root, profile_id, source.name)
    remediated = {
        rule.rule_id
        for rule in read_rule_fixes(tree, profile_id, source.name)
        if FixKind.BASH in rule.fixes
    }
    return RulesWithoutFix(
        rules=tuple(
            RuleWithoutFix(
                rule_id=rule.rule_id,
                title=rule.title,
                severity=rule.severity,
                has_check=rule.has_check,
                stig_ids=rule.stig_ids,
                sv_ids=rule.sv_ids,
                cce=rule.cce,
            )
            for rule in benchmark.rules
            if rule.rule_id not in remediated
        ),
        all_rule_ids=frozenset(names.rule_id for names in read_rule_names(tree)),
        benchmark_id=benchmark.benchmark_id,
        version=benchmark.version,
    )
