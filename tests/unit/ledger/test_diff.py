"""What changed from one scan to the next, and what of it is a regression."""

from dataclasses import replace
from decimal import Decimal

import pytest

from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.comparison import package_changes
from hardpan.scanners.comparison.formatting import format_rule_counts, format_sections
from hardpan.scanners.comparison.scan_diff import compare_scans
from hardpan.scanners.model.results import (
    CheckDefinition,
    CompatibilityOutcome,
    CompatibilityReport,
    CompatibilityVerdict,
    HostCheck,
)
from hardpan.scanners.model.scan import Verdict
from tests.unit.evidence import samples
from tests.unit.ledger.samples import RULE_ID, scan_of_rules, scan_of_verdict, snapshot

V = Verdict
PV = CompatibilityVerdict
OUTCOMES_BY_VERDICT = {
    PV.PASS: (CompatibilityOutcome.SATISFIED, CompatibilityOutcome.SATISFIED),
    PV.FAIL: (CompatibilityOutcome.SATISFIED, CompatibilityOutcome.VIOLATED),
    PV.ERROR: (CompatibilityOutcome.SATISFIED, CompatibilityOutcome.ERROR),
    PV.NOT_CHECKED: (CompatibilityOutcome.SATISFIED, CompatibilityOutcome.NOT_TESTED),
    PV.NOT_APPLICABLE: (CompatibilityOutcome.NOT_APPLICABLE, CompatibilityOutcome.NOT_APPLICABLE),
}


def test_scan_compared_with_itself_has_no_changes() -> None:
    result = compare_scans(
        snapshot(samples.scan(compatibility=samples.COMPATIBILITY)),
        snapshot(samples.scan(compatibility=samples.COMPATIBILITY)),
    )

    assert not result.has_regressions
    assert [s.title for s in format_sections(result)] == [
        "still failing",
        "smoke test measurements",
    ]


@pytest.mark.parametrize(
    ("baseline", "baseline_waived", "current", "current_waived", "regression"),
    [
        (V.PASS, None, V.FAIL, None, True),
        (V.PASS, None, V.ERROR, None, True),
        (V.PASS, None, V.UNKNOWN, None, True),
        (V.PASS, None, V.NOT_CHECKED, None, True),
        (V.PASS, None, V.INFORMATIONAL, None, True),
        (V.PASS, None, None, None, True),
        (V.PASS, None, V.NOT_APPLICABLE, None, False),
        (V.PASS, None, V.FIXED, None, False),
        (V.PASS, None, V.FAIL, True, False),
        (V.PASS, None, V.FAIL, False, True),
        (V.FIXED, None, V.FAIL, None, True),
        (V.FAIL, True, V.FAIL, True, False),
        (V.FAIL, True, V.FAIL, False, True),
        (V.FAIL, True, V.FAIL, None, True),
        (V.FAIL, True, V.NOT_CHECKED, None, False),
        (V.FAIL, None, V.ERROR, None, False),
        (V.FAIL, None, None, None, False),
        (V.NOT_APPLICABLE, None, V.FAIL, None, True),
        (V.NOT_APPLICABLE, None, V.NOT_CHECKED, None, False),
        (V.NOT_CHECKED, None, V.FAIL, None, False),
        (V.INFORMATIONAL, None, V.FAIL, None, False),
        (None, None, V.FAIL, None, False),
    ],
)
def test_rule_regression(
    baseline: V | None,
    baseline_waived: bool | None,
    current: V | None,
    current_waived: bool | None,
    regression: bool,
) -> None:
    result = compare_scans(
        snapshot(scan_of_verdict(baseline, waived=baseline_waived)),
        snapshot(scan_of_verdict(current, waived=current_waived)),
    )

    assert result.has_regressions is regression
    assert [r.name for r in result.regressions] == [RULE_ID.format(7)] * regression


@pytest.mark.parametrize(
    ("baseline", "current", "expected"),
    [
        (V.PASS, V.FAIL, "newly_failing"),
        (V.NOT_CHECKED, V.ERROR, "newly_failing"),
        (V.FAIL, V.PASS, "fixed"),
        (V.ERROR, V.FIXED, "fixed"),
        (V.FAIL, V.ERROR, "changed"),
        (V.PASS, V.NOT_APPLICABLE, "changed"),
        (None, V.PASS, "added"),
        (V.PASS, None, "removed"),
    ],
)
def test_changed_rule_is_listed_once(baseline: V | None, current: V | None, expected: str) -> None:
    result = compare_scans(snapshot(scan_of_verdict(baseline)), snapshot(scan_of_verdict(current)))
    lists = ("newly_failing", "fixed", "changed", "added", "removed")

    assert {p: [c.rule_id for c in getattr(result, p)] for p in lists} == {
        p: [RULE_ID.format(7)] if p == expected else [] for p in lists
    }


