"""``make bench-demo``: the duration of the demo against that of an earlier commit.

Both run ``hardpan prove`` in a worktree of their own, with caches and data of their own, in turns:
cold with empty caches, then warm with the media and the base install cached.
"""

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from hardpan.core import clock
from hardpan.core.process import run
from tests.benchmarks.demo_limits import (
    DemoRun,
    DemoRuns,
    evaluate_limits,
    format_table,
    read_stage_durations,
)

_REPO = Path(__file__).parents[2]
_SETUP_TIMEOUT_S = 1800
_DEMO_TIMEOUT_S = 3 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contestant:
    """A worktree of one commit, and the folder of its caches, data and outputs."""

    worktree: Path
    folder: Path

    def run_demo(self, profile: str, name: str) -> DemoRun:
        """Run the demo with an empty output folder."""
        log = self.folder / f"{name}.jsonl"
        homes = {f"XDG_{n}_HOME": str(self.folder / n.lower()) for n in ("CACHE", "DATA", "STATE")}
        program = self.worktree / ".venv/bin/hardpan"
        start = clock.monotonic_s()
        run(
            [program, "--log-file", log, "prove", profile, "--quiet", "-o", self.folder / name],
            timeout_s=_DEMO_TIMEOUT_S,
            cwd=self.worktree,
            env=os.environ | homes,
        )
        wall_s = clock.monotonic_s() - start
        with log.open() as lines:
            return DemoRun(wall_s=wall_s, stage_durations_s=read_stage_durations(lines))


@contextmanager
def _open_worktree(commit: str, folder: Path) -> Iterator[_Contestant]:
    """Check ``commit`` out with its virtual environment, for the duration of the block."""
    worktree = folder / "tree"
    run(["git", "worktree", "add", "--detach", worktree, commit], timeout_s=60, cwd=_REPO)
    try:
        # Debian's OpenSSL 3.5 and cosign are no part of the demo.
        run(["make", "setup-venv"], timeout_s=_SETUP_TIMEOUT_S, cwd=worktree)
        yield _Contestant(worktree=worktree, folder=folder)
    finally:
        run(["git", "worktree", "remove", "--force", worktree], timeout_s=60, cwd=_REPO)


@click.command()
@click.option("--base", required=True, help="Commit to compare with.")
@click.option("--commit", default="HEAD", help="Commit to measure.", show_default=True)
@click.option("--profile", default="lab-stig", help="Profile of the demo.", show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=1, help="How often each program runs.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for worktrees, caches and outputs; default: a temporary one.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
def main(
    base: str, commit: str, profile: str, rounds: int, folder: Path | None, as_json: bool
) -> None:
    """Time the demos, print the medians; 1 when a limit is missed."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    runs_by_commit = {c: DemoRuns(cold=[], warm=[]) for c in (base, commit)}
    for _ in range(rounds):
        for name, runs in runs_by_commit.items():
            with (
                tempfile.TemporaryDirectory(prefix="hardpan-bench-", dir=folder) as temp,
                _open_worktree(name, Path(temp)) as contestant,
            ):
                for kind, measured in (("cold", runs.cold), ("warm", runs.warm)):
                    measured.append(contestant.run_demo(profile, kind))
                    click.echo(f"{name}, {kind}: {measured[-1].wall_s:.0f} s", err=True)
    limits = evaluate_limits(runs_by_commit[commit], runs_by_commit[base])
    if as_json:
        result = {
            "runs": {name: dataclasses.asdict(runs) for name, runs in runs_by_commit.items()},
            "limits": [{**dataclasses.asdict(x), "holds": x.is_met} for x in limits],
        }
        click.echo(json.dumps(result, indent=2))
    else:
        click.echo(format_table(runs_by_commit[commit], runs_by_commit[base], limits))
    raise SystemExit(0 if all(x.is_met for x in limits) else 1)


if __name__ == "__main__":
    main()
