"""Changes since older evidence. Only evidence that passes verification is compared."""

from dataclasses import dataclass
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import TrustError, UsageError
from hardpan.core.files import Sha256
from hardpan.scanners.comparison.formatting import summarize_for_report
from hardpan.scanners.comparison.scan_diff import ScanSnapshot, compare_scans
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy, load_trust_policy
from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink
from hardpan.scanners.evidence.verify.verifier import verify
from hardpan.scanners.ledger.verification import snapshot_of
from hardpan.scanners.report.model.scan_changes import ScanChanges
from hardpan.scanners.report.registry import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderScan:
    """Older evidence that verified."""

    snapshot: ScanSnapshot
    statement_sha256: Sha256
    """Which evidence it is."""


def load_older(path: Path, trust: ResolvedPolicy) -> OlderScan:
    """The evidence in ``path``, verified as a scan of the past.

    Raises:
        InputError: the file cannot be read.
        VerificationError: it does not verify.
    """
    verified = verify(path, trust, now=clock.now(), check_freshness=False)
    return OlderScan(
        snapshot=snapshot_of(path, verified), statement_sha256=verified.statement_sha256
    )


def load_previous(previous: Path | None, policy: Path | None) -> OlderScan | None:
    """Load the host's previous evidence; None without a policy that it is verified against.

    Raises:
        UsageError: there is a policy, but no evidence.
        InputError, VerificationError: the file cannot be read, or is not trusted.
    """
    if policy is None:
        return None
    if previous is None:
        raise UsageError("--policy: is for the host's last evidence: give --previous with it")
    return load_older(previous, load_trust_policy(policy))


def changes_since(older_scan: OlderScan, current: ScanSnapshot) -> ScanChanges:
    """What the page of ``new`` tells of the two."""
    return summarize_for_report(
        compare_scans(older_scan.snapshot, current), statement_sha256=older_scan.statement_sha256
    )


def changes_since_previous(previous: OlderScan, chain: ChainLink, report: Report) -> ScanChanges:
    """What changed since the statement before this one; of packages no page tells.

    Raises:
        TrustError: the chain goes on from other evidence than was verified.
    """
    if chain.previous_statement_sha256 != previous.statement_sha256:
        raise TrustError("the host's last evidence was changed while the scan ran")
    return changes_since(
        previous, ScanSnapshot(findings=report.findings, smoke=report.smoke, packages=None)
    )
