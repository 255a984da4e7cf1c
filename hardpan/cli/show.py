"""``hardpan show``: print the findings of an evidence file."""

from pathlib import Path

import click

from hardpan.core import clock
from hardpan.core.console import print_json, print_line
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.evidence.verify.sources import UnverifiedEvidence
from hardpan.scanners.evidence.verify.verifier import (
    VerifiedEvidence,
    read_unverified,
    verify,
)
from hardpan.scanners.ledger.verification import NOT_VERIFIED
from hardpan.scanners.report.formats import text_summary
from hardpan.scanners.report.headline import build_headline


@click.command()
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option("--policy", type=click.Path(path_type=Path), help="Verify against this trust policy.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def show(evidence: Path, policy: Path | None, as_json: bool) -> None:
    """Print the findings of EVIDENCE."""
    loaded: UnverifiedEvidence | VerifiedEvidence
    if policy is None:
        loaded, status = read_unverified(evidence), NOT_VERIFIED
    else:
        loaded = verify(evidence, load_trust_policy(policy), now=clock.now())
        status = f"verified: signed by key {loaded.key.id!r}" + (
            "" if loaded.is_within_thresholds else ", policy thresholds exceeded"
        )
    if as_json:
        answer = {
            "verified": policy is not None,
            "statement": loaded.statement.to_json(),
            "headline": build_headline(loaded.findings).to_json(),
            "findings": loaded.findings.to_json(),
            "smoke": None if loaded.smoke is None else loaded.smoke.to_json(),
        }
        print_json(answer)
        return
    print_line(status)
    for line in text_summary.format_summary(loaded.findings, loaded.smoke):
        print_line(line)
