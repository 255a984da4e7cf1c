from dataclasses import replace
from itertools import product
from typing import cast, get_args

import pytest

from hardpan.scanners.model import Verdict
from hardpan.scanners.report import counting, requirements, summary
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.fields import VerdictName
from hardpan.scanners.report.requirements import Judged, Status
from tests.unit.evidence import samples
from tests.unit.report import stigs
from tests.unit.report.stigs import HIGH, LOW, MEDIUM, OTHER, findings, rule

OLDER = HIGH.rule_id.replace("r", "r9", 1)


def judged(found: Findings, group: str) -> Judged:
    return next(
        j for j in requirements.judged(found, stigs.stig()) if j.requirement.group_id == group
    )


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        ("pass", Status.NOT_A_FINDING),
        ("fixed", Status.NOT_A_FINDING),
        ("fail", Status.OPEN),
        ("error", Status.NOT_REVIEWED),
        ("unknown", Status.NOT_REVIEWED),
        ("notchecked", Status.NOT_REVIEWED),
        ("informational", Status.NOT_REVIEWED),
        ("notapplicable", Status.NOT_APPLICABLE),
    ],
)
def test_each_verdict_has_its_status(verdict: str, status: Status) -> None:
    found = findings(rule(1, Verdict(verdict), HIGH))

    assert judged(found, HIGH.group_id).status is status


def test_the_worst_verdict_of_two_rules_wins_whatever_their_order() -> None:
    order = cast(tuple[VerdictName, ...], requirements.WORST_FIRST)
    assert set(order) == set(get_args(VerdictName))

    for one, two in product(order, order):
        assert requirements.worst((one, two)) == min(one, two, key=order.index)
    found = findings(rule(1, Verdict.PASS, HIGH), rule(2, Verdict.FAIL, HIGH))
    assert judged(found, HIGH.group_id).verdict == "fail"


def test_a_pass_beside_a_rule_that_does_not_apply_is_a_pass() -> None:
    found = findings(rule(1, Verdict.NOT_APPLICABLE, HIGH), rule(2, Verdict.PASS, HIGH))

    assert judged(found, HIGH.group_id).status is Status.NOT_A_FINDING


def test_a_rule_that_stands_for_two_requirements_counts_for_both() -> None:
    found = findings(rule(1, Verdict.FAIL, HIGH, MEDIUM))

    assert judged(found, HIGH.group_id).status is Status.OPEN
    assert judged(found, MEDIUM.group_id).status is Status.OPEN
    assert judged(found, OTHER.group_id).status is Status.NOT_REVIEWED


def test_a_rule_that_stands_for_none_is_told_and_counted_nowhere() -> None:
    found = findings(rule(1, Verdict.FAIL), rule(2, Verdict.PASS, "SV-1r1_rule"))

    assert [r.verdict for r in requirements.unassigned(found, stigs.stig())] == ["fail", "pass"]
    assert "of this STIG: r001 (fail), r002 (pass)." in requirements.about(found, stigs.stig())
    assert not [j for j in requirements.judged(found, stigs.stig()) if j.rules]


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.PASS, Status.NOT_REVIEWED),
        (Verdict.NOT_APPLICABLE, Status.NOT_REVIEWED),
        (Verdict.FAIL, Status.OPEN),
    ],
)
def test_passing_another_revision_proves_nothing(verdict: Verdict, status: Status) -> None:
    found = findings(rule(1, verdict, OLDER))
    one = judged(found, HIGH.group_id)

    assert one.status is status
    assert one.outdated == (OLDER,)
    assert f"another revision of it ({OLDER})" in requirements.details(one, found)


def test_a_waiver_changes_no_status_and_is_told() -> None:
    rules = (rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.FAIL, HIGH), rule(3, Verdict.PASS, LOW))
    both = dict.fromkeys([rules[0].rule_id, rules[1].rule_id, rules[2].rule_id], samples.WAIVER)
    found = findings(*rules, waivers=both)
    one = judged(found, HIGH.group_id)

    assert (one.status, one.is_waived) == (Status.OPEN, True)
    assert requirements.comments(one.rules).splitlines()[0] == (
        "Waiver on record for r001: needed by the build, see T-1 (build team, until 2027-01-31). "
        "The status stays as found."
    )
    # A waiver of a rule that passes says nothing.
    assert requirements.comments(judged(found, LOW.group_id).rules) == ""


