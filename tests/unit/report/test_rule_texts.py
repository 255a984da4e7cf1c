"""The lines of a rule's texts in every format that has them."""

import csv
import html
import io
import json
from dataclasses import replace

import pytest

from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.report.registry import load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import report_of

FIX_TEXT = "Set in /etc/a.conf:\n    minlen = 15\n    banner = <b>&</b>\nThen:\n  - restart"
RATIONALE = "Short passwords\n\ncan be guessed."


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """Name of a format -> its text, for a scan with one failing rule."""
    rule = samples.rule(1, Verdict.FAIL, rationale=RATIONALE, fix_text=FIX_TEXT)
    scan = samples.scan(evaluation=replace(samples.scan().evaluation, results=(rule,)))
    names = ("csv", "html", "sarif", "hdf", "oscal-poam")
    return {name: load_renderer(name).render(report_of(scan)).decode() for name in names}


def test_csv_cell_has_the_lines(rendered: dict[str, str]) -> None:
    (row,) = csv.DictReader(io.StringIO(rendered["csv"], newline=""), strict=True)

    assert row["fix"] == FIX_TEXT


def test_html_has_the_lines_escaped_in_preformatted_text(rendered: dict[str, str]) -> None:
    assert f'<p class="pre">{html.escape(FIX_TEXT)}</p>' in rendered["html"]
    assert f'<p class="pre">{RATIONALE}</p>' in rendered["html"]


def test_sarif_help_has_the_lines(rendered: dict[str, str]) -> None:
    (rule,) = json.loads(rendered["sarif"])["runs"][0]["tool"]["driver"]["rules"]

    assert rule["help"]["text"] == FIX_TEXT
    assert rule["fullDescription"]["text"] == RATIONALE


def test_hdf_has_the_lines(rendered: dict[str, str]) -> None:
    assert json.dumps(FIX_TEXT)[1:-1] in rendered["hdf"]


def test_oscal_has_paragraphs_and_fenced_code(rendered: dict[str, str]) -> None:
    (risk,) = json.loads(rendered["oscal-poam"])["plan-of-action-and-milestones"]["risks"]

    assert risk["statement"] == "Short passwords\n\ncan be guessed."
    assert risk["remediations"][0]["description"] == (
        "`Set in /etc/a.conf:`\n\n```\nminlen = 15\nbanner = <b>&</b>\n```\n\nThen:\n\n- restart"
    )
