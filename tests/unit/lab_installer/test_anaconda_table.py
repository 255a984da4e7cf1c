"""The table of Anaconda's behaviours: each row has its source and its test."""

import ast
import re
from pathlib import Path

import pytest

from images.lab.installer import dnf_transaction

REPO = Path(__file__).parents[3]
TABLE = REPO / "images/lab/ANACONDA.md"
INSTALLER = REPO / "images/lab/installer"
COLUMNS = ("behaviour", "EL 9", "EL 10", "read in", "lab", "test")
MIN_ROWS = 40


def _read_rows() -> list[dict[str, str]]:
    lines = [x for x in TABLE.read_text("utf-8").splitlines() if x.startswith("| ")]
    cells = [tuple(c.strip() for c in line.strip("|").split(" | ")) for line in lines]
    assert tuple(c.strip() for c in cells[0]) == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in cells[2:]]


ROWS = _read_rows()


def _list_tests() -> set[str]:
    names: set[str] = set()
    for path in (REPO / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    return names


def test_table_has_at_least_forty_distinct_behaviours() -> None:
    assert len(ROWS) >= MIN_ROWS
    assert len({row["behaviour"] for row in ROWS}) == len(ROWS)


def test_every_named_test_exists() -> None:
    names = [name for row in ROWS for name in re.findall(r"`(test_\w+)`", row["test"])]

    assert len(names) >= MIN_ROWS
    assert set(names) - _list_tests() == set()


def test_row_without_test_has_a_reason() -> None:
    rows = [row["test"] for row in ROWS if "`test_" not in row["test"]]

    assert rows
    assert [x for x in rows if not re.match(r"not simulated: \w+", x)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["behaviour"])[:40])
def test_row_names_source_line_and_implementation(row: dict[str, str]) -> None:
    assert all(row.values())
    assert re.search(r"`[\w./]+\.(py|conf):\d+`", row["read in"]), row["read in"]
    files = re.findall(r"`([\w]+\.py|init)`", row["lab"])
    assert [name for name in files if not (INSTALLER / name).is_file()] == []


def test_dnf_checks_no_signature_as_in_anaconda() -> None:
    source = Path(dnf_transaction.__file__).read_text("utf-8")

    assert "base.conf.gpgcheck = False" in source
    assert "repo_gpgcheck" not in source
