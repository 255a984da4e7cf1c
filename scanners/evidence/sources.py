"""Where the checks read evidence: from its file, or from what a ledger stores of it.

One list of checks is made over both (``verify``), so that a statement which is refused in
a file is refused in a ledger. A source says what it has; it decides nothing.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import ValidationError

from hardpan.errors import TrustError
from hardpan.files import Sha256
from hardpan.scanners.evidence import agreement, outcome
from hardpan.scanners.evidence.archive import Archive
from hardpan.scanners.evidence.bindings import OSCAL, TEST_RESULT, TIMESTAMP
from hardpan.scanners.evidence.bundle import BUNDLE, PQ_ENVELOPE, UNSIGNED
from hardpan.scanners.evidence.checks import CheckOutcome, NotChecked, Passed, Skipped
from hardpan.scanners.evidence.oscal_statement import MAX_RESULTS_BYTES, RESULTS, oscal_statement
from hardpan.scanners.evidence.statement import MAX_STATEMENT_BYTES, Statement, problems
from hardpan.scanners.report.changes import Changes
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import Document
from hardpan.signing import (
    Envelope,
    MalformedError,
    PublicKey,
    parse_json,
    read_bundle,
    read_dsse,
)

MAX_BUNDLE_BYTES = 12 << 20
_MAX_TOKEN_BYTES = 64 << 10
_MAX_OSCAL_BYTES = 64 << 10
_MAX_DOCUMENT_BYTES = 32 << 20
_Model = TypeVar("_Model", bound=Document)
WROTE_NONE = Skipped("evidence of an older hardpan, which wrote none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Evidence whose parts fit together. Who made it is still unknown."""

    statement: Statement
    findings: Findings
    smoke: SmokeDocument | None
    changes: Changes | None
    """None in a ledger, too: it does not store them."""

    statement_sha256: Sha256
    """Digest of the statement's bytes."""


class Source(Protocol):
    """The parts of one piece of evidence."""

    @property
    def sha256(self) -> Sha256 | None:
        """Digest of the whole file; None where there is no file."""

    @property
    def is_whole(self) -> bool:
        """False where a part may be missing because it was not stored, and not taken out."""

    def bundle(self) -> Envelope:
        """The signed statement.

        Raises:
            TrustError: it is missing or malformed.
        """

    def check_copies(self, envelope: Envelope, statement: Statement) -> CheckOutcome:
        """Whether the copies of statement, signature and timestamp are the bundle's own.

        Raises:
            TrustError: one is not.
        """

    def check_files(self, statement: Statement) -> CheckOutcome:
        """Whether the files are the listed ones.

        Raises:
            TrustError: they are not.
        """

    def documents(self, envelope: Envelope, statement: Statement) -> tuple[Opened, Passed]:
        """What was found, in agreement with the statement in ``envelope``.

        Raises:
            TrustError: it is malformed or disagrees.
        """

    def check_test_result(self, opened: Opened, key: PublicKey) -> CheckOutcome:
        """Whether the second statement follows from the findings, signed by ``key``.

        Raises:
            TrustError: it does not.
        """

    def check_oscal(self, statement: Statement, key: PublicKey) -> CheckOutcome:
        """Whether ``key`` signed the assessment results for OSCAL tools, too.

        Raises:
            TrustError: it did not.
        """

    def pq_envelope(self, payload: bytes) -> Envelope | None:
        """The post-quantum signature; None where there is none, or none is stored.

        Raises:
            TrustError: it is malformed, or not over ``payload``.
        """

    def proof(self, name: str, *, max_bytes: int) -> bytes | None:
        """A file that someone beside the scan key signed; None where it is not stored.

        Raises:
            TrustError: it is missing, damaged, or larger than ``max_bytes``.
        """


def not_stored(name: str, *, required: bool) -> NotChecked:
    """The outcome of a check whose file is not stored.

    Raises:
        TrustError: the policy requires it.
    """
    if required:
        raise TrustError(f"{name}: the policy requires it, and the ledger does not store it")
    return NotChecked(f"the ledger does not store {name}")


