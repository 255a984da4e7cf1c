"""Which signatures a statement says it has, and the second, post-quantum one among them.

The statement names them itself, so that a file that was removed is missed even by
a reader without a policy. What may sign, and with what, the policy alone decides.
"""

from datetime import datetime

from hardpan.errors import TrustError
from hardpan.scanners.evidence import moments
from hardpan.scanners.evidence.bundle import BUNDLE, PQ_ENVELOPE
from hardpan.scanners.evidence.checks import CheckOutcome, Passed, Skipped, not_verified
from hardpan.scanners.evidence.policy import Key
from hardpan.scanners.evidence.sources import Source, not_stored
from hardpan.scanners.evidence.statement import Predicate
from hardpan.scanners.evidence.trust import Trust
from hardpan.signing import (
    ALGORITHMS,
    Envelope,
    MalformedError,
    PublicKey,
    check_ml_dsa_form,
)

KINDS = {x.name: PQ_ENVELOPE if x.post_quantum else BUNDLE for x in ALGORITHMS.values()}
"""What ``signaturesExpected`` may name -> the file that must then be there."""


def judge(
    source: Source,
    bundle: Envelope,
    claim: Predicate,
    key: Key,
    trust: Trust,
    at: datetime | None,
) -> CheckOutcome:
    """How the post-quantum signature stands.

    ``bundle`` is the classical one, ``key`` the key that signed it, ``at`` the time that a
    trusted authority vouches for, where one does.

    Raises:
        TrustError: a signature is missing, of an unknown kind, over another
            statement, not by a key that is trusted for it, or, where the policy has no such
            key, not in the form of its algorithm.
    """
    alg = _promised(claim, key)
    envelope = source.pq_envelope(bundle.unverified)
    if envelope is None:
        if alg and source.is_whole:
            raise TrustError(f"{PQ_ENVELOPE}: was removed: the statement expects {alg}")
        if alg:
            return not_stored(PQ_ENVELOPE, required=trust.policy.require_pq)
        if trust.policy.require_pq:
            raise TrustError(f"the policy requires {PQ_ENVELOPE}, and there is none")
        return Skipped("there is none, and the policy does not require one")
    if not alg:
        raise TrustError(f"{PQ_ENVELOPE}: is there, but the statement expects none")
    keys: dict[PublicKey, Key] = {p: k for k, p in trust.role("scan-pq")}
    if not keys:
        check_ml_dsa_form(envelope.signature, alg, what=PQ_ENVELOPE)
        return not_verified(f"the policy has no key of role scan-pq for this {alg} signature")
    _, public = envelope.opened(*keys)
    if public.alg != alg:
        raise TrustError(f"{PQ_ENVELOPE}: the statement expects {alg}, found {public.alg}")
    moments.key_window(claim.scan.finished, keys[public], at)
    return Passed(f"key {keys[public].id!r}, {alg}")


def _promised(claim: Predicate, key: Key) -> str:
    """The post-quantum algorithm that the statement expects; empty for none."""
    expected = claim.signatures_expected
    unknown = [x for x in expected if x not in KINDS]
    if unknown:
        raise MalformedError(f"the statement expects a signature unknown here: {unknown[0]!a:.60}")
    classical = [x for x in expected if KINDS[x] == BUNDLE]
    if classical != [key.alg]:
        raise TrustError(
            f"the statement expects {', '.join(classical) or 'no classical signature'}, "
            f"the bundle is signed with {key.alg}"
        )
    others = [x for x in expected if KINDS[x] == PQ_ENVELOPE]
    if len(others) > 1:
        raise TrustError(f"the statement expects {', '.join(others)}; at most one is taken")
    return "".join(others)
