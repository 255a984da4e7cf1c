"""``hardpan show``: what evidence says, and whether anyone vouches for it."""

from pathlib import Path

import click

from hardpan import clock
from hardpan.scanners.commands.vouched import NOT_VERIFIED
from hardpan.scanners.evidence.sources import Opened
from hardpan.scanners.evidence.trust import load_policy
from hardpan.scanners.evidence.verify import Verified, open_unverified, verify
from hardpan.scanners.report import summary
from hardpan.terminal import print_json, print_line


@click.command()
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option("--policy", type=click.Path(path_type=Path), help="Verify against it first.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def show(evidence: Path, policy: Path | None, as_json: bool) -> None:
    """Print what EVIDENCE says."""
    found: Opened | Verified
    if policy is None:
        found, status = open_unverified(evidence), NOT_VERIFIED
    else:
        found = verify(evidence, load_policy(policy), now=clock.now())
        status = f"verified: signed by key {found.key.id!r}" + (
            "" if found.within_limits else ", over the policy's limits"
        )
    if as_json:
        answer = {
            "verified": policy is not None,
            "statement": found.statement.data(),
            "findings": found.findings.data(),
            "smoke": None if found.smoke is None else found.smoke.data(),
        }
        print_json(answer)
        return
    print_line(status)
    for line in summary.lines(found.findings, found.smoke):
        print_line(line)
