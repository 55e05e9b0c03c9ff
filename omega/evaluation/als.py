"""Implicit feedback by alternating least squares (Hu, Koren and Volinsky, 2008), as the library `implicit` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from omega.evaluation.method import ScoringMethod
from omega.evaluation.neighbors import watched_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.log import Past


FACTORS, REGULARIZATION, ALPHA = 32, 10.0, 1.0
"""The best of 36 settings on days before those that docs/quality.md judges: a baseline shall be a good one."""


class ImplicitAls(ScoringMethod):
    """Factors of viewers and titles, learned anew at each step."""

    name = "als"

    def __init__(self, seed: int, threads: int, factors: int = FACTORS, regularization: float = REGULARIZATION) -> None:
        """`seed` is where the factors start from."""
        self._seed, self._threads, self._factors, self._regularization = seed, threads, factors, regularization

    def learn(self, past: Past) -> None:
        """Alternate ten times."""
        super().learn(past)
        with threadpool_limits(1, "blas"):  # its own threads and those of BLAS are in each other's way
            model = AlternatingLeastSquares(
                factors=self._factors,
                regularization=self._regularization,
                alpha=ALPHA,
                iterations=10,
                num_threads=self._threads,
                random_state=self._seed,
            )
            model.fit(sparse.csr_matrix(watched_matrix(past)), show_progress=False)
        self._viewers, self._titles = np.asarray(model.user_factors), np.asarray(model.item_factors)

    def scores(self, viewers: NDArray[np.int64]) -> Floats:
        """Return the factors' products."""
        found: Floats = self._viewers[viewers] @ self._titles.T
        return found
