"""Test input for readers of checklists and HDF: all requirements and verdicts, hostile text."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path

from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.report.registry import FORMATS, Report, load_renderer
from tests.unit.evidence import samples
from tests.unit.report import stig_samples

_HOSTILE = "]]><script>alert(1)</script>&amp;&lt;&#0;\"'\x00\x1b"


def mixed_report() -> Report:
    """Every requirement with a rule, every verdict in turn; waivers, markup and a long text."""
    verdicts = cycle(v for v in Verdict if v is not Verdict.NOT_SELECTED)
    rules = [
        stig_samples.rule(
            n, verdict, requirement, evidence_lines=(f"<item n='{n}'> & more", _HOSTILE)
        )
        for n, (requirement, verdict) in enumerate(
            zip(stig_samples.stig().requirements, verdicts, strict=False)
        )
    ]
    rules[1] = replace(rules[1], evidence_lines=("x" * 100_000,))
    waivers = {r.rule_id: samples.WAIVER for r in rules[:20]}
    host = replace(samples.HOST, hostname="<script>alert(1)</script>.example")
    return stig_samples.report(
        *rules[:-3], stig_samples.rule(900, Verdict.FAIL), waivers=waivers, host=host
    )


def write_format(report: Report, name: str, folder: Path) -> Path:
    """The report in one format, as the file it has in evidence."""
    path = folder / FORMATS[name].filename
    path.write_bytes(load_renderer(name).render(report))
    return path


def write_attached(files: dict[str, bytes], name: str, folder: Path) -> Path:
    """One format as it is attached to evidence, as a file."""
    path = folder / FORMATS[name].filename
    path.write_bytes(files[path.name])
    return path
