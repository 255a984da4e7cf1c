"""Check the signatures that a statement expects, and the post-quantum one among them.

The statement names them itself, so that a file that was removed is missed even by
a reader without a policy. What may sign, and with what, the policy alone decides.
"""

from hardpan.core.errors import TrustError
from hardpan.scanners.evidence.file_names import BUNDLE, PQ_ENVELOPE
from hardpan.scanners.evidence.policy.model import PolicyKey
from hardpan.scanners.evidence.statement.model import Predicate
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.signing_time import require_valid_key
from hardpan.scanners.evidence.verify.sources import report_not_stored
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    Passed,
    Skipped,
    report_not_verified,
)
from hardpan.signing import (
    ALGORITHMS,
    MalformedError,
    PublicKey,
    check_ml_dsa_encoding,
)

FILE_BY_ALGORITHM = {
    x.name: PQ_ENVELOPE if x.is_post_quantum else BUNDLE for x in ALGORITHMS.values()
}
"""Algorithm in ``signaturesExpected`` -> the file that must then be present."""


def check_post_quantum(context: VerificationContext) -> CheckOutcome:
    """Check the post-quantum signature.

    Raises:
        TrustError: a signature is missing, of an unknown kind, over another statement, not by a
            key that is trusted for it, or, if the policy has no such key, not in the form of its
            algorithm.
    """
    source, trust = context.source, context.trust
    alg = _read_expected_algorithm(context.claim, context.signature.key)
    envelope = source.read_pq_envelope(context.envelope.unverified_payload)
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
    require_valid_key(context, keys[public])
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
