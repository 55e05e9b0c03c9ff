"""Recommending by who watched what together: item neighbors, and EASE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, sparse

from omega.evaluation.method import ScoringMethod

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.log import Past

NEIGHBORS = 100
SHRINKAGE = 10.0
EASE_TITLES = 2_000
EASE_RIDGE = 100.0


def watched_matrix(past: Past) -> sparse.csr_array:
    """Return (v, t) float32, sparse: 1 where a viewer has watched a title."""
    ones = np.ones(len(past), np.float32)
    return sparse.csr_array((ones, (past.viewers, past.watched)), shape=(past.viewer_count, len(past.titles)))


class ItemNeighbors(ScoringMethod):
    """The sum of similarities to what the viewer watched (Deshpande and Karypis, 2004).

    A similarity is the cosine of two titles' viewers, shrunk where few watched both: n / (n + 10). Each title keeps its
    100 nearest.
    """

    name = "item-knn"

    def learn(self, past: Past) -> None:
        """Work the neighbors out."""
        super().learn(past)
        self._matrix = watched_matrix(past)
        self._near = nearest(similarities(self._matrix), NEIGHBORS)

    def scores(self, viewers: NDArray[np.int64]) -> Floats:
        """Return the sums of similarities."""
        found: Floats = (self._matrix[viewers] @ self._near).toarray()
        return found


def similarities(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return (t, t), sparse with an empty diagonal: shrunk cosines of the columns of (v, t) ones."""
    both = sparse.csr_array((matrix.T @ matrix).tocoo())
    counts = np.maximum(both.diagonal(), 1)
    both.setdiag(0)
    both.eliminate_zeros()
    rows = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
    scale = np.sqrt(counts[rows] * counts[both.indices]) * (both.data + SHRINKAGE)
    both.data = (both.data * both.data / scale).astype(np.float32)
    return both


def nearest(similar: sparse.csr_array, count: int) -> sparse.csr_array:
    """Return the matrix with only the `count` largest numbers of each row; of equal ones those of lower columns."""
    rows = np.repeat(np.arange(similar.shape[0]), np.diff(similar.indptr))
    order = np.lexsort((similar.indices, -similar.data, rows))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - similar.indptr[:-1][rows[order]]
    kept = place < count
    return sparse.csr_array((similar.data[kept], (rows[kept], similar.indices[kept])), shape=similar.shape)


class Ease(ScoringMethod):
    """A linear model of each title by all others, in closed form (Steck, 2019), over the 2,000 most watched titles."""

    name = "ease"

    def learn(self, past: Past) -> None:
        """Solve for the weights."""
        super().learn(past)
        order = np.argsort(-past.counts, kind="stable")[:EASE_TITLES]
        self._titles = order[past.counts[order] > 0]
        self._matrix = sparse.csr_array(watched_matrix(past)[:, self._titles])
        self._weights = ease_weights((self._matrix.T @ self._matrix).toarray(), EASE_RIDGE)

    def scores(self, viewers: NDArray[np.int64]) -> Floats:
        """Return the predictions; nothing is predicted of rarer titles."""
        found = np.full((len(viewers), len(self.past.titles)), -np.inf, np.float32)
        found[:, self._titles] = self._matrix[viewers] @ self._weights
        return found


def ease_weights(gram: Floats, ridge: float) -> Floats:
    """Return B (t, t) with an empty diagonal that minimizes |X - X B|^2 + ridge |B|^2, from X'X."""
    regular = gram.astype(np.float32) + ridge * np.eye(len(gram), dtype=np.float32)
    factor, lower = linalg.cho_factor(regular, lower=True, overwrite_a=True, check_finite=False)
    inverse = linalg.cho_solve((factor, lower), np.eye(len(gram), dtype=np.float32), check_finite=False)
    weights: Floats = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights
