"""The chat test: a client on the target talks to its inference server through the proxy.

Required: no access without a key, access with the valid key, complete streamed answers, and
equal answers to the same prompt at temperature 0.
"""

import shlex
from dataclasses import dataclass, replace

from hardpan.core.errors import ToolError
from hardpan.core.events import Emit
from hardpan.core.files import Sha256
from hardpan.core.resources import resource_path
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    Collector,
    CollectTask,
    InferenceServer,
)
from hardpan.scanners.collect.preconditions import ROOT, Query, path, python
from hardpan.scanners.collect.raw_answers import AnswerLog
from hardpan.scanners.collect.untrusted import (
    build_measure,
    describe_error,
    parse_json,
    require_digest,
    require_int,
    require_keys,
    require_number,
    require_samples,
    require_text,
)
from hardpan.scanners.model.results import HostCheck, SmokeReport
from hardpan.ssh.connection import Connection

_WORKLOAD = resource_path("hardpan.scanners.collect.workload", "chat.py")
_PYTHON = "/usr/bin/python3"
_MAX_BYTES = 1 << 20
_REQUEST_COUNT = 6
_MAX_HTTP_STATUS = 599
_OK = 200
_DENIED_STATUSES = (401, 403)
_NO_BASELINE = "no performance baseline for this machine"
_VERDICTS_WORST_FIRST = ("error", "fail", "not_checked", "pass")
_PASS_REASON = "complete and reproducible answers; no access without a valid key"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChatAnswer:
    status: int
    chunk_times_s: list[float]
    text: str
    duration_s: float


class ChatTest(Collector):
    """Chats with the target's inference server."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return the test's result, as ``run_chat_test`` does."""
        return CollectedEvidence(
            smoke=run_chat_test(
                connection, _require_server(task), timeout_s=timeout_s, log=task.answer_log
            )
        )

    def build_failed_evidence(self, task: CollectTask, check: HostCheck) -> CollectedEvidence:
        """Return a result with the outcome of ``check`` as verdict."""
        return CollectedEvidence(smoke=failed_result(_require_server(task), check))


def _require_server(task: CollectTask) -> InferenceServer:
    if task.server is None:
        raise ValueError("the chat test needs an inference server")
    return task.server


def run_chat_test(
    connection: Connection,
    server: InferenceServer,
    *,
    timeout_s: float,
    log: AnswerLog | None = None,
) -> SmokeReport:
    """Chat with the target's inference server.

    Raises:
        UnavailableError: the target lacks Python, root rights or files of the inference server.
        ToolError: the client fails there, or its output is invalid.
        UnreachableError: the connection broke.
    """
    query = build_query(server)
    output = connection.run(
        query.command_line,
        timeout_s=timeout_s,
        ok=(0, *query.missing_statuses),
        stdin=_WORKLOAD.read_bytes(),
        sudo=True,
        max_bytes=_MAX_BYTES,
    )
    if log is not None:
        log.add("chat", query.script, output.exit_status, output.data)
    query.require_met(output.exit_status)
    return evaluate_output(output.data, server)


def build_query(server: InferenceServer) -> Query:
    """Return the script that runs the client, and what it needs."""
    argv = ["exec", _PYTHON, "-I", "-", "--host", server.host, "--port", str(server.port)]
    argv += ["--cafile", server.cafile, "--key-file", server.key_file, "--model", server.model]
    argv += ["--model-file", server.model_file]
    argv += ["--tokens", str(server.max_tokens), "--timeout-s", str(server.answer_timeout_s)]
    files = (server.key_file, server.cafile, server.model_file)
    return Query(
        script=shlex.join(argv),
        needs=(ROOT, python(_PYTHON), *(path(f, "hardpan's layer ai_service") for f in files)),
    )


def failed_result(server: InferenceServer, check: HostCheck) -> SmokeReport:
    """Return the result of a test that did not run, or whose output cannot be read."""
    return SmokeReport(
        backend=server.backend,
        framework=server.engine,
        model=server.model,
        model_sha256=Sha256(""),
        measures=(),
        verdict=check.outcome,
        reason=check.message,
    )


