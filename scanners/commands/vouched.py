"""Evidence read for the record: verified where there is a policy, its package list with it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hardpan import clock
from hardpan.errors import TrustError
from hardpan.files import canonical_json, sha256_bytes
from hardpan.scanners.evidence.archive import Archive
from hardpan.scanners.evidence.bundle import BUNDLE
from hardpan.scanners.evidence.statement import MAX_STATEMENT_BYTES, Statement
from hardpan.scanners.evidence.trust import Trust
from hardpan.scanners.evidence.verify import Opened, Verified, open_unverified, verify
from hardpan.scanners.history.chain import Row
from hardpan.scanners.history.diff import Side
from hardpan.scanners.history.ledger import Entry, brief
from hardpan.signing import read_bundle

NOT_VERIFIED = "NOT VERIFIED: anyone could have written this; give --policy to check it"
_PACKAGES = "packages.txt"
_MAX_PACKAGES_BYTES = 16 << 20
_MAX_BUNDLE_BYTES = 12 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Evidence, ready to be compared, and whether anyone vouches for it."""

    side: Side
    found: Opened | Verified
    status: str
    """``verified: …`` or ``NOT VERIFIED: …``, for people."""


def read(path: Path, trust: Trust | None) -> Read:
    """The evidence in ``path``, verified against ``trust`` where there is one.

    Raises:
        InputError: the file cannot be read.
        RefusedError: it does not verify, or its parts do not fit.
    """
    if trust is None:
        opened = open_unverified(path)
        return Read(side=side(path, opened), found=opened, status=NOT_VERIFIED)
    verified = verify(path, trust, now=clock.now())
    over = "" if verified.within_limits else ", over the policy's limits"
    status = f"verified: signed by key {verified.key.id!r}{over}"
    return Read(side=side(path, verified), found=verified, status=status)


def of_the_past(trust: Trust) -> Trust:
    """``trust`` without what only the newest scan can meet: greatest age, nonce, ``after``."""
    policy = trust.policy.model_copy(update={"max_age_hours": None, "nonce": None, "after": None})
    return trust.model_copy(update={"policy": policy})


def side(path: Path, found: Opened | Verified) -> Side:
    """What is compared of ``found``, whose archive lies at ``path``.

    Raises:
        TrustError: the package list is not the one that the statement names.
    """
    listed = {s.name for s in found.statement.subject}
    packages = None
    if _PACKAGES in listed:
        with Archive(path) as archive:
            data = subject(archive, found.statement, _PACKAGES, max_bytes=_MAX_PACKAGES_BYTES)
        packages = tuple(data.decode("utf-8", "replace").split("\n")[:-1])
    return Side(findings=found.findings, smoke=found.smoke, packages=packages)


def subject(archive: Archive, statement: Statement, name: str, *, max_bytes: int) -> bytes:
    """One attached file, held against its digest: the archive was closed since it was verified.

    Raises:
        TrustError: it is another file than the statement names.
    """
    data = archive.read(name, max_bytes=max_bytes)
    expected = {s.name: s.digest.sha256 for s in statement.subject}.get(name)
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
    verified = verify(path, trust, now=clock.now())
    with Archive(path) as archive:
        payload = archive.read("statement.json", max_bytes=MAX_STATEMENT_BYTES)
        bundle = archive.read(BUNDLE, max_bytes=_MAX_BUNDLE_BYTES)
    signed, signer = _signed(bundle, trust, what=str(path))
    if not sha256_bytes(payload) == sha256_bytes(signed) == verified.statement_sha256:
        raise TrustError(f"{path}: changed while it was read")
    listed = {s.name: s.digest.sha256 for s in verified.statement.subject}
    return Entry(
        statement=payload,
        bundle=bundle,
        side=side(path, verified),
        findings_sha256=listed[verified.statement.predicate.results.file],
        key_id=verified.key.id,
        signer_sha256=signer,
        within_limits=verified.within_limits,
        evidence_sha256=evidence_sha256,
    )


def check_vouched(row: Row, payload: bytes, bundle: bytes, trust: Trust, *, what: str) -> None:
    """Pass if a key trusted for scans signed ``payload``, the one that the row names.

    Raises:
        TrustError: it did not, or not at a time it is trusted for.
    """
    signed, signer = _signed(bundle, trust, what=what)
    if signed != payload or signer != row.signer_sha256:
        raise TrustError(f"{what}: the bundle is about another statement, or by another key")
    finished = datetime.fromisoformat(row.finished)
    key = next(k for k, public in trust.role("scan") if public.sha256 == signer)
    if not key.not_before <= finished <= key.not_after:
        raise TrustError(f"{what}: key {key.id!r} is not trusted for {row.finished}")


def check_statement(row: Row, statement: Statement, *, what: str) -> None:
    """Pass if the row says what the signed statement says.

    Raises:
        TrustError: it does not.
    """
    claim = statement.predicate
    listed = {s.name: s.digest.sha256 for s in statement.subject}
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


def _signed(bundle: bytes, trust: Trust, *, what: str) -> tuple[bytes, str]:
    """The payload, and the digest of the key trusted for scans that signed it."""
    payload, public = read_bundle(bundle, what=what).opened(*(p for _, p in trust.role("scan")))
    return payload, public.sha256
