"""What 'verify' reports of the wheel audits in an image's provenance."""

from pathlib import Path

import pytest

from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.verify.verification_log import VerificationError
from hardpan.scanners.evidence.verify.verifier import verify
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture


def verify_byproducts(lab: EvidenceFixture, folder: Path, byproducts: object) -> str:
    """Verify evidence of an image with these byproducts; return the reason of its provenance."""
    predicate = {"runDetails": {"byproducts": byproducts}}
    image = samples.image(lab.build, predicate=predicate)
    path = samples.write_evidence(samples.slim_scan(image=image), lab.scan, folder)
    verified = verify(path, load_trust_policy(lab.ring.policy), now=NOW)
    (reason,) = [record.reason for record in verified.records if record.check_id == "provenance"]
    return reason


def test_findings_of_all_stacks_are_counted(lab: EvidenceFixture, tmp_path: Path) -> None:
    audits = [
        {"name": "wheel-audit:a", "annotations": {"high": 1, "medium": 2, "low": 3}},
        {"name": "wheel-audit:b", "annotations": {"high": 1, "medium": 0, "low": 0}},
        {"name": "log", "annotations": {"high": 9}},
    ]

    reason = verify_byproducts(lab, tmp_path, audits)

    assert reason.endswith("; wheel audit: 7 findings, 2 of severity high")


def test_image_without_stack_has_no_audit(lab: EvidenceFixture, tmp_path: Path) -> None:
    assert "wheel audit" not in verify_byproducts(lab, tmp_path, [])


@pytest.mark.parametrize(
    "byproducts",
    [
        [{"name": "wheel-audit:a"}],
        [1],
        1,
        [{"name": "wheel-audit:a", "annotations": {"high": "x"}}],
    ],
)
def test_malformed_audit_is_refused(
    lab: EvidenceFixture, tmp_path: Path, byproducts: object
) -> None:
    with pytest.raises(VerificationError, match="byproducts: malformed"):
        verify_byproducts(lab, tmp_path, byproducts)
