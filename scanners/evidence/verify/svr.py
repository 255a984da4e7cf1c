"""The outcome of a verification as an in-toto Simple Verification Result, to be signed.

For those who trust the verifier and have no policy of their own. It lists the checks that
passed, never a failed one: rejected evidence gets no result.

Source: in-toto attestation framework, predicate SVR v0.2 (as of 2026-08).
"""

from datetime import datetime
from importlib.metadata import version

from hardpan.core import clock
from hardpan.core.errors import InputError
from hardpan.core.identifiers import VERIFIER_ID
from hardpan.scanners.evidence.file_names import STATEMENT
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.verify.verification_log import CheckStatus
from hardpan.scanners.evidence.verify.verifier import VerifiedEvidence
from hardpan.signing import Signer

PREDICATE_TYPE = "https://in-toto.io/attestation/svr/v0.2"
_PROPERTY_PREFIX = "HARDPAN_"


def build_statement(
    verified: VerifiedEvidence,
    trust: ResolvedPolicy,
    *,
    evidence_name: str,
    policy_name: str,
    now: datetime,
) -> dict[str, object]:
    """What this verifier found to hold of ``verified`` under ``trust``, as a statement to sign.

    The digests are those of the bytes that were verified and parsed. No path is opened again: by
    now it may lead to another file.
    """
    passed_checks = [o.check_id for o in verified.records if o.status is CheckStatus.PASSED]
    properties = [_PROPERTY_PREFIX + i.upper().replace("-", "_") for i in passed_checks]
    if verified.is_within_thresholds:
        properties.append(f"{_PROPERTY_PREFIX}VERIFIED")
    subject = [
        {"name": evidence_name, "digest": {"sha256": verified.evidence_sha256}},
        {"name": STATEMENT, "digest": {"sha256": verified.statement_sha256}},
    ]
    policy = {"name": policy_name, "digest": {"sha256": trust.sha256}}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": PREDICATE_TYPE,
        "subject": subject,
        "predicate": {
            "verifier": {
                "id": f"{VERIFIER_ID}/{version('hardpan')}",
                "policies": [policy],
            },
            "timeCreated": clock.format_rfc3339(now),
            "properties": properties,
        },
    }


def check_signer_role(signer: Signer, trust: ResolvedPolicy) -> None:
    """Pass if ``signer`` may sign outcomes: the policy must not trust it for other work.

    Raises:
        InputError: it is the policy's key for scans or builds.
    """
    for key, public in trust.keys:
        if public == signer.public and key.role != "verify":
            raise InputError(
                f"key {key.id!r} has the role {key.role}: it may not sign outcomes",
                hint="create a separate key and add it to the policy with the role verify",
            )
