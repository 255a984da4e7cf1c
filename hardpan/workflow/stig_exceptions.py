"""What a profile decides about the rules that its SCAP content cannot remediate."""

from dataclasses import dataclass
from functools import lru_cache

from hardpan.builder.stig_decisions.decide import DecidedRule, decide_rules
from hardpan.builder.stig_decisions.document import render_exceptions
from hardpan.builder.stig_decisions.table import check_rule_names, load_table
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content.datastream import find
from hardpan.scanners.content.rules_without_fix import RulesWithoutFix, find_rules_without_fix
from hardpan.scanners.content.store import Product
from hardpan.scanners.model.scan import ContentOrigin


@dataclass(frozen=True, slots=True, kw_only=True)
class StigExceptions:
    """The decisions of a profile."""

    decided: tuple[DecidedRule, ...]
    document: str
    """``exceptions.md``."""


def decide_exceptions(profile: Profile) -> StigExceptions:
    """Decide about the rules of the shipped content, so that equal profiles give equal files.

    Raises:
        InputError: the content does not have the profile's STIG profile, or the table of
            decisions has a rule that the content does not have.
        TrustError: the shipped content is damaged.
    """
    content_rules = _read_shipped_rules(profile.stig.content, profile.stig.profile_id)
    table = load_table()
    check_rule_names(
        table, profile.stig.content, {shorten_id(rule_id) for rule_id in content_rules.all_rule_ids}
    )
    decided = decide_rules(profile, content_rules.rules, table)
    content = f"{shorten_id(content_rules.benchmark_id)} {content_rules.version}"
    return StigExceptions(decided=decided, document=render_exceptions(profile, decided, content))


@lru_cache(maxsize=4)
def _read_shipped_rules(product: Product, profile_id: str) -> RulesWithoutFix:
    return find_rules_without_fix(find(product, ContentOrigin.SHIPPED), profile_id)
