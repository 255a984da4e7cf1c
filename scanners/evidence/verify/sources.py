"""Sources of evidence for the checks: an evidence file, or a ledger's row.

Both run the same checks (``registry``), so that a statement that is rejected in
a file is rejected in a ledger. A source returns data; it decides nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from hardpan.core.errors import TrustError
from hardpan.core.files import Sha256
from hardpan.core.limits import (
    MAX_EVIDENCE_BUNDLE_BYTES,
    MAX_STATEMENT_BYTES,
    MAX_TIMESTAMP_TOKEN_BYTES,
)
from hardpan.core.validation_errors import format_validation_error
from hardpan.scanners.evidence.archive import EvidenceArchive
from hardpan.scanners.evidence.file_names import (
    BUNDLE,
    OSCAL,
    PQ_ENVELOPE,
    STATEMENT,
    STATEMENT_SIGNATURE,
    TEST_RESULT,
    TIMESTAMP,
    UNSIGNED_FILES,
)
from hardpan.scanners.evidence.predicates import test_result
from hardpan.scanners.evidence.predicates.oscal_signing import (
    MAX_RESULTS_BYTES,
    RESULTS_FILE,
    build_oscal_statement,
)
from hardpan.scanners.evidence.statement.model import Statement
from hardpan.scanners.evidence.verify import consistency
from hardpan.scanners.evidence.verify.verification_log import (
    CheckOutcome,
    NotChecked,
    Passed,
    Skipped,
)
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.scan_changes import ScanChanges
from hardpan.scanners.report.model.types import Document
from hardpan.signing import (
    Envelope,
    MalformedError,
    PublicKey,
    parse_json,
    read_bundle,
    read_dsse,
)

_MAX_OSCAL_BYTES = 64 << 10
_MAX_DOCUMENT_BYTES = 32 << 20
_DocumentModel = TypeVar("_DocumentModel", bound=Document)
NOT_WRITTEN = Skipped("the evidence contains none")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedEvidence:
    """Evidence with consistent parts whose signer is not verified."""

    statement: Statement
    findings: Findings
    smoke: SmokeDocument | None
    changes: ScanChanges | None
    """None in a ledger, too: it does not store them."""

    statement_sha256: Sha256
    """Digest of the statement's bytes."""


class EvidenceSource(Protocol):
    """The parts of one piece of evidence."""

    @property
    def sha256(self) -> Sha256 | None:
        """Digest of the whole file; None where there is no file."""

    @property
    def is_complete(self) -> bool:
        """False if a part may be missing because it was not stored."""

    def check_archive(self) -> CheckOutcome:
        """Open the evidence and check the structure of its archive.

        Raises:
            TrustError: the structure is not exactly the writer's.
        """

    def load_bundle(self) -> Envelope:
        """The signed statement.

        Raises:
            TrustError: it is missing or malformed.
        """

    def check_detached_copies(self, envelope: Envelope, statement: Statement) -> CheckOutcome:
        """Check that statement, signature and timestamp files equal the bundle's.

        Raises:
            TrustError: one is not.
        """

    def check_files(self, statement: Statement) -> CheckOutcome:
        """Check that the files are the listed ones.

        Raises:
            TrustError: they are not.
        """

    def read_documents(
        self, envelope: Envelope, statement: Statement
    ) -> tuple[UnverifiedEvidence, Passed]:
        """Read the documents, consistent with the statement in ``envelope``.

        Raises:
            TrustError: it is malformed or disagrees.
        """

    def check_test_result(self, evidence: UnverifiedEvidence, key: PublicKey) -> CheckOutcome:
        """Check the test-result statement against the findings and ``key``.

        Raises:
            TrustError: it does not.
        """

    def check_oscal(self, statement: Statement, key: PublicKey) -> CheckOutcome:
        """Check the OSCAL statement over the assessment results against ``key``.

        Raises:
            TrustError: it did not.
        """

    def read_pq_envelope(self, payload: bytes) -> Envelope | None:
        """The post-quantum signature; None where there is none, or none is stored.

        Raises:
            TrustError: it is malformed, or not over ``payload``.
        """

    def read_signature_file(self, name: str, *, max_bytes: int) -> bytes | None:
        """Read a file signed by another key than the scan key; None if it is not stored.

        Raises:
            TrustError: it is missing, damaged, or larger than ``max_bytes``.
        """


def report_not_stored(name: str, *, required: bool) -> NotChecked:
    """The outcome of a check whose file is not stored.

    Raises:
        TrustError: the policy requires it.
    """
    if required:
        raise TrustError(f"{name}: the policy requires it, and the ledger does not store it")
    return NotChecked(f"the ledger does not store {name}")


