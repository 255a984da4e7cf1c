import csv
import io
from dataclasses import replace

import pytest

from hardpan.scanners.model import Scan, Verdict
from hardpan.scanners.report.base import renderer
from hardpan.scanners.report.sheet import COLUMNS, harmless
from tests.unit.evidence import samples
from tests.unit.report.test_reports import evil, report_of


def _table(scan: Scan) -> list[dict[str, str]]:
    text = renderer("csv").render(report_of(scan)).decode()
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
def test_a_formula_is_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "1-2", "[false] x", "'=1"])
def test_what_is_no_formula_is_left_alone(cell: str) -> None:
    assert harmless(cell) == cell


@pytest.mark.parametrize("scan", [samples.scan(), evil()])
def test_every_line_has_every_cell_and_no_cell_is_a_formula(scan: Scan) -> None:
    text = renderer("csv").render(report_of(scan)).decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))

    assert tuple(rows[0]) == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert len(rows) == 1 + len(scan.evaluation.results)
    assert text.endswith("\r\n")
    assert text.startswith('"')
    assert not [c for row in rows for c in row if c[:1] in "=+-@\t\r\n" and c]


def test_cells_of_a_target_cannot_become_formulas_or_lines() -> None:
    rule = samples.rule(1, Verdict.FAIL, title='=HYPERLINK("https://evil")', found=('a";"=1\n=2',))
    host = replace(samples.HOST, hostname="=cmd")
    made = samples.scan(host=host, evaluation=replace(samples.scan().evaluation, results=(rule,)))

    (row,) = _table(made)
    assert row["host"] == "'=cmd"
    assert row["title"] == '\'=HYPERLINK("https://evil")'
    assert row["found"] == 'a";"=1\n=2'


def test_a_waived_rule_keeps_its_verdict_and_shows_the_waiver() -> None:
    made = _table(samples.scan())

    assert [(r["verdict"], r["state"]) for r in made] == [
        ("pass", "closed"),
        ("fail", "open"),
        ("fail", "waived"),
        ("notapplicable", "closed"),
        ("notchecked", "not checked"),
    ]
    assert made[2]["waiver_reason"] == "needed by the build, see T-1"
    assert (made[2]["waiver_owner"], made[2]["waiver_expires"]) == ("build team", "2027-01-31")
