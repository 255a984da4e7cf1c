"""``hardpan diff``: what changed between two scans, and whether something got worse."""

from decimal import Decimal
from pathlib import Path

import click

from hardpan.core.console import print_json, print_line
from hardpan.core.errors import Exit, UsageError
from hardpan.scanners.comparison.formatting import format_headline, format_sections
from hardpan.scanners.comparison.model import ScanDiff
from hardpan.scanners.comparison.scan_diff import compare_scans as compare
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.ledger.verification import load_evidence


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--policy", type=click.Path(path_type=Path), help="Verify both against it first.")
@click.option(
    "--max-score-drop",
    metavar="POINTS",
    help="Take a score that is lower by more than this for a regression, too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def diff(
    old: Path, new: Path, policy: Path | None, max_score_drop: str | None, as_json: bool
) -> int:
    """Print what changed from OLD to NEW, two evidence files.

    Exits with 1 on a regression: something held in OLD and was not seen to hold in
    NEW. Of a policy's settings, greatest age and nonce are asked of NEW alone.
    """
    max_drop = parse_points(max_score_drop)
    trust = None if policy is None else load_trust_policy(policy)
    baseline = load_evidence(old, trust, check_freshness=False)
    current_evidence = load_evidence(new, trust)
    result = compare(baseline.snapshot, current_evidence.snapshot, max_score_drop=max_drop)
    if as_json:
        print_json({"verified": trust is not None, **diff_to_json(result)})
    else:
        print_diff(result, baseline.status, current_evidence.status)
    return exit_code(result)


def parse_points(text: str | None) -> Decimal | None:
    """The value of ``--max-score-drop``.

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
        raise UsageError(f"--max-score-drop: expected points from 0 to 100, found {text!r}")
    return Decimal(text)


def print_diff(result: ScanDiff, baseline_status: str, current_status: str) -> None:
    """Print ``made`` for people."""
    for name, point, status in (
        ("baseline", result.baseline, baseline_status),
        ("current", result.current, current_status),
    ):
        description = f"{point.hostname}, {point.profile}, {point.finished}, score {point.score}"
        print_line(f"{name}  {description}")
        print_line(f"     {status}")
    for section in format_sections(result):
        print_line(section.title)
        for line in section.lines:
            print_line(f"  {line}")
    print_line(f"verdict: {format_headline(result)}")


def diff_to_json(result: ScanDiff) -> dict[str, object]:
    """The answer as JSON data."""
    return {"regression": result.has_regressions, "diff": result.to_json()}


def exit_code(result: ScanDiff) -> int:
    """The exit code."""
    return int(Exit.FINDINGS if result.has_regressions else Exit.OK)
