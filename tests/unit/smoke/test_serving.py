"""What a chat test is believed, and what is an answer that nobody gets in with."""

import json
from dataclasses import replace
from typing import Any

import pytest

from hardpan.errors import ToolError
from hardpan.scanners.collect.serving import Server, joined, judged
from tests.unit.evidence import samples

SERVER = Server(
    model="hardpan-tiny-random",
    model_file="/opt/ai/models/hardpan-tiny-random/model.gguf",
    cafile="/etc/hardpan/tls.crt",
    engine="llama_cpp",
)


def answer(n: int, **other: object) -> dict[str, object]:
    return {"status": 200, "at_s": [0.5, 0.75, 1.0], "text": f"{n}" * 64, "took_s": 1.1, **other}


def told(**other: object) -> dict[str, Any]:
    return {
        "python": "3.13.5",
        "openssl": "OpenSSL 3.5.1 1 Jul 2025",
        "model_sha256": "1" * 64,
        "anonymous": 401,
        "wrong_key": 401,
        "with_key": 200,
        "answers": [answer(n) for n in (1, 2, 3, 1, 2, 3)],
        **other,
    }


def test_a_server_that_answers_whole_and_lets_nobody_in_passes() -> None:
    made = judged(json.dumps(told()).encode(), SERVER)

    assert (made.verdict, made.model, made.backend) == ("pass", "hardpan-tiny-random", "cpu")
    figures = {m.name: (m.value, m.unit, m.n, m.verdict) for m in made.measures}
    assert figures == {
        "chat, time to first token": (500.0, "ms", 6, "not_checked"),
        "chat, whole answer": (1100.0, "ms", 6, "not_checked"),
        "chat, pieces of text per second": (4.0, "1/s", 6, "not_checked"),
    }


def test_both_tests_are_one_answer_with_the_worse_verdict() -> None:
    first = replace(samples.SMOKE, verdict="pass", reason="right")
    chat = judged(json.dumps(told(anonymous=200)).encode(), SERVER)

    made = joined(first, chat)

    assert made.verdict == "fail"
    assert made.reason.startswith("right; chat: a request without a key")
    assert made.measures == first.measures + chat.measures
    assert made.environment["chat model sha256"] == "1" * 64
    assert joined(first, replace(chat, verdict="pass")).verdict == "pass"
    assert joined(replace(first, verdict="error"), chat).verdict == "error"


WRONG = [
    ({"anonymous": 200}, "a request without a key was answered with 200, expected 401"),
    ({"wrong_key": 200}, "a request with a wrong key was answered with 200, expected 401"),
    ({"with_key": 401}, "a request with the right key was answered with 401"),
    ({"answers": [answer(1, status=503, at_s=[], text="")] * 6}, "a chat was answered with 503"),
    ({"answers": [answer(1, at_s=[])] * 6}, "a chat was answered with no text"),
    ({"answers": [answer(n) for n in range(1, 7)]}, "at temperature 0 had two answers"),
]


@pytest.mark.parametrize(("other", "reason"), WRONG)
def test_what_is_not_as_it_must_be_fails(other: dict[str, object], reason: str) -> None:
    made = judged(json.dumps(told(**other)).encode(), SERVER)

    assert made.verdict == "fail"
    assert reason in made.reason
    assert all(m.verdict == "error" for m in made.measures)


NONSENSE = [
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    json.dumps(told(anonymous=True)).encode(),
    json.dumps(told(with_key=9999)).encode(),
    json.dumps(told(python="3\x1b[2J")).encode(),
    json.dumps(told(answers=[answer(1)])).encode(),
    json.dumps(told(answers=[answer(1, at_s=[-1.0])] * 6)).encode(),
    json.dumps(told(answers=[answer(1, text="yes")] * 6)).encode(),
    json.dumps(told(answers=[answer(1, took_s=float("nan"))] * 6)).encode(),
    json.dumps(told(more=1)).encode(),
]


@pytest.mark.parametrize("data", NONSENSE)
def test_nonsense_from_the_target_is_an_error(data: bytes) -> None:
    with pytest.raises(ToolError, match="gave figures that cannot be read"):
        judged(data, SERVER)
