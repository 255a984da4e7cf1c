"""Whether evidence is what it claims to be, and whether an auditor's policy takes it.

A signature check is not a verification: cosign alone accepts swapped files,
replays and another host's report. Everything here either holds or raises; what
was checked is recorded, one line each, and nothing is skipped in silence.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hardpan.errors import TrustError
from hardpan.files import Sha256, sha256_bytes
from hardpan.scanners.evidence import claims, moments, outcome, signatures, witness
from hardpan.scanners.evidence.archive import Archive
from hardpan.scanners.evidence.bindings import OSCAL, SIBLINGS, TEST_RESULT, TIMESTAMP
from hardpan.scanners.evidence.bundle import BUNDLE, PQ_ENVELOPE, UNSIGNED
from hardpan.scanners.evidence.checks import CheckOutcome, Outcome, Passed, Run, Skipped, Status
from hardpan.scanners.evidence.oscal_statement import MAX_RESULTS_BYTES, RESULTS, oscal_statement
from hardpan.scanners.evidence.policy import Key
from hardpan.scanners.evidence.statement import MAX_STATEMENT_BYTES, Statement, read_statement
from hardpan.scanners.evidence.trust import Trust
from hardpan.scanners.report.changes import Changes
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.signing import Envelope, PublicKey, read_bundle, read_dsse

_MAX_BUNDLE_BYTES = 12 << 20
_MAX_TOKEN_BYTES = 64 << 10
_MAX_OSCAL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Evidence whose every check held, limits aside."""

    path: Path
    statement: Statement
    statement_sha256: Sha256
    """The evidence's identity: signatures are malleable, this is not."""

    key: Key
    """The policy's key that signed it."""

    signer_sha256: Sha256
    """Digest of that key's SPKI."""

    findings: Findings
    smoke: SmokeDocument | None
    changes: Changes | None
    outcomes: tuple[Outcome, ...]

    @property
    def within_limits(self) -> bool:
        """True when no limit of the policy is exceeded."""
        return all(o.outcome is not Status.EXCEEDED for o in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Evidence whose parts fit together. Who made it is still unknown."""

    statement: Statement
    findings: Findings
    smoke: SmokeDocument | None
    changes: Changes | None


def verify(path: Path, trust: Trust, *, now: datetime) -> Verified:
    """The evidence in ``path``, checked against ``trust`` at the moment ``now``.

    Raises:
        InputError: the file cannot be read.
        RefusedError: a check failed.
    """
    run = Run(str(path))
    with run.check("policy", keep_going=True) as record:
        record(moments.in_force(trust.policy, now))
    with run.check("archive"):
        archive = Archive(path)
    with archive:
        with run.check("bundle"):
            envelope = _envelope(archive)
        with run.check("signature") as record:
            payload, key, public = _opened(envelope, trust)
            record(Passed(f"key {key.id!r}, role {key.role}"))
        with run.check("statement"):
            statement = read_statement(payload)
        opened = _documents(archive, envelope, statement, run)
        with run.check("test-result", keep_going=True) as record:
            record(_check_test_result(archive, opened, public))
        with run.check("oscal", keep_going=True) as record:
            record(_check_oscal(archive, statement, public))
        at = _when(envelope, statement, key, trust, now, run)
        with run.check("post-quantum", keep_going=True) as record:
            record(signatures.judge(archive, envelope, statement.predicate, key, trust, at))
        with run.check("cms", keep_going=True) as record:
            record(witness.cms(archive, statement.predicate, trust))
        for name, judge in claims.CLAIMS.items():
            with run.check(name, keep_going=True) as record:
                record(judge(statement.predicate, trust.policy, key, now))
        with run.check("host-proof", keep_going=True) as record:
            record(witness.host_proof(archive, statement.predicate, trust))
        with run.check("provenance", keep_going=True) as record:
            record(claims.provenance(archive, statement.predicate, trust, at))
    with run.check("limits", keep_going=True) as record:
        record(claims.limits(opened.findings, trust.policy))
    return Verified(
        path=path,
        statement=statement,
        statement_sha256=sha256_bytes(payload),
        key=key,
        signer_sha256=public.sha256,
        findings=opened.findings,
        smoke=opened.smoke,
        changes=opened.changes,
        outcomes=run.ended(),
    )


def open_unverified(path: Path) -> Opened:
    """The evidence in ``path``, its parts checked against each other but against no key.

    Raises:
        InputError: the file cannot be read.
        RefusedError: the parts do not fit.
    """
    run = Run(str(path))
    with run.check("archive"):
        archive = Archive(path)
    with archive:
        with run.check("bundle"):
            envelope = _envelope(archive)
        with run.check("statement"):
            statement = read_statement(envelope.unverified)
        return _documents(archive, envelope, statement, run)


def _documents(archive: Archive, envelope: Envelope, statement: Statement, run: Run) -> Opened:
    with run.check("copies"):
        _check_copies(archive, envelope, statement)
    with run.check("files") as record:
        record(_check_files(archive, statement))
    with run.check("findings"):
        findings = claims.read_findings(archive, statement.predicate)
        smoke = claims.read_smoke(archive, statement.predicate)
        changes = claims.read_changes(archive, statement.predicate, findings)
    return Opened(statement=statement, findings=findings, smoke=smoke, changes=changes)


def _envelope(archive: Archive) -> Envelope:
    return read_bundle(archive.read(BUNDLE, max_bytes=_MAX_BUNDLE_BYTES), what=BUNDLE)


def _opened(envelope: Envelope, trust: Trust) -> tuple[bytes, Key, PublicKey]:
    keys: dict[PublicKey, Key] = {public: key for key, public in trust.role("scan")}
    payload, public = envelope.opened(*keys)
    return payload, keys[public], public


def _when(
    envelope: Envelope, statement: Statement, key: Key, trust: Trust, now: datetime, run: Run
) -> datetime | None:
    at = None
    finished = statement.predicate.scan.finished
    with run.check("timestamp", keep_going=True) as record:
        at = moments.stamped(envelope, finished, trust, now)
        record(
            Passed(f"{at:%Y-%m-%dT%H:%M:%SZ}") if at else Skipped("the policy names no authority")
        )
    with run.check("key-window", keep_going=True) as record:
        record(moments.key_window(finished, key, at))
    return at


def _check_test_result(archive: Archive, opened: Opened, key: PublicKey) -> CheckOutcome:
    if TEST_RESULT not in opened.statement.predicate.siblings:
        return Skipped("evidence of an older hardpan, which wrote none")
    bundle = archive.read(TEST_RESULT, max_bytes=_MAX_BUNDLE_BYTES)
    payload, _ = read_bundle(bundle, what=TEST_RESULT).opened(key)
    digests = {s.name: s.digest.sha256 for s in opened.statement.subject}
    outcome.check(payload, opened.findings, opened.smoke, digests)
    return Passed()


def _check_oscal(archive: Archive, statement: Statement, key: PublicKey) -> CheckOutcome:
    if OSCAL not in statement.predicate.siblings:
        return Skipped("evidence of an older hardpan, which wrote none")
    envelope = read_dsse(archive.read(OSCAL, max_bytes=_MAX_OSCAL_BYTES), what=OSCAL)
    payload, _ = envelope.opened(key)
    document = archive.read(RESULTS, max_bytes=MAX_RESULTS_BYTES)
    if payload != oscal_statement(document, name=RESULTS):
        raise TrustError(f"{OSCAL}: is not about {RESULTS}")
    return Passed()


def _check_copies(archive: Archive, envelope: Envelope, statement: Statement) -> None:
    if archive.read("statement.json", max_bytes=MAX_STATEMENT_BYTES) != envelope.unverified:
        raise TrustError("statement.json: not the statement in the bundle")
    if archive.read("statement.sig", max_bytes=1024) != envelope.signature:
        raise TrustError("statement.sig: not the signature in the bundle")
    promised = TIMESTAMP in statement.predicate.siblings
    if promised != bool(envelope.timestamp):
        said = "none, although promised" if promised else "one that was not promised"
        raise TrustError(f"the bundle's timestamp: the statement says otherwise: {said}")
    if promised and archive.read(TIMESTAMP, max_bytes=_MAX_TOKEN_BYTES) != envelope.timestamp:
        raise TrustError(f"{TIMESTAMP}: not the timestamp in the bundle")


def _check_files(archive: Archive, statement: Statement) -> CheckOutcome:
    listed = {s.name: s.digest.sha256 for s in statement.subject}
    if len(listed) != len(statement.subject):
        raise TrustError("a file is listed twice")
    if odd := sorted(listed.keys() & set(SIBLINGS)):
        # NOTE: as a mere attachment it would be judged by nobody here, and by others it would.
        raise TrustError(f"{odd[0]}: is made of the statement, and cannot be listed in it")
    siblings = set(statement.predicate.siblings)
    if odd := sorted(siblings - set(SIBLINGS)):
        raise TrustError(f"{ascii(odd[0])[1:-1]}: may not lie beside the statement unlisted")
    if lost := sorted(siblings - set(archive.entries)):
        raise TrustError(f"{lost[0]}: is promised by the statement but missing")
    # Whether the post-quantum envelope must be there, its own check says.
    there = set(archive.entries) - {*UNSIGNED, PQ_ENVELOPE} - siblings
    for name in sorted(listed.keys() ^ there):
        said = "is listed but missing" if name in listed else "is there but not listed"
        raise TrustError(f"{ascii(name)[1:-1]}: {said}")
    for name, expected in listed.items():
        found = archive.sha256(name)
        if found != expected:
            raise TrustError(f"{name}: expected sha256 {expected}, found {found}")
    return Passed(f"{len(listed)} files")
