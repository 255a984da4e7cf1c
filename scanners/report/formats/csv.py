"""CSV for spreadsheets (RFC 4180), one line per rule and per check of hardpan.

A spreadsheet runs a cell that begins like a formula, and cells hold words of a
target. Such a cell gets an apostrophe in front, which is what spreadsheets
themselves write for "this is text". Every cell is quoted, so that a reader that
splits at semicolons cannot make a new cell out of the middle of one.
"""

import csv
import io

from hardpan.core.last_call import cache_last_call
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart
from hardpan.scanners.report.registry import Report

_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

COLUMNS = (
    "host",
    "profile",
    "finished",
    "rule",
    "title",
    "severity",
    "verdict",
    "state",
    "stig_ids",
    "sv_ids",
    "cce",
    "nist",
    "waiver_reason",
    "waiver_owner",
    "waiver_expires",
    "evidence",
    "fix",
)


class Csv:
    """``findings.csv``: UTF-8, a header line, CRLF."""

    def render(self, report: Report) -> bytes:
        """The table."""
        return "".join(render_rows(report.findings)).encode("utf-8")


@cache_last_call
def render_rows(findings: Findings) -> tuple[str, ...]:
    """Render the header and one row per rule, in their order, each with its line end."""
    host, profile, finished = findings.host.hostname, findings.profile, findings.finished
    rows = ((host, profile, finished, *_format_cells(rule)) for rule in findings.rules_and_checks)
    return (_render_row(COLUMNS), *(_render_row(tuple(map(neutralize_formula, r))) for r in rows))


def _render_row(cells: tuple[str, ...]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()


def neutralize_formula(cell: str) -> str:
    """``cell`` so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA_PREFIXES) else cell


def describe_state(rule: RulePart) -> str:
    """What is left to do: ``open``, ``waived``, ``not checked`` or ``closed``."""
    if rule.is_open:
        return "open"
    if rule.is_waived:
        return "waived"
    return "not checked" if rule.verdict == "notchecked" else "closed"


def _format_cells(rule: RulePart) -> tuple[str, ...]:
    waiver = rule.waiver
    return (
        rule.rule_id,
        rule.title,
        rule.severity,
        rule.verdict,
        describe_state(rule),
        "; ".join(rule.stig_ids),
        "; ".join(rule.sv_ids),
        rule.cce,
        "; ".join(rule.nist),
        *((waiver.reason, waiver.owner, waiver.expires) if waiver else ("", "", "")),
        "\n".join(rule.evidence_lines),
        rule.fix_text,
    )
