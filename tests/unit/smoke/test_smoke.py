import json
from typing import Any

import pytest

from hardpan.errors import ToolError
from hardpan.scanners.call import Output
from hardpan.scanners.collect.smoke import COSINES, MODEL_SHA256, Load, judged, smoke

MATRIX = {"samples": [1.0, 3.0, 2.0], "relative_error": 3e-7}
EMBEDDING = {"latency": [90.5], "throughput": [20.0, 30.0], "cosines": list(COSINES)}


def told(**changes: Any) -> bytes:
    good = {
        "torch": "2.6.0",
        "python": "3.13.5",
        "threads": 2,
        "cpu": "QEMU TCG CPU",
        "model_sha256": MODEL_SHA256,
        "matrix": MATRIX,
        "embedding": EMBEDDING,
    }
    return json.dumps({**good, **changes}).encode()


def test_right_results_pass_and_are_named_a_cpu_run() -> None:
    got = judged(told())

    assert got.verdict == "pass"
    assert got.backend == "cpu"
    assert "CPU run" in got.reason
    assert [m.value for m in got.measures] == [2.0, 90.5, 25.0]


def test_a_cpu_run_is_never_judged_fast_or_slow() -> None:
    slow = judged(told(matrix={**MATRIX, "samples": [1e-6]}))

    assert slow.verdict == "pass"
    assert {m.verdict for m in slow.measures} == {"not_checked"}
    assert "no reference" in slow.measures[0].reason


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"model_sha256": "0" * 64, "embedding": None}, "fail", "not the one that was installed"),
        ({"model_sha256": "0" * 64}, "fail", "not the one that was installed"),
        ({"embedding": None}, "fail", "was not used"),
        ({"matrix": {**MATRIX, "relative_error": 0.5}}, "fail", "matrix product is wrong"),
        ({"matrix": {**MATRIX, "samples": [1e9]}}, "error", "faster than any CPU"),
        (
            {"embedding": {**EMBEDDING, "cosines": [*COSINES[:-1], COSINES[-1] + 0.01]}},
            "fail",
            "a likeness is off by 1.0e-02",
        ),
    ],
)
def test_a_result_that_is_wrong_or_cannot_be_does_not_pass(
    changes: dict[str, Any], verdict: str, reason: str
) -> None:
    got = judged(told(**changes))

    assert got.verdict == verdict
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
        b"[" * 100_000,
        b"\xff",
        told(more=1),
        told(threads="2"),
        told(threads=0),
        told(threads=True),
        told(cpu="x" * 201),
        told(cpu="two\nlines"),
        told(cpu="\x1b[31mred"),
        told(torch=""),
        told(model_sha256="00"),
        told(model_sha256=MODEL_SHA256.upper()),
        told(matrix=None),
        told(matrix={**MATRIX, "samples": []}),
        told(matrix={**MATRIX, "samples": {}}),
        told(matrix={**MATRIX, "samples": [float("nan")]}),
        told(matrix={**MATRIX, "samples": [float("inf")]}),
        told(matrix={**MATRIX, "samples": [-1.0]}),
        told(matrix={**MATRIX, "samples": [10**400]}),
        told(matrix={**MATRIX, "samples": [True]}),
        told(matrix={**MATRIX, "samples": ["1"]}),
        told(matrix={**MATRIX, "samples": [1.0] * 10_001}),
        told(matrix={**MATRIX, "right": True}),
        told(embedding={**EMBEDDING, "cosines": list(COSINES[1:])}),
        told(embedding={**EMBEDDING, "cosines": [None, *COSINES[1:]]}),
        told(embedding=[]),
    ],
)
def test_nonsense_from_the_target_is_an_error(data: bytes) -> None:
    with pytest.raises(ToolError, match="figures that cannot be read"):
        judged(data)


class Fake:
    """A target that answers one command."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, dict[str, Any]]] = []

    def run(self, command: Any, **how: Any) -> Output:
        self.asked.append((command, how))
        return Output(rc=0, data=told(), stderr="", took_s=1.0)


def test_the_workload_runs_as_the_service_user_offline_with_a_limit() -> None:
    via: Any = Fake()
    load = Load(matrix_size=64, matrix_rounds=3, batch=2, batch_rounds=1)

    got = smoke(via, load, timeout_s=9)

    (command, how), *_ = via.asked
    assert got.verdict == "pass"
    assert command[:3] == ["runuser", "-u", "ai"]
    assert "/etc/hardpan/ai.env" in command[-1]
    assert f"--sha256 {MODEL_SHA256} --matrix-size 64" in command[-1]
    assert how["timeout_s"] == 9
    assert how["sudo"]
    assert b"class MiniLM" in how["stdin"]
    assert b"import socket" not in how["stdin"]
