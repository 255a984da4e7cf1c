"""The sentence-embedding model all-MiniLM-L6-v2, in numpy alone.

BERT's encoder with mean pooling (Devlin et al. 2018; Reimers and Gurevych 2019). The
weights are loaded from the safetensors file after its digest is verified.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from hardpan.profiles.embedding_model.wordpiece import WordPiece

from .checksums import verify_checksums

MAX_TOKENS = 256
EMBEDDING_WIDTH = 384

Array = Any  # numpy's types do not describe shapes


class MiniLM:
    """Sentence embeddings of 384 dimensions; similar texts have similar vectors."""

    def __init__(self, folder: Path) -> None:
        verify_checksums(folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        self.layers = int(config["num_hidden_layers"])
        self.heads = int(config["num_attention_heads"])
        self.eps = float(config["layer_norm_eps"])
        self.weights = _load_safetensors(folder / "model.safetensors")
        self.tokenizer = WordPiece(folder / "vocab.txt")

    def embed(self, text: str) -> Array:
        """Return the embedding of ``text``, a vector of unit length."""
        ids = self.tokenizer.encode(text, max_tokens=MAX_TOKENS)
        weights = self.weights
        x = weights["embeddings.word_embeddings.weight"][ids]
        x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = self._norm(
            x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm"
        )
        for n in range(self.layers):
            x = self._layer(x, f"encoder.layer.{n}.")
        pooled = x.mean(0)
        return (pooled / np.linalg.norm(pooled)).astype(np.float32)

    def _layer(self, x: Array, prefix: str) -> Array:
        length, width = x.shape

        def split(name: str) -> Array:
            y = self._linear(x, f"{prefix}attention.self.{name}")
            return y.reshape(length, self.heads, -1).transpose(1, 0, 2)

        q, k, v = split("query"), split("key"), split("value")
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(width / self.heads)
        attention = np.exp(scores - scores.max(-1, keepdims=True))
        attention /= attention.sum(-1, keepdims=True)
        y = (attention @ v).transpose(1, 0, 2).reshape(length, width)
        y = self._linear(y, f"{prefix}attention.output.dense")
        x = self._norm(x + y, f"{prefix}attention.output.LayerNorm")
        y = _gelu(self._linear(x, f"{prefix}intermediate.dense"))
        return self._norm(x + self._linear(y, f"{prefix}output.dense"), f"{prefix}output.LayerNorm")

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + self.eps)
        return centred / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _gelu(x: Array) -> Array:
    # The error function by Abramowitz and Stegun 7.1.26: off by 1.5e-7 at most.
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    series = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return 0.5 * x * (1 + erf)


def _load_safetensors(path: Path) -> dict[str, Array]:
    """Load the tensors of a safetensors file: length, JSON header, float32 data."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    body = memoryview(data)[8 + size :]
    tensors = {}
    for name, info in header.items():
        if name == "__metadata__" or info["dtype"] != "F32":
            continue
        begin, end = info["data_offsets"]
        tensors[name] = np.frombuffer(body[begin:end], "<f4").reshape(info["shape"])
    return tensors
