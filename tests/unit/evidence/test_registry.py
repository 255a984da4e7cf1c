"""The registry of checks: every check is one function with a typed outcome."""

import inspect
import pkgutil
from dataclasses import replace
from importlib import import_module
from typing import get_args

import pytest

from hardpan.core.errors import TrustError
from hardpan.scanners.evidence import verify as verify_package
from hardpan.scanners.evidence.verify import verifier
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.registry import CHECK_IDS, CHECKS, Check
from hardpan.scanners.evidence.verify.sources import ArchiveSource
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    CheckStatus,
    VerificationError,
)
from tests.tamper import verdicts
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture

STRUCTURE_CHECKS = ["archive", "bundle", "statement", "detached-copies", "files", "findings"]


def test_check_order_is_stable() -> None:
    assert list(CHECK_IDS) == [
        "policy",
        "archive",
        "bundle",
        "signature",
        "statement",
        "detached-copies",
        "files",
        "findings",
        "test-result",
        "oscal",
        "timestamp",
        "key-window",
        "post-quantum",
        "cms",
        "time",
        "age",
        "nonce",
        "chain-position",
        "target",
        "host-key",
        "content",
        "tailoring",
        "host-signature",
        "provenance",
        "thresholds",
    ]


def test_every_check_function_is_registered_once() -> None:
    functions = {
        function
        for module in pkgutil.iter_modules(verify_package.__path__, f"{verify_package.__name__}.")
        for name, function in inspect.getmembers(import_module(module.name), inspect.isfunction)
        if name.startswith("check_")
        and list(inspect.get_annotations(function).values())[:1] == [VerificationContext]
    }

    assert functions == {check.run for check in CHECKS}
    assert len(functions) == len(CHECKS) == len(set(CHECK_IDS))


@pytest.mark.parametrize("check", CHECKS, ids=CHECK_IDS)
def test_check_is_documented_and_returns_an_outcome(check: Check) -> None:
    assert inspect.get_annotations(check.run)["return"] == CheckOutcome
    assert (inspect.getdoc(check.run) or "").endswith(".")
    assert check.description


@pytest.mark.parametrize("check", CHECKS, ids=CHECK_IDS)
def test_check_fails_in_a_tamper_case(check: Check) -> None:
    failing = {
        "thresholds" if verdict == "exceeded" else verdict
        for verdict in (v.hardpan.partition(": ")[0] for v in verdicts.variants())
    }

    assert check.check_id in failing


@pytest.mark.parametrize("check", CHECKS, ids=CHECK_IDS)
def test_failed_check_rejects_the_evidence(
    lab: EvidenceFixture, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: VerificationContext) -> CheckOutcome:
        raise TrustError("forged")

    changed = [replace(c, run=fail) if c is check else c for c in CHECKS]
    monkeypatch.setattr(verifier, "CHECKS", tuple(changed))

    with pytest.raises(VerificationError, match=f"{check.check_id}: forged") as caught:
        lab.verify(lab.valid_path)
    records = caught.value.records
    index = CHECK_IDS.index(check.check_id)
    assert [r.check_id for r in records] == list(CHECK_IDS)
    assert records[index].status is CheckStatus.FAILED
    assert {r.status is CheckStatus.NOT_RUN for r in records[index + 1 :]} <= {
        check.is_precondition
    }


@pytest.mark.parametrize("check", CHECKS, ids=CHECK_IDS)
def test_check_returns_typed_outcome_of_valid_evidence(lab: EvidenceFixture, check: Check) -> None:
    with ArchiveSource(lab.valid_path) as source:
        context = VerificationContext(source=source, resolved_policy=lab.load_policy(), now=NOW)
        outcomes = {c.check_id: c.run(context) for c in CHECKS}

    assert isinstance(outcomes[check.check_id], get_args(CheckOutcome))


def test_checks_without_a_policy_compare_the_evidence_with_itself(lab: EvidenceFixture) -> None:
    assert [c.check_id for c in CHECKS if not c.needs_policy] == STRUCTURE_CHECKS
    with ArchiveSource(lab.valid_path) as source:
        context = VerificationContext(source=source, resolved_policy=None)

        with pytest.raises(RuntimeError, match="needs a policy"):
            _ = context.trust
        with pytest.raises(AttributeError):
            _ = context.envelope