def test_a_requirement_is_waived_only_when_all_that_fails_is() -> None:
    rules = (rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.FAIL, HIGH))
    half = findings(*rules, waivers={rules[0].rule_id: samples.WAIVER})
    ended = dict.fromkeys([r.rule_id for r in rules], replace(samples.WAIVER, holds=False))
    over = findings(*rules, waivers=ended)

    assert not judged(half, HIGH.group_id).is_waived
    assert not judged(over, HIGH.group_id).is_waived
    assert "It has ended." in requirements.comments(judged(over, HIGH.group_id).rules)


def test_details_tell_what_was_found_and_what_nobody_looked_at() -> None:
    found = findings(rule(1, Verdict.FAIL, HIGH, found=("/etc/x: a", "/etc/y: b")))

    assert requirements.details(judged(found, HIGH.group_id), found) == (
        f"Scanned on {samples.FINISHED} with ssg-rhel9-ds.xml 0.1.82, profile stig.\n"
        "\nr001: fail (OVAL)\n  /etc/x: a\n  /etc/y: b"
    )
    assert "No rule of that profile checks this requirement" in requirements.details(
        judged(found, LOW.group_id), found
    )


@pytest.mark.parametrize("text", ["x" * 100_000, "🙂" * 60_000, "é\U0001f600" * 20_000])
def test_long_details_are_cut_where_importers_would_cut_them(text: str) -> None:
    made = requirements.bounded(text)

    assert requirements.units(made) <= requirements.MOST_CHARACTERS
    assert requirements.units(made) >= requirements.MOST_CHARACTERS - 1
    assert made.endswith(
        "findings.json, in the evidence that this checklist lies in, has the rest."
    )
    assert "\ufffd" not in made


def test_open_requirements_are_counted_by_disas_category() -> None:
    # The content's own severity is beside the point.
    fail = rule(1, Verdict.FAIL, HIGH, severity="low")
    found = findings(
        fail,
        rule(2, Verdict.FAIL, HIGH, MEDIUM),
        rule(3, Verdict.ERROR, OTHER),
        rule(4, Verdict.PASS, LOW),
        waivers={fail.rule_id: samples.WAIVER},
    )
    by = counting.categories(found)

    assert by is not None
    assert (by["I"].open, by["I"].waived, by["I"].not_reviewed) == (1, 0, 27)
    assert (by["II"].open, by["II"].not_reviewed, by["II"].not_a_finding) == (1, 401, 0)
    assert (by["III"].open, by["III"].not_a_finding, by["III"].applicable) == (0, 1, 15)


def test_what_was_not_judged_is_not_passed() -> None:
    found = findings(*(rule(n, v) for n, v in enumerate(Verdict) if v is not Verdict.NOT_SELECTED))

    assert counting.rules_passed(found) == (2, 6)
    assert counting.share(2, 6) == "33.33 %"
    assert counting.share(0, 0) == "-"


def test_the_summary_states_each_figure_with_its_formula() -> None:
    found = findings(rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.PASS, LOW))
    said = "\n".join(summary.lines(found, None))

    assert "61.00 of 100 (XCCDF default: the weighted mean" in said
    assert "1 of 2 rules, 50.00 % (pass + fixed, of all rules but notapplicable" in said
    assert "RHEL_9_STIG V2R9; a requirement is open when a rule of it fails" in said
    assert "CAT I: 1 open (0 waived), 27 not reviewed, 0 of 28 passed" in said
    assert "CAT III: 0 open (0 waived), 14 not reviewed, 1 of 15 passed" in said


def test_content_without_a_stig_on_record_has_no_such_count() -> None:
    found = findings()
    content = found.content.model_copy(update={"benchmark_id": "other_content"})
    other = found.model_copy(update={"content": content, "stig": None})

    assert counting.categories(found) is not None
    assert counting.categories(other) is None
    assert "CAT I" not in "\n".join(summary.lines(other, None))
