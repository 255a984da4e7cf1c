"""What changed from one scan to the next, and what of it is a regression."""

from dataclasses import replace
from decimal import Decimal

import pytest

from hardpan.scanners.history import packages
from hardpan.scanners.history.diff import diff
from hardpan.scanners.history.wording import changes
from hardpan.scanners.model import Verdict
from hardpan.scanners.trials import Check, Held, Paired, PairVerdict
from tests.unit.evidence import samples
from tests.unit.history.scans import SHORT, of_rules, of_verdict, side

V = Verdict
PV = PairVerdict
HALVES = {
    PV.PASS: (Held.HOLDS, Held.HOLDS),
    PV.FAIL: (Held.HOLDS, Held.BROKEN),
    PV.ERROR: (Held.HOLDS, Held.ERROR),
    PV.NOT_CHECKED: (Held.HOLDS, Held.NOT_ASKED),
    PV.NOT_APPLICABLE: (Held.NOT_APPLICABLE, Held.NOT_APPLICABLE),
}


def test_a_scan_held_against_itself_shows_nothing() -> None:
    made = diff(
        side(samples.scan(paired=samples.PAIRED)), side(samples.scan(paired=samples.PAIRED))
    )

    assert not made.is_regression
    assert [s.title for s in changes(made)] == ["smoke figures (told, not judged)"]


@pytest.mark.parametrize(
    ("old", "old_waived", "new", "new_waived", "regression"),
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
def test_what_of_a_rule_is_a_regression(
    old: V | None,
    old_waived: bool | None,
    new: V | None,
    new_waived: bool | None,
    regression: bool,
) -> None:
    made = diff(side(of_verdict(old, waived=old_waived)), side(of_verdict(new, waived=new_waived)))

    assert made.is_regression is regression
    assert [r.name for r in made.regressions] == [SHORT.format(7)] * regression


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (V.PASS, V.FAIL, "failing"),
        (V.NOT_CHECKED, V.ERROR, "failing"),
        (V.FAIL, V.PASS, "fixed"),
        (V.ERROR, V.FIXED, "fixed"),
        (V.FAIL, V.ERROR, "changed"),
        (V.PASS, V.NOT_APPLICABLE, "changed"),
        (None, V.PASS, "came"),
        (V.PASS, None, "gone"),
    ],
)
def test_each_changed_rule_stands_in_one_place(old: V | None, new: V | None, where: str) -> None:
    made = diff(side(of_verdict(old)), side(of_verdict(new)))
    places = ("failing", "fixed", "changed", "came", "gone")

    assert {p: [c.rule_id for c in getattr(made, p)] for p in places} == {
        p: [SHORT.format(7)] if p == where else [] for p in places
    }


@pytest.mark.parametrize(
    ("old_waived", "new_waived", "where"),
    [(None, True, "began"), (False, True, "began"), (True, False, "ended"), (True, None, "ended")],
)
def test_a_waiver_begins_and_ends(
    old_waived: bool | None, new_waived: bool | None, where: str
) -> None:
    waivers = diff(
        side(of_verdict(V.FAIL, waived=old_waived)), side(of_verdict(V.FAIL, waived=new_waived))
    ).waivers

    assert {p: len(getattr(waivers, p)) for p in ("began", "ended", "changed")} == {
        p: int(p == where) for p in ("began", "ended", "changed")
    }


def test_a_waiver_with_another_last_day_is_told_and_one_of_a_rule_that_passes_is_not() -> None:
    rules = (samples.rule(7, V.FAIL), samples.rule(8, V.PASS))
    later = replace(samples.WAIVER, expires="2027-06-30")
    old = of_rules(*rules, waivers={r.rule_id: samples.WAIVER for r in rules})
    new = of_rules(*rules, waivers={r.rule_id: later for r in rules})
    made = diff(side(old), side(new))

    assert [w.name for w in made.waivers.changed] == [SHORT.format(7)]
    assert not made.is_regression
    assert (
        "r007: needed by the build, see T-1 (build team, until 2027-01-31) -> "
        "needed by the build, see T-1 (build team, until 2027-06-30)"
    ) in next(s for s in changes(made) if s.title == "waiver changed").lines


@pytest.mark.parametrize(
    ("old", "new", "regression"),
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
def test_what_of_a_paired_check_is_a_regression(
    old: PV | None, new: PV | None, regression: bool
) -> None:
    steady = samples.pair("steady", PV.PASS, samples.half(Held.HOLDS), samples.half(Held.HOLDS))

    def paired(verdict: PV | None) -> Paired:
        more = ()
        if verdict is not None:
            control, action = HALVES[verdict]
            more = (samples.pair("egress", verdict, samples.half(control), samples.half(action)),)
        return Paired(confinement="none", pairs=(steady, *more))

    made = diff(side(samples.scan(paired=paired(old))), side(samples.scan(paired=paired(new))))

    assert [(r.kind, r.name) for r in made.regressions] == [("paired", "egress")] * regression
    assert [c.name for c in made.paired] == ["egress"]


def test_paired_checks_that_did_not_run_are_one_regression() -> None:
    made = diff(side(samples.scan(paired=samples.PAIRED)), side(samples.scan()))

    assert [(r.name, r.old, r.new) for r in made.regressions] == [
        ("paired checks", "1 held", "did not run")
    ]
    assert "the paired checks ran in one of the two only" in made.notes


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (("failed", "passed"), [("a", "failed")]),
        (("skipped", "passed"), [("a", "skipped")]),
        (("error", "failed"), [("a", "error")]),
        (("passed", "passed"), []),
        ((), [("checks", "did not run")]),
    ],
)
def test_what_of_a_check_is_a_regression(
    after: tuple[str, ...], told: list[tuple[str, str]]
) -> None:
    def checks(outcomes: tuple[str, ...]) -> tuple[Check, ...]:
        return tuple(
            Check(name=n, outcome=o, message="", took_s=1)
            for n, o in zip("ab", outcomes, strict=False)
        )

    made = diff(
        side(samples.scan(checks=checks(("passed", "failed")))),
        side(samples.scan(checks=checks(after))),
    )

    assert [(r.name, r.new) for r in made.regressions] == told


