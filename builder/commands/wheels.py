"""``hardpan wheels``: what a wheelhouse would bring onto a host in FIPS mode."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from hardpan.builder.wheels.audit import audit as look
from hardpan.builder.wheels.lock import load
from hardpan.builder.wheels.model import SEVERITIES, Audit, Finding
from hardpan.errors import Exit
from hardpan.terminal import err, print_json, print_line, say

_PATH = click.Path(path_type=Path)


@click.group()
def wheels() -> None:
    """Look into Python wheels, before a host gets them."""


@wheels.command()
@click.argument("folder", metavar="DIR", type=_PATH)
@click.option("--lock", type=_PATH, help="Lock file with hashes, in pip's format, to hold it to.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option(
    "--fail-on",
    type=click.Choice((*SEVERITIES, "none")),
    default="high",
    show_default=True,
    help="End with 1 when there is a finding of this severity or above.",
)
def audit(folder: Path, lock: Path | None, as_json: bool, fail_on: str) -> int:
    """Tell what the wheels in DIR carry, without unpacking or running any.

    Finds cryptography outside of the system's modules, md5 that FIPS mode refuses, wheels that
    are not the locked ones, and archives that are not safe to unpack.
    """
    found = look(folder, load(lock) if lock else None)
    if as_json:
        print_json(asdict(found))
    else:
        for finding in found.findings:
            print_line(_line(finding))
    say(err, _sum(found))
    failing = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on in SEVERITIES else ()
    return int(Exit.FINDINGS if any(f.severity in failing for f in found.findings) else Exit.DONE)


def _line(f: Finding) -> str:
    place = f"{f.where}:{f.line}" if f.line else f.where
    told = ": ".join(p for p in (f.wheel, place, f.what) if p)
    why = f" ({'; '.join(f.evidence)})" if f.evidence else ""
    return f"{f.severity:<7} {f.kind:<15} {told}{why}"


def _sum(found: Audit) -> str:
    counts = Counter(f.severity for f in found.findings)
    told = ", ".join(f"{counts[s]} {s}" for s in SEVERITIES)
    refused = sum(w.refused for w in found.wheels)
    return (
        f"{len(found.wheels)} wheels, {refused} refused; "
        f"{sum(w.natives for w in found.wheels)} native files, "
        f"{sum(w.sources for w in found.wheels)} sources; findings: {told}"
    )
