"""Check the signatures that a statement expects, and the post-quantum one among them.

The statement names them itself, so that a file that was removed is missed even by
a reader without a policy. What may sign, and with what, the policy alone decides.
"""

from datetime import datetime

from hardpan.core.errors import TrustError
from hardpan.scanners.evidence.file_names import BUNDLE, PQ_ENVELOPE
from hardpan.scanners.evidence.policy.model import PolicyKey
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.statement.model import Predicate
from hardpan.scanners.evidence.verify.signing_time import check_key_validity
from hardpan.scanners.evidence.verify.sources import EvidenceSource, report_not_stored
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    Passed,
    Skipped,
    report_not_verified,
)
from hardpan.signing import (
    ALGORITHMS,
    Envelope,
    MalformedError,
    PublicKey,
    check_ml_dsa_encoding,
)

FILE_BY_ALGORITHM = {
    x.name: PQ_ENVELOPE if x.is_post_quantum else BUNDLE for x in ALGORITHMS.values()
}
"""What ``signaturesExpected`` may name -> the file that must then be there."""


def check_post_quantum(
    source: EvidenceSource,
    bundle: Envelope,
    claim: Predicate,
    key: PolicyKey,
    trust: ResolvedPolicy,
    signing_time: datetime | None,
) -> CheckOutcome:
    """Check the post-quantum signature.

    ``bundle`` is the classical one, ``key`` the key that signed it, ``at`` the time that a
    trusted authority attests to, or None.

    Raises:
        TrustError: a signature is missing, of an unknown kind, over another
            statement, not by a key that is trusted for it, or, where the policy has no such
            key, not in the form of its algorithm.
    """
    alg = _read_expected_algorithm(claim, key)
    envelope = source.read_pq_envelope(bundle.unverified_payload)
    if envelope is None:
        if alg and source.is_complete:
            raise TrustError(f"{PQ_ENVELOPE}: was removed: the statement expects {alg}")
        if alg:
            return report_not_stored(PQ_ENVELOPE, required=trust.policy.require_pq)
        if trust.policy.require_pq:
            raise TrustError(f"the policy requires {PQ_ENVELOPE}, and there is none")
        return Skipped("there is none, and the policy does not require one")
    if not alg:
        raise TrustError(f"{PQ_ENVELOPE}: is present, but the statement expects none")
    keys: dict[PublicKey, PolicyKey] = {p: k for k, p in trust.keys_for_role("scan-pq")}
    if not keys:
        check_ml_dsa_encoding(envelope.signature, alg, label=PQ_ENVELOPE)
        return report_not_verified(
            f"the policy has no key of role scan-pq for this {alg} signature"
        )
    _, public = envelope.verify(*keys)
    if public.alg != alg:
        raise TrustError(f"{PQ_ENVELOPE}: the statement expects {alg}, got {public.alg}")
    check_key_validity(claim.scan.finished, keys[public], signing_time)
    return Passed(f"key {keys[public].id!r}, {alg}")


def _read_expected_algorithm(claim: Predicate, key: PolicyKey) -> str:
    """The post-quantum algorithm that the statement expects; empty for none."""
    expected = claim.signatures_expected
    unknown = [x for x in expected if x not in FILE_BY_ALGORITHM]
    if unknown:
        raise MalformedError(f"the statement expects an unknown signature: {unknown[0]!a:.60}")
    classical = [x for x in expected if FILE_BY_ALGORITHM[x] == BUNDLE]
    if classical != [key.alg]:
        raise TrustError(
            f"the statement expects {', '.join(classical) or 'no classical signature'}, "
            f"the bundle is signed with {key.alg}"
        )
    post_quantum = [x for x in expected if FILE_BY_ALGORITHM[x] == PQ_ENVELOPE]
    if len(post_quantum) > 1:
        raise TrustError(f"the statement expects {', '.join(post_quantum)}; at most one is taken")
    return "".join(post_quantum)
