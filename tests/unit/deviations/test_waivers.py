"""Which rules a waiver is for, and what became of it."""

from datetime import date

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.schema.rule_names import RuleNames
from hardpan.scanners.deviations import waivers as waivers_module
from hardpan.scanners.deviations.waivers import (
    assign_waivers,
    find_unmatched_waivers,
    require_unambiguous,
)
from hardpan.scanners.model.scan import RuleResult, Verdict
from tests.unit.deviations.samples import make_waiver

PREFIX = "xccdf_org.ssgproject.content_rule_"
DAY = date(2026, 11, 30)


def make_result(name: str, verdict: str = "fail") -> RuleResult:
    return RuleResult(
        rule_id=PREFIX + name,
        title=name,
        severity="medium",
        verdict=Verdict(verdict),
        stig_ids=(f"RHEL-09-{len(name)}",),
    )


RESULTS = (
    make_result("aide"),
    make_result("partition_for_var", "pass"),
    make_result("partition_for_var_log"),
    make_result("selinux_state", "pass"),
    make_result("usbguard", "notapplicable"),
)


@pytest.mark.parametrize(
    ("selector", "expires", "status", "count"),
    [
        ("aide", "2099-01-01", "active", 1),
        ("aide", "2026-11-30", "active", 1),
        ("aide", "2026-11-29", "expired", 1),
        ("selinux_state", "2099-01-01", "stale", 1),
        ("selinux_state", "2026-11-29", "expired", 1),
        ("usbguard", "2099-01-01", "unused", 1),
        ("RHEL-09-99", "2099-01-01", "unmatched", 0),
        ("RHEL-09-99", "2026-11-29", "unmatched", 0),
        ("partition_for_*", "2099-01-01", "active", 2),
    ],
)
def test_waiver_status(selector: str, expires: str, status: str, count: int) -> None:
    waiver = make_waiver(selector, expires=date.fromisoformat(expires))

    assignment = assign_waivers((waiver,), RESULTS, DAY)

    (record,) = assignment.records
    assert (record.status, len(record.rule_ids)) == (status, count)
    assert set(assignment.waiver_by_rule) == set(record.rule_ids)
    assert all(
        w.is_active == (date.fromisoformat(expires) >= DAY)
        for w in assignment.waiver_by_rule.values()
    )


def test_waiver_with_two_names_has_two_records() -> None:
    assignment = assign_waivers((make_waiver("aide", "absent"),), RESULTS, DAY)

    assert [(r.selector, r.status) for r in assignment.records] == [
        ("aide", "active"),
        ("absent", "unmatched"),
    ]


def test_second_waiver_for_a_rule_is_reported_with_both_locations() -> None:
    waivers = (make_waiver("partition_for_*"), make_waiver("aide", f"{PREFIX}partition_for_var"))

    with pytest.raises(InputError) as e:
        require_unambiguous(waivers, RESULTS)

    assert str(e.value) == (
        "site.yaml:2:3: expected one waiver for each rule, got a second for partition_for_var;"
        " the first is at site.yaml:1:3"
    )


def test_rule_named_twice_in_a_waiver_is_not_ambiguous() -> None:
    waiver = make_waiver("aide", "RHEL-09-4", "ai*de")

    require_unambiguous((waiver,), RESULTS)

    records = assign_waivers((waiver,), RESULTS, DAY).records
    assert [r.rule_ids for r in records] == [(PREFIX + "aide",)] * 3


def test_unmatched_waiver_names_near_matches_and_unselected_rules() -> None:
    unselected = (RuleNames(rule_id=PREFIX + "package_tuned_removed"),)

    problems = find_unmatched_waivers(
        (make_waiver("selinux_sate", "package_tuned_removed", "zebra_crossing", "aide"),),
        RESULTS,
        unselected,
        "stig",
    )

    assert problems == [
        (
            "site.yaml:1:3: selinux_sate: expected a rule of stig, got no such rule;"
            " did you mean selinux_state?"
        ),
        (
            "site.yaml:2:3: package_tuned_removed: expected a rule that stig selects,"
            " got one that it does not select"
        ),
        "site.yaml:3:3: zebra_crossing: expected a rule of stig, got no such rule",
    ]


def test_unmatched_waiver_names_near_checks() -> None:
    problems = find_unmatched_waivers(
        (make_waiver("hardpan-check-fips-sate", "hardpan-check-fips-state"),),
        RESULTS,
        (),
        "stig",
        names_check=lambda name: name == "hardpan-check-fips-state",
        check_ids=["hardpan-check-fips-state", "hardpan-check-secure-boot"],
    )

    assert problems == [
        (
            "site.yaml:1:3: hardpan-check-fips-sate: expected a rule of stig or a check of"
            " hardpan, got neither; did you mean hardpan-check-fips-state?"
        )
    ]


def test_waivers_that_name_rules_too_often_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waivers_module, "MAX_WAIVER_MATCHES", 3)

    require_unambiguous((make_waiver("aide", "ai*de", "RHEL-09-4"),), RESULTS)
    with pytest.raises(InputError, match="the waivers match 4 rules: expected at most 3"):
        require_unambiguous((make_waiver("aide", "ai*de", "RHEL-09-4", "*aide"),), RESULTS)
