"""Build and read the signed in-toto statement of a scan.

An in-toto Statement v1 whose subjects are every attached file and whose
predicate binds host, image, content, tool, time and the counts. Readers ignore
fields they do not know (in-toto's rule); no known field may be missing.
"""

from typing import Annotated, Any, Literal
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field, ValidationError

from hardpan.core.errors import TrustError
from hardpan.core.files import Sha256, canonical_json, sha256_bytes
from hardpan.core.identifiers import PREDICATE_TYPE, PredicateType
from hardpan.core.limits import MAX_STATEMENT_BYTES
from hardpan.core.media_types import QCOW2, guess_media_type
from hardpan.core.validation_errors import format_validation_error
from hardpan.scanners.evidence.file_names import HOST_SIGNATURE, TAILORING_FILES
from hardpan.scanners.evidence.statement.predicate_extensions import (
    ChainLink,
    PredicateExtensions,
    ScannerIdentity,
    summarize_waivers,
)
from hardpan.scanners.report.model.content_sections import ContentIdentity, ContentPart
from hardpan.scanners.report.model.documents import Findings, SmokeDocument
from hardpan.scanners.report.model.sections import HostPart
from hardpan.scanners.report.model.types import (
    Counts,
    Document,
    HexDigest,
    JsonList,
    NumberByName,
    Timestamp,
)
from hardpan.signing import MalformedError, parse_json

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"


class DigestSet(Document):
    """A digest set with at least SHA-256."""

    sha256: HexDigest


class Subject(Document):
    """One attached file."""

    digest: DigestSet
    name: Annotated[str, Field(min_length=1, max_length=410)]


class ProvenanceSubject(Subject):
    """A subject of an image's provenance."""

    media_type: str = ""
    """Empty by an older hardpan."""

    @property
    def effective_media_type(self) -> str:
        """Its media type, by the build key's word; empty where name and media type disagree."""
        expected_type = guess_media_type(self.name)
        if self.media_type and expected_type and expected_type != self.media_type:
            return ""
        return self.media_type or expected_type


class BootImage(Document):
    """The image the target was booted from, and the statement about its build."""

    digest: DigestSet
    media_type: str
    name: str
    provenance: DigestSet
    """Digest of the provenance statement's payload, not of the bundle around it."""


class ScanTarget(Document):
    """What was scanned."""

    kind: Literal["host"]
    host: HostPart
    image: BootImage | None


class TailoringSummary(Document):
    """The tailoring of the content; its changes, with reasons, are in ``file`` of the results."""

    file: str
    """The attached file."""
    sha256: HexDigest
    author: str
    base_profile_id: str
    unselected: int
    """Number of rules of the base profile that were not evaluated."""
    selected: int
    settings: int


class ScanContent(ContentIdentity):
    """What it was scanned with."""

    tailoring: TailoringSummary | None = None

    selected_rules_sha256: HexDigest
    """Digest of the sorted rule ids, one a line."""


class ScanTool(Document):
    """Who says so."""

    name: str
    version: str


class ScanRun(Document):
    """The run."""

    nonce: str | None
    """The auditor's nonce."""
    profile: str
    started: Timestamp
    finished: Timestamp
    invocation: JsonList[str]


class ResultSummary(Document):
    """The answer, short; rule by rule it is in ``file``."""

    file: str
    arf: JsonList[str]
    selected: int
    counts: Counts
    baseline_counts: Counts | None
    score: str
    waivers: int
    """Number of waived rules."""


class HostCheckSummary(Document):
    """The testinfra checks."""

    file: str
    counts: NumberByName


class CompatibilitySummary(Document):
    """The compatibility checks: verdicts per conflict."""

    file: str
    counts: NumberByName


class SmokeSummary(Document):
    """The AI workload test."""

    file: str
    verdict: str


class Predicate(PredicateExtensions):
    """The claim."""

    statement_version: Literal["1.0"]
    signatures_expected: Annotated[JsonList[str], Field(min_length=1)]
    """The signature algorithms in use (``FILE_BY_ALGORITHM``), so that a removed signature is
    noticed without any policy."""

    target: ScanTarget
    content: ScanContent
    tool: ScanTool
    scan: ScanRun
    results: ResultSummary
    checks: HostCheckSummary
    smoke: SmokeSummary | None
    compatibility: CompatibilitySummary | None = None
    """None where they did not run, or by an older hardpan."""


class Statement(Document):
    """The whole payload."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    predicate_type: PredicateType
    subject: Annotated[JsonList[Subject], Field(min_length=1, max_length=256)]
    predicate: Predicate

    def list_digests(self) -> dict[str, str]:
        """Name -> SHA-256 of every attached file."""
        return {s.name: s.digest.sha256 for s in self.subject}


def hash_selected_rules(findings: Findings) -> Sha256:
    """The digest that binds which rules were selected."""
    return sha256_bytes(
        "".join(f"{r}\n" for r in sorted(x.rule_id for x in findings.rules)).encode()
    )


def summarize_tailoring(content: ContentPart) -> TailoringSummary | None:
    """Return the summary of the content's tailoring; None without one."""
    tailoring = content.tailoring
    if tailoring is None:
        return None
    return TailoringSummary(
        file=TAILORING_FILES[tailoring.format],
        sha256=tailoring.sha256,
        author=tailoring.author,
        base_profile_id=tailoring.base_profile_id,
        unselected=len(tailoring.unselected),
        selected=len(tailoring.selected),
        settings=len(tailoring.settings),
    )


