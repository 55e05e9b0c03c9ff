from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega_storage.matrix import SKETCHED_ROWS, Matrix
from omega_storage.sketch import Sketch

if TYPE_CHECKING:
    from omega.core.ports import Floats

D = 48


def clustered(rows: int, seed: int) -> Floats:
    """Rows around few centers, as real texts are, so that a basis has something to find."""
    random = np.random.default_rng(seed)
    centers = random.standard_normal((30, D))
    drawn = centers[random.integers(30, size=rows)] + 0.3 * random.standard_normal((rows, D))
    unit: Floats = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.parametrize("seed", [1, 2])
def test_no_row_is_nearer_than_its_bound(seed: int) -> None:
    rows = clustered(3000, 1)
    queries = clustered(50, seed)
    sketch = Sketch(rows, 4000)
    for query in queries:
        bounds = sketch.bounds(query, len(rows))
        exact = rows.astype(np.float64) @ query
        assert (bounds >= exact - 1e-6).all()
        assert (bounds < exact + 1).any()


def test_the_bounds_rule_most_rows_out() -> None:
    rows = clustered(3000, 3)
    query = rows[7]
    bounds = Sketch(rows, 3000).bounds(query, 3000)
    kth = np.sort(rows @ query)[-50]
    assert (bounds >= kth).sum() < 600


@pytest.mark.parametrize("k", [1, 50, 700])
def test_search_stays_exact_while_rows_come_and_go(k: int) -> None:
    random = np.random.default_rng(4)
    rows = clustered(2 * SKETCHED_ROWS, 5)
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
