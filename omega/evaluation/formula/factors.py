"""Factors of titles from who watched them together: the top eigenvectors of a co-watch matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh

from omega.evaluation.formula.taste import unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.log import Past

FACTORS = 32
LAST_TITLES = 100
"""Only so many of a viewer's titles make pairs: nobody is half of everything."""
LEAST_HOUSEHOLDS = 3
COUNT_POWER = -0.4


class CoWatch:
    """Factors that follow the past, each time from where the last ones were."""

    def __init__(self) -> None:
        """Begin anywhere."""
        self._vectors: NDArray[np.float64] | None = None

    def __call__(self, past: Past) -> Floats:
        """Return (t, 32) float32, unit rows; zero for titles that are in no pair."""
        matrix = co_watch(past)
        self._vectors = eigenvectors(matrix, min(FACTORS, matrix.shape[0] - 2), self._vectors)
        factors = np.zeros((matrix.shape[0], FACTORS), np.float32)
        factors[:, : self._vectors.shape[1]] = unit(self._vectors.astype(np.float32))
        return factors


def co_watch(past: Past) -> sparse.csr_array:
    """Return D C D (t, t), sparse: who watched two titles both, over how many theirs are, and over their counts.

    C sums over viewers with both titles among their last 100 the reciprocal of how many these are, pairs of fewer than
    3 viewers dropped; D is the count of viewers to the power -.4.
    """
    after = past.lengths[past.viewers] - 1 - past.earlier
    kept = after < LAST_TITLES
    viewers, titles = past.viewers[kept], past.watched[kept]
    each = 1 / np.sqrt(np.minimum(past.lengths[viewers], LAST_TITLES))
    shape = (past.viewer_count, len(past.titles))
    weighted = sparse.csr_array((each, (viewers, titles)), shape=shape)
    plain = sparse.csr_array((np.ones(len(viewers), np.float32), (viewers, titles)), shape=shape)
    sums, households = (weighted.T @ weighted).tocsr(), (plain.T @ plain).tocsr()
    sums.sort_indices()
    households.sort_indices()
    sums.data[households.data < LEAST_HOUSEHOLDS] = 0
    sums.setdiag(0)
    sums.eliminate_zeros()
    scale = sparse.diags_array(np.maximum(past.counts, 1.0) ** COUNT_POWER)
    return sparse.csr_array(scale @ sums @ scale)


def eigenvectors(matrix: sparse.csr_array, count: int, start: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return (t, count) eigenvectors of the largest eigenvalues; rows of titles without a pair are 0."""
    first = np.random.default_rng(0).standard_normal(matrix.shape[0]) if start is None else start.sum(axis=1)
    _, vectors = eigsh(matrix, k=count, which="LA", v0=first, tol=1e-4)
    vectors[np.diff(matrix.indptr) == 0] = 0
    return np.asarray(vectors)
