import json
from typing import Any

import pytest

from hardpan.core.errors import ToolError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners.collect.compatibility import build_program, parse_report
from hardpan.scanners.collect.plan import plan_profile
from hardpan.scanners.compatibility.conflicts import load_conflicts
from hardpan.scanners.compatibility.outcomes import combine_outcomes
from hardpan.scanners.model.results import (
    CompatibilityOutcome,
    CompatibilityResult,
    CompatibilityVerdict,
)

SATISFIED = ["satisfied", "as it should be"]


def encode_report(conflicts: Any = None, **changes: Any) -> bytes:
    good = {
        "confinement": "of hardpan-llm.service",
        "conflicts": {} if conflicts is None else conflicts,
    }
    return json.dumps({**good, **changes}).encode()


def result_of(data: bytes, conflict: str) -> CompatibilityResult:
    return next(p for p in parse_report(data, load_conflicts()).results if p.conflict == conflict)


@pytest.mark.parametrize(
    ("control", "workload", "verdict"),
    [
        ("satisfied", "satisfied", "pass"),
        ("satisfied", "violated", "fail"),
        ("violated", "satisfied", "fail"),
        ("violated", "not_tested", "fail"),
        ("error", "violated", "fail"),
        ("satisfied", "not_tested", "not_checked"),
        ("not_tested", "satisfied", "not_checked"),
        ("not_tested", "not_tested", "not_checked"),
        ("satisfied", "error", "error"),
        ("error", "not_tested", "error"),
        ("not_applicable", "not_applicable", "not_applicable"),
        ("satisfied", "not_applicable", "not_applicable"),
        ("not_applicable", "violated", "not_applicable"),
        ("violated", "not_applicable", "fail"),
        ("odd", "satisfied", "error"),
        ("", "", "error"),
    ],
)
def test_only_two_satisfied_checks_are_a_pass(control: str, workload: str, verdict: str) -> None:
    assert combine_outcomes(control, workload) == verdict


def test_missing_answers_are_not_checked() -> None:
    report = parse_report(encode_report(), load_conflicts())

    assert [p.conflict for p in report.results] == [c.id for c in load_conflicts()]
    assert {p.verdict for p in report.results} == {CompatibilityVerdict.NOT_CHECKED}
    assert report.results[0].control.observed == "the target gave no answer"
    assert report.counts()["pass"] == 0


def test_checks_have_inspected_expected_and_observed() -> None:
    result = result_of(
        encode_report({"tmp-noexec": {"control": SATISFIED, "workload": SATISFIED}}), "tmp-noexec"
    )

    assert result.verdict is CompatibilityVerdict.PASS
    assert result.reason == "the control is in force and the workload runs"
    assert result.control.inspected.startswith("mount options")
    assert result.workload.expected == "it loads and its function answers"
    assert result.workload.observed == "as it should be"


def test_reason_names_the_failed_check() -> None:
    checks = {"control": SATISFIED, "workload": ["violated", "denied"]}
    result = result_of(encode_report({"fapolicyd": checks}), "fapolicyd")

    assert (result.verdict, result.reason) == (CompatibilityVerdict.FAIL, "workload: denied")


def test_host_cannot_claim_that_a_general_conflict_does_not_apply() -> None:
    none = ["not_applicable", "not for us"]
    result = result_of(
        encode_report({"tmp-noexec": {"control": none, "workload": none}}), "tmp-noexec"
    )

    assert result.verdict is CompatibilityVerdict.ERROR
    assert (
        result.control.observed
        == "reported as not applicable, but the conflict applies to every host: not for us"
    )


def test_conflict_that_needs_hardware_may_be_not_applicable() -> None:
    none = ["not_applicable", "no GPU on the PCI bus"]
    result = result_of(encode_report({"iommu": {"control": none, "workload": none}}), "iommu")

    assert result.verdict is CompatibilityVerdict.NOT_APPLICABLE
    assert "no GPU on the PCI bus" in result.reason


def test_target_text_is_truncated_and_sanitized() -> None:
    hostile = ["violated", "\x1b[2J\x00\u202e" + "x" * 5000]
    result = result_of(
        encode_report({"egress": {"control": hostile, "workload": SATISFIED}}), "egress"
    )

    assert result.control.observed.isprintable()
    assert len(result.control.observed) == 1000
    assert result.control.outcome is CompatibilityOutcome.VIOLATED


CHECKS = {"control": SATISFIED, "workload": SATISFIED}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"null", "expected an object with confinement"),
        (encode_report(more=1), "expected an object with confinement"),
        (encode_report([]), "expected an object of conflicts"),
        (encode_report(confinement=3), "expected text"),
        (encode_report({"no-such": CHECKS}), "an unlisted conflict: 'no-such'"),
        (encode_report({"\x1b[2J": CHECKS}), r"an unlisted conflict: '\x1b[2J'"),
        (encode_report({"egress": None, "x" * 90: CHECKS}), "an unlisted conflict"),
        (encode_report({"egress": []}), "expected an object with control, workload"),
        (
            encode_report({"egress": {"control": SATISFIED}}),
            "expected an object with control, workload",
        ),
        (
            encode_report({"egress": {**CHECKS, "verdict": "pass"}}),
            "expected an object with control",
        ),
        (
            encode_report({"egress": {**CHECKS, "workload": "satisfied"}}),
            "expected an outcome and an",
        ),
        (
            encode_report({"egress": {**CHECKS, "workload": ["satisfied"]}}),
            "expected an outcome and an",
        ),
        (
            encode_report({"egress": {**CHECKS, "workload": ["pass", ""]}}),
            "'pass' is not a valid CompatibilityOutcome",
        ),
        (
            encode_report({"egress": {**CHECKS, "workload": [1, ""]}}),
            "1 is not a valid CompatibilityOutcome",
        ),
        (
            encode_report({"egress": {**CHECKS, "workload": [[], ""]}}),
            "is not a valid CompatibilityOutcome",
        ),
        (encode_report({"egress": {**CHECKS, "workload": ["satisfied", None]}}), "expected text"),
        (b'{"confinement":NaN,"conflicts":{}}', "NaN is not a valid number"),
    ],
)
def test_malformed_report_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ToolError) as caught:
        parse_report(data, load_conflicts())

    assert "the compatibility checks returned output that cannot be read" in str(caught.value)
    assert problem in str(caught.value)


def test_program_checks_exactly_the_listed_conflicts() -> None:
    from hardpan.scanners.collect.workload.compatibility import checks

    checks_by_conflict = checks.build_checks(None)  # type: ignore[arg-type]

    assert set(checks_by_conflict) == {c.id for c in load_conflicts()}


def test_program_compiles_and_has_no_systemd_specifiers() -> None:
    request = json.loads(build_program())

    assert request["module"] == "main"
    assert "$" not in request["arguments"]["boot"]
    for name, source in request["sources"].items():
        compile(source, name, "exec")


@pytest.mark.parametrize(
    ("layers", "has_ai_workload"),
    [
        (("ml_cpu", "stig"), False),
        (("ml_frameworks", "stig"), True),
        (("ai_service",), True),
        ((), False),
    ],
)
def test_compatibility_checks_are_planned_for_ai_profiles(
    layers: tuple[str, ...], has_ai_workload: bool
) -> None:
    profile = load_profile("lab-stig").model_copy(update={"layers": layers})

    assert plan_profile(profile).has_ai_workload is has_ai_workload
