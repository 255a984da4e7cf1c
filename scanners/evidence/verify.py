"""Whether evidence is what it claims to be, and whether an auditor's policy takes it.

A signature check is not a verification: cosign alone accepts swapped files,
replays and another host's report. Everything here either holds or raises; what
was checked is recorded, one line each, and nothing is skipped in silence.

Whoever takes a statement under a policy asks here, for a file (``verify``) or for what a
ledger stores of one (``verify_stored``): both make the same list of checks.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hardpan.files import Sha256, sha256_bytes
from hardpan.scanners.evidence import claims, moments, signatures, witness
from hardpan.scanners.evidence.archive import Archive
from hardpan.scanners.evidence.checks import NotChecked, Outcome, Passed, Run, Skipped, Status
from hardpan.scanners.evidence.policy import Key
from hardpan.scanners.evidence.sources import ArchiveSource, Opened, Source
from hardpan.scanners.evidence.statement import Statement, read_statement
from hardpan.scanners.evidence.stored import StoredEvidence
from hardpan.scanners.evidence.trust import Trust
from hardpan.scanners.report.changes import Changes
from hardpan.scanners.report.documents import Findings, SmokeDocument
from hardpan.signing import Envelope, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Evidence whose every check held, limits aside."""

    statement: Statement
    statement_sha256: Sha256
    """The evidence's identity: signatures are malleable, this is not."""

    evidence_sha256: Sha256 | None
    """Digest of the evidence file's bytes, the ones that were verified; None in a ledger."""

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


def verify(path: Path, trust: Trust, *, now: datetime, check_freshness: bool = True) -> Verified:
    """The evidence in ``path``, checked against ``trust`` at the moment ``now``.

    Without ``check_freshness`` it is a scan of the past: greatest age, nonce and ``after``
    are about the newest one, and are not asked.

    Raises:
        InputError: the file cannot be read.
        RefusedError: a check failed.
    """
    run = _begun(str(path), trust, now)
    with run.check("archive"):
        archive = Archive(path)
    with archive:
        return _verified(ArchiveSource(archive), trust, now, run, check_freshness=check_freshness)


def verify_stored(stored: StoredEvidence, trust: Trust, *, now: datetime, label: str) -> Verified:
    """What a ledger stores of evidence, checked as a scan of the past; ``label`` names it.

    Checks about what no ledger stores end as ``not checked``, unless the policy requires
    what they are about: then they fail.

    Raises:
        RefusedError: a check failed.
    """
    run = _begun(label, trust, now)
    with run.check("archive") as record:
        record(NotChecked("the ledger does not store the file"))
    return _verified(stored, trust, now, run, check_freshness=False)


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
        source = ArchiveSource(archive)
        with run.check("bundle"):
            envelope = source.bundle()
        with run.check("statement"):
            statement = read_statement(envelope.unverified)
        return _documents(source, envelope, statement, run)


def _begun(label: str, trust: Trust, now: datetime) -> Run:
    run = Run(label)
    with run.check("policy", keep_going=True) as record:
        record(moments.in_force(trust.policy, now))
    return run


def _verified(
    source: Source, trust: Trust, now: datetime, run: Run, *, check_freshness: bool
) -> Verified:
    with run.check("bundle"):
        envelope = source.bundle()
    with run.check("signature") as record:
        payload, key, public = _opened(envelope, trust)
        record(Passed(f"key {key.id!r}, role {key.role}"))
    with run.check("statement"):
        statement = read_statement(payload)
    claim = statement.predicate
    opened = _documents(source, envelope, statement, run)
    with run.check("test-result", keep_going=True) as record:
        record(source.check_test_result(opened, public))
    with run.check("oscal", keep_going=True) as record:
        record(source.check_oscal(statement, public))
    at = _when(envelope, statement, key, trust, now, run)
    with run.check("post-quantum", keep_going=True) as record:
        record(signatures.judge(source, envelope, claim, key, trust, at))
    with run.check("cms", keep_going=True) as record:
        record(witness.cms(source, payload, claim, trust, public))
    for name, judge in claims.CLAIMS.items():
        with run.check(name, keep_going=True) as record:
            if name in claims.FRESHNESS and not check_freshness:
                record(Skipped("asked of the newest scan alone"))
            else:
                record(judge(claim, trust.policy, key, now))
    with run.check("host-proof", keep_going=True) as record:
        record(witness.host_proof(source, statement, trust))
    with run.check("provenance", keep_going=True) as record:
        record(claims.provenance(source, claim, trust, at))
    with run.check("limits", keep_going=True) as record:
        record(claims.limits(opened.findings, trust.policy))
    return Verified(
        statement=statement,
        statement_sha256=sha256_bytes(payload),
        evidence_sha256=source.sha256,
        key=key,
        signer_sha256=public.sha256,
        findings=opened.findings,
        smoke=opened.smoke,
        changes=opened.changes,
        outcomes=run.ended(),
    )


def _documents(source: Source, envelope: Envelope, statement: Statement, run: Run) -> Opened:
    with run.check("copies") as record:
        record(source.check_copies(envelope, statement))
    with run.check("files") as record:
        record(source.check_files(statement))
    with run.check("findings") as record:
        opened, outcome = source.documents(envelope, statement)
        record(outcome)
    return opened


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
        at, outcome = moments.stamped(envelope, finished, trust, now)
        record(outcome)
    with run.check("key-window", keep_going=True) as record:
        record(moments.key_window(finished, key, at))
    return at
