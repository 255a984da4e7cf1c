"""Verify evidence against an auditor's policy.

A signature check is not a verification: cosign alone accepts swapped files, replays and another
host's report. Here every check of the ``registry`` passes, or the evidence is rejected; each leaves
one record, and none is skipped without a reason.

Everything that accepts a statement under a policy calls this module, for a file (``verify``) or for
the parts that a ledger stores of it (``verify_stored``): both run the same checks.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hardpan.core.files import Sha256, sha256_bytes
from hardpan.scanners.evidence.policy.model import PolicyKey
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.statement.model import Statement
from hardpan.scanners.evidence.verify.context import VerificationContext
from hardpan.scanners.evidence.verify.registry import CHECK_IDS, CHECKS, Check
from hardpan.scanners.evidence.verify.sources import (
    ArchiveSource,
    EvidenceSource,
    UnverifiedEvidence,
)
from hardpan.scanners.evidence.verify.stored import StoredEvidence
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    CheckRecord,
    CheckStatus,
    Skipped,
    VerificationLog,
)
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.scan_changes import ScanChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEvidence:
    """Evidence that passed every check; thresholds may be exceeded."""

    statement: Statement
    statement_sha256: Sha256
    """The evidence's identity: signatures are malleable, this is not."""

    evidence_sha256: Sha256 | None
    """Digest of the verified evidence file's bytes; None in a ledger."""

    key: PolicyKey
    """The policy's key that signed it."""

    signer_sha256: Sha256
    """Digest of that key's SPKI."""

    findings: Findings
    smoke: SmokeDocument | None
    changes: ScanChanges | None
    records: tuple[CheckRecord, ...]

    @property
    def is_within_thresholds(self) -> bool:
        """True if no threshold of the policy is exceeded."""
        return all(o.status is not CheckStatus.EXCEEDED for o in self.records)

    @property
    def verdict(self) -> str:
        """The result in words."""
        return "verified" if self.is_within_thresholds else "thresholds exceeded"


def verify(
    path: Path, trust: ResolvedPolicy, *, now: datetime, check_freshness: bool = True
) -> VerifiedEvidence:
    """Verify the evidence in ``path`` against ``trust`` at the time ``now``.

    Without ``check_freshness`` it is a scan of the past: maximum age, nonce and previous statement
    apply to the newest scan only, and are skipped.

    Raises:
        InputError: the file cannot be read.
        VerificationError: a check failed.
    """
    with ArchiveSource(path) as source:
        return _verify_source(source, trust, now, str(path), check_freshness=check_freshness)


def verify_stored(
    stored: StoredEvidence, trust: ResolvedPolicy, *, now: datetime, label: str
) -> VerifiedEvidence:
    """Verify what a ledger stores of evidence, without freshness; ``label`` names it.

    A check of a part that no ledger stores ends as ``not checked``, unless the policy requires
    that part: then the check fails.

    Raises:
        VerificationError: a check failed.
    """
    return _verify_source(stored, trust, now, label, check_freshness=False)


def read_unverified(path: Path) -> UnverifiedEvidence:
    """Read the evidence in ``path`` and check its parts against each other, but no signature.

    Raises:
        InputError: the file cannot be read.
        VerificationError: the parts do not match.
    """
    with ArchiveSource(path) as source:
        context = VerificationContext(source=source, resolved_policy=None)
        log = VerificationLog(str(path), CHECK_IDS)
        for check in CHECKS:
            if not check.needs_policy:
                _run_check(check, context, log, check_freshness=False)
        log.finish()
        return context.evidence


def _verify_source(
    source: EvidenceSource,
    trust: ResolvedPolicy,
    now: datetime,
    label: str,
    *,
    check_freshness: bool,
) -> VerifiedEvidence:
    context = VerificationContext(source=source, resolved_policy=trust, now=now)
    log = VerificationLog(label, CHECK_IDS)
    for check in CHECKS:
        _run_check(check, context, log, check_freshness=check_freshness)
    records = log.finish()
    signature, evidence = context.signature, context.evidence
    return VerifiedEvidence(
        statement=context.statement,
        statement_sha256=sha256_bytes(signature.payload),
        evidence_sha256=source.sha256,
        key=signature.key,
        signer_sha256=signature.public.sha256,
        findings=evidence.findings,
        smoke=evidence.smoke,
        changes=evidence.changes,
        records=records,
    )


def _run_check(
    check: Check, context: VerificationContext, log: VerificationLog, *, check_freshness: bool
) -> None:
    def run() -> CheckOutcome:
        if check.is_for_newest_scan and not check_freshness:
            return Skipped("checked for the newest scan only")
        return check.run(context)

    log.run_check(check.check_id, run, is_precondition=check.is_precondition)
