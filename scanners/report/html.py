"""One self-contained page for people. No script, no request to anywhere.

Everything in it comes from the documents, which come from a target: Jinja2
escapes every value, and the page's own policy forbids scripts, foreign styles,
images, forms and frames should an escape ever be missed.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scanners.report.base import Report
from scanners.report.documents import SEVERITIES, VERDICTS, Findings, Rule

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_FOUND = 30
_BAR = ("pass", "fail", "error", "unknown", "notchecked", "informational", "notapplicable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One coloured part of a bar of counts."""

    verdict: str
    n: int
    x: float
    """Where it begins, in per cent."""

    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Open rules of one severity."""

    severity: str
    rules: tuple[Rule, ...]


class Html:
    """``report.html``."""

    def render(self, report: Report) -> bytes:
        """The page, UTF-8."""
        css = (_TEMPLATES / "report.css").read_text("utf-8")
        style = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        jinja = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        found = report.findings
        page = jinja.get_template("report.html.j2").render(
            f=found,
            smoke=report.smoke,
            signer_sha256=report.signer_sha256,
            predicate_type=report.predicate_type,
            css=css,
            style_hash=style,
            groups=groups(found),
            n_open=sum(r.is_open for r in found.rules),
            open_by_severity=found.open_by_severity(),
            waived=[r for r in found.rules if r.is_waived],
            not_checked=[r for r in found.rules if r.verdict == "notchecked"],
            bars=_bars(found),
            verdicts=[v for v in VERDICTS if found.counts[v] or (found.before or {}).get(v)],
            check_counts=found.check_counts(),
            paired_counts=None if found.paired is None else found.paired.counts(),
            most_found=_MOST_FOUND,
        )
        return page.encode("utf-8")


def groups(found: Findings) -> tuple[Group, ...]:
    """The open rules by severity, the worst first; severities without any are left out."""
    by = {s: tuple(r for r in found.rules if r.is_open and r.severity == s) for s in SEVERITIES}
    return tuple(Group(severity=s, rules=rules) for s, rules in by.items() if rules)


def segments(counts: dict[str, int]) -> tuple[Segment, ...]:
    """The parts of a bar, left to right; together 100 per cent."""
    total = sum(counts.values())
    made: list[Segment] = []
    x = 0.0
    for verdict in _BAR:
        n = counts.get(verdict, 0) + (counts.get("fixed", 0) if verdict == "pass" else 0)
        if n and total:
            width = 100 * n / total
            made.append(Segment(verdict=verdict, n=n, x=round(x, 3), width=round(width, 3)))
            x += width
    return tuple(made)


def _bars(found: Findings) -> list[tuple[str, tuple[Segment, ...]]]:
    now = ("After hardening" if found.before else "This scan", segments(found.counts))
    return [("Before hardening", segments(found.before)), now] if found.before else [now]