class ArchiveSource:
    """Evidence read from its file. Use it as a context manager."""

    is_complete = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: EvidenceArchive | None = None

    def __enter__(self) -> "ArchiveSource":
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _archive(self) -> EvidenceArchive:
        if self._opened is None:
            raise RuntimeError("the archive is read before check_archive opened it")
        return self._opened

    def check_archive(self) -> CheckOutcome:
        """See ``EvidenceSource``.

        Raises:
            InputError: the file cannot be read.
        """
        self._opened = EvidenceArchive(self._path)
        return Passed()

    @property
    def sha256(self) -> Sha256:
        """See ``EvidenceSource``."""
        return self._archive.file_sha256

    def load_bundle(self) -> Envelope:
        """See ``EvidenceSource``."""
        return read_bundle(
            self._archive.read(BUNDLE, max_bytes=MAX_EVIDENCE_BUNDLE_BYTES), label=BUNDLE
        )

    def check_detached_copies(self, envelope: Envelope, statement: Statement) -> CheckOutcome:
        """See ``EvidenceSource``."""
        archive = self._archive
        if archive.read(STATEMENT, max_bytes=MAX_STATEMENT_BYTES) != envelope.unverified_payload:
            raise TrustError(f"{STATEMENT}: not the statement in the bundle")
        if archive.read(STATEMENT_SIGNATURE, max_bytes=1024) != envelope.signature:
            raise TrustError(f"{STATEMENT_SIGNATURE}: not the signature in the bundle")
        consistency.check_timestamp_presence(statement, envelope)
        if (
            envelope.timestamp
            and archive.read(TIMESTAMP, max_bytes=MAX_TIMESTAMP_TOKEN_BYTES) != envelope.timestamp
        ):
            raise TrustError(f"{TIMESTAMP}: not the timestamp in the bundle")
        return Passed()

    def check_files(self, statement: Statement) -> CheckOutcome:
        """See ``EvidenceSource``."""
        consistency.check_subjects(statement)
        listed = statement.list_digests()
        companions = set(statement.predicate.companion_files)
        if missing := sorted(companions - set(self._archive.entries)):
            raise TrustError(f"{missing[0]}: is listed as a companion file but missing")
        # The post-quantum check decides whether its envelope must be present.
        present = set(self._archive.entries) - {*UNSIGNED_FILES, PQ_ENVELOPE} - companions
        for name in sorted(listed.keys() ^ present):
            problem = "is listed but missing" if name in listed else "is present but not listed"
            raise TrustError(f"{ascii(name)[1:-1]}: {problem}")
        for name, expected in listed.items():
            actual = self._archive.compute_sha256(name)
            if actual != expected:
                raise TrustError(f"{name}: expected sha256 {expected}, got {actual}")
        return Passed(f"{len(listed)} files")

    def read_documents(
        self, envelope: Envelope, statement: Statement
    ) -> tuple[UnverifiedEvidence, Passed]:
        """See ``EvidenceSource``."""
        claim = statement.predicate
        findings = self._read_document(claim.results.file, Findings)
        consistency.check_findings(statement, findings)
        smoke = (
            None if claim.smoke is None else self._read_document(claim.smoke.file, SmokeDocument)
        )
        consistency.check_smoke(claim, smoke)
        changes = None
        if consistency.CHANGES in self._archive.entries:
            changes = self._read_document(consistency.CHANGES, ScanChanges)
            consistency.check_changes(claim, changes, findings)
        evidence = UnverifiedEvidence(
            statement=statement,
            findings=findings,
            smoke=smoke,
            changes=changes,
            statement_sha256=envelope.payload_sha256,
        )
        return evidence, Passed()

    def check_test_result(self, evidence: UnverifiedEvidence, key: PublicKey) -> CheckOutcome:
        """See ``EvidenceSource``."""
        if TEST_RESULT not in evidence.statement.predicate.companion_files:
            return NOT_WRITTEN
        data = self._archive.read(TEST_RESULT, max_bytes=MAX_EVIDENCE_BUNDLE_BYTES)
        envelope = read_bundle(data, label=TEST_RESULT)
        if envelope.timestamp:
            raise TrustError(f"{TEST_RESULT}: has a timestamp, which is not allowed here")
        payload, _ = envelope.verify(key)
        test_result.check_statement(
            payload, evidence.findings, evidence.smoke, evidence.statement.list_digests()
        )
        return Passed()

    def check_oscal(self, statement: Statement, key: PublicKey) -> CheckOutcome:
        """See ``EvidenceSource``."""
        if OSCAL not in statement.predicate.companion_files:
            return NOT_WRITTEN
        envelope = read_dsse(self._archive.read(OSCAL, max_bytes=_MAX_OSCAL_BYTES), label=OSCAL)
        payload, _ = envelope.verify(key)
        document = self._archive.read(RESULTS_FILE, max_bytes=MAX_RESULTS_BYTES)
        if payload != build_oscal_statement(document, name=RESULTS_FILE):
            raise TrustError(f"{OSCAL}: is not about {RESULTS_FILE}")
        return Passed()

    def read_pq_envelope(self, payload: bytes) -> Envelope | None:
        """See ``EvidenceSource``."""
        if PQ_ENVELOPE not in self._archive.entries:
            return None
        data = self._archive.read(PQ_ENVELOPE, max_bytes=MAX_EVIDENCE_BUNDLE_BYTES)
        envelope = read_dsse(data, label=PQ_ENVELOPE)
        if envelope.unverified_payload != payload:
            raise TrustError(f"{PQ_ENVELOPE}: does not sign the statement in the bundle")
        return envelope

    def read_signature_file(self, name: str, *, max_bytes: int) -> bytes:
        """See ``EvidenceSource``."""
        return self._archive.read(name, max_bytes=max_bytes)

    def _read_document(self, name: str, model: type[_DocumentModel]) -> _DocumentModel:
        data = self._archive.read(name, max_bytes=_MAX_DOCUMENT_BYTES)
        try:
            return model.from_json(parse_json(data, label=name, max_bytes=_MAX_DOCUMENT_BYTES))
        except ValidationError as e:
            raise MalformedError(f"{name}: {format_validation_error(e)}") from e
