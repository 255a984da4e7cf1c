"""Verify evidence against an auditor's policy.

A signature check is not a verification: cosign alone accepts swapped files,
replays and another host's report. Everything here either holds or raises; what
was checked is recorded, one line each, and nothing is skipped in silence.

Whoever takes a statement under a policy asks here, for a file (``verify``) or for what a
ledger stores of one (``verify_stored``): both make the same list of checks.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hardpan.core.files import Sha256, sha256_bytes
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.policy.model import PolicyKey
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.statement.model import Statement, read_statement
from hardpan.scanners.evidence.verify import (
    countersignatures,
    policy_checks,
    post_quantum,
)
from hardpan.scanners.evidence.verify.signing_time import (
    check_key_validity,
    check_policy_expiry,
    check_timestamp,
)
from hardpan.scanners.evidence.verify.sources import (
    ArchiveSource,
    EvidenceSource,
    UnverifiedEvidence,
)
from hardpan.scanners.evidence.verify.stored import StoredEvidence
from hardpan.scanners.evidence.verify.verification_log import (
    CheckRecord,
    CheckStatus,
    NotChecked,
    Passed,
    Skipped,
    VerificationLog,
)
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.scan_changes import ScanChanges
from hardpan.signing import Envelope, PublicKey


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


def verify(
    path: Path, trust: ResolvedPolicy, *, now: datetime, check_freshness: bool = True
) -> VerifiedEvidence:
    """Verify the evidence in ``path`` against ``trust`` at the time ``now``.

    Without ``check_freshness`` it is a scan of the past: greatest age, nonce and ``after``
    are about the newest one, and are not asked.

    Raises:
        InputError: the file cannot be read.
        RefusedError: a check failed.
    """
    log = _start_log(str(path), trust, now)
    with log.check("archive"):
        archive = EvidenceArchive(path)
    with archive:
        return _run_checks(ArchiveSource(archive), trust, now, log, check_freshness=check_freshness)


def verify_stored(
    stored: StoredEvidence, trust: ResolvedPolicy, *, now: datetime, label: str
) -> VerifiedEvidence:
    """Verify what a ledger stores of evidence, without freshness; ``label`` names it.

    Checks about what no ledger stores end as ``not checked``, unless the policy requires
    what they are about: then they fail.

    Raises:
        RefusedError: a check failed.
    """
    log = _start_log(label, trust, now)
    with log.check("archive") as record:
        record(NotChecked("the ledger does not store the file"))
    return _run_checks(stored, trust, now, log, check_freshness=False)


def read_unverified(path: Path) -> UnverifiedEvidence:
    """Read the evidence in ``path`` and check its parts against each other, but no signature.

    Raises:
        InputError: the file cannot be read.
        RefusedError: the parts do not fit.
    """
    log = VerificationLog(str(path))
    with log.check("archive"):
        archive = EvidenceArchive(path)
    with archive:
        source = ArchiveSource(archive)
        with log.check("bundle"):
            envelope = source.load_bundle()
        with log.check("statement"):
            statement = read_statement(envelope.unverified_payload)
        return _check_documents(source, envelope, statement, log)


def _start_log(label: str, trust: ResolvedPolicy, now: datetime) -> VerificationLog:
    log = VerificationLog(label)
    with log.check("policy", keep_going=True) as record:
        record(check_policy_expiry(trust.policy, now))
    return log


def _run_checks(
    source: EvidenceSource,
    trust: ResolvedPolicy,
    now: datetime,
    log: VerificationLog,
    *,
    check_freshness: bool,
) -> VerifiedEvidence:
    with log.check("bundle"):
        envelope = source.load_bundle()
    with log.check("signature") as record:
        payload, key, public = _check_signature(envelope, trust)
        record(Passed(f"key {key.id!r}, role {key.role}"))
    with log.check("statement"):
        statement = read_statement(payload)
    claim = statement.predicate
    evidence = _check_documents(source, envelope, statement, log)
    with log.check("test-result", keep_going=True) as record:
        record(source.check_test_result(evidence, public))
    with log.check("oscal", keep_going=True) as record:
        record(source.check_oscal(statement, public))
    signing_time = _check_signing_time(envelope, statement, key, trust, now, log)
    with log.check("post-quantum", keep_going=True) as record:
        record(post_quantum.check_post_quantum(source, envelope, claim, key, trust, signing_time))
    with log.check("cms", keep_going=True) as record:
        record(countersignatures.check_cms(source, payload, claim, trust, public))
    for name, check in policy_checks.POLICY_CHECKS.items():
        with log.check(name, keep_going=True) as record:
            if name in policy_checks.FRESHNESS_CHECKS and not check_freshness:
                record(Skipped("checked for the newest scan only"))
            else:
                record(check(claim, trust.policy, key, now))
    with log.check("host-signature", keep_going=True) as record:
        record(countersignatures.check_host_signature(source, statement, trust))
    with log.check("provenance", keep_going=True) as record:
        record(policy_checks.check_provenance(source, claim, trust, signing_time))
    with log.check("thresholds", keep_going=True) as record:
        record(policy_checks.check_thresholds(evidence.findings, trust.policy))
    return VerifiedEvidence(
        statement=statement,
        statement_sha256=sha256_bytes(payload),
        evidence_sha256=source.sha256,
        key=key,
        signer_sha256=public.sha256,
        findings=evidence.findings,
        smoke=evidence.smoke,
        changes=evidence.changes,
        records=log.finish(),
    )


def _check_documents(
    source: EvidenceSource, envelope: Envelope, statement: Statement, log: VerificationLog
) -> UnverifiedEvidence:
    with log.check("detached-copies") as record:
        record(source.check_detached_copies(envelope, statement))
    with log.check("files") as record:
        record(source.check_files(statement))
    with log.check("findings") as record:
        evidence, outcome = source.read_documents(envelope, statement)
        record(outcome)
    return evidence


def _check_signature(
    envelope: Envelope, trust: ResolvedPolicy
) -> tuple[bytes, PolicyKey, PublicKey]:
    keys: dict[PublicKey, PolicyKey] = {public: key for key, public in trust.keys_for_role("scan")}
    payload, public = envelope.verify(*keys)
    return payload, keys[public], public


def _check_signing_time(
    envelope: Envelope,
    statement: Statement,
    key: PolicyKey,
    trust: ResolvedPolicy,
    now: datetime,
    log: VerificationLog,
) -> datetime | None:
    signing_time = None
    finished = statement.predicate.scan.finished
    with log.check("timestamp", keep_going=True) as record:
        signing_time, outcome = check_timestamp(envelope, finished, trust, now)
        record(outcome)
    with log.check("key-window", keep_going=True) as record:
        record(check_key_validity(finished, key, signing_time))
    return signing_time