def build_predicate(
    findings: Findings,
    smoke: SmokeDocument | None,
    *,
    arf: tuple[str, ...],
    invocation: tuple[str, ...],
    nonce: str,
    version: str,
    signatures: tuple[str, ...],
    companion_files: tuple[str, ...] = (),
    chain: ChainLink | None = None,
    runner: ScannerIdentity | None = None,
    has_host_signature: bool = False,
) -> Predicate:
    """The claim that the documents support."""
    return Predicate(
        statement_version="1.0",
        signatures_expected=signatures,
        target=ScanTarget(kind="host", host=findings.host, image=_build_image(findings)),
        content=ScanContent(
            **findings.content.model_dump(exclude={"tailoring"}),
            tailoring=summarize_tailoring(findings.content),
            selected_rules_sha256=hash_selected_rules(findings),
        ),
        tool=ScanTool(name="hardpan", version=version),
        scan=ScanRun(
            nonce=nonce or None,
            profile=findings.profile,
            started=findings.started,
            finished=findings.finished,
            invocation=invocation,
        ),
        results=ResultSummary(
            file="findings.json",
            arf=arf,
            selected=len(findings.rules),
            counts=findings.counts,
            baseline_counts=findings.baseline_counts,
            score=findings.score,
            waivers=sum(r.is_waived for r in findings.rules),
        ),
        checks=HostCheckSummary(file="junit.xml", counts=findings.count_checks_by_outcome()),
        smoke=None if smoke is None else SmokeSummary(file="smoke.json", verdict=smoke.verdict),
        compatibility=None
        if findings.compatibility is None
        else CompatibilitySummary(
            file="findings.json", counts=findings.compatibility.count_verdicts()
        ),
        companion_files=companion_files,
        chain=chain,
        waivers=summarize_waivers(findings),
        runner=runner,
        host_signature=HOST_SIGNATURE if has_host_signature else None,
    )


def build_statement(claim: Predicate, digests: dict[str, Sha256]) -> dict[str, object]:
    """The statement over the attached files (name -> digest), as JSON data."""
    subject = [{"name": n, "digest": {"sha256": d}} for n, d in sorted(digests.items())]
    predicate_data = claim.to_json()
    predicate_data["statementId"] = derive_statement_id(subject, predicate_data)
    return {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE_TYPE,
        "subject": subject,
        "predicate": predicate_data,
    }


def derive_statement_id(subject: object, claim: dict[str, Any]) -> str:
    """Derive the ``statementId`` from a statement's subject and predicate.

    Raises:
        ValueError: there is no canonical JSON of them.
    """
    content = canonical_json([subject, {k: v for k, v in claim.items() if k != "statementId"}])
    return str(uuid5(NAMESPACE_URL, f"{PREDICATE_TYPE}#{sha256_bytes(content)}"))


def read_statement(payload: bytes) -> Statement:
    """Parse the statement in ``payload``, whose signature was checked before.

    Raises:
        TrustError: not exactly such a statement.
    """
    value = parse_json(payload, label="statement", max_bytes=MAX_STATEMENT_BYTES)
    claim = value.get("predicate") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(claim, dict):
        _check_statement_id(value, claim)
    try:
        return Statement.from_json(value)
    except ValidationError as e:
        raise MalformedError(f"statement: {format_validation_error(e)}") from e


def _check_statement_id(value: dict[str, Any], claim: dict[str, Any]) -> None:
    """Pass if ``statementId`` is the one that follows from the rest, or there is none."""
    stated = claim.get("statementId")
    if stated is None:
        return
    try:
        expected = derive_statement_id(value.get("subject"), claim)
    except ValueError as e:
        raise MalformedError(f"statement: predicate.statementId: cannot be derived: {e}") from e
    if stated != expected:
        raise TrustError(
            "statement: predicate.statementId: does not follow from the rest: "
            f"expected {expected}, got {stated!a:.80}"
        )


def read_provenance_subjects(payload: bytes) -> tuple[ProvenanceSubject, ...]:
    """Read the subjects of a SLSA provenance statement; no name appears twice.

    Raises:
        TrustError: no such statement, or a subject without one digest.
    """
    value = parse_json(payload, label="provenance", max_bytes=MAX_STATEMENT_BYTES)
    if not isinstance(value, dict) or value.get("_type") != STATEMENT_TYPE:
        raise TrustError(f"provenance: _type: expected {STATEMENT_TYPE}")
    if value.get("predicateType") != PROVENANCE_TYPE:
        raise TrustError(f"provenance: predicateType: expected {PROVENANCE_TYPE}")
    subjects = value.get("subject")
    if not isinstance(subjects, list) or not subjects:
        raise TrustError("provenance: subject: expected at least one")
    try:
        parts = tuple(ProvenanceSubject.from_json(s) for s in subjects)
    except ValidationError as e:
        raise MalformedError(f"provenance: subject: {format_validation_error(e)}") from e
    if len({p.name for p in parts}) != len(parts):
        raise TrustError("provenance: subject: a name appears twice")
    return parts


def _build_image(findings: Findings) -> BootImage | None:
    image = findings.image
    if image is None:
        return None
    return BootImage(
        digest=DigestSet(sha256=image.sha256),
        media_type=guess_media_type(image.name) or QCOW2,
        name=image.name,
        provenance=DigestSet(sha256=image.provenance_statement_sha256),
    )
