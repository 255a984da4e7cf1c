"""Cosine search over all chunks, by the embedding model."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .knowledge_base import Hit
from .minilm import EMBEDDING_WIDTH, Array, MiniLM

_BLOCK_ROWS = 4096


class EmbeddingIndex:
    """Vectors in memory. A new vector takes a free row; other rows do not move.

    Rows are stored in blocks, so that the index grows without copying itself.
    """

    def __init__(self, folder: Path) -> None:
        self._model = MiniLM(folder)
        self._blocks: list[Array] = []
        self._chunk_by_row: list[int] = []
        """Row -> chunk."""

        self._row_by_chunk: dict[int, int] = {}
        """Piece -> row."""

    def embed(self, text: str) -> bytes:
        """Return the embedding of ``text`` as it is stored."""
        return bytes(self._model.embed(text).tobytes())

    def add(self, chunk: int, vector: bytes) -> None:
        """Add or replace the vector of a chunk."""
        row = self._row_by_chunk.get(chunk, len(self._chunk_by_row))
        if row == len(self._chunk_by_row):
            self._chunk_by_row.append(chunk)
            self._row_by_chunk[chunk] = row
        block, offset = divmod(row, _BLOCK_ROWS)
        if block == len(self._blocks):
            self._blocks.append(np.zeros((_BLOCK_ROWS, EMBEDDING_WIDTH), np.float32))
        self._blocks[block][offset] = np.frombuffer(vector, "<f4")

    def remove(self, chunks: Iterable[int]) -> None:
        """Remove chunks; the last row replaces each removed row."""
        for chunk in chunks:
            row = self._row_by_chunk.pop(chunk, None)
            if row is None:
                continue
            block, offset = divmod(len(self._chunk_by_row) - 1, _BLOCK_ROWS)
            last_chunk = self._chunk_by_row.pop()
            if last_chunk != chunk:
                target_block, target_offset = divmod(row, _BLOCK_ROWS)
                self._blocks[target_block][target_offset] = self._blocks[block][offset]
                self._chunk_by_row[row] = last_chunk
                self._row_by_chunk[last_chunk] = row
            self._blocks[block][offset] = 0
            if not offset:
                self._blocks.pop()

    def search(self, vector: bytes, limit: int) -> list[Hit]:
        """Return the nearest chunks, best first."""
        if not self._chunk_by_row:
            return []
        query = np.frombuffer(vector, "<f4")
        cosines = np.concatenate([block @ query for block in self._blocks])[
            : len(self._chunk_by_row)
        ]
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [(self._chunk_by_row[row], float(cosines[row])) for row in best]
