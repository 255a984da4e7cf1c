"""The chat test: a client on the target talks to its inference server through the proxy.

What must hold: nobody gets in without a key, the right key does, every answer streams
to its end, and the same prompt at temperature 0 gets the same answer twice.
"""

from dataclasses import dataclass, replace

from hardpan.errors import ToolError
from hardpan.files import Sha256
from hardpan.resources import resource_path
from hardpan.scanners.collect.answers import (
    digest,
    exactly,
    load,
    measure,
    number,
    samples,
    text,
    unread,
    whole,
)
from hardpan.scanners.transport import Transport
from hardpan.scanners.trials import Smoke

_WORKLOAD = resource_path("hardpan.scanners.collect.workload", "serving.py")
_MAX_BYTES = 1 << 20
_ASKED = 6
_STATUS_MOST = 599
_OK = 200
_NOT_LET_IN = (401, 403)
_UNHELD = "a trial of serving, with no reference for this machine"
_RIGHT = "streams whole answers, the same for the same prompt, and lets nobody in without a key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the target's inference server is, as the target itself sees it."""

    model: str
    """The name it serves the model under."""

    model_file: str
    """The file on the target whose digest names it: itself, or the list of its many files."""

    cafile: str
    """File on the target with the certificate that the proxy must show."""

    engine: str
    """What serves, e.g. ``llama_cpp``."""

    backend: str = "cpu"
    """What it computes on: ``cpu``, ``cuda`` or ``rocm``."""

    key_file: str = "/root/hardpan-access/api-key"
    """File on the target with an API key; each machine makes one at its first start."""

    host: str = "localhost"
    port: int = 443
    tokens: int = 16
    """How many tokens are asked for in one answer."""

    answer_s: float = 120.0
    """How long one answer may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    at_s: list[float]
    text: str
    took_s: float


def serving(via: Transport, server: Server, *, timeout_s: float) -> Smoke:
    """Chat with the target's own inference server.

    Raises:
        ToolError: the client cannot run there, or answers nonsense.
        UnreachableError: the connection broke.
    """
    argv = ["/usr/bin/python3", "-I", "-", "--host", server.host, "--port", str(server.port)]
    argv += ["--cafile", server.cafile, "--key-file", server.key_file, "--model", server.model]
    argv += ["--model-file", server.model_file]
    argv += ["--tokens", str(server.tokens), "--timeout-s", str(server.answer_s)]
    done = via.run(
        argv,
        timeout_s=timeout_s,
        stdin=_WORKLOAD.read_bytes(),
        sudo=True,
        max_bytes=_MAX_BYTES,
    )
    return judged(done.data, server)


def failed(server: Server, reason: str) -> Smoke:
    """The test's result where it did not run or gave no figures that can be read."""
    return Smoke(
        backend=server.backend,
        framework=server.engine,
        model=server.model,
        model_sha256=Sha256(""),
        measures=(),
        verdict="error",
        reason=reason,
    )


def judged(data: bytes, server: Server) -> Smoke:
    """The verdict over what the client printed.

    Raises:
        ToolError: it is not the expected JSON.
    """
    statuses = ("anonymous", "wrong_key", "with_key")
    names = ("python", "openssl", "model_sha256", "answers", *statuses)
    try:
        told = exactly(load(data), names)
        python, openssl = text(told["python"]), text(told["openssl"])
        model = Sha256(digest(told["model_sha256"]))
        anonymous, wrong_key, with_key = (whole(told[n], most=_STATUS_MOST) for n in statuses)
        answers = _answers(told["answers"])
        whole_ones = [a for a in answers if a.status == _OK and a.at_s]
        rates = _rates(whole_ones)
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ToolError(["the chat test"], f"gave figures that cannot be read: {unread(e)}") from e
    wrong = _wrong(anonymous, wrong_key, with_key, answers)
    figures = (
        ("chat, time to first token", "ms", "lower", [1000 * a.at_s[0] for a in whole_ones]),
        ("chat, whole answer", "ms", "lower", [1000 * a.took_s for a in whole_ones]),
        ("chat, pieces of text per second", "1/s", "higher", rates),
    )
    return Smoke(
        backend=server.backend,
        framework=server.engine,
        model=server.model,
        model_sha256=model,
        measures=tuple(measure(*f, wrong, _UNHELD) for f in figures if f[-1]),
        environment={"client": f"Python {python}, {openssl}", "tokens": str(server.tokens)},
        verdict="fail" if wrong else "pass",
        reason=wrong or _RIGHT,
    )


def joined(first: Smoke, chat: Smoke) -> Smoke:
    """Both tests as one answer: the worse verdict, and every figure."""
    worst = next(v for v in ("error", "fail", "pass") if v in (first.verdict, chat.verdict))
    return replace(
        first,
        framework=f"{first.framework}, {chat.framework}",
        measures=first.measures + chat.measures,
        environment=first.environment
        | {f"chat {name}": value for name, value in chat.environment.items()}
        | {"chat model": chat.model, "chat model sha256": chat.model_sha256},
        verdict=worst,
        reason=f"{first.reason}; chat: {chat.reason}",
    )


def _answers(value: object) -> list[_Answer]:
    if not isinstance(value, list) or len(value) != _ASKED:
        raise TypeError(f"expected {_ASKED} answers")
    return [_answer(a) for a in value]


def _answer(value: object) -> _Answer:
    told = exactly(value, ("status", "at_s", "text", "took_s"))
    at = samples(told["at_s"]) if told["at_s"] != [] else []
    return _Answer(
        status=whole(told["status"], most=_STATUS_MOST),
        at_s=at,
        text=digest(told["text"]) if told["text"] != "" else "",
        took_s=number(told["took_s"]),
    )


def _wrong(anonymous: int, wrong_key: int, with_key: int, answers: list[_Answer]) -> str:
    if anonymous not in _NOT_LET_IN:
        return f"a request without a key was answered with {anonymous}, expected 401"
    if wrong_key not in _NOT_LET_IN:
        return f"a request with a wrong key was answered with {wrong_key}, expected 401"
    if with_key != _OK:
        return f"a request with the right key was answered with {with_key}"
    for answer in answers:
        if answer.status != _OK:
            return f"a chat was answered with {answer.status}"
        if not answer.at_s:
            return "a chat was answered with no text"
    half = _ASKED // 2
    if [a.text for a in answers[:half]] != [a.text for a in answers[half:]]:
        return "the same prompt at temperature 0 had two answers"
    return ""


def _rates(answers: list[_Answer]) -> list[float]:
    """Pieces per second after the first, of the answers with more than one."""
    spans = ((len(a.at_s) - 1, a.at_s[-1] - a.at_s[0]) for a in answers)
    return [number(n / s) for n, s in spans if n and s > 0]
