"""Evidence as a ledger stores it: the signed statement and the signatures by others.

The reports are not stored, the findings as a compact copy. So the statement's signatures,
times, host, content, image and counts can be checked again under any policy; whether the
reports are the listed ones, and what the second statements say, cannot.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hardpan.core.errors import TrustError
from hardpan.core.files import sha256_bytes
from hardpan.core.limits import MAX_EVIDENCE_BUNDLE_BYTES
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.file_names import (
    BUNDLE,
    CMS,
    OSCAL,
    PACKAGES,
    PQ_ENVELOPE,
    PROVENANCE,
    TEST_RESULT,
)
from hardpan.scanners.evidence.statement.model import Predicate, Statement
from hardpan.scanners.evidence.verify import consistency
from hardpan.scanners.evidence.verify.sources import (
    NOT_WRITTEN,
    UnverifiedEvidence,
    report_not_stored,
)
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    NotChecked,
    Passed,
)
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.signing import Envelope, PublicKey, read_bundle, read_dsse


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvidence:
    """The parts of one piece of evidence in a ledger, an ``EvidenceSource``."""

    statement: bytes
    """The signed payload."""

    evidence_bundle: bytes
    findings: Findings
    """Without what only readers need; see ``ledger.scan_record``."""

    smoke: SmokeDocument | None
    packages: tuple[str, ...] | None
    """The lines of ``packages.txt``; None where the statement lists none."""

    signature_files: Mapping[str, bytes]
    """File name -> content, as ``collect_signature_files`` returns them."""

    @property
    def sha256(self) -> None:
        """None: there is no file."""

    @property
    def is_complete(self) -> bool:
        """False: older ledgers store no proofs, and none stores the reports."""
        return False

    def check_archive(self) -> NotChecked:
        """See ``EvidenceSource``."""
        return NotChecked("the ledger does not store the file")

    def load_bundle(self) -> Envelope:
        """See ``EvidenceSource``."""
        return read_bundle(self.evidence_bundle, label=BUNDLE)

    def check_detached_copies(self, envelope: Envelope, statement: Statement) -> CheckOutcome:
        """See ``EvidenceSource``."""
        if self.statement != envelope.unverified_payload:
            raise TrustError("the stored statement: not the statement in the bundle")
        consistency.check_timestamp_presence(statement, envelope)
        return Passed("checked as far as the ledger stores them")

    def check_files(self, statement: Statement) -> CheckOutcome:
        """See ``EvidenceSource``."""
        consistency.check_subjects(statement)
        listed = statement.list_digests()
        for name in sorted(self.signature_files.keys() - {PQ_ENVELOPE, CMS}):
            if sha256_bytes(self.signature_files[name]) != listed.get(name):
                raise TrustError(f"{ascii(name)[1:-1]}: does not match the digest in the statement")
        if self._hash_packages() != listed.get(PACKAGES):
            raise TrustError(f"{PACKAGES}: the stored list does not match the statement")
        return NotChecked("the ledger does not store the reports")

    def read_documents(
        self, envelope: Envelope, statement: Statement
    ) -> tuple[UnverifiedEvidence, Passed]:
        """See ``EvidenceSource``."""
        consistency.check_findings(statement, self.findings)
        consistency.check_smoke(statement.predicate, self.smoke)
        evidence = UnverifiedEvidence(
            statement=statement,
            findings=self.findings,
            smoke=self.smoke,
            changes=None,
            statement_sha256=envelope.payload_sha256,
        )
        return evidence, Passed("the ledger's compact copy")

    def check_test_result(self, evidence: UnverifiedEvidence, key: PublicKey) -> CheckOutcome:
        """See ``EvidenceSource``."""
        is_expected = TEST_RESULT in evidence.statement.predicate.companion_files
        return report_not_stored(TEST_RESULT, required=False) if is_expected else NOT_WRITTEN

    def check_oscal(self, statement: Statement, key: PublicKey) -> CheckOutcome:
        """See ``EvidenceSource``."""
        is_expected = OSCAL in statement.predicate.companion_files
        return report_not_stored(OSCAL, required=False) if is_expected else NOT_WRITTEN

    def read_pq_envelope(self, payload: bytes) -> Envelope | None:
        """See ``EvidenceSource``."""
        signature = self.signature_files.get(PQ_ENVELOPE)
        return (
            None if signature is None else Envelope(unverified_payload=payload, signature=signature)
        )

    def _hash_packages(self) -> str | None:
        if self.packages is None:
            return None
        return sha256_bytes("".join(f"{p}\n" for p in self.packages).encode())

    def read_signature_file(self, name: str, *, max_bytes: int) -> bytes | None:
        """See ``EvidenceSource``."""
        data = self.signature_files.get(name)
        if data is not None and len(data) > max_bytes:
            raise TrustError(f"{name}: expected at most {max_bytes} bytes, got {len(data)}")
        return data


def collect_signature_files(archive: EvidenceArchive, claim: Predicate) -> dict[str, bytes]:
    """Collect the signature files of ``archive`` that a ledger stores.

    Of the post-quantum envelope it is the signature alone: its payload is the statement.

    Raises:
        TrustError: a file is damaged.
    """
    names = {claim.host_signature, CMS, PROVENANCE} & archive.entries.keys()
    signature_files = {
        str(n): archive.read(str(n), max_bytes=MAX_EVIDENCE_BUNDLE_BYTES) for n in names
    }
    if PQ_ENVELOPE in archive.entries:
        data = archive.read(PQ_ENVELOPE, max_bytes=MAX_EVIDENCE_BUNDLE_BYTES)
        signature_files[PQ_ENVELOPE] = read_dsse(data, label=PQ_ENVELOPE).signature
    return signature_files
