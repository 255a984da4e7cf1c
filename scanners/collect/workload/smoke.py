"""The AI workload test that runs on the target: a matrix product and a small real model.

Needs Python 3.9, torch and safetensors; opens no socket. Prints one JSON object, which the scanner
evaluates. Inputs are random and seeded, never zeros: zeros make processors look faster. The model
is loaded only if it is the expected file, byte for byte.
"""

import argparse
import hashlib
import json
import platform
import sys
import time
from pathlib import Path
from typing import Callable  # noqa: UP035 - runs on EL9's Python 3.9

import torch
from safetensors.torch import load_file
from torch.nn import functional

from hardpan.profiles.embedding_model.wordpiece import WordPiece

TEXTS = [
    "A cat sits on the warm roof.",
    "A kitten is resting on top of the house.",
    "The auditor asked for evidence of the last scan.",
    "Inspectors wanted proof of the most recent check.",
    "Rain is expected over the mountains tonight.",
    "The weather forecast says it will be wet in the hills this evening.",
    "He tuned the engine until it ran smoothly.",
    "The graphics driver must match the kernel module.",
]
"""The cosine similarity of each pair of these texts verifies the embedding."""

MAX_TOKENS = 256
"""Length that the model was trained for; the texts have fewer tokens."""

MIN_ROUNDS = 3
"""Rounds that are timed even past the time budget."""


class MiniLM:
    """The sentence-embedding model: BERT's encoder, mean pooling, unit length."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.layers = int(config["num_hidden_layers"])
        self.heads = int(config["num_attention_heads"])
        self.eps = float(config["layer_norm_eps"])
        self.weights = load_file(str(folder / "model.safetensors"))
        self.tokenizer = WordPiece(folder / "vocab.txt")

    def embed(self, texts: list[str]) -> torch.Tensor:
        """One row per text."""
        rows = [self.tokenizer.encode(t, max_tokens=MAX_TOKENS) for t in texts]
        longest = max(map(len, rows))
        ids = torch.tensor([r + [0] * (longest - len(r)) for r in rows])
        mask = torch.tensor([[1.0] * len(r) + [0.0] * (longest - len(r)) for r in rows])
        x = self._embeddings(ids)
        attention_bias = (1.0 - mask)[:, None, None, :] * -1e9
        for n in range(self.layers):
            x = self._layer(x, attention_bias, f"encoder.layer.{n}.")
        summed = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return functional.normalize(summed, dim=1)

    def _embeddings(self, ids: torch.Tensor) -> torch.Tensor:
        weights = self.weights
        x = weights["embeddings.word_embeddings.weight"][ids]
        x = x + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
        return self._norm(x, "embeddings.LayerNorm")

    def _layer(self, x: torch.Tensor, attention_bias: torch.Tensor, p: str) -> torch.Tensor:
        batch, length, width = x.shape

        def split(name: str) -> torch.Tensor:
            y = self._linear(x, f"{p}attention.self.{name}")
            return y.view(batch, length, self.heads, -1).transpose(1, 2)

        q, k, v = split("query"), split("key"), split("value")
        scores = q @ k.transpose(2, 3) / (width // self.heads) ** 0.5 + attention_bias
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width)
        x = self._norm(
            x + self._linear(y, f"{p}attention.output.dense"), f"{p}attention.output.LayerNorm"
        )
        y = functional.gelu(self._linear(x, f"{p}intermediate.dense"))
        return self._norm(x + self._linear(y, f"{p}output.dense"), f"{p}output.LayerNorm")

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        shape = (x.shape[-1],)
        return functional.layer_norm(
            x, shape, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self.eps
        )


def time_rounds(work: Callable[[], object], rounds: int, budget_s: float) -> list[float]:
    """Return seconds of each round, after one warm-up round; fewer rounds if time is short."""
    work()
    durations_s: list[float] = []
    while len(durations_s) < rounds and (
        len(durations_s) < MIN_ROUNDS or sum(durations_s) < budget_s
    ):
        start = time.monotonic()
        work()
        durations_s.append(time.monotonic() - start)
    return durations_s


def measure_matrix_product(size: int, rounds: int, budget_s: float) -> dict[str, object]:
    """Measure speed and correctness of a float32 matrix product."""
    generator = torch.Generator().manual_seed(20261121)
    a, b = (torch.randn(size, size, generator=generator) for _ in range(2))
    durations_s = time_rounds(lambda: a @ b, rounds, budget_s)
    small_a, small_b = a[:128, :], b[:, :128]
    exact = small_a.double() @ small_b.double()
    error = ((small_a @ small_b).double() - exact).abs().max() / exact.abs().max()
    return {
        "samples": [2 * size**3 / s / 1e9 for s in durations_s],
        "relative_error": float(error),
    }


def measure_embedding(folder: Path, batch: int, rounds: int, budget_s: float) -> dict[str, object]:
    """Measure latency of one text, throughput of a batch, and the cosine similarities."""
    model = MiniLM(folder)
    vectors = model.embed(TEXTS)
    similarities = vectors @ vectors.T
    single_durations_s = time_rounds(lambda: model.embed(TEXTS[:1]), rounds, budget_s)
    batch_texts = (TEXTS * (batch // len(TEXTS) + 1))[:batch]
    batch_durations_s = time_rounds(lambda: model.embed(batch_texts), rounds, budget_s)
    indices = range(len(TEXTS))
    return {
        "latency": [1000 * s for s in single_durations_s],
        "throughput": [batch / s for s in batch_durations_s],
        "cosines": [float(similarities[a, b]) for a in indices for b in indices if a < b],
    }


def read_cpu_model() -> str:
    """Return the processor's name, as the kernel reports it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    """Run both tests and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--sha256", required=True)
    parser.add_argument("--matrix-size", type=int, required=True)
    parser.add_argument("--matrix-rounds", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--batch-rounds", type=int, required=True)
    parser.add_argument("--budget-s", type=float, required=True)
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    digest = hashlib.sha256((options.model / "model.safetensors").read_bytes()).hexdigest()
    result = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cpu": read_cpu_model(),
        "model_sha256": digest,
        "matrix": measure_matrix_product(
            options.matrix_size, options.matrix_rounds, options.budget_s
        ),
        "embedding": None,
    }
    if digest == options.sha256:
        result["embedding"] = measure_embedding(
            options.model, options.batch, options.batch_rounds, options.budget_s
        )
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
