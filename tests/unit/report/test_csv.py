import csv
import io
from dataclasses import replace

import pytest

from hardpan.scanners.model.scan import Scan, Verdict
from hardpan.scanners.report.formats.csv import COLUMNS, neutralize_formula
from hardpan.scanners.report.registry import load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import hostile_scan, report_of


def _render_rows(scan: Scan) -> list[dict[str, str]]:
    text = load_renderer("csv").render(report_of(scan)).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "＝1",  # noqa: RUF001
    ],
)
def test_formula_is_neutralized(cell: str) -> None:
    assert neutralize_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "1-2", "[false] x", "'=1"])
def test_plain_cell_is_unchanged(cell: str) -> None:
    assert neutralize_formula(cell) == cell


@pytest.mark.parametrize("scan", [samples.scan(), hostile_scan()])
def test_csv_is_rectangular_and_has_no_formula(scan: Scan) -> None:
    text = load_renderer("csv").render(report_of(scan)).decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))

    assert tuple(rows[0]) == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert len(rows) == 1 + len(scan.evaluation.results)
    assert text.endswith("\r\n")
    assert text.startswith('"')
    assert not [c for row in rows for c in row if c[:1] in "=+-@\t\r\n" and c]


def test_hostile_cells_are_neutralized() -> None:
    rule = samples.rule(
        1, Verdict.FAIL, title='=HYPERLINK("https://evil")', evidence_lines=('a";"=1\n=2',)
    )
    host = replace(samples.HOST, hostname="=cmd")
    scan = samples.scan(host=host, evaluation=replace(samples.scan().evaluation, results=(rule,)))

    (row,) = _render_rows(scan)
    assert row["host"] == "'=cmd"
    assert row["title"] == '\'=HYPERLINK("https://evil")'
    assert row["evidence"] == 'a";"=1\n=2'


def test_waived_rule_keeps_verdict_and_lists_waiver() -> None:
    rows = _render_rows(samples.scan())

    assert [(r["verdict"], r["state"]) for r in rows] == [
        ("pass", "closed"),
        ("fail", "open"),
        ("fail", "waived"),
        ("notapplicable", "closed"),
        ("notchecked", "not checked"),
    ]
    assert rows[2]["waiver_reason"] == "needed by the build, see T-1"
    assert (rows[2]["waiver_owner"], rows[2]["waiver_expires"]) == ("build team", "2027-01-31")
