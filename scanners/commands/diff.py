"""``hardpan diff``: what changed between two scans, and whether something got worse."""

from decimal import Decimal
from pathlib import Path

import click

from hardpan.errors import Exit, UsageError
from hardpan.scanners.commands.vouched import read
from hardpan.scanners.evidence.trust import load_policy
from hardpan.scanners.history.diff import diff as compare
from hardpan.scanners.history.model import Diff
from hardpan.scanners.history.wording import changes, headline
from hardpan.terminal import print_json, print_line


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
    drop = points(max_score_drop)
    trust = None if policy is None else load_policy(policy)
    before = read(old, trust, check_freshness=False)
    after = read(new, trust)
    made = compare(before.side, after.side, max_score_drop=drop)
    if as_json:
        print_json({"verified": trust is not None, **answer(made)})
    else:
        show(made, before.status, after.status)
    return code(made)


def points(text: str | None) -> Decimal | None:
    """The value of ``--max-score-drop``.

    Raises:
        UsageError: not a number of points between 0 and 100.
    """
    if text is None:
        return None
    whole, _, fraction = text.partition(".")
    digits = (whole + fraction).isascii() and (whole + fraction).isdigit() and bool(whole)
    if not digits or len(text) > 8 or Decimal(text) > 100:
        raise UsageError(f"--max-score-drop: expected points from 0 to 100, found {text!r}")
    return Decimal(text)


def show(made: Diff, old_status: str, new_status: str) -> None:
    """Print ``made`` for people."""
    for name, point, status in (("old", made.old, old_status), ("new", made.new, new_status)):
        about = f"{point.hostname}, {point.profile}, {point.finished}, score {point.score}"
        print_line(f"{name}  {about}")
        print_line(f"     {status}")
    for section in changes(made):
        print_line(section.title)
        for line in section.lines:
            print_line(f"  {line}")
    print_line(f"verdict: {headline(made)}")


def answer(made: Diff) -> dict[str, object]:
    """The answer as JSON data."""
    return {"regression": made.is_regression, "diff": made.data()}


def code(made: Diff) -> int:
    """The exit code."""
    return int(Exit.FINDINGS if made.is_regression else Exit.DONE)
