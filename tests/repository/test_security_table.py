"""SECURITY.md's tables of attacks: each attack has its tests, and they exist."""

import ast
import re
from functools import cache

import pytest

from tests.source_tree import REPO

FINDINGS = (
    *(f"H{n}" for n in range(1, 5)),
    *(f"M{n}" for n in range(1, 11)),
    *(f"L{n}" for n in range(1, 15)),
    *(f"T{n}" for n in range(1, 10)),
)
MIN_ATTACKS = 3
"""The attack of the review, and two more of its kind."""

_ROW = re.compile(r"^\| ([HMLT]\d+) \|(.*)\|(.*)\|$", re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")


def test_every_finding_has_a_row() -> None:
    assert sorted(_rows()) == sorted(FINDINGS)


def test_every_row_names_three_existing_tests() -> None:
    problems = []
    for finding, names in _rows().items():
        if len(names) < MIN_ATTACKS:
            problems.append(f"{finding}: expected {MIN_ATTACKS} tests, got {len(names)}")
        problems += [f"{finding}: {name}: no such test" for name in names if not _exists(name)]
    assert problems == []


def test_every_named_case_is_collected(request: pytest.FixtureRequest) -> None:
    """Cases have names only once pytest collects them, so only the files of this run are
    checked; ``make test`` collects all.
    """
    collected = {item.nodeid for item in request.session.items}
    files = {name.partition("::")[0] for name in collected}
    cases = [n for names in _rows().values() for n in names if n.endswith("]")]

    assert len(cases) > 20
    assert [n for n in cases if n.partition("::")[0] in files and n not in collected] == []


def test_missing_test_is_detected() -> None:
    this_file = "tests/repository/test_security_table.py"

    assert _exists(f"{this_file}::test_every_finding_has_a_row")
    assert not _exists(f"{this_file}::test_every_finding_has_a_ro")
    assert not _exists("tests/repository/test_no_such_file.py::test_x")


def _rows() -> dict[str, list[str]]:
    """Finding -> its tests as ``FILE::TEST`` or ``FILE::TEST[CASE]``.

    In the table a file is named once, as a code span, before its tests.
    """
    text = (REPO / "SECURITY.md").read_text("utf-8")
    rows: dict[str, list[str]] = {}
    for finding, _, cell in _ROW.findall(text):
        assert finding not in rows, f"{finding} has two rows"
        rows[finding] = []
        file = ""
        for span in _SPAN.findall(cell):
            if span.endswith(".py"):
                file = span
            else:
                rows[finding].append(f"{file}::{span}")
    return rows


def _exists(name: str) -> bool:
    """Whether the file of a test has a function of its name."""
    file, _, test = name.partition("::")
    return test.partition("[")[0] in _functions(file)


@cache
def _functions(file: str) -> frozenset[str]:
    path = REPO / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
