"""Paired checks in evidence: bound to the statement, weighed anew, limited by the policy."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hardpan.scanners.evidence.checks import RefusedError
from tests.unit.evidence import samples
from tests.unit.evidence.forge import Lab

Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def paired(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The lab, whose evidence holds paired checks."""
    folder = tmp_path_factory.mktemp("paired")
    made = samples.slim_scan(image=samples.image(lab.build), paired=samples.PAIRED)
    return replace(lab, folder=folder, good=samples.write(made, lab.scan, folder))


def test_evidence_with_paired_checks_verifies_and_tells_their_counts(paired: Lab) -> None:
    verified = paired.verify(paired.good)
    claim = verified.statement.predicate.paired

    assert claim is not None
    assert claim.file == "findings.json"
    assert claim.counts == samples.PAIRED.counts()
    assert verified.findings.paired is not None


def test_evidence_of_an_older_hardpan_still_verifies(lab: Lab) -> None:
    findings = json.loads(lab.files()["findings.json"])
    del findings["paired"]
    path = lab.with_files({"findings.json": json.dumps(findings).encode()})
    old = replace(lab, good=path).changed(lambda s: s["predicate"].pop("paired"))

    assert lab.verify(old).findings.paired is None


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["predicate"]["paired"]["counts"].update({"pass": 2, "fail": 0}),
        lambda s: s["predicate"]["paired"]["counts"].pop("fail"),
        lambda s: s["predicate"].pop("paired"),
        lambda s: s["predicate"].update({"paired": None}),
    ],
)
def test_a_statement_that_tells_other_counts_is_refused(paired: Lab, change: Change) -> None:
    with pytest.raises(RefusedError, match="disagrees with the statement: paired checks"):
        paired.verify(paired.changed(change))


def _passed(pairs: list[dict[str, Any]]) -> None:
    pairs[1]["verdict"] = "pass"


def _twice(pairs: list[dict[str, Any]]) -> None:
    pairs[0]["conflict"] = pairs[1]["conflict"]


def _half(pairs: list[dict[str, Any]]) -> None:
    pairs[0]["action"]["outcome"] = "not_asked"


@pytest.mark.parametrize("change", [_passed, _twice, _half])
def test_a_verdict_that_its_halves_do_not_give_is_refused(
    paired: Lab, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    findings = json.loads(paired.files()["findings.json"])
    change(findings["paired"]["pairs"])
    path = paired.with_files({"findings.json": json.dumps(findings).encode()})
    if change is _passed:

        def claimed(s: Any) -> object:
            return s["predicate"]["paired"]["counts"].update({"pass": 2, "fail": 0})

        path = replace(paired, good=path).changed(claimed)

    with pytest.raises(RefusedError, match="disagrees with the statement: paired checks"):
        paired.verify(path)


def test_counts_of_paired_checks_that_are_not_there_are_refused(paired: Lab) -> None:
    findings = json.loads(paired.files()["findings.json"])
    del findings["paired"]
    path = paired.with_files({"findings.json": json.dumps(findings).encode()})

    with pytest.raises(RefusedError, match="disagrees with the statement: paired checks"):
        paired.verify(path)


@pytest.mark.parametrize(
    ("extra", "over"),
    [
        ("max_paired: {fail: 1, error: 1}", ""),
        ("max_paired: {fail: 0}", "paired fail: 1, at most 0"),
        (
            "max_paired: {not_checked: 0, error: 0}",
            "paired not_checked: 1, at most 0; paired error: 1, at most 0",
        ),
    ],
)
def test_the_policy_limits_them(paired: Lab, extra: str, over: str) -> None:
    verified = paired.verify(paired.good, extra)

    assert verified.within_limits == (not over)
    assert next(o for o in verified.outcomes if o.id == "limits").why == over


def test_a_limit_is_not_met_by_leaving_them_out(lab: Lab) -> None:
    verified = lab.verify(lab.good, "max_paired: {fail: 0}")

    assert not verified.within_limits
    limits = next(o for o in verified.outcomes if o.id == "limits")
    assert limits.why == "paired checks: none ran, the policy limits them"