@pytest.mark.parametrize(
    ("baseline_waived", "current_waived", "expected"),
    [
        (None, True, "added"),
        (False, True, "added"),
        (True, False, "removed"),
        (True, None, "removed"),
    ],
)
def test_waiver_is_added_or_removed(
    baseline_waived: bool | None, current_waived: bool | None, expected: str
) -> None:
    waivers = compare_scans(
        snapshot(scan_of_verdict(V.FAIL, waived=baseline_waived)),
        snapshot(scan_of_verdict(V.FAIL, waived=current_waived)),
    ).waivers

    assert {p: len(getattr(waivers, p)) for p in ("added", "removed", "changed")} == {
        p: int(p == expected) for p in ("added", "removed", "changed")
    }


def test_fixed_still_failing_and_newly_failing_rules_are_counted() -> None:
    baseline = [V.FAIL, V.FAIL, V.ERROR, V.FAIL, V.PASS, V.FAIL, V.PASS]
    current = [V.PASS, V.FAIL, V.FAIL, V.UNKNOWN, V.FAIL, V.NOT_APPLICABLE, V.PASS]
    waivers = {RULE_ID.format(2): samples.WAIVER}
    before, after = (
        scan_of_rules(*(samples.rule(n, v) for n, v in enumerate(verdicts, 1)), waivers=waivers)
        for verdicts in (baseline, current)
    )

    result = compare_scans(snapshot(before), snapshot(after))

    assert result.count_rules() == {
        "fixed": 1,
        "stillFailing": 3,
        "stillFailingWaived": 1,
        "newlyFailing": 1,
    }
    assert format_rule_counts(result) == "1 fixed, 3 still failing (1 waived), 1 newly failing"
    sections = {
        s.title: [line.rpartition(":")[0] for line in s.lines] for s in format_sections(result)
    }
    assert sorted(sections["still failing"]) == [
        "medium r002: fail -> fail, waived",
        "medium r003: error -> fail",
        "medium r004: fail -> unknown",
    ]
    assert sections["fixed"] == ["medium r001: fail -> pass"]
    assert sections["newly failing"] == ["medium r005: pass -> fail"]


def test_waiver_change_is_listed_for_failing_rules_only() -> None:
    rules = (samples.rule(7, V.FAIL), samples.rule(8, V.PASS))
    later = replace(samples.WAIVER, expires="2027-06-30")
    baseline = scan_of_rules(*rules, waivers={r.rule_id: samples.WAIVER for r in rules})
    current = scan_of_rules(*rules, waivers={r.rule_id: later for r in rules})
    result = compare_scans(snapshot(baseline), snapshot(current))

    assert [w.name for w in result.waivers.changed] == [RULE_ID.format(7)]
    assert not result.has_regressions
    assert (
        "r007: needed by the build, see T-1 (build team, until 2027-01-31) -> "
        "needed by the build, see T-1 (build team, until 2027-06-30)"
    ) in next(s for s in format_sections(result) if s.title == "waiver changed").lines


@pytest.mark.parametrize(
    ("baseline", "current", "regression"),
    [
        (PV.PASS, PV.FAIL, True),
        (PV.PASS, PV.ERROR, True),
        (PV.PASS, PV.NOT_CHECKED, True),
        (PV.PASS, None, True),
        (PV.PASS, PV.NOT_APPLICABLE, False),
        (PV.NOT_APPLICABLE, PV.FAIL, True),
        (PV.NOT_CHECKED, PV.FAIL, False),
        (PV.FAIL, PV.ERROR, False),
        (PV.FAIL, PV.PASS, False),
        (None, PV.FAIL, False),
    ],
)
def test_compatibility_regression(
    baseline: PV | None, current: PV | None, regression: bool
) -> None:
    unchanged = samples.compatibility_result(
        "steady",
        PV.PASS,
        samples.check_result(CompatibilityOutcome.SATISFIED),
        samples.check_result(CompatibilityOutcome.SATISFIED),
    )

    def report_with(verdict: PV | None) -> CompatibilityReport:
        results = ()
        if verdict is not None:
            control, workload = OUTCOMES_BY_VERDICT[verdict]
            results = (
                samples.compatibility_result(
                    "egress", verdict, samples.check_result(control), samples.check_result(workload)
                ),
            )
        return CompatibilityReport(confinement="none", results=(unchanged, *results))

    result = compare_scans(
        snapshot(samples.scan(compatibility=report_with(baseline))),
        snapshot(samples.scan(compatibility=report_with(current))),
    )

    assert [(r.kind, r.name) for r in result.regressions] == [
        ("compatibility", "egress")
    ] * regression
    assert [c.name for c in result.compatibility] == ["egress"]


