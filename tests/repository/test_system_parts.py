"""The parts of ``make test-system``: complete, without overlap, and resumable."""

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.source_tree import REPO
from tests.tools import system_tests
from tests.tools.system_tests import PARTS, PartResult, remaining_parts

FIRST = next(iter(PARTS))


def has_system_marker(source: str) -> bool:
    """Whether a test file uses ``pytest.mark.system`` or ``pytest.mark.demo_ai``."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in system_tests.MARKERS
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "mark"
        for node in ast.walk(ast.parse(source))
    )


def make_result(revision: str, outcome: str = "passed") -> PartResult:
    return PartResult(
        revision=revision, outcome=outcome, duration_s=90, finished="2026-11-30T12:00:00Z"
    )


def test_parts_list_every_marked_file_once() -> None:
    files = [p for p in (REPO / "tests").rglob("test_*.py") if "mark." in p.read_text("utf-8")]
    marked = {str(p.relative_to(REPO)) for p in files if has_system_marker(p.read_text("utf-8"))}
    counts = Counter(name for names in PARTS.values() for name in names)

    assert len(marked) >= 4
    assert dict(counts) == dict.fromkeys(marked, 1), "change PARTS in tests/tools/system_tests.py"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("pytestmark = [pytest.mark.integration, pytest.mark.system]", True),
        ("@pytest.mark.demo_ai\ndef test_a(): pass", True),
        ("pytestmark = pytest.mark.integration  # pytest.mark.system", False),
    ],
)
def test_marker_is_recognized_in_code_only(source: str, expected: bool) -> None:
    assert has_system_marker(source) is expected


def test_passed_part_is_not_repeated_at_the_same_revision() -> None:
    results = {FIRST: make_result("a1")}

    assert remaining_parts(results, "a1") == list(PARTS)[1:]
    assert remaining_parts(results, "a1+changed") == list(PARTS)
    assert remaining_parts(results, "a1", (FIRST,)) == []


@pytest.mark.parametrize("outcome", ["failed", "timed out"])
def test_part_that_did_not_pass_is_repeated(outcome: str) -> None:
    assert FIRST in remaining_parts({FIRST: make_result("a1", outcome)}, "a1")


def test_summary_shows_passed_failed_and_remaining_parts() -> None:
    first, second, third = list(PARTS)[:3]
    results = {first: make_result("b2"), second: make_result("b2", "failed")}
    results[third] = make_result("a1")

    lines = system_tests.render_summary(results, "b2").splitlines()

    assert lines[1].split()[:4] == [first, "passed", "1.5", "min"]
    assert lines[2].split()[:2] == [second, "failed"]
    assert lines[3].split() == [third, "remaining", "(passed", "at", "a1)"]
    assert lines[4].split() == [list(PARTS)[3], "remaining"]


def test_interrupted_run_continues_with_the_next_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def run_part(name: str, revision: str) -> PartResult:
        names.append(name)
        if len(names) == 2:
            raise KeyboardInterrupt
        return make_result(revision)

    monkeypatch.setattr(system_tests, "OUTPUT_FOLDER", tmp_path)
    monkeypatch.setattr(system_tests, "read_revision", lambda: "a1")
    monkeypatch.setattr(system_tests, "run_part", run_part)

    with pytest.raises(KeyboardInterrupt):
        system_tests.main([])
    status = system_tests.main([])

    assert names == [*list(PARTS)[:2], *list(PARTS)[1:]]
    assert status == 0
    assert set(json.loads((tmp_path / "results.json").read_text())) == set(PARTS)


def test_damaged_results_count_as_none(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"demo": {"outcome": "passed"}}')

    assert system_tests.read_results(path) == {}