def evaluate_output(data: bytes, server: InferenceServer) -> SmokeReport:
    """Evaluate the output of the client.

    Raises:
        ToolError: it is not the expected JSON.
    """
    statuses = ("anonymous", "invalid_key", "valid_key")
    names = ("python", "openssl", "model_sha256", "answers", *statuses)
    try:
        payload = require_keys(parse_json(data), names)
        python, openssl = require_text(payload["python"]), require_text(payload["openssl"])
        model = Sha256(require_digest(payload["model_sha256"]))
        anonymous_status, invalid_key_status, valid_key_status = (
            require_int(payload[n], max_value=_MAX_HTTP_STATUS) for n in statuses
        )
        answers = _parse_answers(payload["answers"])
        complete_answers = [a for a in answers if a.status == _OK and a.chunk_times_s]
        rates = _compute_chunk_rates(complete_answers)
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ToolError(
            ["the chat test"], f"returned output that cannot be read: {describe_error(e)}"
        ) from e
    error = _find_error(anonymous_status, invalid_key_status, valid_key_status, answers)
    series = (
        (
            "chat, time to first token",
            "ms",
            "lower",
            [1000 * a.chunk_times_s[0] for a in complete_answers],
        ),
        ("chat, complete answer", "ms", "lower", [1000 * a.duration_s for a in complete_answers]),
        ("chat, chunks per second", "1/s", "higher", rates),
    )
    return SmokeReport(
        backend=server.backend,
        framework=server.engine,
        model=server.model,
        model_sha256=model,
        measures=tuple(build_measure(*f, error, _NO_BASELINE) for f in series if f[-1]),
        environment={"client": f"Python {python}, {openssl}", "tokens": str(server.max_tokens)},
        verdict="fail" if error else "pass",
        reason=error or _PASS_REASON,
    )


def combine_results(first: SmokeReport, chat: SmokeReport) -> SmokeReport:
    """Combine both tests: the worse verdict, and all measures."""
    verdicts = (first.verdict, chat.verdict)
    worst = next(v for v in _VERDICTS_WORST_FIRST if v in verdicts)
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


def _parse_answers(value: object) -> list[_ChatAnswer]:
    if not isinstance(value, list) or len(value) != _REQUEST_COUNT:
        raise TypeError(f"expected {_REQUEST_COUNT} answers")
    return [_parse_answer(a) for a in value]


def _parse_answer(value: object) -> _ChatAnswer:
    fields = require_keys(value, ("status", "chunk_times_s", "text", "duration_s"))
    chunk_times_s = (
        require_samples(fields["chunk_times_s"]) if fields["chunk_times_s"] != [] else []
    )
    return _ChatAnswer(
        status=require_int(fields["status"], max_value=_MAX_HTTP_STATUS),
        chunk_times_s=chunk_times_s,
        text=require_digest(fields["text"]) if fields["text"] != "" else "",
        duration_s=require_number(fields["duration_s"]),
    )


def _find_error(
    anonymous_status: int,
    invalid_key_status: int,
    valid_key_status: int,
    answers: list[_ChatAnswer],
) -> str:
    if anonymous_status not in _DENIED_STATUSES:
        return f"a request without a key was answered with {anonymous_status}, expected 401"
    if invalid_key_status not in _DENIED_STATUSES:
        return f"a request with an invalid key was answered with {invalid_key_status}, expected 401"
    if valid_key_status != _OK:
        return f"a request with the valid key was answered with {valid_key_status}"
    for answer in answers:
        if answer.status != _OK:
            return f"a chat request was answered with {answer.status}"
        if not answer.chunk_times_s:
            return "a chat request was answered without text"
    prompt_count = _REQUEST_COUNT // 2
    if [a.text for a in answers[:prompt_count]] != [a.text for a in answers[prompt_count:]]:
        return "the same prompt at temperature 0 had different answers"
    return ""


def _compute_chunk_rates(answers: list[_ChatAnswer]) -> list[float]:
    """Return chunks per second after the first, of the answers with more than one."""
    spans = ((len(a.chunk_times_s) - 1, a.chunk_times_s[-1] - a.chunk_times_s[0]) for a in answers)
    return [require_number(n / s) for n, s in spans if n and s > 0]
