"""Load evidence for the ledger and for comparisons, verified if there is a policy."""

from dataclasses import dataclass
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import TrustError
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.core.limits import MAX_EVIDENCE_BUNDLE_BYTES, MAX_STATEMENT_BYTES
from hardpan.scanners.comparison.scan_diff import ScanSnapshot
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.file_names import BUNDLE, PACKAGES, STATEMENT
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy
from hardpan.scanners.evidence.statement.model import Statement
from hardpan.scanners.evidence.verify.attached_files import read_subject
from hardpan.scanners.evidence.verify.sources import UnverifiedEvidence
from hardpan.scanners.evidence.verify.stored import StoredEvidence, collect_signature_files
from hardpan.scanners.evidence.verify.verifier import (
    VerifiedEvidence,
    read_unverified,
    verify,
    verify_stored,
)
from hardpan.scanners.ledger.chain import LedgerRow
from hardpan.scanners.ledger.entries import VerifiedScan, truncate
from hardpan.scanners.ledger.scan_record import ScanRecord

NOT_VERIFIED = "NOT VERIFIED: give --policy to verify the signatures"
_MAX_PACKAGES_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEvidence:
    """Evidence that is ready to be compared, and its verification status."""

    snapshot: ScanSnapshot
    evidence: UnverifiedEvidence | VerifiedEvidence
    status: str
    """``verified: …`` or ``NOT VERIFIED: …``, for people."""


def load_evidence(
    path: Path, trust: ResolvedPolicy | None, *, check_freshness: bool = True
) -> LoadedEvidence:
    """The evidence in ``path``, verified against ``trust`` where there is one.

    Without ``check_freshness`` as a scan of the past; see ``verify``.

    Raises:
        InputError: the file cannot be read.
        VerificationError: it does not verify, or its parts do not fit.
    """
    if trust is None:
        opened = read_unverified(path)
        return LoadedEvidence(
            snapshot=snapshot_of(path, opened), evidence=opened, status=NOT_VERIFIED
        )
    verified = verify(path, trust, now=clock.now(), check_freshness=check_freshness)
    exceeded_note = "" if verified.is_within_thresholds else ", policy thresholds exceeded"
    status = f"verified: signed by key {verified.key.id!r}{exceeded_note}"
    return LoadedEvidence(snapshot=snapshot_of(path, verified), evidence=verified, status=status)


def snapshot_of(path: Path, evidence: UnverifiedEvidence | VerifiedEvidence) -> ScanSnapshot:
    """Return the facts of ``evidence`` to compare; its archive is the file ``path``.

    Raises:
        TrustError: the package list is not the one that the statement names.
    """
    subject_names = {s.name for s in evidence.statement.subject}
    packages = None
    if PACKAGES in subject_names:
        with EvidenceArchive(path) as archive:
            data = read_subject(
                archive, evidence.statement, PACKAGES, max_bytes=_MAX_PACKAGES_BYTES
            )
        packages = tuple(data.decode("utf-8", "replace").split("\n")[:-1])
    return ScanSnapshot(findings=evidence.findings, smoke=evidence.smoke, packages=packages)


def load_verified_scan(
    path: Path, trust: ResolvedPolicy, *, evidence_sha256: str = ""
) -> VerifiedScan:
    """The evidence in ``path`` for the ledger, after every check passed.

    Raises:
        InputError: the file cannot be read.
        VerificationError: it does not verify.
    """
    now = clock.now()
    verified = verify(path, trust, now=now)
    predicate = verified.statement.predicate
    snapshot = snapshot_of(path, verified)
    with EvidenceArchive(path) as archive:
        stored = StoredEvidence(
            statement=archive.read(STATEMENT, max_bytes=MAX_STATEMENT_BYTES),
            evidence_bundle=archive.read(BUNDLE, max_bytes=MAX_EVIDENCE_BUNDLE_BYTES),
            findings=verified.findings,
            smoke=verified.smoke,
            packages=snapshot.packages,
            signature_files=collect_signature_files(archive, predicate),
        )
    if sha256_bytes(stored.statement) != verified.statement_sha256:
        raise TrustError(f"{path}: changed while it was read")
    # The archive was closed since it was verified: what enters is checked as it will be stored.
    reverified = verify_stored(stored, trust, now=now, label=str(path))
    return VerifiedScan(
        statement=stored.statement,
        bundle=stored.evidence_bundle,
        snapshot=snapshot,
        signature_files=stored.signature_files,
        findings_sha256=verified.statement.list_digests()[predicate.results.file],
        key_id=reverified.key.id,
        signer_sha256=reverified.signer_sha256,
        is_within_thresholds=verified.is_within_thresholds,
        evidence_sha256=evidence_sha256,
    )


def verify_row(
    row: LedgerRow,
    payload: bytes,
    bundle: bytes,
    record: ScanRecord,
    trust: ResolvedPolicy,
    *,
    label: str,
) -> VerifiedEvidence:
    """What the ledger stores in ``row``, checked against ``trust`` as a scan of the past.

    Raises:
        VerificationError: a check failed.
        TrustError: the row says something else than its statement.
    """
    stored = StoredEvidence(
        statement=payload,
        evidence_bundle=bundle,
        findings=record.snapshot.findings,
        smoke=record.snapshot.smoke,
        packages=record.snapshot.packages,
        signature_files=record.signature_files,
    )
    verified = verify_stored(stored, trust, now=clock.now(), label=label)
    if verified.signer_sha256 != row.signer_sha256:
        raise TrustError(f"{label}: is signed by another key than the row says")
    check_row_against_statement(row, verified.statement, label=label)
    return verified


def verify_retained_file(
    row: LedgerRow, file: Path, trust: ResolvedPolicy, *, label: str
) -> VerifiedEvidence:
    """The stored evidence ``file`` of ``row``, verified completely, without checks of its age.

    Raises:
        VerificationError: a check failed.
        TrustError: it is another scan's.
    """
    verified = verify(file, trust, now=clock.now(), check_freshness=False)
    if verified.statement_sha256 != row.statement_sha256:
        raise TrustError(f"{label}: the stored file is the evidence of another scan")
    return verified


def check_row_against_statement(row: LedgerRow, statement: Statement, *, label: str) -> None:
    """Pass if the row says what the signed statement says.

    Raises:
        TrustError: it does not.
    """
    predicate = statement.predicate
    digests = statement.list_digests()
    host, image = predicate.target.host, predicate.target.image
    matches_by_name = {
        "host": row.host_key_sha256 == truncate(host.host_key_sha256),
        "machine": row.machine_id_hmac == truncate(host.machine_id_hmac),
        "hostname": row.hostname == truncate(host.hostname),
        "image": row.image_sha256 == (image.digest.sha256 if image else ""),
        "content": row.content_sha256 == predicate.content.derived_sha256,
        "profile": row.profile == truncate(predicate.scan.profile),
        "times": (row.started, row.finished) == (predicate.scan.started, predicate.scan.finished),
        "score": row.score == predicate.results.score,
        "counts": row.counts == canonical_json(predicate.results.counts).decode(),
        "findings": row.findings_sha256 == digests.get(predicate.results.file),
    }
    mismatches = [name for name, is_match in matches_by_name.items() if not is_match]
    if mismatches:
        raise TrustError(f"{label}: disagrees with its statement: {', '.join(mismatches)}")
