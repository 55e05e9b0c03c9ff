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
_DENSE_TITLES = 200
"""Up to here all eigenvectors at once are quicker than some."""


def co_watch_factors(past: Past) -> Floats:
    """Return (t, 32) float32, unit rows; zero for titles that are in no pair."""
    matrix = co_watch(past)
    paired = np.flatnonzero(np.diff(matrix.indptr))
    factors = np.zeros((matrix.shape[0], FACTORS), np.float32)
    if len(paired):
        vectors = eigenvectors(sparse.csr_array(matrix[paired][:, paired]))
        factors[paired, : vectors.shape[1]] = unit(vectors.astype(np.float32))
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


def eigenvectors(matrix: sparse.csr_array) -> NDArray[np.float64]:
    """Return (p, up to 32) eigenvectors of the largest eigenvalues, those above 0; the same for the same matrix."""
    if matrix.shape[0] <= _DENSE_TITLES:
        values, vectors = np.linalg.eigh(matrix.toarray())
        values, vectors = values[-FACTORS:], vectors[:, -FACTORS:]
    else:
        random = np.random.default_rng(0)
        first = random.standard_normal(matrix.shape[0])
        values, vectors = eigsh(matrix, k=FACTORS, which="LA", v0=first, tol=1e-4, rng=random)
    found: NDArray[np.float64] = vectors[:, values > 1e-9 * max(float(values.max()), 1e-300)]
    return found
