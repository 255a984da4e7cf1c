"""What the checks of one verification share.

A check reads what earlier checks established and may add to it. A value that no check has
established yet raises ``AttributeError``: a defect in the order of the registry, never an outcome.
"""

from dataclasses import dataclass, field
from datetime import datetime

from hardpan.scanners.evidence.policy.model import PolicyKey, TrustPolicy
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.statement.model import Predicate, Statement
from hardpan.scanners.evidence.verify.sources import EvidenceSource, UnverifiedEvidence
from hardpan.signing import Envelope, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """The bundle's signature by a key that the policy trusts for scans."""

    payload: bytes
    """The signed statement."""

    key: PolicyKey
    public: PublicKey


@dataclass(slots=True, kw_only=True, repr=False)
class VerificationContext:
    """The evidence, the policy, and what the checks established so far."""

    source: EvidenceSource
    resolved_policy: ResolvedPolicy | None
    """None where the parts are only checked against each other."""

    now: datetime | None = None
    """Time of the verification; None without a policy."""

    envelope: Envelope = field(init=False)
    """Set by ``bundle``."""

    signature: VerifiedSignature = field(init=False)
    """Set by ``signature``."""

    statement: Statement = field(init=False)
    """Set by ``statement``."""

    evidence: UnverifiedEvidence = field(init=False)
    """Set by ``findings``."""

    signing_time: datetime | None = None
    """Set by ``timestamp``: the trusted signing time; None if no trusted authority states one."""

    @property
    def trust(self) -> ResolvedPolicy:
        """The policy with its keys and certificates."""
        if self.resolved_policy is None:
            raise RuntimeError("a check that needs a policy ran without one")
        return self.resolved_policy

    @property
    def policy(self) -> TrustPolicy:
        """The policy's settings."""
        return self.trust.policy

    @property
    def verification_time(self) -> datetime:
        """``now``, where there is a policy."""
        if self.now is None:
            raise RuntimeError("a check that needs the time ran without one")
        return self.now

    @property
    def payload(self) -> bytes:
        """The statement's bytes: under a policy only those whose signature was verified."""
        if self.resolved_policy is None:
            return self.envelope.unverified_payload
        return self.signature.payload

    @property
    def claim(self) -> Predicate:
        """The statement's predicate."""
        return self.statement.predicate
