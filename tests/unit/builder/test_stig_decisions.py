"""Decisions about rules without remediation: the table, its checks, and the document."""

import dataclasses

import pytest

from hardpan.builder.stig_decisions.decide import decide_rules
from hardpan.builder.stig_decisions.document import render_exceptions
from hardpan.builder.stig_decisions.table import (
    DecidedBy,
    DecisionTable,
    check_rule_names,
    load_table,
    parse_table,
)
from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.ssg import RULE_PREFIX, RuleWithoutFix

TABLE = """\
decisions:
  - rule: partition_for_home
    products: [rhel9]
    alternatives:
      - when: {mount: /home}
        by: kickstart
        verdict: pass
        reason: The profile has a file system for it.
      - by: site
        verdict: fail
        reason: File systems are laid out at install.
"""


def table(text: str = TABLE) -> DecisionTable:
    return parse_table(text.encode(), "decisions.yaml")


def rule(name: str, *, has_check: bool = True, title: str = "A title") -> RuleWithoutFix:
    return RuleWithoutFix(
        rule_id=RULE_PREFIX + name, title=title, severity="medium", has_check=has_check
    )


@pytest.mark.parametrize(
    ("condition", "by"),
    [
        ("{mount: /home}", DecidedBy.KICKSTART),
        ("{mount: /srv}", DecidedBy.SITE),
        ("{releases: [lab9, lab10]}", DecidedBy.KICKSTART),
        ("{releases: [rocky9]}", DecidedBy.SITE),
        ("{fips: true}", DecidedBy.KICKSTART),
        ("{fips: false}", DecidedBy.SITE),
        ("{encrypted: false}", DecidedBy.KICKSTART),
        ("{encrypted: true}", DecidedBy.SITE),
        ("{layer: stig}", DecidedBy.KICKSTART),
        ("{layer: audit}", DecidedBy.SITE),
        ("{fips: true, layer: audit}", DecidedBy.SITE),
    ],
)
def test_first_alternative_whose_condition_holds_is_the_decision(
    condition: str, by: DecidedBy
) -> None:
    decisions = table(TABLE.replace("{mount: /home}", condition))

    (decided,) = decide_rules(load_profile("lab-stig"), [rule("partition_for_home")], decisions)

    assert decided.by is by
    assert decided.verdict == ("pass" if by is DecidedBy.KICKSTART else "fail")


@pytest.mark.parametrize(("has_check", "verdict"), [(True, "fail"), (False, "notchecked")])
def test_waiver_of_the_profile_takes_precedence(has_check: bool, verdict: str) -> None:
    text = TABLE.replace("partition_for_home", "encrypt_partitions")

    (decided,) = decide_rules(
        load_profile("lab-stig"), [rule("encrypt_partitions", has_check=has_check)], table(text)
    )

    assert decided.by is DecidedBy.WAIVER
    assert (decided.owner, decided.expires) == ("hardpan maintainers", "2027-11-30")
    assert decided.reason.startswith("A throw-away image without data")
    assert decided.verdict == verdict


@pytest.mark.parametrize("profile", ["lab-stig", "lab10-stig"])
def test_rule_without_entry_for_the_product_is_undecided(profile: str) -> None:
    name = "unlisted_rule" if profile == "lab-stig" else "partition_for_home"

    (decided,) = decide_rules(load_profile(profile), [rule(name)], table())

    assert decided.by is DecidedBy.UNDECIDED
    assert decided.verdict is None


@pytest.mark.parametrize(
    ("original", "replacement", "problem"),
    [
        ("by: site", "by: nobody", "decisions[0].alternatives[1].by: "),
        ("verdict: fail", "verdict: failed", "decisions[0].alternatives[1].verdict: "),
        ("by: site", "by: waiver", "expected no waiver and no undecided rule"),
        ("mount: /home", "mounts: /home", "decisions[0].alternatives[0].when.mounts: "),
        ("[rhel9]", "[rhel7]", "decisions[0].products[0]: "),
        ("      - when: {mount: /home}\n        by:", "      - by:", "expected 'when' in all but"),
        ("      - by: site", "      - when: {fips: true}\n        by: site", "without 'when'"),
    ],
)
def test_invalid_table_reports_location_and_expectation(
    original: str, replacement: str, problem: str
) -> None:
    assert TABLE.count(original) == 1

    with pytest.raises(InputError) as e:
        table(TABLE.replace(original, replacement))

    assert str(e.value).startswith("decisions.yaml:")
    assert problem in str(e.value)


def test_rule_that_is_listed_twice_is_an_error() -> None:
    with pytest.raises(InputError, match="partition_for_home is listed twice"):
        table(TABLE + TABLE.removeprefix("decisions:\n"))


def test_unknown_rule_in_the_table_is_an_error() -> None:
    decisions = table()
    check_rule_names(decisions, "rhel9", {"partition_for_home", "another_rule"})
    check_rule_names(decisions, "rhel10", {"another_rule"})

    with pytest.raises(InputError, match="expected rules of rhel9, got partition_for_home"):
        check_rule_names(decisions, "rhel9", {"another_rule"})


def test_shipped_table_decides_nothing_in_the_name_of_a_waiver() -> None:
    reasons = [a.reason for d in load_table().decisions for a in d.alternatives]

    assert len(reasons) > 40
    assert all(reason.endswith(".") for reason in reasons)


def test_document_has_a_row_for_each_rule_with_decision_and_reason() -> None:
    profile = load_profile("lab-stig")
    rules = [
        dataclasses.replace(rule("partition_for_home"), stig_ids=("RHEL-09-231010",)),
        rule("encrypt_partitions", has_check=False, title="A | B\nC"),
        rule("unlisted_rule"),
    ]

    text = render_exceptions(profile, decide_rules(profile, rules, table()), "RHEL-9 0.1.82")

    lines = text.splitlines()
    assert lines[0] == "# Rules without remediation: lab-stig"
    assert "1 met by the install, 1 waived, 1 undecided." in lines
    assert lines[-3] == (
        "| `partition_for_home` | RHEL-09-231010 | A title | medium | met by the install | "
        "profile lab-stig | pass | The profile has a file system for it. |"
    )
    assert "| A \\| B C | medium | waived | hardpan maintainers, until 2027-11-30 | " in lines[-2]
    assert "| undecided | the site | unknown | " in lines[-1]


def test_document_without_rules_has_no_table() -> None:
    text = render_exceptions(load_profile("lab-stig"), (), "RHEL-9 0.1.82")

    assert "nothing." in text
    assert "|" not in text