def test_missing_compatibility_checks_are_a_single_regression() -> None:
    result = compare_scans(
        snapshot(samples.scan(compatibility=samples.COMPATIBILITY)), snapshot(samples.scan())
    )

    assert [(r.name, r.baseline, r.current) for r in result.regressions] == [
        ("compatibility checks", "1 passed", "did not run")
    ]
    assert "the compatibility checks ran in only one of the two scans" in result.notes


@pytest.mark.parametrize(
    ("outcomes_after", "expected"),
    [
        (("failed", "passed"), [("a", "failed")]),
        (("skipped", "passed"), [("a", "skipped")]),
        (("error", "failed"), [("a", "error")]),
        (("passed", "passed"), []),
        ((), [("checks", "did not run")]),
    ],
)
def test_check_regression(outcomes_after: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    def checks(outcomes: tuple[str, ...]) -> tuple[HostCheck, ...]:
        return tuple(
            HostCheck(name=n, outcome=o, message="", duration_s=1)
            for n, o in zip("ab", outcomes, strict=False)
        )

    result = compare_scans(
        snapshot(samples.scan(checks=checks(("passed", "failed")))),
        snapshot(samples.scan(checks=checks(outcomes_after))),
    )

    assert [(r.name, r.current) for r in result.regressions] == expected


@pytest.mark.parametrize(
    ("name_after", "is_defined", "uncollected", "regressions"),
    [
        ("hardpan-check-umask", True, False, []),
        ("hardpan-check-umask", True, True, ["test_access::test_umask_is_private"]),
        ("test_access::test_other", False, False, ["test_access::test_umask_is_private"]),
    ],
    ids=["ids", "checks-of-the-profile-did-not-run", "same-hardpan"],
)
def test_checks_of_an_older_hardpan_are_not_compared(
    name_after: str, is_defined: bool, uncollected: bool, regressions: list[str]
) -> None:
    def check(name: str, definition: CheckDefinition | None = None) -> HostCheck:
        return HostCheck(
            name=name, outcome="passed", message="", duration_s=1, definition=definition
        )

    definition = CheckDefinition(title="t", severity="low", nist=(), rationale="r", remedy="r")
    current = [check(name_after, definition if is_defined else None)]
    if uncollected:
        current.append(replace(check("collect::hostfacts"), outcome="not_checked"))
    result = compare_scans(
        snapshot(samples.scan(checks=(check("test_access::test_umask_is_private"),))),
        snapshot(samples.scan(checks=tuple(current))),
    )

    assert [r.name for r in result.regressions] == regressions
    assert ("whose checks had no ids: 1 passed" in "".join(result.notes)) is (not regressions)


def test_duplicate_check_counts_with_worst_outcome() -> None:
    duplicates = tuple(
        HostCheck(name="a", outcome=o, message="", duration_s=1)
        for o in ("passed", "failed", "passed")
    )
    result = compare_scans(
        snapshot(samples.scan(checks=duplicates[:1])), snapshot(samples.scan(checks=duplicates))
    )

    assert [(r.name, r.current) for r in result.regressions] == [("a", "failed")]


@pytest.mark.parametrize(
    ("drop", "regression"),
    [(None, False), (Decimal("1.50"), False), (Decimal("1.49"), True), (Decimal(0), True)],
)
def test_score_drop_is_regression_only_on_request(drop: Decimal | None, regression: bool) -> None:
    baseline, current = (
        scan_of_rules(*samples.RULES, score=61.0),
        scan_of_rules(*samples.RULES, score=59.5),
    )
    result = compare_scans(snapshot(baseline), snapshot(current), max_score_drop=drop)

    assert result.has_regressions is regression
    assert ("score", "61.00", "59.50") in [
        (f.name, f.baseline, f.current) for f in result.attributes
    ]


@pytest.mark.parametrize(
    ("host", "note"),
    [
        ({"host_key_sha256": "SHA256:" + "B" * 43}, "the host key of the machine has changed"),
        (
            {"host_key_sha256": "SHA256:" + "B" * 43, "machine_id_hmac": "0" * 64},
            "two different hosts are compared",
        ),
        ({"machine_id_hmac": "0" * 64}, "different machine id: a clone"),
    ],
)
def test_different_host_is_noted(host: dict[str, str], note: str) -> None:
    other = samples.scan(host=replace(samples.HOST, **host))  # type: ignore[arg-type]
    (actual,) = compare_scans(snapshot(samples.scan()), snapshot(other)).notes

    assert note in actual


def test_rules_of_another_engine_are_noted() -> None:
    scan = samples.scan()
    results = scan.evaluation.results
    names = [shorten_id(r.rule_id) for r in results if r.engine == "OVAL"]
    scripts = tuple(replace(r, engine="SCE" if r.engine == "OVAL" else "") for r in results)
    other = samples.scan(evaluation=replace(scan.evaluation, results=scripts))

    assert 0 < len(names) <= 12
    assert compare_scans(snapshot(scan), snapshot(scan)).notes == ()
    (note,) = compare_scans(snapshot(scan), snapshot(other)).notes
    assert note == (
        f"the engines differ (OVAL or SCE) for {', '.join(names)}: verdicts may differ for that "
        "reason"
    )


def test_wrong_order_and_different_content_are_noted() -> None:
    content = replace(samples.CONTENT, derived_sha256=samples.SHA, version="0.1.83")
    evaluation = replace(samples.scan().evaluation, content=content)
    baseline = samples.scan(evaluation=evaluation, finished="2026-11-22T04:05:00Z")
    result = compare_scans(snapshot(baseline), snapshot(samples.scan()))

    assert [n.partition(":")[0] for n in result.notes] == [
        "the current scan finished before the baseline",
        "the SCAP content differs",
    ]
    assert ("content", "ssg-rhel9-ds.xml 0.1.83", "ssg-rhel9-ds.xml 0.1.82") in [
        (f.name, f.baseline, f.current) for f in result.attributes
    ]


def test_fips_off_and_missing_smoke_test_are_regressions() -> None:
    host_without_fips = replace(samples.HOST, fips_kernel_flag=False, kernel="6.13")
    result = compare_scans(
        snapshot(samples.scan(fips=None)),
        snapshot(samples.scan(fips=None, host=host_without_fips, smoke=None)),
    )

    assert [(r.kind, r.baseline, r.current) for r in result.regressions] == [
        ("fips", "on", "off"),
        ("smoke", "pass", "did not run"),
    ]
    assert ("kernel", samples.HOST.kernel, "6.13") in [
        (f.name, f.baseline, f.current) for f in result.attributes
    ]


def test_measure_changes_are_no_regressions() -> None:
    slow = replace(samples.SMOKE.measures[0], value=20.61728)
    other = replace(samples.SMOKE.measures[1], name="new", value=1.0)
    result = compare_scans(
        snapshot(samples.scan()),
        snapshot(samples.scan(smoke=replace(samples.SMOKE, measures=(slow, other)))),
    )

    assert not result.has_regressions
    assert [(f.name, f.percent) for f in result.measures] == [
        ("matmul 1024", -50),
        ("embedding latency", None),
        ("new", None),
    ]
    assert format_sections(result)[-1].lines == (
        "matmul 1024: 41.23 -> 20.62 GFLOP/s (-50 %, higher is better)",
        "embedding latency: no value -> no value ms",
        "new: no value -> 1 ms",
    )


def test_packages_are_added_removed_and_changed() -> None:
    result = package_changes.compare_packages(
        ("bash-0:5.2-1.el9.x86_64", "kernel-core-0:5.14-1.el9.x86_64", "old-1:1-1.noarch"),
        (
            "bash-0:5.2-2.el9.x86_64",
            "kernel-core-0:5.14-1.el9.x86_64",
            "kernel-core-0:5.14-2.el9.x86_64",
            "odd line",
        ),
    )

    assert [(c.name, c.baseline, c.current) for c in result.changed] == [
        ("bash.x86_64", ("0:5.2-1.el9",), ("0:5.2-2.el9",))
    ]
    assert [(c.name, c.current) for c in result.added] == [
        ("kernel-core.x86_64", ("0:5.14-2.el9",)),
        ("odd line", ("",)),
    ]
    assert [(c.name, c.baseline) for c in result.removed] == [("old.noarch", ("1:1-1",))]


def test_missing_package_list_is_reported() -> None:
    result = compare_scans(snapshot(samples.scan(), packages=False), snapshot(samples.scan()))

    assert result.packages is None
    lines = format_sections(result)[-1].lines
    assert "not compared: one of the two package lists is missing" in lines


def test_diff_round_trips_through_json() -> None:
    baseline, current = (
        snapshot(scan_of_verdict(V.PASS, waived=True)),
        snapshot(samples.scan(compatibility=samples.COMPATIBILITY)),
    )
    result = compare_scans(baseline, current)

    assert type(result).model_validate(result.to_json()) == result


def test_tailoring_is_an_attribute_of_a_scan() -> None:
    base = samples.slim_scan()
    tailored = samples.tailored_scan(base)

    changes = compare_scans(snapshot(base), snapshot(tailored)).attributes

    texts = {c.name: (c.baseline, c.current) for c in changes}
    effect = "1 rule not evaluated, 1 rule added, 2 settings changed"
    assert texts["tailoring"] == (
        "none",
        f"web.yaml sha256:{samples.TAILORING.sha256}, {effect}",
    )
