import re
from dataclasses import replace
from itertools import product
from typing import cast, get_args

import pytest

from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.report.formats import text_summary
from hardpan.scanners.report.model import scores
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.types import VerdictName
from hardpan.scanners.report.stig import checklist_model, statistics
from hardpan.scanners.report.stig.checklist_model import AssessedRequirement, ChecklistStatus
from tests.unit.evidence import samples
from tests.unit.report import stig_samples
from tests.unit.report.stig_samples import HIGH, LOW, MEDIUM, OTHER, findings, rule

OLDER = HIGH.rule_id.replace("r", "r9", 1)


def assess_group(findings: Findings, group: str) -> AssessedRequirement:
    return next(
        j
        for j in checklist_model.assess_requirements(findings, stig_samples.stig())
        if j.requirement.group_id == group
    )


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        ("pass", ChecklistStatus.NOT_A_FINDING),
        ("fixed", ChecklistStatus.NOT_A_FINDING),
        ("fail", ChecklistStatus.OPEN),
        ("error", ChecklistStatus.NOT_REVIEWED),
        ("unknown", ChecklistStatus.NOT_REVIEWED),
        ("notchecked", ChecklistStatus.NOT_REVIEWED),
        ("informational", ChecklistStatus.NOT_REVIEWED),
        ("notapplicable", ChecklistStatus.NOT_APPLICABLE),
    ],
)
def test_verdict_maps_to_checklist_status(verdict: str, status: ChecklistStatus) -> None:
    sample = findings(rule(1, Verdict(verdict), HIGH))

    assert assess_group(sample, HIGH.group_id).status is status


def test_worst_verdict_wins_in_any_order() -> None:
    order = cast(tuple[VerdictName, ...], checklist_model.VERDICTS_WORST_FIRST)
    assert set(order) == set(get_args(VerdictName))

    for first, second in product(order, order):
        assert checklist_model.select_worst_verdict((first, second)) == min(
            first, second, key=order.index
        )
    sample = findings(rule(1, Verdict.PASS, HIGH), rule(2, Verdict.FAIL, HIGH))
    assert assess_group(sample, HIGH.group_id).verdict == "fail"


def test_pass_and_not_applicable_is_not_a_finding() -> None:
    sample = findings(rule(1, Verdict.NOT_APPLICABLE, HIGH), rule(2, Verdict.PASS, HIGH))

    assert assess_group(sample, HIGH.group_id).status is ChecklistStatus.NOT_A_FINDING


def test_rule_counts_for_all_its_requirements() -> None:
    sample = findings(rule(1, Verdict.FAIL, HIGH, MEDIUM))

    assert assess_group(sample, HIGH.group_id).status is ChecklistStatus.OPEN
    assert assess_group(sample, MEDIUM.group_id).status is ChecklistStatus.OPEN
    assert assess_group(sample, OTHER.group_id).status is ChecklistStatus.NOT_REVIEWED


def test_unassigned_rules_are_listed_and_not_counted() -> None:
    sample = findings(rule(1, Verdict.FAIL), rule(2, Verdict.PASS, "SV-1r1_rule"))

    assert [
        r.verdict for r in checklist_model.find_unassigned_rules(sample, stig_samples.stig())
    ] == [
        "fail",
        "pass",
    ]
    assert "in this STIG: r001 (fail), r002 (pass)." in checklist_model.format_target_comment(
        sample, stig_samples.stig()
    )
    assert not [
        j for j in checklist_model.assess_requirements(sample, stig_samples.stig()) if j.rules
    ]


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.PASS, ChecklistStatus.NOT_REVIEWED),
        (Verdict.NOT_APPLICABLE, ChecklistStatus.NOT_REVIEWED),
        (Verdict.FAIL, ChecklistStatus.OPEN),
    ],
)
def test_pass_of_other_revision_is_not_reviewed(verdict: Verdict, status: ChecklistStatus) -> None:
    sample = findings(rule(1, verdict, OLDER))
    assessed = assess_group(sample, HIGH.group_id)

    assert assessed.status is status
    assert assessed.outdated_rule_ids == (OLDER,)
    assert f"another revision of it ({OLDER})" in checklist_model.format_finding_details(
        assessed, sample
    )


def test_waiver_keeps_status_and_is_commented() -> None:
    rules = (rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.FAIL, HIGH), rule(3, Verdict.PASS, LOW))
    waivers = dict.fromkeys([rules[0].rule_id, rules[1].rule_id, rules[2].rule_id], samples.WAIVER)
    sample = findings(*rules, waivers=waivers)
    assessed = assess_group(sample, HIGH.group_id)

    assert (assessed.status, assessed.is_waived) == (ChecklistStatus.OPEN, True)
    assert checklist_model.format_comments(assessed.rules).splitlines()[0] == (
        "Waiver for r001: needed by the build, see T-1 (build team, until 2027-01-31). "
        "The status is unchanged."
    )
    # A waiver of a rule that passes says nothing.
    assert checklist_model.format_comments(assess_group(sample, LOW.group_id).rules) == ""


