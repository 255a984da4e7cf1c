"""The AI workload test: a program runs on the target, its figures are judged here.

The target's answer is hostile: sizes, types and finiteness are checked before a
figure is believed. A run on the CPU is named so and never gives a GPU verdict.
"""

import shlex
from dataclasses import dataclass

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

MODEL = "all-MiniLM-L6-v2"
FOLDER = f"/opt/ai/models/{MODEL}"
MODEL_SHA256 = Sha256("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
"""Digest of model.safetensors; another file is another model."""

COSINES = (
    *(0.563979, 0.092455, -0.036759, 0.113529, 0.078371, 0.073894, -0.001672),
    *(0.065721, -0.047592, -0.001939, 0.022997, 0.00289, -0.078266),
    *(0.626738, 0.002629, 0.000753, 0.138389, -0.023978),
    *(-0.005009, -0.02784, 0.109867, 0.011536),
    *(0.641203, -0.086321, 0.004751),
    *(-0.030866, 0.069574),
    0.11177,
)
"""Likeness of each two of the workload's texts, for this very model.

Made with another implementation at double precision: transformers 5 (BertModel and
BertTokenizer) on torch 2.13, mean pooling. The workload differs from it by 2.4e-7.
"""

_WORKLOAD = resource_path("hardpan.scanners.collect.workload", "smoke.py")
_USER = "ai"
_MAX_BYTES = 1 << 20
_MAX_THREADS = 4096
_FIELDS = ("torch", "python", "threads", "cpu", "model_sha256", "matrix", "embedding")
_BUDGET_S = 20.0
_WORST_COSINE = 1e-3
_WORST_ERROR = 1e-4
"""Largest relative error of a float32 product of random normals that is believed."""

_FASTEST_GFLOPS = 100_000.0
"""Above this no CPU is: such a figure is an error, not a triumph."""

_RIGHT = "results are right; a CPU run, with no reference to hold the speed against"
_UNHELD = "a CPU run, with no reference for this machine"
_SCRIPT = """set -eu
cd /
set -a
[ ! -r /etc/hardpan/ai.env ] || . /etc/hardpan/ai.env
exec {python} -I - --model {folder} --sha256 {sha256} --matrix-size {matrix_size} \
  --matrix-rounds {matrix_rounds} --batch {batch} --batch-rounds {batch_rounds} \
  --budget-s {budget_s}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How hard the test works."""

    matrix_size: int
    matrix_rounds: int
    batch: int
    batch_rounds: int
    python: str = "/usr/bin/python3"
    """The target's Python that has PyTorch."""


def smoke(via: Transport, load: Load, *, timeout_s: float) -> Smoke:
    """Run the workload on the target as its AI service's user.

    Raises:
        ToolError: it cannot run there, does not end in time, or answers
            nonsense.
        UnreachableError: the connection broke.
    """
    script = _SCRIPT.format(
        folder=FOLDER,
        sha256=MODEL_SHA256,
        budget_s=_BUDGET_S,
        matrix_size=load.matrix_size,
        matrix_rounds=load.matrix_rounds,
        batch=load.batch,
        batch_rounds=load.batch_rounds,
        python=shlex.quote(load.python),
    )
    done = via.run(
        ["runuser", "-u", _USER, "--", "sh", "-c", script],
        timeout_s=timeout_s,
        stdin=_WORKLOAD.read_bytes(),
        sudo=True,
        max_bytes=_MAX_BYTES,
    )
    return judged(done.data)


def failed(reason: str) -> Smoke:
    """The test's result where it did not run or gave no figures that can be read."""
    return Smoke(
        backend="cpu",
        framework="unknown",
        model=MODEL,
        model_sha256=Sha256(""),
        measures=(),
        verdict="error",
        reason=reason,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the workload printed, its form checked."""

    torch: str
    environment: dict[str, str]
    digest: str
    gflops: list[float]
    error: float
    latency: list[float]
    throughput: list[float]
    cosines: list[float]


def judged(data: bytes) -> Smoke:
    """The verdict over what the workload printed.

    ``fail`` is a wrong result, ``error`` a figure that cannot be; being slow is
    neither, for there is nothing to hold a CPU's speed against.

    Raises:
        ToolError: it is not the expected JSON.
    """
    told = _told(data)
    wrong = _wrong(told)
    absurd = not wrong and max(told.gflops) > _FASTEST_GFLOPS
    reason = wrong or ("the figures are faster than any CPU is" if absurd else "")
    figures = (
        ("matrix product, float32", "GFLOP/s", "higher", told.gflops),
        ("embedding latency, one text", "ms", "lower", told.latency),
        ("embedding throughput", "texts/s", "higher", told.throughput),
    )
    return Smoke(
        backend="cpu",
        framework=f"torch {told.torch}",
        model=MODEL,
        model_sha256=Sha256(told.digest),
        measures=tuple(measure(*f, reason, _UNHELD) for f in figures if f[-1]),
        environment=told.environment,
        verdict="fail" if wrong else "error" if absurd else "pass",
        reason=reason or _RIGHT,
    )


def _told(data: bytes) -> _Told:
    try:
        told = exactly(load(data), _FIELDS)
        matrix = exactly(told["matrix"], ("samples", "relative_error"))
        embedding = None
        if told["embedding"] is not None:
            embedding = exactly(told["embedding"], ("latency", "throughput", "cosines"))
        return _Told(
            torch=text(told["torch"]),
            environment={
                "cpu": text(told["cpu"]),
                "python": text(told["python"]),
                "threads": str(whole(told["threads"], least=1, most=_MAX_THREADS)),
            },
            digest=digest(told["model_sha256"]),
            gflops=samples(matrix["samples"]),
            error=number(matrix["relative_error"]),
            latency=samples(embedding["latency"]) if embedding else [],
            throughput=samples(embedding["throughput"]) if embedding else [],
            cosines=_cosines(embedding["cosines"]) if embedding else [],
        )
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ToolError(["the smoke test"], f"gave figures that cannot be read: {unread(e)}") from e


def _wrong(told: _Told) -> str:
    if told.digest != MODEL_SHA256:
        return "the model on the target is not the one that was installed"
    if not told.cosines:
        return "the model on the target was not used"
    if told.error > _WORST_ERROR:
        return f"the matrix product is wrong (relative error {told.error:.1e})"
    off = max(abs(found - known) for found, known in zip(told.cosines, COSINES, strict=True))
    if off > _WORST_COSINE:
        return f"the embeddings are wrong (a likeness is off by {off:.1e})"
    return ""


def _cosines(value: object) -> list[float]:
    if not isinstance(value, list) or len(value) != len(COSINES):
        raise TypeError(f"expected {len(COSINES)} cosines")
    return [number(x, least=-2.0) for x in value]
