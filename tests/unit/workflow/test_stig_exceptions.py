"""The decisions of the shipped profiles about the rules of the shipped content."""

import pytest

from hardpan.builder.stig_decisions.decide import DecidedRule
from hardpan.builder.stig_decisions.table import DecidedBy, load_table
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.workflow.stig_exceptions import decide_exceptions

MINIMUM_COUNT = 30
"""Rules without remediation in each STIG: 41 of RHEL 9 and 37 of RHEL 10 in 0.1.82."""

SCRIPT_ONLY = "ssh_keys_passphrase_protected"
"""Its only check is a script: whether it is evaluated depends on the target's plugin of oscap."""


def decided_rules(name: str) -> tuple[DecidedRule, ...]:
    return decide_exceptions(load_profile(name)).decided


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_rule_without_remediation_is_decided(name: str) -> None:
    decided = decided_rules(name)

    assert len(decided) >= MINIMUM_COUNT
    assert [r.rule.rule_id for r in decided if r.by is DecidedBy.UNDECIDED] == []


@pytest.mark.parametrize("name", shipped_profiles())
def test_manual_rules_and_only_those_are_decided_as_not_checked(name: str) -> None:
    """``not applicable`` depends on the platform, which the content decides on the machine."""
    wrong = [
        rule.rule.rule_id
        for rule in decided_rules(name)
        if shorten_id(rule.rule.rule_id) != SCRIPT_ONLY
        and rule.verdict != "notapplicable"
        and (rule.verdict == "notchecked") == rule.rule.has_check
    ]

    assert wrong == []


@pytest.mark.parametrize(("name", "product"), [("lab-stig", "rhel9"), ("lab10-stig", "rhel10")])
def test_table_has_no_rule_that_needs_no_decision(name: str, product: str) -> None:
    rules = {shorten_id(decided.rule.rule_id) for decided in decided_rules(name)}

    assert {d.rule for d in load_table().decisions if product in d.products} == rules


def test_rules_with_remediation_are_not_listed() -> None:
    rules = {shorten_id(decided.rule.rule_id) for decided in decided_rules("rocky10-stig")}

    assert "encrypt_partitions" in rules
    assert (
        not {"install_smartcard_packages", "sshd_set_keepalive", "service_auditd_enabled"} & rules
    )


def test_lab_leaves_no_failing_rule_to_the_site() -> None:
    for name in ("lab-stig", "lab10-stig"):
        open_rules = [
            decided.rule.rule_id
            for decided in decided_rules(name)
            if decided.verdict == "fail" and decided.by is not DecidedBy.WAIVER
        ]
        assert open_rules == []
