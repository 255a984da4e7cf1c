import json
from typing import Any

import pytest

from hardpan.errors import ToolError
from scanners.collect.smoke import MODEL_SHA256, judged


def told(**changes: Any) -> bytes:
    good = {
        "torch": "2.6.0",
        "python": "3.13.5",
        "threads": 2,
        "cpu": "QEMU TCG CPU",
        "model_sha256": MODEL_SHA256,
        "matrix": {"samples": [1.0, 3.0, 2.0], "relative_error": 3e-7},
        "embedding": {"latency": [90.5], "throughput": [20.0, 30.0], "right": True},
    }
    return json.dumps({**good, **changes}).encode()


def test_right_results_pass_and_are_named_a_cpu_run() -> None:
    got = judged(told())

    assert got.verdict == "pass"
    assert got.backend == "cpu"
    assert "CPU run" in got.reason
    assert [m.value for m in got.measures] == [2.0, 90.5, 25.0]
    assert {m.verdict for m in got.measures} == {"not_checked"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_sha256": "0" * 64}, "not the one that was installed"),
        ({"matrix": {"samples": [1.0], "relative_error": 0.5}}, "matrix product is wrong"),
        ({"matrix": {"samples": [1e9], "relative_error": 1e-7}}, "faster than any CPU"),
        (
            {"embedding": {"latency": [1.0], "throughput": [1.0], "right": False}},
            "texts of the same meaning",
        ),
        (
            {"embedding": {"latency": [1.0], "throughput": [1.0], "right": "yes"}},
            "texts of the same meaning",
        ),
    ],
)
def test_a_wrong_result_fails_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    got = judged(told(**changes))

    assert got.verdict == "fail"
    assert reason in got.reason
    assert {m.verdict for m in got.measures} == {"error"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        told(matrix={"samples": [], "relative_error": 0}),
        told(matrix={"samples": [float("nan")], "relative_error": 0}),
        told(matrix={"samples": [-1.0], "relative_error": 0}),
        told(matrix={"samples": [True], "relative_error": 0}),
        told(matrix={"samples": ["1"], "relative_error": 0}),
        told(matrix={"samples": [1.0] * 100_001, "relative_error": 0}),
        told(embedding=None),
    ],
)
def test_nonsense_from_the_target_is_an_error(data: bytes) -> None:
    with pytest.raises(ToolError, match="figures that cannot be read"):
        judged(data)
