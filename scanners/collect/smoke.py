"""The AI workload test: a program runs on the target, its figures are judged here.

The target's answer is hostile: sizes, types and finiteness are checked before a
figure is believed. A run on the CPU is named so and never gives a GPU verdict.
"""

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from hardpan.errors import ToolError
from hardpan.files import Sha256
from scanners.model import Measure, Smoke
from scanners.transport import Transport

MODEL = "all-MiniLM-L6-v2"
FOLDER = f"/opt/ai/models/{MODEL}"
MODEL_SHA256 = Sha256("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
"""Digest of model.safetensors; another file is another model."""

_WORKLOAD = Path(__file__).parent / "workload" / "smoke.py"
_USER = "ai"
_MAX_BYTES = 1 << 20
_MAX_SAMPLES = 100_000
_WORST_ERROR = 1e-4
"""Largest relative error of a float32 product of random normals that is believed."""

_FASTEST_GFLOPS = 100_000.0
"""Above this no CPU is: such a figure is an error, not a triumph."""

_SCRIPT = """set -eu
cd /
set -a
[ ! -r /etc/hardpan/ai.env ] || . /etc/hardpan/ai.env
exec /usr/bin/python3 - --model {folder} --matrix-size {matrix_size} \
  --matrix-rounds {matrix_rounds} --batch {batch} --batch-rounds {batch_rounds}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How hard the test works."""

    matrix_size: int
    matrix_rounds: int
    batch: int
    batch_rounds: int


def smoke(via: Transport, load: Load, *, timeout_s: float) -> Smoke:
    """Run the workload on the target as its AI service's user.

    Raises:
        ToolError: it cannot run there, does not end in time, or answers
            nonsense.
        UnreachableError: the connection broke.
    """
    script = _SCRIPT.format(
        folder=FOLDER,
        matrix_size=load.matrix_size,
        matrix_rounds=load.matrix_rounds,
        batch=load.batch,
        batch_rounds=load.batch_rounds,
    )
    done = via.run(
        ["runuser", "-u", _USER, "--", "sh", "-c", script],
        timeout_s=timeout_s,
        stdin=_WORKLOAD.read_bytes(),
        sudo=True,
        max_bytes=_MAX_BYTES,
    )
    return judged(done.data)


def judged(data: bytes) -> Smoke:
    """The verdict over what the workload printed.

    Raises:
        ToolError: it is not the expected JSON.
    """
    try:
        told = json.loads(data)
        matrix, embedding = told["matrix"], told["embedding"]
        gflops = _samples(matrix["samples"])
        latency, throughput = (_samples(embedding[k]) for k in ("latency", "throughput"))
        error = _number(matrix["relative_error"])
        right = embedding["right"] is True
        digest = str(told["model_sha256"])[:64]
        environment = {k: str(told[k])[:200] for k in ("cpu", "python", "threads")}
        framework = f"torch {str(told['torch'])[:60]}"
    except (ValueError, KeyError, TypeError) as e:
        raise ToolError(["the smoke test"], f"gave figures that cannot be read: {e}") from e
    wrong = _wrong(error, gflops, right=right, digest=digest)
    measures = (
        _measure("matrix product, float32", "GFLOP/s", "higher", gflops, wrong),
        _measure("embedding latency, one text", "ms", "lower", latency, wrong),
        _measure("embedding throughput", "texts/s", "higher", throughput, wrong),
    )
    return Smoke(
        backend="cpu",
        framework=framework,
        model=MODEL,
        model_sha256=Sha256(digest),
        measures=measures,
        environment=environment,
        verdict="fail" if wrong else "pass",
        reason=wrong or "results are right; a CPU run, with no reference to hold the speed against",
    )


def _wrong(error: float, gflops: list[float], *, right: bool, digest: str) -> str:
    if digest != MODEL_SHA256:
        return "the model on the target is not the one that was installed"
    if error > _WORST_ERROR:
        return f"the matrix product is wrong (relative error {error:.1e})"
    if not right:
        return "the embeddings do not put texts of the same meaning together"
    if max(gflops) > _FASTEST_GFLOPS:
        return "the figures are faster than any CPU is"
    return ""


def _measure(name: str, unit: str, direction: str, samples: list[float], wrong: str) -> Measure:
    return Measure(
        name=name,
        unit=unit,
        direction=direction,
        value=round(statistics.median(samples), 4),
        n=len(samples),
        minimum=round(min(samples), 4),
        maximum=round(max(samples), 4),
        verdict="error" if wrong else "not_checked",
        reason=wrong or "no reference for this machine",
    )


def _samples(value: object) -> list[float]:
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_SAMPLES:
        raise ValueError("expected a list of samples")
    return [_number(x) for x in value]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("expected a number")
    if not math.isfinite(value) or value < 0:
        raise ValueError("expected a finite number that is not negative")
    return float(value)
