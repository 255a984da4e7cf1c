"""Cosine search over all pieces, by the embedding model."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .knowledge import Hit
from .minilm import WIDTH, Array, MiniLM

_BLOCK_ROWS = 4096


class Nearest:
    """The vectors in memory. A new one is written to a free row; none of the others moves.

    Rows are in blocks, so that the index grows without a second copy of itself.
    """

    def __init__(self, folder: Path) -> None:
        self._model = MiniLM(folder)
        self._blocks: list[Array] = []
        self._pieces: list[int] = []
        """Row -> piece."""

        self._rows: dict[int, int] = {}
        """Piece -> row."""

    def vector(self, text: str) -> bytes:
        """A text's vector as it is kept."""
        return bytes(self._model.embed(text).tobytes())

    def put(self, piece: int, vector: bytes) -> None:
        """Make a piece findable."""
        row = self._rows.get(piece, len(self._pieces))
        if row == len(self._pieces):
            self._pieces.append(piece)
            self._rows[piece] = row
        block, offset = divmod(row, _BLOCK_ROWS)
        if block == len(self._blocks):
            self._blocks.append(np.zeros((_BLOCK_ROWS, WIDTH), np.float32))
        self._blocks[block][offset] = np.frombuffer(vector, "<f4")

    def drop(self, pieces: Iterable[int]) -> None:
        """Forget pieces: the last row takes the place of each."""
        for piece in pieces:
            row = self._rows.pop(piece, None)
            if row is None:
                continue
            block, offset = divmod(len(self._pieces) - 1, _BLOCK_ROWS)
            last = self._pieces.pop()
            if last != piece:
                to_block, to_offset = divmod(row, _BLOCK_ROWS)
                self._blocks[to_block][to_offset] = self._blocks[block][offset]
                self._pieces[row] = last
                self._rows[last] = row
            self._blocks[block][offset] = 0
            if not offset:
                self._blocks.pop()

    def nearest(self, vector: bytes, most: int) -> list[Hit]:
        """The pieces whose vectors are nearest to this one, best first."""
        if not self._pieces:
            return []
        asked = np.frombuffer(vector, "<f4")
        cosines = np.concatenate([block @ asked for block in self._blocks])[: len(self._pieces)]
        best = np.argsort(-cosines, kind="stable")[:most]
        return [(self._pieces[row], float(cosines[row])) for row in best]
