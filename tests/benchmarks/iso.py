"""``make bench-iso``: write the unattended ISO, against copying the media and hashing the copy.

The media are in the layout of EL 10 with incompressible files of 2 GB. Each run is a process of its
own; both programs take turns, so that other work on the machine affects them alike.
"""

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from hardpan.core.process import run
from tests.benchmarks.iso_limits import (
    COPY,
    HARDPAN,
    PROGRAMS,
    evaluate_iso_limits,
    format_iso_table,
)
from tests.benchmarks.limits import Measurement, compute_medians
from tests.integration import tiny_media

_REPO = Path(__file__).parents[2]
_LIMIT_S = 900
_FILES = 20
_CHUNK_BYTES = 1 << 20
_COPY_SCRIPT = 'cp "$0" "$1" && sync "$1" && implantisomd5 --force "$1" && sha256sum "$1"'


@click.command()
@click.option("--mib", type=click.IntRange(20), default=1908, help="Size of the files in MiB.")
@click.option("--rounds", type=click.IntRange(1), default=3, help="How often each runs.")
@click.option("--folder", type=click.Path(path_type=Path), help="Folder with three times the size.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
def main(mib: int, rounds: int, folder: Path | None, as_json: bool) -> None:
    """Time both, print the medians; 1 when a limit is missed."""
    with tempfile.TemporaryDirectory(prefix="hardpan-bench-", dir=folder) as name:
        workdir = Path(name)
        media = _make_media(workdir, mib)
        size = media.stat().st_size
        once: list[str | Path] = [sys.executable, "-m", "tests.benchmarks.iso_once"]
        command_lines: dict[str, list[str | Path]] = {
            HARDPAN: [*once, media, workdir / "hardpan.iso"],
            COPY: ["sh", "-c", _COPY_SCRIPT, media, workdir / "copy.iso"],
        }
        runs: dict[str, list[Measurement]] = {program: [] for program in PROGRAMS}
        for _ in range(rounds):
            for program, measurements in runs.items():
                measurements.append(_measure(command_lines[program], workdir))
                click.echo(f"{program}: {measurements[-1].wall_s:.2f} s", err=True)
    medians = {program: compute_medians(measurements) for program, measurements in runs.items()}
    limits = evaluate_iso_limits(medians)
    if as_json:
        result = {
            "iso_bytes": size,
            "runs": {n: [dataclasses.asdict(t) for t in ts] for n, ts in runs.items()},
            "limits": [{**dataclasses.asdict(x), "holds": x.is_met} for x in limits],
        }
        click.echo(json.dumps(result, indent=2))
    else:
        click.echo(format_iso_table(medians, rounds=rounds, size_bytes=size))
    raise SystemExit(0 if all(x.is_met for x in limits) else 1)


def _make_media(workdir: Path, mib: int) -> Path:
    """Write media with ``mib`` MiB of random bytes, as packages have them, in 20 files."""

    def add_packages(tree: Path) -> None:
        folder = tree / "AppStream/Packages"
        folder.mkdir(parents=True)
        for number in range(_FILES):
            with (folder / f"{number}.rpm").open("wb") as f:
                for _ in range(mib // _FILES):
                    f.write(os.urandom(_CHUNK_BYTES))

    media_folder = workdir / "media"
    media_folder.mkdir()
    return tiny_media.make_el10_iso(media_folder, prepare=add_packages)


def _measure(argv: Sequence[str | Path], workdir: Path) -> Measurement:
    for name in ("hardpan.iso", "copy.iso"):
        (workdir / name).unlink(missing_ok=True)
    result = workdir / "took.json"
    script = _REPO / "tests/benchmarks/wait4.py"
    run([sys.executable, script, result, *argv], timeout_s=_LIMIT_S, cwd=_REPO)
    return Measurement(**json.loads(result.read_bytes()))


if __name__ == "__main__":
    main()
