"""Paired checks in evidence: bound to the statement, weighed anew, limited by the policy."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hardpan.scanners.evidence.verify.verification_log import VerificationError
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture

Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def paired(lab: EvidenceFixture, tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    """The lab, whose evidence holds paired checks."""
    folder = tmp_path_factory.mktemp("paired")
    made = samples.slim_scan(image=samples.image(lab.build), compatibility=samples.COMPATIBILITY)
    return replace(lab, folder=folder, valid_path=samples.write_evidence(made, lab.scan, folder))


def test_compatibility_checks_are_verified_with_counts(paired: EvidenceFixture) -> None:
    verified = paired.verify(paired.valid_path)
    claim = verified.statement.predicate.paired

    assert claim is not None
    assert claim.file == "findings.json"
    assert claim.counts == samples.COMPATIBILITY.counts()
    assert verified.findings.paired is not None


def test_evidence_without_compatibility_checks_verifies(lab: EvidenceFixture) -> None:
    findings = json.loads(lab.read_files()["findings.json"])
    del findings["paired"]
    path = lab.resign_with_files({"findings.json": json.dumps(findings).encode()})
    old = replace(lab, valid_path=path).resign_changed(lambda s: s["predicate"].pop("paired"))

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
def test_statement_with_other_compatibility_counts_is_rejected(
    paired: EvidenceFixture, change: Change
) -> None:
    with pytest.raises(VerificationError, match="disagrees with the statement: paired checks"):
        paired.verify(paired.resign_changed(change))


def _passed(pairs: list[dict[str, Any]]) -> None:
    pairs[1]["verdict"] = "pass"


def _twice(pairs: list[dict[str, Any]]) -> None:
    pairs[0]["conflict"] = pairs[1]["conflict"]


def _half(pairs: list[dict[str, Any]]) -> None:
    pairs[0]["action"]["outcome"] = "not_asked"


@pytest.mark.parametrize("change", [_passed, _twice, _half])
def test_compatibility_verdict_must_follow_from_its_checks(
    paired: EvidenceFixture, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    findings = json.loads(paired.read_files()["findings.json"])
    change(findings["paired"]["pairs"])
    path = paired.resign_with_files({"findings.json": json.dumps(findings).encode()})
    if change is _passed:

        def claimed(s: Any) -> object:
            return s["predicate"]["paired"]["counts"].update({"pass": 2, "fail": 0})

        path = replace(paired, valid_path=path).resign_changed(claimed)

    with pytest.raises(VerificationError, match="disagrees with the statement: paired checks"):
        paired.verify(path)


def test_compatibility_counts_without_checks_are_rejected(paired: EvidenceFixture) -> None:
    findings = json.loads(paired.read_files()["findings.json"])
    del findings["paired"]
    path = paired.resign_with_files({"findings.json": json.dumps(findings).encode()})

    with pytest.raises(VerificationError, match="disagrees with the statement: paired checks"):
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
def test_policy_limits_compatibility_verdicts(
    paired: EvidenceFixture, extra: str, over: str
) -> None:
    verified = paired.verify(paired.valid_path, extra)

    assert verified.is_within_thresholds == (not over)
    assert next(o for o in verified.records if o.check_id == "limits").reason == over


def test_missing_compatibility_checks_exceed_the_threshold(lab: EvidenceFixture) -> None:
    verified = lab.verify(lab.valid_path, "max_paired: {fail: 0}")

    assert not verified.is_within_thresholds
    limits = next(o for o in verified.records if o.check_id == "limits")
    assert limits.reason == "paired checks: none ran, the policy limits them"
