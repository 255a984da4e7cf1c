"""``hardpan diff``: compare two scans and report regressions."""

from decimal import Decimal
from pathlib import Path

import click

from hardpan.core.console import print_json, print_line
from hardpan.core.errors import Exit, UsageError
from hardpan.scanners.comparison.formatting import (
    format_headline,
    format_rule_counts,
    format_sections,
)
from hardpan.scanners.comparison.model import ScanDiff
from hardpan.scanners.comparison.scan_diff import compare_scans
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.ledger.verification import load_evidence


@click.command()
@click.argument("baseline", type=click.Path(path_type=Path))
@click.argument("current", type=click.Path(path_type=Path))
@click.option(
    "--policy", type=click.Path(path_type=Path), help="Verify both against this trust policy."
)
@click.option(
    "--max-score-drop",
    metavar="POINTS",
    help="Also report a regression if the score drops by more than this.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def diff(
    baseline: Path, current: Path, policy: Path | None, max_score_drop: str | None, as_json: bool
) -> int:
    """Print what changed from BASELINE to CURRENT, two evidence files.

    Exits with 1 on a regression: a check that passed in BASELINE and was not confirmed in CURRENT.
    Maximum age and nonce are checked for CURRENT only.
    """
    max_drop = parse_points(max_score_drop)
    trust = None if policy is None else load_trust_policy(policy)
    baseline_evidence = load_evidence(baseline, trust, check_freshness=False)
    current_evidence = load_evidence(current, trust)
    result = compare_scans(
        baseline_evidence.snapshot, current_evidence.snapshot, max_score_drop=max_drop
    )
    if as_json:
        print_json({"verified": trust is not None, **diff_to_json(result)})
    else:
        print_diff(result, baseline_evidence.status, current_evidence.status)
    return exit_code(result)


def parse_points(text: str | None) -> Decimal | None:
    """Parse the value of ``--max-score-drop``.

    Raises:
        UsageError: not a number of points between 0 and 100.
    """
    if text is None:
        return None
    integer_part, _, fraction = text.partition(".")
    digits = (
        (integer_part + fraction).isascii()
        and (integer_part + fraction).isdigit()
        and bool(integer_part)
    )
    if not digits or len(text) > 8 or Decimal(text) > 100:
        raise UsageError(f"--max-score-drop: expected points from 0 to 100, got {text!r}")
    return Decimal(text)


def print_diff(result: ScanDiff, baseline_status: str, current_status: str) -> None:
    """Print the differences as text."""
    for name, point, status in (
        ("baseline", result.baseline, baseline_status),
        ("current", result.current, current_status),
    ):
        description = f"{point.hostname}, {point.profile}, {point.finished}, score {point.score}"
        print_line(f"{name:<8}  {description}")
        print_line(f"          {status}")
    for section in format_sections(result):
        print_line(section.title)
        for line in section.lines:
            print_line(f"  {line}")
    print_line(f"rules: {format_rule_counts(result)}")
    print_line(f"verdict: {format_headline(result)}")


def diff_to_json(result: ScanDiff) -> dict[str, object]:
    """Return the differences as JSON data."""
    return {
        "regression": result.has_regressions,
        "rules": result.count_rules(),
        "diff": result.to_json(),
    }


def exit_code(result: ScanDiff) -> int:
    """Return the exit code: 1 for a regression."""
    return int(Exit.FINDINGS if result.has_regressions else Exit.OK)
