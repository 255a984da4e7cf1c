"""``make bench-report``: all our reports of one ARF, signed, against two programs' HTML alone.

Each run is a process of its own; the programs take turns, so that other work on the
machine meets them alike.
"""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from hardpan.core.process import run
from tests.benchmarks import full_arf
from tests.benchmarks.limits import (
    HARDPAN,
    HTML,
    PROGRAMS,
    VERIFY,
    XSLT,
    LimitResult,
    Measurement,
    compute_medians,
    evaluate_limits,
    format_table,
)

_REPO = Path(__file__).parents[2]
_LIMIT_S = 600
_OK = {VERIFY: (0, 1)}
"""1: it verifies, and more is open than the policy takes."""


@click.command()
@click.option("--cache", type=click.Path(path_type=Path), default=_REPO / "images/cache")
@click.option("--arf", type=click.Path(path_type=Path), help="Read this ARF, make none.")
@click.option(
    "--oscap-report",
    type=click.Path(path_type=Path),
    default=_REPO / ".interop/bin/oscap-report",
    help="openscap-report's program.",
)
@click.option("--rounds", type=click.IntRange(1), default=5, help="How often each runs.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
def main(cache: Path, arf: Path | None, oscap_report: Path, rounds: int, as_json: bool) -> None:
    """Time all four, print the medians; 1 when a limit is missed."""
    file = arf or full_arf.ensure_arf(cache)
    with tempfile.TemporaryDirectory(prefix="hardpan-bench-") as name:
        folder = Path(name)
        command_lines = _command_lines(file.resolve(), oscap_report, folder)
        rules = full_arf.write_prepared_content(file, folder / "prepared")
        click.echo(f"{rules} rules, {rounds} rounds", err=True)
        runs: dict[str, list[Measurement]] = {program: [] for program in PROGRAMS}
        for _ in range(rounds):
            for program, measurements in runs.items():
                measurements.append(
                    _measure(command_lines[program], folder, ok=_OK.get(program, (0,)))
                )
                click.echo(f"{program}: {measurements[-1].wall_s:.2f} s", err=True)
    median_by_program = {
        program: compute_medians(measurements) for program, measurements in runs.items()
    }
    limits = evaluate_limits(median_by_program)
    size = file.stat().st_size
    if as_json:
        click.echo(
            json.dumps(_to_json(runs, median_by_program, limits, rules=rules, size=size), indent=2)
        )
    else:
        click.echo(format_table(median_by_program, limits, rounds=rounds, size_bytes=size))
    raise SystemExit(0 if all(x.is_met for x in limits) else 1)


def _command_lines(file: Path, oscap_report: Path, folder: Path) -> dict[str, list[str | Path]]:
    """Return the commands to measure; create the key and the policy that they need."""
    hardpan: list[str | Path] = [sys.executable, "-m", "hardpan"]
    keys, evidence = folder / "keys", folder / "bench.evidence.zip"
    run([*hardpan, "keys", "new", keys], timeout_s=60, cwd=_REPO)
    once: list[str | Path] = [sys.executable, "-m", "tests.benchmarks.report_once"]
    return {
        HARDPAN: [*once, file, folder / "prepared", keys / "scan.pem", evidence],
        HTML: [oscap_report, "-o", folder / "openscap-report.html", file],
        XSLT: ["oscap", "xccdf", "generate", "report", "--output", folder / "oscap.html", file],
        VERIFY: [*hardpan, "verify", evidence, "--policy", keys / "trust.yaml"],
    }


def _measure(argv: Sequence[str | Path], folder: Path, *, ok: Sequence[int]) -> Measurement:
    result = folder / "took.json"
    script = _REPO / "tests/benchmarks/wait4.py"
    run([sys.executable, script, result, *argv], timeout_s=_LIMIT_S, cwd=_REPO, ok=ok)
    return Measurement(**json.loads(result.read_bytes()))


def _to_json(
    runs: Mapping[str, Sequence[Measurement]],
    median_by_program: Mapping[str, Measurement],
    limits: Sequence[LimitResult],
    *,
    rules: int,
    size: int,
) -> dict[str, object]:
    return {
        "arf_bytes": size,
        "rules": rules,
        "medians": {name: dataclasses.asdict(t) for name, t in median_by_program.items()},
        "runs": {
            name: [dataclasses.asdict(t) for t in measurements]
            for name, measurements in runs.items()
        },
        "limits": [{**dataclasses.asdict(x), "holds": x.is_met} for x in limits],
    }


if __name__ == "__main__":
    main()
