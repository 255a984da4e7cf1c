"""One self-contained page for people: opens offline, no request to anywhere.

Everything in it comes from the documents, which come from a target: Jinja2
escapes every value, and the page's own policy allows the one style and the one
script by their digests and forbids everything else should an escape ever be
missed. Without the script the page is complete; the script filters, opens what
an address points to and switches the colours.
"""

import base64
import hashlib
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hardpan.resources import resource_path
from hardpan.scanners.report import charts, rows
from hardpan.scanners.report.base import Report
from hardpan.scanners.report.documents import Findings
from hardpan.scanners.report.fields import HOST_KEY_TRUST, VERDICTS
from hardpan.scanners.report.parts import PairPart

_TEMPLATES = resource_path("hardpan.scanners.report", "templates")
WORDS = {
    "notchecked": "not checked",
    "not_checked": "not checked",
    "notapplicable": "not applicable",
    "not_applicable": "not applicable",
    "not_asked": "not asked",
}
"""Verdicts as people write them; the others are words already."""

_MARKS = {
    **dict.fromkeys(("pass", "passed", "fixed", "holds", "validated"), "✓"),
    **dict.fromkeys(("fail", "failed", "broken", "not_validated"), "✗"),
    "error": "!",
    "unknown": "?",
    "informational": "i",
}


class Html:
    """``report.html``."""

    def render(self, report: Report) -> bytes:
        """The page, UTF-8."""
        found = report.findings
        made = rows.rows(found.rules, found.finished)
        css, js = _asset("report.css"), _asset("report.js")
        page = (
            _jinja()
            .get_template("report.html.j2")
            .render(
                f=found,
                host_key_trust=HOST_KEY_TRUST[found.host.host_key_trust],
                smoke=report.smoke,
                changes=report.changes,
                signer_sha256=report.signer_sha256,
                promises=report.promises,
                predicate_type=report.predicate_type,
                css=css,
                js=js,
                style_hash=_digest(css),
                script_hash=_digest(js),
                open_groups=rows.open_groups(made),
                other_groups=rows.other_groups(made),
                waivers=rows.waivers(made),
                anchors={r.rule.rule_id: r.anchor for r in made},
                by_verdict=rows.seen_verdicts(made),
                categories=rows.CATEGORIES,
                soon_days=rows.SOON_DAYS,
                n_open=sum(r.is_open for r in found.rules),
                n_waived=sum(r.is_waived for r in found.rules),
                open_by_severity=found.open_by_severity(),
                bars=_bars(found),
                verdicts=[v for v in VERDICTS if found.counts[v] or (found.before or {}).get(v)],
                check_counts=found.check_counts(),
                pairs=_pairs(found),
                paired_counts=None if found.paired is None else found.paired.counts(),
                charts=() if report.smoke is None else charts.charts(report.smoke),
                n_validated=_validated(found),
            )
        )
        return page.encode("utf-8")


@cache
def _jinja() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["words"] = lambda v: WORDS.get(v, v.replace("_", " "))
    made.filters["mark"] = lambda v: _MARKS.get(v, "–")  # noqa: RUF001  a dash, as it is printed
    made.filters["figure"] = charts.figure
    made.filters["moment"] = lambda v: v.replace("T", " ").replace("Z", " UTC")
    return made


@cache
def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _pairs(found: Findings) -> list[PairPart]:
    """The pairs, those first that someone must act on."""
    order = ("error", "fail", "not_checked", "pass", "not_applicable")
    return sorted(found.paired.pairs if found.paired else (), key=lambda p: order.index(p.verdict))


def _validated(found: Findings) -> int | None:
    """How many modules run a build that a certificate names; None where nobody looked."""
    if found.fips is None:
        return None
    return sum(m.state == "validated" for m in found.fips.modules)


def _bars(found: Findings) -> list[tuple[str, tuple[charts.Segment, ...]]]:
    now = ("After hardening" if found.before else "This scan", charts.segments(found.counts))
    if not found.before:
        return [now]
    return [("Before hardening", charts.segments(found.before)), now]
