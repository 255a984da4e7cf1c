"""Which chat test results are accepted, and which responses do not prove a login."""

import json
from dataclasses import replace
from typing import Any

import pytest

from hardpan.core.errors import ToolError
from hardpan.scanners.collect.base import InferenceServer
from hardpan.scanners.collect.chat import combine_results, evaluate_output
from tests.unit.evidence import samples

SERVER = InferenceServer(
    model="hardpan-tiny-random",
    model_file="/opt/ai/models/hardpan-tiny-random/model.gguf",
    cafile="/etc/hardpan/tls.crt",
    engine="llama_cpp",
)


def chat_answer(n: int, **other: object) -> dict[str, object]:
    return {
        "status": 200,
        "chunk_times_s": [0.5, 0.75, 1.0],
        "text": f"{n}" * 64,
        "duration_s": 1.1,
        **other,
    }


def chat_output(**other: object) -> dict[str, Any]:
    return {
        "python": "3.13.5",
        "openssl": "OpenSSL 3.5.1 1 Jul 2025",
        "model_sha256": "1" * 64,
        "anonymous": 401,
        "invalid_key": 401,
        "valid_key": 200,
        "answers": [chat_answer(n) for n in (1, 2, 3, 1, 2, 3)],
        **other,
    }


def test_complete_answers_and_denied_access_pass() -> None:
    result = evaluate_output(json.dumps(chat_output()).encode(), SERVER)

    assert (result.verdict, result.model, result.backend) == ("pass", "hardpan-tiny-random", "cpu")
    figures = {m.name: (m.value, m.unit, m.n, m.verdict) for m in result.measures}
    assert figures == {
        "chat, time to first token": (500.0, "ms", 6, "not_checked"),
        "chat, complete answer": (1100.0, "ms", 6, "not_checked"),
        "chat, chunks per second": (4.0, "1/s", 6, "not_checked"),
    }


def test_combined_result_has_the_worse_verdict() -> None:
    first = replace(samples.SMOKE, verdict="pass", reason="right")
    chat = evaluate_output(json.dumps(chat_output(anonymous=200)).encode(), SERVER)

    result = combine_results(first, chat)

    assert result.verdict == "fail"
    assert result.reason.startswith("right; chat: a request without a key")
    assert result.measures == first.measures + chat.measures
    assert result.environment["chat model sha256"] == "1" * 64
    assert combine_results(first, replace(chat, verdict="pass")).verdict == "pass"
    assert combine_results(replace(first, verdict="error"), chat).verdict == "error"


FAILURES = [
    ({"anonymous": 200}, "a request without a key was answered with 200, expected 401"),
    ({"invalid_key": 200}, "a request with an invalid key was answered with 200, expected 401"),
    ({"valid_key": 401}, "a request with the valid key was answered with 401"),
    (
        {"answers": [chat_answer(1, status=503, chunk_times_s=[], text="")] * 6},
        "a chat request was answered with 503",
    ),
    (
        {"answers": [chat_answer(1, chunk_times_s=[])] * 6},
        "a chat request was answered without text",
    ),
    ({"answers": [chat_answer(n) for n in range(1, 7)]}, "at temperature 0 had different answers"),
]


@pytest.mark.parametrize(("other", "reason"), FAILURES)
def test_violated_expectation_fails(other: dict[str, object], reason: str) -> None:
    result = evaluate_output(json.dumps(chat_output(**other)).encode(), SERVER)

    assert result.verdict == "fail"
    assert reason in result.reason
    assert all(m.verdict == "error" for m in result.measures)


INVALID_OUTPUTS = [
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    json.dumps(chat_output(anonymous=True)).encode(),
    json.dumps(chat_output(valid_key=9999)).encode(),
    json.dumps(chat_output(python="3\x1b[2J")).encode(),
    json.dumps(chat_output(answers=[chat_answer(1)])).encode(),
    json.dumps(chat_output(answers=[chat_answer(1, chunk_times_s=[-1.0])] * 6)).encode(),
    json.dumps(chat_output(answers=[chat_answer(1, text="yes")] * 6)).encode(),
    json.dumps(chat_output(answers=[chat_answer(1, duration_s=float("nan"))] * 6)).encode(),
    json.dumps(chat_output(more=1)).encode(),
]


@pytest.mark.parametrize("data", INVALID_OUTPUTS)
def test_invalid_output_is_an_error(data: bytes) -> None:
    with pytest.raises(ToolError, match="returned output that cannot be read"):
        evaluate_output(data, SERVER)
