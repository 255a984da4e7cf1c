"""Cosine search over all pieces, by the embedding model."""

from pathlib import Path

import numpy as np

from .knowledge import Hit, Vectors
from .minilm import WIDTH, Array, MiniLM


class Nearest:
    """The index in memory, made anew when the documents have changed."""

    def __init__(self, folder: Path) -> None:
        self._model = MiniLM(folder)
        self._stamp = -1
        self._ids: Array = np.zeros(0, np.int64)
        self._rows: Array = np.zeros((0, WIDTH), np.float32)

    def vector(self, text: str) -> bytes:
        """A text's vector as it is kept."""
        return bytes(self._model.embed(text).tobytes())

    def nearest(self, text: str, vectors: Vectors, most: int, stamp: int) -> list[Hit]:
        """The nearest of ``vectors``, best first; they are asked for when ``stamp`` is new."""
        if stamp != self._stamp:
            rows = vectors()
            self._ids = np.array([i for i, _ in rows], np.int64)
            self._rows = np.frombuffer(b"".join(v for _, v in rows), "<f4").reshape(-1, WIDTH)
            self._stamp = stamp
        if not len(self._ids):
            return []
        cosines = self._rows @ self._model.embed(text)
        best = np.argsort(-cosines, kind="stable")[:most]
        return [(int(self._ids[i]), float(cosines[i])) for i in best]
