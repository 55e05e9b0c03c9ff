from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega_storage.matrix import Matrix

if TYPE_CHECKING:
    from omega.core.ports import Floats

D = 48


def clustered(rows: int, seed: int) -> Floats:
    """Rows around few centers, as real texts are."""
    random = np.random.default_rng(seed)
    centers = random.standard_normal((30, D))
    drawn = centers[random.integers(30, size=rows)] + 0.3 * random.standard_normal((rows, D))
    unit: Floats = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.parametrize("k", [1, 50, 700])
def test_search_stays_exact_while_rows_come_and_go(k: int) -> None:
    random = np.random.default_rng(4)
    rows = clustered(3_000, 5)
    matrix = Matrix(D, ("slot",))
    truth: dict[int, tuple[Floats, int]] = {}
    for number, row in enumerate(rows):
        truth[number] = row, number % 8
        matrix.put(number, row, [number % 8])
    for number in random.choice(len(rows), 900, replace=False).tolist():
        del truth[number]
        matrix.remove(number)
    for number in list(truth)[:300]:
        truth[number] = clustered(1, 1000 + number)[0], 3
        matrix.put(number, truth[number][0], [3])
    for query in clustered(20, 5):
        for bounds in ([], [("slot", 3, 4)]):
            exact = sorted(
                (
                    (-float(row.astype(np.float64) @ query), i)
                    for i, (row, s) in truth.items()
                    if not bounds or s in (3, 4)
                )
            )[:k]
            found = matrix.nearest(query, k, bounds)
            assert [hit.id for hit in found] == [i for _, i in exact]
            assert np.allclose([hit.similarity for hit in found], [-score for score, _ in exact], atol=1e-6)
