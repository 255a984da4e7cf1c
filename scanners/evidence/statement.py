"""The signed statement: what it says and how it is read back.

An in-toto Statement v1 whose subjects are every attached file and whose
predicate binds host, image, content, tool, time and the counts. Readers ignore
fields they do not know (in-toto's rule); no known field may be missing.
"""

from typing import Annotated, Any, Literal
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field, ValidationError

from hardpan.errors import TrustError
from hardpan.files import Sha256, canonical_json, sha256_bytes
from hardpan.identifiers import PREDICATE_TYPE, PredicateType
from hardpan.media_types import QCOW2, media_type_of
from hardpan.scanners.evidence.bindings import HOST_PROOF, Bindings, Chain, Runner, waivers
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.scanners.report.fields import (
    Counts,
    Document,
    HexDigest,
    Many,
    Moment,
    NumberByName,
)
from hardpan.scanners.report.parts import ContentPart, HostPart
from hardpan.signing import MalformedError, parse_json

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"

MAX_STATEMENT_BYTES = 8 << 20
_SIGNATURES_BEFORE = "signatures"
"""What hardpan 0.1 called ``signaturesExpected`` at first."""


class Digest(Document):
    """A digest set; others beside SHA-256 may be there."""

    sha256: HexDigest


class Subject(Document):
    """One attached file."""

    digest: Digest
    name: Annotated[str, Field(min_length=1, max_length=410)]


class BuiltFile(Subject):
    """A subject of an image's provenance."""

    media_type: str = ""
    """Empty by an older hardpan."""

    @property
    def kind(self) -> str:
        """Its media type, by the build key's word; empty where name and media type disagree."""
        by_name = media_type_of(self.name)
        if self.media_type and by_name and by_name != self.media_type:
            return ""
        return self.media_type or by_name


class Image(Document):
    """The image the target was booted from, and the statement about its build."""

    digest: Digest
    media_type: str
    name: str
    provenance: Digest
    """Digest of the provenance statement's payload, not of the bundle around it."""


class Target(Document):
    """What was scanned."""

    kind: Literal["host"]
    host: HostPart
    image: Image | None


class Content(ContentPart):
    """What it was scanned with."""

    selected_rules_sha256: HexDigest
    """Digest of the sorted rule ids, one a line."""


class Tool(Document):
    """Who says so."""

    name: str
    version: str


class When(Document):
    """The run."""

    nonce: str | None
    """What the auditor asked to see in the answer."""
    profile: str
    started: Moment
    finished: Moment
    invocation: Many[str]


class Results(Document):
    """The answer, short; rule by rule it is in ``file``."""

    file: str
    arf: Many[str]
    selected: int
    counts: Counts
    before: Counts | None
    score: str
    waivers: int
    """Rules that fail or could not be judged, and a waiver holds."""


class Checks(Document):
    """The testinfra checks."""

    file: str
    counts: NumberByName


class PairedResult(Document):
    """The paired checks: a control and an AI action, both held."""

    file: str
    counts: NumberByName


class SmokeResult(Document):
    """The AI workload test."""

    file: str
    verdict: str


class Predicate(Bindings):
    """The claim."""

    statement_version: Literal["1.0"]
    signatures_expected: Annotated[Many[str], Field(min_length=1)]
    """The kinds of signature that exist (``signatures.KINDS``), so that a stripped one is
    noticed without any policy."""

    target: Target
    content: Content
    tool: Tool
    scan: When
    results: Results
    checks: Checks
    smoke: SmokeResult | None
    paired: PairedResult | None = None
    """None where they did not run, or by an older hardpan."""


