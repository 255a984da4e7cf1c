"""Answers in JSON: whatever is malformed is a ``ToolError``, and nothing else is raised."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from hardpan.core.errors import ToolError, UnavailableError
from hardpan.scanners.collect import chat, compatibility, smoke
from hardpan.scanners.collect.base import build_failed_check
from hardpan.scanners.compatibility.conflicts import load_conflicts
from tests.unit.collect.test_chat import SERVER, chat_answer
from tests.unit.collect.test_chat import chat_output as chat_output
from tests.unit.collect.test_smoke import MATRIX
from tests.unit.collect.test_smoke import smoke_output as smoke_output

READERS: dict[str, Callable[[bytes], object]] = {
    "smoke": smoke.evaluate_output,
    "chat": lambda data: chat.evaluate_output(data, SERVER),
    "compatibility": lambda data: compatibility.parse_report(data, load_conflicts()),
}
MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'"\xff"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "NUL": b'{"a\0": 1}',
    "another type": b"[]",
    "null": b"null",
    "nothing in it": b"{}",
    "nested too deep": b"[" * 200_000,
    "objects too deep": b'{"a":' * 100_000,
    "5000 digits": b"9" * 5000,
    "a huge line": b'"' + b"x" * 1_000_000 + b'"',
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "a lone surrogate": b'"\\ud800"',
    "a name twice": b'{"a": 1, "a": 2}',
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_json_is_refused(reader: str, name: str) -> None:
    with pytest.raises(ToolError, match="cannot be read") as caught:
        READERS[reader](MALFORMED[name])

    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def encode_checks(value: Any) -> bytes:
    return json.dumps({"confinement": "x", "conflicts": {load_conflicts()[0].id: value}}).encode()


@pytest.mark.parametrize(
    "data",
    [
        smoke_output(threads=-1),
        smoke_output(threads=10**30),
        smoke_output(threads=True),
        smoke_output(matrix={**MATRIX, "samples": [-1.0]}),
        smoke_output(matrix={**MATRIX, "samples": [1.0] * 10_001}),
        smoke_output(matrix={**MATRIX, "samples": []}),
        smoke_output(matrix={**MATRIX, "relative_error": None}),
        smoke_output(torch="x" * 201),
        smoke_output(torch="2\x1b[31m"),
        smoke_output(cpu=["x"]),
    ],
)
def test_impossible_workload_figures_are_refused(data: bytes) -> None:
    with pytest.raises(ToolError, match="the smoke test returned output that cannot be read"):
        smoke.evaluate_output(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"anonymous": -401},
        {"anonymous": 10**40},
        {"answers": []},
        {"answers": [chat_answer(1, status="200")] * 6},
        {"answers": [chat_answer(1, duration_s=-1)] * 6},
        {"answers": [chat_answer(1, chunk_times_s=[0.0, 5e-324])] * 6},
        {"answers": [chat_answer(1, text="z" * 64)] * 6},
        {"answers": [[]] * 6},
        {"model_sha256": None},
    ],
)
def test_impossible_chat_figures_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ToolError, match="the chat test returned output that cannot be read"):
        chat.evaluate_output(json.dumps(chat_output(**changes)).encode(), SERVER)


@pytest.mark.parametrize(
    "value",
    [
        1,
        [],
        {"control": ["satisfied", "x"]},
        {"control": ["satisfied", "x"], "workload": ["satisfied"]},
        {"control": ["satisfied", "x"], "workload": ["other", "x"]},
        {"control": ["satisfied", "x"], "workload": [["satisfied"], "x"]},
        {"control": ["satisfied", "x"], "workload": [{}, "x"]},
        {"control": ["satisfied", "x"], "workload": ["satisfied", 1]},
        {"control": ["satisfied", "x"], "workload": "ab"},
    ],
)
def test_malformed_compatibility_checks_are_refused(value: Any) -> None:
    with pytest.raises(ToolError, match="returned output that cannot be read"):
        compatibility.parse_report(encode_checks(value), load_conflicts())


@pytest.mark.parametrize(
    "error", [ToolError(["x"], "fails"), UnavailableError(["x"], "is not there")]
)
def test_tests_without_results_have_the_outcome_of_the_failure(error: ToolError) -> None:
    check = build_failed_check("x", error)

    assert check.outcome == ("not_checked" if isinstance(error, UnavailableError) else "error")
    assert smoke.failed_result(check).verdict == check.outcome
    assert chat.failed_result(SERVER, check).verdict == check.outcome
    report = compatibility.failed_report(check)
    assert {p.verdict for p in report.results} == {check.outcome}
    assert {p.control.observed for p in report.results} == {check.message}
