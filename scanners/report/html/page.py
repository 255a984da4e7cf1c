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

from jinja2 import Environment

from hardpan.core.resources import resource_path
from hardpan.core.templates import html_environment
from hardpan.scanners.report.headline import COUNTING_NOTE, build_headline
from hardpan.scanners.report.html import charts, view_models
from hardpan.scanners.report.model import scores
from hardpan.scanners.report.model.content_sections import NO_REASON
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import CompatibilityResultPart
from hardpan.scanners.report.model.types import HOST_KEY_TRUST_TEXT, VERDICTS
from hardpan.scanners.report.registry import Report

_TEMPLATES = resource_path("hardpan.scanners.report", "templates")
LABELS = {
    "notchecked": "not checked",
    "not_checked": "not checked",
    "notapplicable": "not applicable",
    "not_applicable": "not applicable",
    "not_tested": "not tested",
}
"""Verdicts as people write them; the others are words already."""

_SCORE_FORMULAS = (
    ("score", scores.SCORE_FORMULA),
    ("passed", scores.SHARE_FORMULA),
    ("coverage", scores.COVERAGE_FORMULA),
)

_MARKS = {
    **dict.fromkeys(("pass", "passed", "fixed", "satisfied", "validated"), "✓"),
    **dict.fromkeys(("fail", "failed", "violated", "not_validated"), "✗"),
    "error": "!",
    "unknown": "?",
    "informational": "i",
}


class Html:
    """``report.html``."""

    def render(self, report: Report) -> bytes:
        """The page, UTF-8."""
        findings = report.findings
        rule_rows = view_models.build_rows(findings.rules, findings.finished)
        css, js = _read_asset("report.css"), _read_asset("report.js")
        page = (
            _environment()
            .get_template("report.html.j2")
            .render(
                f=findings,
                host_key_trust=HOST_KEY_TRUST_TEXT[findings.host.host_key_trust],
                smoke=report.smoke,
                changes=report.changes,
                signer_sha256=report.signer_sha256,
                signatures=report.expected_signatures,
                predicate_type=report.predicate_type,
                css=css,
                js=js,
                style_hash=_digest_for_csp(css),
                script_hash=_digest_for_csp(js),
                open_groups=view_models.group_open_rows(rule_rows),
                other_groups=view_models.group_other_rows(rule_rows),
                no_reason=NO_REASON,
                waiver_warnings=findings.waiver_warnings(),
                waivers=view_models.select_waived_rows(rule_rows),
                anchors={r.rule.rule_id: r.anchor for r in rule_rows},
                by_verdict=view_models.list_verdicts(rule_rows),
                categories=view_models.CATEGORIES,
                soon_days=view_models.EXPIRING_SOON_DAYS,
                headline=build_headline(findings),
                counting_note=COUNTING_NOTE,
                n_open=sum(r.is_finding for r in findings.rules),
                score_formulas=_SCORE_FORMULAS,
                bars=_build_bars(findings),
                verdicts=[
                    v
                    for v in VERDICTS
                    if findings.counts[v] or (findings.baseline_counts or {}).get(v)
                ],
                check_counts=findings.count_checks_by_outcome(),
                compatibility_results=_sort_compatibility_results(findings),
                compatibility_counts=None
                if findings.compatibility is None
                else findings.compatibility.count_verdicts(),
                charts=() if report.smoke is None else charts.build_charts(report.smoke),
                n_validated=_count_validated_modules(findings),
            )
        )
        return page.encode("utf-8")


@cache
def _environment() -> Environment:
    environment = html_environment(_TEMPLATES)
    environment.filters["words"] = lambda v: LABELS.get(v, v.replace("_", " "))
    environment.filters["mark"] = lambda v: _MARKS.get(v, "–")  # noqa: RUF001  a dash, as it is printed
    environment.filters["figure"] = charts.format_figure
    environment.filters["moment"] = lambda v: v.replace("T", " ").replace("Z", " UTC")
    return environment


@cache
def _read_asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _digest_for_csp(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _sort_compatibility_results(findings: Findings) -> list[CompatibilityResultPart]:
    """The results, those first that need action."""
    order = ("error", "fail", "not_checked", "pass", "not_applicable")
    return sorted(
        findings.compatibility.results if findings.compatibility else (),
        key=lambda p: order.index(p.verdict),
    )


def _count_validated_modules(findings: Findings) -> int | None:
    """How many modules run a build that a certificate names; None if FIPS was not checked."""
    if findings.fips is None:
        return None
    return sum(m.state == "validated" for m in findings.fips.modules)


def _build_bars(findings: Findings) -> list[tuple[str, tuple[charts.Segment, ...]]]:
    current = (
        "After hardening" if findings.baseline_counts else "This scan",
        charts.build_segments(findings.counts),
    )
    if not findings.baseline_counts:
        return [current]
    return [("Before hardening", charts.build_segments(findings.baseline_counts)), current]