def test_requirement_is_waived_only_if_all_failures_are() -> None:
    rules = (rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.FAIL, HIGH))
    partly_waived = findings(*rules, waivers={rules[0].rule_id: samples.WAIVER})
    expired = dict.fromkeys([r.rule_id for r in rules], replace(samples.WAIVER, is_active=False))
    all_expired = findings(*rules, waivers=expired)

    assert not assess_group(partly_waived, HIGH.group_id).is_waived
    assert not assess_group(all_expired, HIGH.group_id).is_waived
    assert "It has expired." in checklist_model.format_comments(
        assess_group(all_expired, HIGH.group_id).rules
    )


def test_details_list_evidence_and_missing_rules() -> None:
    sample = findings(rule(1, Verdict.FAIL, HIGH, evidence_lines=("/etc/x: a", "/etc/y: b")))

    assert checklist_model.format_finding_details(assess_group(sample, HIGH.group_id), sample) == (
        f"Scanned on {samples.FINISHED} with ssg-rhel9-ds.xml 0.1.82, profile stig.\n"
        "\nr001: fail (engine: OVAL)\n  /etc/x: a\n  /etc/y: b"
    )
    assert (
        "No rule of that profile checks this requirement"
        in checklist_model.format_finding_details(assess_group(sample, LOW.group_id), sample)
    )


@pytest.mark.parametrize("text", ["x" * 100_000, "🙂" * 60_000, "é\U0001f600" * 20_000])
def test_long_details_are_truncated_to_import_limit(text: str) -> None:
    truncated = checklist_model.truncate(text)

    assert checklist_model.count_utf16_units(truncated) <= checklist_model.MAX_CHARACTERS
    assert checklist_model.count_utf16_units(truncated) >= checklist_model.MAX_CHARACTERS - 1
    assert truncated.endswith("see findings.json in the evidence of this checklist.")
    assert "\ufffd" not in truncated


def test_requirements_are_counted_by_category() -> None:
    # The content's own severity is ignored.
    fail = rule(1, Verdict.FAIL, HIGH, severity="low")
    sample = findings(
        fail,
        rule(2, Verdict.FAIL, HIGH, MEDIUM),
        rule(3, Verdict.ERROR, OTHER),
        rule(4, Verdict.PASS, LOW),
        waivers={fail.rule_id: samples.WAIVER},
    )
    counts = statistics.count_by_category(sample)

    assert counts is not None
    assert (counts["I"].open, counts["I"].waived, counts["I"].not_reviewed) == (1, 0, 27)
    assert (counts["II"].open, counts["II"].not_reviewed, counts["II"].not_a_finding) == (1, 401, 0)
    assert (counts["III"].open, counts["III"].not_a_finding, counts["III"].applicable) == (0, 1, 15)


def test_undetermined_rules_are_not_counted_as_passed() -> None:
    sample = findings(*(rule(n, v) for n, v in enumerate(Verdict) if v is not Verdict.NOT_SELECTED))

    assert scores.count_passed(sample.rules) == (2, 5)
    assert scores.count_covered(sample.rules) == (3, 7)


def test_summary_states_each_figure_with_its_formula() -> None:
    sample = findings(rule(1, Verdict.FAIL, HIGH), rule(2, Verdict.PASS, LOW))
    text = "\n".join(text_summary.format_summary(sample, None))

    for figure, formula in (
        ("61.00 of 100", "XCCDF's default scoring model"),
        ("1 of 2 rules, 50.00 %", "pass / (pass + fail + error + unknown)"),
        ("2 of 2 rules, 100.00 %", "(pass + fail) / (selected - notapplicable)"),
    ):
        assert re.search(f"  {re.escape(figure)}\n +{re.escape(formula)}", text)
    assert "STIG        RHEL_9_STIG V2R9 of 2026-07-01\n" in text
    assert "a requirement is open when a rule of it fails" in text
    assert "CAT I: 1 open (0 waived), 27 not reviewed, 0 of 28 passed" in text
    assert "CAT III: 0 open (0 waived), 14 not reviewed, 1 of 15 passed" in text


def test_content_without_supported_stig_has_no_category_counts() -> None:
    sample = findings()
    content = sample.content.model_copy(update={"benchmark_id": "other_content"})
    other = sample.model_copy(update={"content": content, "stig": None})

    assert statistics.count_by_category(sample) is not None
    assert statistics.count_by_category(other) is None
    assert "not reviewed" not in "\n".join(text_summary.format_summary(other, None))
