"""What changed since older evidence, which is verified first: nothing else is drawn."""

from dataclasses import dataclass
from pathlib import Path

from hardpan import clock
from hardpan.errors import TrustError, UsageError
from hardpan.files import Sha256
from hardpan.scanners.commands.vouched import side
from hardpan.scanners.evidence.bindings import Chain
from hardpan.scanners.evidence.trust import Trust, load_policy
from hardpan.scanners.evidence.verify import verify
from hardpan.scanners.history.diff import Side, diff
from hardpan.scanners.history.wording import for_page
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.changes import Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """Older evidence that verified."""

    side: Side
    statement_sha256: Sha256
    """Which evidence it is."""


def older(path: Path, trust: Trust) -> Older:
    """The evidence in ``path``, verified as a scan of the past.

    Raises:
        InputError: the file cannot be read.
        RefusedError: it does not verify.
    """
    verified = verify(path, trust, now=clock.now(), check_freshness=False)
    return Older(side=side(path, verified), statement_sha256=verified.statement_sha256)


def last(previous: Path | None, policy: Path | None) -> Older | None:
    """The host's last evidence; None without a policy to verify it by.

    Raises:
        UsageError: there is a policy, and no evidence.
        InputError, RefusedError: as ``older``.
    """
    if policy is None:
        return None
    if previous is None:
        raise UsageError("--policy: is for the host's last evidence: give --previous with it")
    return older(previous, load_policy(policy))


def changes(since: Older, new: Side) -> Changes:
    """What the page of ``new`` tells of the two."""
    return for_page(diff(since.side, new), statement_sha256=since.statement_sha256)


def since_last(before: Older, chain: Chain, report: Report) -> Changes:
    """What changed since the statement before this one; of packages no page tells.

    Raises:
        TrustError: the chain goes on from other evidence than was verified.
    """
    if chain.previous_statement_sha256 != before.statement_sha256:
        raise TrustError("the host's last evidence was changed while the scan ran")
    return changes(before, Side(findings=report.findings, smoke=report.smoke, packages=None))
