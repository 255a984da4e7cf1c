"""``summary.md``: a page for tickets and mails, in Markdown that no host can forge."""

from hardpan.scanners.report.formats.summary_model import SummaryLine, build_sections
from hardpan.scanners.report.model.markdown_escape import escape_inline
from hardpan.scanners.report.registry import Report

NOTE = (
    "This summary alone proves nothing. Verify the signed evidence that contains it with "
    "`hardpan verify`, or as described in VERIFY.md."
)


class SummaryMd:
    """``summary.md``."""

    def render(self, report: Report) -> bytes:
        """Headings and lists only; words of others are plain or in code spans."""
        lines = [f"# Compliance scan of {escape_inline(report.findings.host.hostname)}", "", NOTE]
        for section in build_sections(report):
            lines += ["", f"## {section.title}", "", *map(_format_item, section.lines)]
        return ("\n".join(lines) + "\n").encode("utf-8")


def _format_item(line: SummaryLine) -> str:
    text = escape_inline(line.text)
    return f"- {line.label}: {text}" if line.label else f"- {text}"
