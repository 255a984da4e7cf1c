"""The AI workload test: a program runs on the target, and its output is evaluated here.

The output of the target is hostile: sizes, types and finiteness are checked before a value is
used. A CPU run is labelled as one and never gives a GPU verdict.
"""

import shlex
from dataclasses import dataclass, replace

from hardpan.core.errors import ToolError
from hardpan.core.events import Emit
from hardpan.core.files import Sha256
from hardpan.core.resources import resource_path
from hardpan.profiles import embedding_model
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    Collector,
    CollectTask,
    WorkloadSettings,
)
from hardpan.scanners.collect.preconditions import (
    ROOT,
    Precondition,
    Query,
    path,
    program,
    python,
)
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

MODEL_SHA256 = embedding_model.FILE_SHA256[embedding_model.WEIGHTS]
"""Digest of the weights; another file is another model."""

EXPECTED_COSINES = (
    *(0.563979, 0.092455, -0.036759, 0.113529, 0.078371, 0.073894, -0.001672),
    *(0.065721, -0.047592, -0.001939, 0.022997, 0.00289, -0.078266),
    *(0.626738, 0.002629, 0.000753, 0.138389, -0.023978),
    *(-0.005009, -0.02784, 0.109867, 0.011536),
    *(0.641203, -0.086321, 0.004751),
    *(-0.030866, 0.069574),
    0.11177,
)
"""Cosine similarity of each pair of the workload's texts, for exactly this model.

Computed with another implementation at double precision: transformers 5 (BertModel and
BertTokenizer) on torch 2.13, mean pooling. The workload differs from it by 2.4e-7.
"""

_WORKLOAD = resource_path("hardpan.scanners.collect.workload", "smoke.py")
_SERVICE_USER = "ai"
_MAX_BYTES = 1 << 20
_MAX_THREADS = 4096
_FIELDS = ("torch", "python", "threads", "cpu", "model_sha256", "matrix", "embedding")
_BUDGET_S = 20.0
_MAX_COSINE_DEVIATION = 1e-3
_MAX_RELATIVE_ERROR = 1e-4
"""Largest accepted relative error of a float32 product of random normals."""

_MAX_GFLOPS = 100_000.0
"""No CPU is faster: a higher value is an error."""

_REMEDY = "the test is for hosts with an AI stack; --no-smoke omits it"
_PASS_REASON = "results are correct; CPU run, no performance baseline"  # noqa: S105
_NO_BASELINE = "CPU run; no performance baseline for this machine"
_SCRIPT = """set -eu
cd /
set -a
[ ! -r /etc/hardpan/ai.env ] || . /etc/hardpan/ai.env
exec {python} -I - --model {folder} --sha256 {sha256} --matrix-size {matrix_size} \
  --matrix-rounds {matrix_rounds} --batch {batch} --batch-rounds {batch_rounds} \
  --budget-s {budget_s}
"""


class SmokeTest(Collector):
    """Runs the AI workload test."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return the test's result, as ``run_smoke_test`` does."""
        if task.workload is None:
            raise ValueError("the smoke test needs the sizes of its workload")
        return CollectedEvidence(
            smoke=run_smoke_test(
                connection, task.workload, timeout_s=timeout_s, log=task.answer_log
            )
        )

    def build_failed_evidence(self, task: CollectTask, check: HostCheck) -> CollectedEvidence:
        """Return a result with the outcome of ``check`` as verdict."""
        return CollectedEvidence(smoke=failed_result(check))


def run_smoke_test(
    connection: Connection,
    settings: WorkloadSettings,
    *,
    timeout_s: float,
    log: AnswerLog | None = None,
) -> SmokeReport:
    """Run the workload on the target as its AI service's user.

    Raises:
        UnavailableError: the target lacks Python, PyTorch, the user, the model or root rights.
        ToolError: it fails there, or its output is invalid.
        UnreachableError: the connection broke.
    """
    query = build_query(settings)
    output = connection.run(
        query.command_line,
        timeout_s=timeout_s,
        ok=(0, *query.missing_statuses),
        stdin=build_program(),
        sudo=True,
        max_bytes=_MAX_BYTES,
    )
    if log is not None:
        log.add("smoke", query.script, output.exit_status, output.data)
    query.require_met(output.exit_status)
    return evaluate_output(output.data)


