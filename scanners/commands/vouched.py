"""Evidence read for the record: verified where there is a policy, its package list with it."""

from dataclasses import dataclass
from pathlib import Path

from hardpan import clock
from hardpan.errors import TrustError
from hardpan.files import canonical_json, sha256_bytes
from hardpan.scanners.evidence.archive import Archive
from hardpan.scanners.evidence.bundle import BUNDLE, PACKAGES
from hardpan.scanners.evidence.sources import MAX_BUNDLE_BYTES, Opened
from hardpan.scanners.evidence.statement import MAX_STATEMENT_BYTES, Statement
from hardpan.scanners.evidence.stored import StoredEvidence, stored_proofs
from hardpan.scanners.evidence.trust import Trust
from hardpan.scanners.evidence.verify import Verified, open_unverified, verify, verify_stored
from hardpan.scanners.history.chain import Row
from hardpan.scanners.history.diff import Side
from hardpan.scanners.history.ledger import Entry, brief
from hardpan.scanners.history.record import Record

NOT_VERIFIED = "NOT VERIFIED: anyone could have written this; give --policy to check it"
_MAX_PACKAGES_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Evidence, ready to be compared, and whether anyone vouches for it."""

    side: Side
    found: Opened | Verified
    status: str
    """``verified: …`` or ``NOT VERIFIED: …``, for people."""


def read(path: Path, trust: Trust | None, *, check_freshness: bool = True) -> Read:
    """The evidence in ``path``, verified against ``trust`` where there is one.

    Without ``check_freshness`` as a scan of the past; see ``verify``.

    Raises:
        InputError: the file cannot be read.
        RefusedError: it does not verify, or its parts do not fit.
    """
    if trust is None:
        opened = open_unverified(path)
        return Read(side=side(path, opened), found=opened, status=NOT_VERIFIED)
    verified = verify(path, trust, now=clock.now(), check_freshness=check_freshness)
    over = "" if verified.within_limits else ", over the policy's limits"
    status = f"verified: signed by key {verified.key.id!r}{over}"
    return Read(side=side(path, verified), found=verified, status=status)


def side(path: Path, found: Opened | Verified) -> Side:
    """What is compared of ``found``, whose archive lies at ``path``.

    Raises:
        TrustError: the package list is not the one that the statement names.
    """
    listed = {s.name for s in found.statement.subject}
    packages = None
    if PACKAGES in listed:
        with Archive(path) as archive:
            data = subject(archive, found.statement, PACKAGES, max_bytes=_MAX_PACKAGES_BYTES)
        packages = tuple(data.decode("utf-8", "replace").split("\n")[:-1])
    return Side(findings=found.findings, smoke=found.smoke, packages=packages)


def subject(archive: Archive, statement: Statement, name: str, *, max_bytes: int) -> bytes:
    """One attached file, held against its digest: the archive was closed since it was verified.

    Raises:
        TrustError: it is another file than the statement names.
    """
    data = archive.read(name, max_bytes=max_bytes)
    expected = statement.digests().get(name)
    found = sha256_bytes(data)
    if found != expected:
        raise TrustError(f"{archive.path}: {name}: changed while it was read")
    return data


def entry(path: Path, trust: Trust, *, evidence_sha256: str = "") -> Entry:
    """The evidence in ``path`` for the ledger, every check held.

    Raises:
        InputError: the file cannot be read.
        RefusedError: it does not verify.
    """
    now = clock.now()
    verified = verify(path, trust, now=now)
    claim = verified.statement.predicate
    made = side(path, verified)
    with Archive(path) as archive:
        stored = StoredEvidence(
            statement=archive.read("statement.json", max_bytes=MAX_STATEMENT_BYTES),
            evidence_bundle=archive.read(BUNDLE, max_bytes=MAX_BUNDLE_BYTES),
            findings=verified.findings,
            smoke=verified.smoke,
            packages=made.packages,
            proofs=stored_proofs(archive, claim),
        )
    if sha256_bytes(stored.statement) != verified.statement_sha256:
        raise TrustError(f"{path}: changed while it was read")
    # The archive was closed since it was verified: what enters is checked as it will be stored.
    again = verify_stored(stored, trust, now=now, label=str(path))
    return Entry(
        statement=stored.statement,
        bundle=stored.evidence_bundle,
        side=made,
        proofs=stored.proofs,
        findings_sha256=verified.statement.digests()[claim.results.file],
        key_id=again.key.id,
        signer_sha256=again.signer_sha256,
        within_limits=verified.within_limits,
        evidence_sha256=evidence_sha256,
    )


def check_row(
    row: Row, payload: bytes, bundle: bytes, record: Record, trust: Trust, *, label: str
) -> Verified:
    """What the ledger stores in ``row``, checked against ``trust`` as a scan of the past.

    Raises:
        RefusedError: a check failed.
        TrustError: the row says something else than its statement.
    """
    stored = StoredEvidence(
        statement=payload,
        evidence_bundle=bundle,
        findings=record.side.findings,
        smoke=record.side.smoke,
        packages=record.side.packages,
        proofs=record.proofs,
    )
    verified = verify_stored(stored, trust, now=clock.now(), label=label)
    if verified.signer_sha256 != row.signer_sha256:
        raise TrustError(f"{label}: is signed by another key than the row says")
    check_statement(row, verified.statement, what=label)
    return verified


def check_kept(row: Row, file: Path, trust: Trust, *, label: str) -> Verified:
    """The kept evidence ``file`` of ``row``, checked whole as a scan of the past.

    Raises:
        RefusedError: a check failed.
        TrustError: it is another scan's.
    """
    verified = verify(file, trust, now=clock.now(), check_freshness=False)
    if verified.statement_sha256 != row.statement_sha256:
        raise TrustError(f"{label}: the kept file is the evidence of another scan")
    return verified


def check_statement(row: Row, statement: Statement, *, what: str) -> None:
    """Pass if the row says what the signed statement says.

    Raises:
        TrustError: it does not.
    """
    claim = statement.predicate
    listed = statement.digests()
    host, image = claim.target.host, claim.target.image
    same = {
        "host": row.host_key_sha256 == brief(host.host_key_sha256),
        "machine": row.machine_id_hmac == brief(host.machine_id_hmac),
        "hostname": row.hostname == brief(host.hostname),
        "image": row.image_sha256 == (image.digest.sha256 if image else ""),
        "content": row.content_sha256 == claim.content.derived_sha256,
        "profile": row.profile == brief(claim.scan.profile),
        "times": (row.started, row.finished) == (claim.scan.started, claim.scan.finished),
        "score": row.score == claim.results.score,
        "counts": row.counts == canonical_json(claim.results.counts).decode(),
        "findings": row.findings_sha256 == listed.get(claim.results.file),
    }
    wrong = [name for name, holds in same.items() if not holds]
    if wrong:
        raise TrustError(f"{what}: disagrees with its statement: {', '.join(wrong)}")
