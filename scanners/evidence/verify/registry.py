"""The checks of a verification, in the order in which they run.

A new check is a function ``check_*`` of this package and an entry in ``CHECKS``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hardpan.scanners.evidence.verify import (
    countersignatures,
    evidence_checks,
    policy_checks,
    post_quantum,
    provenance,
    signing_time,
    thresholds,
)
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.verification_log import CheckOutcome, CheckRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check with its properties."""

    check_id: str
    description: str
    """What is true if the check passes."""

    run: Callable[[VerificationContext], CheckOutcome]
    """Returns the outcome; raises ``TrustError`` if the check fails."""

    needs_policy: bool = True
    """False if it compares the evidence's own parts only."""

    is_precondition: bool = False
    """True if later checks need what it establishes: if it fails, they do not run."""

    is_for_newest_scan: bool = False
    """True if it applies to the newest scan of a host only."""


CHECKS = (
    Check(
        check_id="policy",
        description="the policy has not expired",
        run=signing_time.check_policy_expiry,
    ),
    Check(
        check_id="archive",
        description="the file is an evidence archive in canonical form",
        run=evidence_checks.check_archive,
        needs_policy=False,
        is_precondition=True,
    ),
    Check(
        check_id="bundle",
        description="the Sigstore bundle is well formed",
        run=evidence_checks.check_bundle,
        needs_policy=False,
        is_precondition=True,
    ),
    Check(
        check_id="signature",
        description="a trusted scan key signed the statement",
        run=evidence_checks.check_signature,
        is_precondition=True,
    ),
    Check(
        check_id="statement",
        description="the statement is complete and of a known type",
        run=evidence_checks.check_statement,
        needs_policy=False,
        is_precondition=True,
    ),
    Check(
        check_id="detached-copies",
        description="detached files match the bundle",
        run=evidence_checks.check_detached_copies,
        needs_policy=False,
        is_precondition=True,
    ),
    Check(
        check_id="files",
        description="the attached files match the digests in the statement",
        run=evidence_checks.check_files,
        needs_policy=False,
        is_precondition=True,
    ),
    Check(
        check_id="findings",
        description="counts, rules and target agree between statement and findings",
        run=evidence_checks.check_findings,
        needs_policy=False,
        is_precondition=True,
    ),
    Check(
        check_id="test-result",
        description="the test-result statement matches the findings, signed by the same key",
        run=evidence_checks.check_test_result,
    ),
    Check(
        check_id="oscal",
        description="the same key signed the OSCAL assessment results",
        run=evidence_checks.check_oscal,
    ),
    Check(
        check_id="timestamp",
        description="a trusted authority timestamped the signature soon after the scan",
        run=signing_time.check_timestamp,
    ),
    Check(
        check_id="key-window",
        description="the signing key was valid at signing time",
        run=signing_time.check_key_window,
    ),
    Check(
        check_id="post-quantum",
        description="a trusted key signed the same statement with ML-DSA",
        run=post_quantum.check_post_quantum,
    ),
    Check(
        check_id="cms",
        description="openssl verifies the CMS signature under the policy's certificates",
        run=countersignatures.check_cms,
    ),
    Check(
        check_id="time",
        description="the scan's times are in order and not in the future",
        run=policy_checks.check_time,
    ),
    Check(
        check_id="age",
        description="the scan is not older than the policy allows",
        run=policy_checks.check_age,
        is_for_newest_scan=True,
    ),
    Check(
        check_id="nonce",
        description="the statement contains the auditor's nonce",
        run=policy_checks.check_nonce,
        is_for_newest_scan=True,
    ),
    Check(
        check_id="chain-position",
        description="the statement follows the host's previous statement",
        run=policy_checks.check_chain_position,
        is_for_newest_scan=True,
    ),
    Check(
        check_id="target",
        description="the policy lists the host",
        run=policy_checks.check_target,
    ),
    Check(
        check_id="host-key",
        description="the scanner knew the host key before it connected",
        run=policy_checks.check_host_key,
    ),
    Check(
        check_id="content",
        description="the policy allows the SCAP content and profile",
        run=policy_checks.check_content,
    ),
    Check(
        check_id="tailoring",
        description="the policy allows the tailoring of the profile",
        run=policy_checks.check_tailoring,
    ),
    Check(
        check_id="host-signature",
        description="the host signed nonce and findings with its host key",
        run=countersignatures.check_host_signature,
    ),
    Check(
        check_id="provenance",
        description="a trusted build key attests to the image that the host booted",
        run=provenance.check_provenance,
    ),
    Check(
        check_id="thresholds",
        description="counts and score are within the policy's thresholds",
        run=thresholds.check_thresholds,
    ),
)
"""Every check of a verification."""

CHECK_IDS = tuple(check.check_id for check in CHECKS)
DESCRIPTIONS = {check.check_id: check.description for check in CHECKS}


def records_to_json(records: tuple[CheckRecord, ...]) -> list[dict[str, str]]:
    """Return the records as JSON data."""
    return [
        {
            "id": record.check_id,
            "status": record.status.value,
            "description": DESCRIPTIONS[record.check_id],
            "reason": record.reason,
        }
        for record in records
    ]