def build_query(settings: WorkloadSettings) -> Query:
    """Return the script that runs the workload as the AI service's user, and what it needs."""
    script = _SCRIPT.format(
        folder=embedding_model.FOLDER,
        sha256=MODEL_SHA256,
        budget_s=_BUDGET_S,
        matrix_size=settings.matrix_size,
        matrix_rounds=settings.matrix_rounds,
        batch=settings.batch,
        batch_rounds=settings.batch_rounds,
        python=shlex.quote(settings.python),
    )
    find_torch = "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)"
    return Query(
        script=shlex.join(["exec", "runuser", "-u", _SERVICE_USER, "--", "sh", "-c", script]),
        needs=(
            replace(python(settings.python), remedy=_REMEDY),
            Precondition(
                test=f"{shlex.quote(settings.python)} -I -c {shlex.quote(find_torch)}",
                reason=f"PyTorch is not installed for {settings.python}",
                remedy=_REMEDY,
            ),
            ROOT,
            program("runuser", "util-linux"),
            Precondition(
                test=f"id -u {_SERVICE_USER}",
                reason=f"there is no user {_SERVICE_USER}",
                remedy="the layers ml_cpu and ml_frameworks create it",
            ),
            path(f"{embedding_model.FOLDER}/{embedding_model.WEIGHTS}", "hardpan's AI layers"),
        ),
    )


def build_program() -> bytes:
    """Return the workload with the tokenizer's source in place of its import."""
    return embedding_model.replace_tokenizer_import(
        _WORKLOAD.read_bytes(), embedding_model.read_tokenizer()
    )


def failed_result(check: HostCheck) -> SmokeReport:
    """Return the result of a test that did not run, or whose output cannot be read."""
    return SmokeReport(
        backend="cpu",
        framework="unknown",
        model=embedding_model.NAME,
        model_sha256=Sha256(""),
        measures=(),
        verdict=check.outcome,
        reason=check.message,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _WorkloadOutput:
    """Validated output of the workload."""

    torch: str
    environment: dict[str, str]
    digest: str
    gflops: list[float]
    relative_error: float
    latency_ms: list[float]
    texts_per_s: list[float]
    cosines: list[float]


def evaluate_output(data: bytes) -> SmokeReport:
    """Evaluate the output of the workload.

    ``fail`` is an incorrect result, ``error`` an impossible value; slowness is neither, because
    there is no performance baseline for a CPU.

    Raises:
        ToolError: it is not the expected JSON.
    """
    output = _parse_output(data)
    error = _find_error(output)
    is_implausible = not error and max(output.gflops) > _MAX_GFLOPS
    reason = error or ("the measured speed is impossible for a CPU" if is_implausible else "")
    series = (
        ("matrix product, float32", "GFLOP/s", "higher", output.gflops),
        ("embedding latency, one text", "ms", "lower", output.latency_ms),
        ("embedding throughput", "texts/s", "higher", output.texts_per_s),
    )
    verdict = "pass"
    if error:
        verdict = "fail"
    elif is_implausible:
        verdict = "error"
    return SmokeReport(
        backend="cpu",
        framework=f"torch {output.torch}",
        model=embedding_model.NAME,
        model_sha256=Sha256(output.digest),
        measures=tuple(build_measure(*f, reason, _NO_BASELINE) for f in series if f[-1]),
        environment=output.environment,
        verdict=verdict,
        reason=reason or _PASS_REASON,
    )


def _parse_output(data: bytes) -> _WorkloadOutput:
    try:
        fields = require_keys(parse_json(data), _FIELDS)
        matrix = require_keys(fields["matrix"], ("samples", "relative_error"))
        embedding = None
        if fields["embedding"] is not None:
            embedding = require_keys(fields["embedding"], ("latency", "throughput", "cosines"))
        return _WorkloadOutput(
            torch=require_text(fields["torch"]),
            environment={
                "cpu": require_text(fields["cpu"]),
                "python": require_text(fields["python"]),
                "threads": str(require_int(fields["threads"], min_value=1, max_value=_MAX_THREADS)),
            },
            digest=require_digest(fields["model_sha256"]),
            gflops=require_samples(matrix["samples"]),
            relative_error=require_number(matrix["relative_error"]),
            latency_ms=require_samples(embedding["latency"]) if embedding else [],
            texts_per_s=require_samples(embedding["throughput"]) if embedding else [],
            cosines=_parse_cosines(embedding["cosines"]) if embedding else [],
        )
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ToolError(
            ["the smoke test"], f"returned output that cannot be read: {describe_error(e)}"
        ) from e


def _find_error(output: _WorkloadOutput) -> str:
    if output.digest != MODEL_SHA256:
        return "the model on the target is not the installed one"
    if not output.cosines:
        return "the model on the target was not used"
    if output.relative_error > _MAX_RELATIVE_ERROR:
        return f"the matrix product is incorrect (relative error {output.relative_error:.1e})"
    max_deviation = max(
        abs(actual - expected)
        for actual, expected in zip(output.cosines, EXPECTED_COSINES, strict=True)
    )
    if max_deviation > _MAX_COSINE_DEVIATION:
        return f"the embeddings are incorrect (a similarity deviates by {max_deviation:.1e})"
    return ""


def _parse_cosines(value: object) -> list[float]:
    if not isinstance(value, list) or len(value) != len(EXPECTED_COSINES):
        raise TypeError(f"expected {len(EXPECTED_COSINES)} cosines")
    return [require_number(x, min_value=-2.0) for x in value]