class ArchiveSource:
    """Evidence in its own file."""

    is_whole = True

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    @property
    def sha256(self) -> Sha256:
        """See ``Source``."""
        return self._archive.file_sha256

    def bundle(self) -> Envelope:
        """See ``Source``."""
        return read_bundle(self._archive.read(BUNDLE, max_bytes=MAX_BUNDLE_BYTES), what=BUNDLE)

    def check_copies(self, envelope: Envelope, statement: Statement) -> CheckOutcome:
        """See ``Source``."""
        archive = self._archive
        if archive.read("statement.json", max_bytes=MAX_STATEMENT_BYTES) != envelope.unverified:
            raise TrustError("statement.json: not the statement in the bundle")
        if archive.read("statement.sig", max_bytes=1024) != envelope.signature:
            raise TrustError("statement.sig: not the signature in the bundle")
        agreement.check_timestamp_presence(statement, envelope)
        if (
            envelope.timestamp
            and archive.read(TIMESTAMP, max_bytes=_MAX_TOKEN_BYTES) != envelope.timestamp
        ):
            raise TrustError(f"{TIMESTAMP}: not the timestamp in the bundle")
        return Passed()

    def check_files(self, statement: Statement) -> CheckOutcome:
        """See ``Source``."""
        agreement.check_listing(statement)
        listed = statement.digests()
        siblings = set(statement.predicate.siblings)
        if lost := sorted(siblings - set(self._archive.entries)):
            raise TrustError(f"{lost[0]}: is promised by the statement but missing")
        # Whether the post-quantum envelope must be there, its own check says.
        there = set(self._archive.entries) - {*UNSIGNED, PQ_ENVELOPE} - siblings
        for name in sorted(listed.keys() ^ there):
            said = "is listed but missing" if name in listed else "is there but not listed"
            raise TrustError(f"{ascii(name)[1:-1]}: {said}")
        for name, expected in listed.items():
            found = self._archive.sha256(name)
            if found != expected:
                raise TrustError(f"{name}: expected sha256 {expected}, found {found}")
        return Passed(f"{len(listed)} files")

    def documents(self, envelope: Envelope, statement: Statement) -> tuple[Opened, Passed]:
        """See ``Source``."""
        claim = statement.predicate
        findings = self._document(claim.results.file, Findings)
        agreement.check_findings(statement, findings)
        smoke = None if claim.smoke is None else self._document(claim.smoke.file, SmokeDocument)
        agreement.check_smoke(claim, smoke)
        changes = None
        if agreement.CHANGES in self._archive.entries:
            changes = self._document(agreement.CHANGES, Changes)
            agreement.check_changes(claim, changes, findings)
        opened = Opened(
            statement=statement,
            findings=findings,
            smoke=smoke,
            changes=changes,
            statement_sha256=envelope.payload_sha256,
        )
        return opened, Passed()

    def check_test_result(self, opened: Opened, key: PublicKey) -> CheckOutcome:
        """See ``Source``."""
        if TEST_RESULT not in opened.statement.predicate.siblings:
            return WROTE_NONE
        data = self._archive.read(TEST_RESULT, max_bytes=MAX_BUNDLE_BYTES)
        envelope = read_bundle(data, what=TEST_RESULT)
        if envelope.timestamp:
            raise TrustError(f"{TEST_RESULT}: has a timestamp, which nothing here vouches for")
        payload, _ = envelope.opened(key)
        outcome.check(payload, opened.findings, opened.smoke, opened.statement.digests())
        return Passed()

    def check_oscal(self, statement: Statement, key: PublicKey) -> CheckOutcome:
        """See ``Source``."""
        if OSCAL not in statement.predicate.siblings:
            return WROTE_NONE
        envelope = read_dsse(self._archive.read(OSCAL, max_bytes=_MAX_OSCAL_BYTES), what=OSCAL)
        payload, _ = envelope.opened(key)
        document = self._archive.read(RESULTS, max_bytes=MAX_RESULTS_BYTES)
        if payload != oscal_statement(document, name=RESULTS):
            raise TrustError(f"{OSCAL}: is not about {RESULTS}")
        return Passed()

    def pq_envelope(self, payload: bytes) -> Envelope | None:
        """See ``Source``."""
        if PQ_ENVELOPE not in self._archive.entries:
            return None
        data = self._archive.read(PQ_ENVELOPE, max_bytes=MAX_BUNDLE_BYTES)
        envelope = read_dsse(data, what=PQ_ENVELOPE)
        if envelope.unverified != payload:
            raise TrustError(f"{PQ_ENVELOPE}: not over the statement in the bundle")
        return envelope

    def proof(self, name: str, *, max_bytes: int) -> bytes:
        """See ``Source``."""
        return self._archive.read(name, max_bytes=max_bytes)

    def _document(self, name: str, model: type[_Model]) -> _Model:
        data = self._archive.read(name, max_bytes=_MAX_DOCUMENT_BYTES)
        try:
            return model.read(parse_json(data, what=name, max_bytes=_MAX_DOCUMENT_BYTES))
        except ValidationError as e:
            raise MalformedError(f"{name}: {problems(e)}") from e
