"""Evidence that says what changed since the host's last."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardpan.scanners.evidence.sign.writer import SigningOptions
from hardpan.scanners.evidence.verify.verification_log import VerificationError
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture

Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def compared(lab: EvidenceFixture, tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    """A lab whose good evidence was compared with an older scan."""
    folder = tmp_path_factory.mktemp("compared")
    terms = SigningOptions(chain=samples.PREVIOUS_LINK, changes=samples.CHANGES)
    good = samples.write_evidence(samples.slim_scan(), lab.scan, folder, options=terms)
    return replace(lab, folder=folder, valid_path=good)


def _with(fixture: EvidenceFixture, change: Change) -> Path:
    """Its changes changed, and signed again with the right key."""
    changes = json.loads(fixture.read_files()["changes.json"])
    change(changes)
    return fixture.resign_with_files({"changes.json": json.dumps(changes).encode()})


def test_changes_are_verified_with_evidence(
    compared: EvidenceFixture, lab: EvidenceFixture
) -> None:
    assert compared.verify(compared.valid_path).changes == samples.CHANGES
    assert lab.verify(lab.valid_path).changes is None
    assert "changes.json" not in lab.read_files()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["newlyFailing"][0].update({"current": "pass"}), "disagrees with the findings"),
        (lambda c: c["newlyFailing"][0].update({"waived": True}), "disagrees with the findings"),
        (lambda c: c["newlyFailing"][0].update({"current": None}), "disagrees with the findings"),
        (lambda c: c["other"][0].update({"current": "pass"}), "disagrees with the findings"),
        (lambda c: c["other"][0].update({"waived": True}), "disagrees with the findings"),
        (lambda c: c["other"].append(c["newlyFailing"][0]), "disagrees with the findings"),
        (lambda c: c["fixed"].append(c["other"][0]), "disagrees with the findings"),
        (
            lambda c: c.update({"statementSha256": "0" * 64}),
            "does not refer to the previous statement",
        ),
        (lambda c: c.pop("statementSha256"), "statementSha256: Field required"),
        (lambda c: c.update({"since": "yesterday"}), "since"),
        (lambda c: c["newlyFailing"][0].update({"current": "better"}), "newlyFailing.0.current"),
    ],
)
def test_inconsistent_changes_are_rejected(
    compared: EvidenceFixture, change: Change, message: str
) -> None:
    with pytest.raises(VerificationError, match=rf"findings: .*changes\.json: .*{message}"):
        compared.verify(_with(compared, change))


@pytest.mark.parametrize(
    "chain", [None, {"sequence": 1, "previousStatementSha256": None}], ids=["none", "first"]
)
def test_changes_without_previous_statement_are_rejected(
    compared: EvidenceFixture, chain: dict[str, object] | None
) -> None:
    forged = compared.resign_changed(lambda s: s["predicate"].update({"chain": chain}))

    with pytest.raises(VerificationError, match="does not refer to the previous statement"):
        compared.verify(forged)


def test_removed_changes_file_is_detected(compared: EvidenceFixture) -> None:
    files = compared.read_files()
    del files["changes.json"]

    with pytest.raises(VerificationError, match=r"changes\.json: is listed but missing"):
        compared.verify(compared.pack(files))
