"""Paired checks in evidence: bound to the statement, evaluated again, limited by the policy."""

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
def checked_lab(lab: EvidenceFixture, tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    """The lab, whose evidence holds compatibility checks."""
    folder = tmp_path_factory.mktemp("compatibility")
    scan = samples.slim_scan(image=samples.image(lab.build), compatibility=samples.COMPATIBILITY)
    return replace(lab, folder=folder, valid_path=samples.write_evidence(scan, lab.scan, folder))


def test_compatibility_checks_are_verified_with_counts(checked_lab: EvidenceFixture) -> None:
    verified = checked_lab.verify(checked_lab.valid_path)
    claim = verified.statement.predicate.compatibility

    assert claim is not None
    assert claim.file == "findings.json"
    assert claim.counts == samples.COMPATIBILITY.counts()
    assert verified.findings.compatibility is not None


def test_evidence_without_compatibility_checks_verifies(lab: EvidenceFixture) -> None:
    findings = json.loads(lab.read_files()["findings.json"])
    del findings["compatibility"]
    path = lab.resign_with_files({"findings.json": json.dumps(findings).encode()})
    old = replace(lab, valid_path=path).resign_changed(
        lambda s: s["predicate"].pop("compatibility")
    )

    assert lab.verify(old).findings.compatibility is None


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["predicate"]["compatibility"]["counts"].update({"pass": 2, "fail": 0}),
        lambda s: s["predicate"]["compatibility"]["counts"].pop("fail"),
        lambda s: s["predicate"].pop("compatibility"),
        lambda s: s["predicate"].update({"compatibility": None}),
    ],
)
def test_statement_with_other_compatibility_counts_is_rejected(
    checked_lab: EvidenceFixture, change: Change
) -> None:
    with pytest.raises(
        VerificationError, match="disagrees with the statement: compatibility checks"
    ):
        checked_lab.verify(checked_lab.resign_changed(change))


def _passed(pairs: list[dict[str, Any]]) -> None:
    pairs[1]["verdict"] = "pass"


def _twice(pairs: list[dict[str, Any]]) -> None:
    pairs[0]["conflict"] = pairs[1]["conflict"]


def _half(pairs: list[dict[str, Any]]) -> None:
    pairs[0]["workload"]["outcome"] = "not_tested"


@pytest.mark.parametrize("change", [_passed, _twice, _half])
def test_compatibility_verdict_must_follow_from_its_checks(
    checked_lab: EvidenceFixture, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    findings = json.loads(checked_lab.read_files()["findings.json"])
    change(findings["compatibility"]["results"])
    path = checked_lab.resign_with_files({"findings.json": json.dumps(findings).encode()})
    if change is _passed:

        def claimed(s: Any) -> object:
            return s["predicate"]["compatibility"]["counts"].update({"pass": 2, "fail": 0})

        path = replace(checked_lab, valid_path=path).resign_changed(claimed)

    with pytest.raises(
        VerificationError, match="disagrees with the statement: compatibility checks"
    ):
        checked_lab.verify(path)


def test_compatibility_counts_without_checks_are_rejected(checked_lab: EvidenceFixture) -> None:
    findings = json.loads(checked_lab.read_files()["findings.json"])
    del findings["compatibility"]
    path = checked_lab.resign_with_files({"findings.json": json.dumps(findings).encode()})

    with pytest.raises(
        VerificationError, match="disagrees with the statement: compatibility checks"
    ):
        checked_lab.verify(path)


@pytest.mark.parametrize(
    ("extra", "over"),
    [
        ("max_compatibility: {fail: 1, error: 1}", ""),
        ("max_compatibility: {fail: 0}", "compatibility fail: 1, at most 0"),
        (
            "max_compatibility: {not_checked: 0, error: 0}",
            "compatibility not_checked: 1, at most 0; compatibility error: 1, at most 0",
        ),
    ],
)
def test_policy_limits_compatibility_verdicts(
    checked_lab: EvidenceFixture, extra: str, over: str
) -> None:
    verified = checked_lab.verify(checked_lab.valid_path, extra)

    assert verified.is_within_thresholds == (not over)
    assert next(o for o in verified.records if o.check_id == "thresholds").reason == over


def test_missing_compatibility_checks_exceed_the_threshold(lab: EvidenceFixture) -> None:
    verified = lab.verify(lab.valid_path, "max_compatibility: {fail: 0}")

    assert not verified.is_within_thresholds
    limits = next(o for o in verified.records if o.check_id == "thresholds")
    assert limits.reason == "compatibility checks: none ran, the policy limits them"