class Statement(Document):
    """The whole payload."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    predicate_type: PredicateType
    subject: Annotated[Many[Subject], Field(min_length=1, max_length=256)]
    predicate: Predicate

    def digests(self) -> dict[str, str]:
        """Name -> SHA-256 of every attached file."""
        return {s.name: s.digest.sha256 for s in self.subject}


def selected_rules_sha256(findings: Findings) -> Sha256:
    """The digest that binds which rules were selected."""
    return sha256_bytes(
        "".join(f"{r}\n" for r in sorted(x.rule_id for x in findings.rules)).encode()
    )


def predicate(
    findings: Findings,
    smoke: SmokeDocument | None,
    *,
    arf: tuple[str, ...],
    invocation: tuple[str, ...],
    nonce: str,
    version: str,
    signatures: tuple[str, ...],
    siblings: tuple[str, ...] = (),
    chain: Chain | None = None,
    runner: Runner | None = None,
    host_proof: bool = False,
) -> Predicate:
    """The claim that the documents support."""
    return Predicate(
        statement_version="1.0",
        signatures_expected=signatures,
        target=Target(kind="host", host=findings.host, image=_image(findings)),
        content=Content(
            **findings.content.model_dump(), selected_rules_sha256=selected_rules_sha256(findings)
        ),
        tool=Tool(name="hardpan", version=version),
        scan=When(
            nonce=nonce or None,
            profile=findings.profile,
            started=findings.started,
            finished=findings.finished,
            invocation=invocation,
        ),
        results=Results(
            file="findings.json",
            arf=arf,
            selected=len(findings.rules),
            counts=findings.counts,
            before=findings.before,
            score=findings.score,
            waivers=sum(r.is_waived for r in findings.rules),
        ),
        checks=Checks(file="junit.xml", counts=findings.check_counts()),
        smoke=None if smoke is None else SmokeResult(file="smoke.json", verdict=smoke.verdict),
        paired=None
        if findings.paired is None
        else PairedResult(file="findings.json", counts=findings.paired.counts()),
        siblings=siblings,
        chain=chain,
        waivers=waivers(findings),
        runner=runner,
        host_proof=HOST_PROOF if host_proof else None,
    )


def statement(claim: Predicate, digests: dict[str, Sha256]) -> dict[str, object]:
    """The statement over the attached files (name -> digest), as JSON data."""
    subject = [{"name": n, "digest": {"sha256": d}} for n, d in sorted(digests.items())]
    said = claim.data()
    said["statementId"] = statement_id(subject, said)
    return {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE_TYPE,
        "subject": subject,
        "predicate": said,
    }


def statement_id(subject: object, claim: dict[str, Any]) -> str:
    """The ``statementId`` of a statement with this subject and predicate, which it is derived from.

    Raises:
        ValueError: there is no canonical JSON of them.
    """
    rest = canonical_json([subject, {k: v for k, v in claim.items() if k != "statementId"}])
    return str(uuid5(NAMESPACE_URL, f"{PREDICATE_TYPE}#{sha256_bytes(rest)}"))


def read_statement(payload: bytes) -> Statement:
    """The statement in ``payload``; call it on bytes whose signature was checked.

    Raises:
        TrustError: not exactly such a statement.
    """
    value = parse_json(payload, what="statement", max_bytes=MAX_STATEMENT_BYTES)
    claim = value.get("predicate") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(claim, dict):
        _check_id(value, claim)
        value = {**value, "predicate": _with_signatures_expected(claim)}
    try:
        return Statement.read(value)
    except ValidationError as e:
        raise MalformedError(f"statement: {problems(e)}") from e


def _check_id(value: dict[str, Any], claim: dict[str, Any]) -> None:
    """Pass if ``statementId`` is the one that follows from the rest, or there is none."""
    stated = claim.get("statementId")
    if stated is None:
        return
    try:
        expected = statement_id(value.get("subject"), claim)
    except ValueError as e:
        raise MalformedError(f"statement: predicate.statementId: cannot be derived: {e}") from e
    if stated != expected:
        raise TrustError(
            "statement: predicate.statementId: does not follow from the rest: "
            f"expected {expected}, found {stated!a:.80}"
        )


def _with_signatures_expected(claim: dict[str, Any]) -> dict[str, Any]:
    if _SIGNATURES_BEFORE not in claim:
        return claim
    if "signaturesExpected" in claim:
        raise MalformedError(
            f"statement: predicate: has signaturesExpected, and {_SIGNATURES_BEFORE} "
            "as older evidence names it: expected one of them"
        )
    renamed = {k: v for k, v in claim.items() if k != _SIGNATURES_BEFORE}
    return {**renamed, "signaturesExpected": claim[_SIGNATURES_BEFORE]}


def read_provenance(payload: bytes) -> tuple[BuiltFile, ...]:
    """What a SLSA provenance statement is about; no name appears twice.

    Raises:
        TrustError: no such statement, or a subject without one digest.
    """
    value = parse_json(payload, what="provenance", max_bytes=MAX_STATEMENT_BYTES)
    if not isinstance(value, dict) or value.get("_type") != STATEMENT_TYPE:
        raise TrustError(f"provenance: _type: expected {STATEMENT_TYPE}")
    if value.get("predicateType") != PROVENANCE_TYPE:
        raise TrustError(f"provenance: predicateType: expected {PROVENANCE_TYPE}")
    subjects = value.get("subject")
    if not isinstance(subjects, list) or not subjects:
        raise TrustError("provenance: subject: expected at least one")
    try:
        parts = tuple(BuiltFile.read(s) for s in subjects)
    except ValidationError as e:
        raise MalformedError(f"provenance: subject: {problems(e)}") from e
    if len({p.name for p in parts}) != len(parts):
        raise TrustError("provenance: subject: a name appears twice")
    return parts


def problems(e: ValidationError) -> str:
    """What pydantic found, in one line: places and expectations, no values."""
    found = e.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, x['loc'])) or '(top)'}: {x['msg']}" for x in found[:3]]
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(told) + more


def _image(findings: Findings) -> Image | None:
    image = findings.image
    if image is None:
        return None
    return Image(
        digest=Digest(sha256=image.sha256),
        media_type=media_type_of(image.name) or QCOW2,
        name=image.name,
        provenance=Digest(sha256=image.provenance_statement_sha256),
    )
