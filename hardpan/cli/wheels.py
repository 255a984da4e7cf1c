"""``hardpan wheels``: audit Python wheels for hosts in FIPS mode."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from hardpan.builder.wheel_audit.audit import audit_wheels as audit_wheels
from hardpan.builder.wheel_audit.lock import load_lock
from hardpan.builder.wheel_audit.model import SEVERITIES, AuditFinding, WheelAudit
from hardpan.core.console import print_json, print_line, print_message, stderr
from hardpan.core.errors import Exit

_PATH = click.Path(path_type=Path)


@click.group()
def wheels() -> None:
    """Audit Python wheels before they are installed."""


@wheels.command()
@click.argument("folder", metavar="DIR", type=_PATH)
@click.option("--lock", type=_PATH, help="Lock file with hashes, in pip's format, to compare with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--fail-on",
    type=click.Choice((*SEVERITIES, "none")),
    default="high",
    show_default=True,
    help="Exit with 1 if there is a finding of this severity or above.",
)
def audit(folder: Path, lock: Path | None, as_json: bool, fail_on: str) -> int:
    """Audit the wheels in DIR without unpacking or running them.

    Reports cryptography outside of the system's modules, md5 that fails in FIPS mode, wheels that
    differ from the lock file, and archives that are not safe to unpack.
    """
    report = audit_wheels(folder, load_lock(lock) if lock else None)
    if as_json:
        print_json(asdict(report))
    else:
        for finding in report.findings:
            print_line(_format_finding(finding))
    print_message(stderr, _summarize(report))
    failing = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on in SEVERITIES else ()
    return int(Exit.FINDINGS if any(f.severity in failing for f in report.findings) else Exit.OK)


def _format_finding(finding: AuditFinding) -> str:
    location = f"{finding.path}:{finding.line}" if finding.line else finding.path
    text = ": ".join(p for p in (finding.wheel, location, finding.message) if p)
    evidence = f" ({'; '.join(finding.evidence)})" if finding.evidence else ""
    return f"{finding.severity:<7} {finding.kind:<15} {text}{evidence}"


def _summarize(report: WheelAudit) -> str:
    counts = Counter(f.severity for f in report.findings)
    severity_counts = ", ".join(f"{counts[s]} {s}" for s in SEVERITIES)
    refused = sum(w.refused for w in report.wheels)
    return (
        f"{len(report.wheels)} wheels, {refused} refused; "
        f"{sum(w.native_files for w in report.wheels)} native files, "
        f"{sum(w.python_sources for w in report.wheels)} sources; findings: {severity_counts}"
    )