def test_of_a_check_that_appears_twice_the_worst_outcome_counts() -> None:
    twice = tuple(
        Check(name="a", outcome=o, message="", took_s=1) for o in ("passed", "failed", "passed")
    )
    made = diff(side(samples.scan(checks=twice[:1])), side(samples.scan(checks=twice)))

    assert [(r.name, r.new) for r in made.regressions] == [("a", "failed")]


@pytest.mark.parametrize(
    ("drop", "regression"),
    [(None, False), (Decimal("1.50"), False), (Decimal("1.49"), True), (Decimal(0), True)],
)
def test_a_lower_score_is_a_regression_only_where_asked(
    drop: Decimal | None, regression: bool
) -> None:
    old, new = of_rules(*samples.RULES, score=61.0), of_rules(*samples.RULES, score=59.5)
    made = diff(side(old), side(new), max_score_drop=drop)

    assert made.is_regression is regression
    assert ("score", "61.00", "59.50") in [(f.name, f.old, f.new) for f in made.facts]


@pytest.mark.parametrize(
    ("host", "note"),
    [
        ({"host_key_sha256": "SHA256:" + "B" * 43}, "another host key now"),
        (
            {"host_key_sha256": "SHA256:" + "B" * 43, "machine_id_hmac": "0" * 64},
            "two different hosts are compared",
        ),
        ({"machine_id_hmac": "0" * 64}, "the machine id is not: a clone"),
    ],
)
def test_another_host_is_told(host: dict[str, str], note: str) -> None:
    other = samples.scan(host=replace(samples.HOST, **host))  # type: ignore[arg-type]
    (said,) = diff(side(samples.scan()), side(other)).notes

    assert note in said


def test_the_wrong_order_and_other_content_are_told() -> None:
    content = replace(samples.CONTENT, derived_sha256=samples.SHA, version="0.1.83")
    evaluation = replace(samples.scan().evaluation, content=content)
    old = samples.scan(evaluation=evaluation, finished="2026-11-22T04:05:00Z")
    made = diff(side(old), side(samples.scan()))

    assert [n.partition(":")[0] for n in made.notes] == [
        "the newer scan is the older one by its own clock",
        "the SCAP content differs",
    ]
    assert ("content", "ssg-rhel9-ds.xml 0.1.83", "ssg-rhel9-ds.xml 0.1.82") in [
        (f.name, f.old, f.new) for f in made.facts
    ]


def test_fips_mode_that_went_off_and_a_smoke_test_that_did_not_run_are_regressions() -> None:
    off = replace(samples.HOST, fips_kernel_flag=False, kernel="6.13")
    made = diff(side(samples.scan(fips=None)), side(samples.scan(fips=None, host=off, smoke=None)))

    assert [(r.kind, r.old, r.new) for r in made.regressions] == [
        ("fips", "on", "off"),
        ("smoke", "pass", "did not run"),
    ]
    assert ("kernel", samples.HOST.kernel, "6.13") in [(f.name, f.old, f.new) for f in made.facts]


def test_figures_are_told_and_never_judged() -> None:
    slow = replace(samples.SMOKE.measures[0], value=20.61728)
    other = replace(samples.SMOKE.measures[1], name="new", value=1.0)
    made = diff(
        side(samples.scan()),
        side(samples.scan(smoke=replace(samples.SMOKE, measures=(slow, other)))),
    )

    assert not made.is_regression
    assert [(f.name, f.percent) for f in made.figures] == [
        ("matmul 1024", -50),
        ("embedding latency", None),
        ("new", None),
    ]
    assert changes(made)[-1].lines == (
        "matmul 1024: 41.23 -> 20.62 GFLOP/s (-50 %, higher is better)",
        "embedding latency: no value -> no value ms",
        "new: no value -> 1 ms",
    )


def test_packages_come_go_and_change() -> None:
    made = packages.compare(
        ("bash-0:5.2-1.el9.x86_64", "kernel-core-0:5.14-1.el9.x86_64", "old-1:1-1.noarch"),
        (
            "bash-0:5.2-2.el9.x86_64",
            "kernel-core-0:5.14-1.el9.x86_64",
            "kernel-core-0:5.14-2.el9.x86_64",
            "odd line",
        ),
    )

    assert [(c.name, c.old, c.new) for c in made.changed] == [
        ("bash.x86_64", ("0:5.2-1.el9",), ("0:5.2-2.el9",))
    ]
    assert [(c.name, c.new) for c in made.added] == [
        ("kernel-core.x86_64", ("0:5.14-2.el9",)),
        ("odd line", ("",)),
    ]
    assert [(c.name, c.old) for c in made.removed] == [("old.noarch", ("1:1-1",))]


def test_a_missing_package_list_is_told() -> None:
    made = diff(side(samples.scan(), packages=False), side(samples.scan()))

    assert made.packages is None
    assert "not compared: one of the two lists is not at hand" in changes(made)[-1].lines


def test_a_diff_is_json_and_reads_back() -> None:
    old, new = side(of_verdict(V.PASS, waived=True)), side(samples.scan(paired=samples.PAIRED))
    made = diff(old, new)

    assert type(made).model_validate(made.data()) == made
