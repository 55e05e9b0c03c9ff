"""Half of each vector, turned so that it says most: enough to rule out nearly all rows, exactly.

With B the 192 leading principal directions, x.q = Bx.Bq + (rest of x).(rest of q), and by Cauchy and Schwarz the second
part is at most the product of the rests' lengths. Rows whose bound lies below the k-th best needn't be looked at. Half
the memory is read: .15 ms instead of .38 over 10,000 x 384, with 100 to 1,300 rows left for real queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from omega.core.ports import Floats

_SAMPLE = 2_000
"""Rows that the basis is fitted on; a poor basis costs time, never a result."""


class Sketch:
    """Upper bounds of cosines for the rows of a matrix, kept in step with them by its owner."""

    def __init__(self, vectors: Floats, room: int) -> None:
        """Fit the basis to `vectors` (n, dimensions), float32 unit rows, and take them in; `room` is for all rows."""
        dimensions = vectors.shape[1]
        sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
        directions = np.linalg.eigh((sample.T @ sample).astype(np.float64))[1]
        leading = directions[:, dimensions - dimensions // 2 :]
        self._basis: Floats = np.ascontiguousarray(leading, np.float32)
        self._heads: Floats = np.empty((room, dimensions // 2), np.float32)
        self._rests: Floats = np.empty(room, np.float32)
        self.put(0, vectors)

    def put(self, start: int, vectors: Floats) -> None:
        """Take in rows (n, dimensions) at the places from `start` on, which fit into the room."""
        end = start + len(vectors)
        heads = vectors @ self._basis
        self._heads[start:end] = heads
        self._rests[start:end] = _rest(heads)

    def move(self, place: int, last: int) -> None:
        """Copy the row at `last` to `place`."""
        self._heads[place] = self._heads[last]
        self._rests[place] = self._rests[last]

    def bounds(self, query: Floats, rows: int) -> Floats:
        """Return (rows,) float32: no row's cosine with the unit `query` (dimensions,) is higher, but for rounding."""
        head = query @ self._basis
        highest: Floats = self._heads[:rows] @ head + self._rests[:rows] * _rest(head)
        return highest


def _rest(heads: Floats) -> Floats:
    """Return the length of what is missing from a unit vector's head, or of each row's; never too short."""
    squares = np.einsum("...d,...d->...", heads, heads, dtype=np.float64)
    rest: Floats = np.sqrt(np.maximum(1 - squares, 0) + 1e-6).astype(np.float32)
    return rest
