import json
from typing import Any

import pytest

from hardpan.core.errors import ToolError, UnavailableError
from hardpan.scanners.collect.base import WorkloadSettings
from hardpan.scanners.collect.smoke import (
    EXPECTED_COSINES,
    MODEL_SHA256,
    evaluate_output,
    run_smoke_test,
)
from hardpan.ssh.command import CommandOutput

MATRIX = {"samples": [1.0, 3.0, 2.0], "relative_error": 3e-7}
EMBEDDING = {"latency": [90.5], "throughput": [20.0, 30.0], "cosines": list(EXPECTED_COSINES)}


def smoke_output(**changes: Any) -> bytes:
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


def test_correct_results_pass_as_cpu_run() -> None:
    result = evaluate_output(smoke_output())

    assert result.verdict == "pass"
    assert result.backend == "cpu"
    assert "CPU run" in result.reason
    assert [m.value for m in result.measures] == [2.0, 90.5, 25.0]


def test_cpu_run_has_no_performance_verdict() -> None:
    slow = evaluate_output(smoke_output(matrix={**MATRIX, "samples": [1e-6]}))

    assert slow.verdict == "pass"
    assert {m.verdict for m in slow.measures} == {"not_checked"}
    assert "no performance baseline" in slow.measures[0].reason


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"model_sha256": "0" * 64, "embedding": None}, "fail", "not the installed one"),
        ({"model_sha256": "0" * 64}, "fail", "not the installed one"),
        ({"embedding": None}, "fail", "was not used"),
        ({"matrix": {**MATRIX, "relative_error": 0.5}}, "fail", "matrix product is incorrect"),
        ({"matrix": {**MATRIX, "samples": [1e9]}}, "error", "impossible for a CPU"),
        (
            {
                "embedding": {
                    **EMBEDDING,
                    "cosines": [*EXPECTED_COSINES[:-1], EXPECTED_COSINES[-1] + 0.01],
                }
            },
            "fail",
            "a similarity deviates by 1.0e-02",
        ),
    ],
)
def test_incorrect_or_impossible_result_does_not_pass(
    changes: dict[str, Any], verdict: str, reason: str
) -> None:
    result = evaluate_output(smoke_output(**changes))

    assert result.verdict == verdict
    assert reason in result.reason
    assert {m.verdict for m in result.measures} == {"error"}


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
        smoke_output(more=1),
        smoke_output(threads="2"),
        smoke_output(threads=0),
        smoke_output(threads=True),
        smoke_output(cpu="x" * 201),
        smoke_output(cpu="two\nlines"),
        smoke_output(cpu="\x1b[31mred"),
        smoke_output(torch=""),
        smoke_output(model_sha256="00"),
        smoke_output(model_sha256=MODEL_SHA256.upper()),
        smoke_output(matrix=None),
        smoke_output(matrix={**MATRIX, "samples": []}),
        smoke_output(matrix={**MATRIX, "samples": {}}),
        smoke_output(matrix={**MATRIX, "samples": [float("nan")]}),
        smoke_output(matrix={**MATRIX, "samples": [float("inf")]}),
        smoke_output(matrix={**MATRIX, "samples": [-1.0]}),
        smoke_output(matrix={**MATRIX, "samples": [10**400]}),
        smoke_output(matrix={**MATRIX, "samples": [True]}),
        smoke_output(matrix={**MATRIX, "samples": ["1"]}),
        smoke_output(matrix={**MATRIX, "samples": [1.0] * 10_001}),
        smoke_output(matrix={**MATRIX, "right": True}),
        smoke_output(embedding={**EMBEDDING, "cosines": list(EXPECTED_COSINES[1:])}),
        smoke_output(embedding={**EMBEDDING, "cosines": [None, *EXPECTED_COSINES[1:]]}),
        smoke_output(embedding=[]),
    ],
)
def test_invalid_output_is_an_error(data: bytes) -> None:
    with pytest.raises(ToolError, match="output that cannot be read"):
        evaluate_output(data)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (0, "there is no Python 3.9 or newer at /opt/ai/bin/python"),
        (1, "PyTorch is not installed for /opt/ai/bin/python"),
        (2, "the scan has no root rights"),
        (3, "runuser is not installed"),
        (4, "there is no user ai"),
        (5, "there is no /opt/ai/models/"),
    ],
)
def test_target_without_the_ai_stack_lacks_a_precondition(number: int, reason: str) -> None:
    connection: Any = SmokeTarget(exit_status=201 + number)
    settings = WorkloadSettings(
        matrix_size=64, matrix_rounds=3, batch=2, batch_rounds=1, python="/opt/ai/bin/python"
    )

    with pytest.raises(UnavailableError) as caught:
        run_smoke_test(connection, settings, timeout_s=9)

    assert str(caught.value).startswith(reason)
    assert caught.value.hint


class SmokeTarget:
    """A target that answers one command."""

    def __init__(self, exit_status: int = 0) -> None:
        self.exit_status = exit_status
        self.calls: list[tuple[Any, dict[str, Any]]] = []

    def run(self, command: Any, **options: Any) -> CommandOutput:
        self.calls.append((command, options))
        return CommandOutput(
            exit_status=self.exit_status, data=smoke_output(), stderr="", duration_s=1.0
        )


def test_workload_runs_as_service_user_with_time_limit() -> None:
    connection: Any = SmokeTarget()
    settings = WorkloadSettings(matrix_size=64, matrix_rounds=3, batch=2, batch_rounds=1)

    result = run_smoke_test(connection, settings, timeout_s=9)

    (command, options), *_ = connection.calls
    assert result.verdict == "pass"
    assert "exec runuser -u ai -- sh -c" in command
    assert "/etc/hardpan/ai.env" in command
    assert f"--sha256 {MODEL_SHA256} --matrix-size 64" in command
    assert options["timeout_s"] == 9
    assert options["sudo"]
    assert b"class MiniLM" in options["stdin"]
    assert b"import socket" not in options["stdin"]
