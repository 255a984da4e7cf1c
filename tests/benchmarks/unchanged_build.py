"""``make bench-unchanged``: time from process start to the end of a build with nothing changed.

The first build has stand-ins for installer and guest; the media have the package lists of a DVD.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

import click

from hardpan.core.process import run
from tests.benchmarks.limits import Measurement
from tests.integration import rocky_dvd
from tests.integration.stand_in_build import build_arguments

_REPO = Path(__file__).parents[2]
_PROFILE = "rocky9-stig-cpu"
_LIMIT_S = 600
MAX_CPU_S = 3.0
"""Processor time: on a machine without other work the build takes no longer."""


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, help="How often the build runs.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
def main(rounds: int, as_json: bool) -> None:
    """Measure the build, print the medians; 1 if it takes more processor time than its limit."""
    with tempfile.TemporaryDirectory(prefix="hardpan-bench-") as name:
        folder = Path(name)
        (folder / "iso").mkdir()
        iso = rocky_dvd.write_iso(rocky_dvd.complete_dvd(9), folder / "iso")
        arguments = build_arguments(_PROFILE, iso, folder, "qcow2,vmdk")
        environment = {"XDG_DATA_HOME": str(folder / "data")}
        first = [sys.executable, "-m", "tests.integration.stand_in_build", *arguments, "-q"]
        run(first, timeout_s=_LIMIT_S, cwd=_REPO, env=environment)
        result = folder / "took.json"
        argv = [sys.executable, _REPO / "tests/benchmarks/wait4.py", result]
        argv += [sys.executable, "-m", "hardpan", *arguments, "-q"]
        runs = []
        for _ in range(rounds):
            run(argv, timeout_s=_LIMIT_S, cwd=_REPO, env=environment)
            runs.append(Measurement(**json.loads(result.read_bytes())))
    wall_s, cpu_s = (statistics.median(getattr(r, n) for r in runs) for n in ("wall_s", "cpu_s"))
    if as_json:
        click.echo(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "max_cpu_s": MAX_CPU_S}))
    else:
        click.echo(
            f"unchanged build, median of {rounds}: {wall_s:.2f} s, {cpu_s:.2f} s of processor time"
            f" (at most {MAX_CPU_S:g})"
        )
    raise SystemExit(0 if cpu_s <= MAX_CPU_S else 1)


if __name__ == "__main__":
    main()
