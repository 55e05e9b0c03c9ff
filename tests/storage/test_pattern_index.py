"""The patterns in memory: exact against the formula in float64, with filters, ties and growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.records import PatternRecord
from omega.core.testing.contracts import random_units
from omega.core.types import CONTEXT_SHARE
from omega_storage.matrix import Matrix
from omega_storage.pattern_index import PatternIndex, PatternRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Floats

DIMENSIONS = 384
CONTEXTS = random_units(8, DIMENSIONS, seed=2)


def a_matrix(titles: Floats) -> Matrix:
    matrix = Matrix(titles.shape[1], ())
    matrix.extend(np.arange(len(titles)) * 2 + 1, titles, np.empty((len(titles), 0), np.int64))
    return matrix


def a_row(row_id: int, title: int, slot: int, titles: Floats, *, samples: int = 1, profile: int = 0) -> PatternRow:
    length = np.linalg.norm(titles[title].astype(np.float64) + CONTEXT_SHARE * CONTEXTS[slot, : titles.shape[1]])
    record = PatternRecord(row_id, f"t{title}", slot, samples, 500 * samples, 1, 2, profile)
    return PatternRow(record, 2 * title + 1, title % 3, float(length))


def attribute(row: PatternRow, name: str) -> int:
    return row.kind if name == "kind" else int(getattr(row.record, name))


def random_rows(titles: Floats, rows: int, seed: int = 4) -> list[PatternRow]:
    """Return patterns of titles and contexts, some of them by several profiles, ids in no order."""
    draw = np.random.default_rng(seed)
    pairs = draw.integers(0, [len(titles), 8, 3, 5], (rows, 4)).tolist()
    ids = draw.permutation(rows).tolist()
    return [
        a_row(row_id, title, slot, titles, profile=profile, samples=samples + 1)
        for row_id, (title, slot, profile, samples) in zip(ids, pairs, strict=True)
    ]


def truth(rows: Sequence[PatternRow], titles: Floats, query: Floats) -> list[tuple[float, int]]:
    """Return (similarity, id), best first and ties by id, by the definition: each vector made, in float64."""
    found = []
    for row in rows:
        vector = titles[row.title_id // 2].astype(np.float64)
        vector = vector + CONTEXT_SHARE * CONTEXTS[row.record.slot, : titles.shape[1]].astype(np.float64)
        found.append((float((vector / np.sqrt((vector**2).sum()) * query.astype(np.float64)).sum()), row.record.id))
    return sorted(found, key=lambda pair: (-round(pair[0], 12), pair[1]))


def agrees(index: PatternIndex, rows: Sequence[PatternRow], titles: Floats, query: Floats, k: int) -> None:
    found = index.nearest(query, k, [])
    expected = truth(rows, titles, query)[:k]
    assert [near.similarity for near in found] == pytest.approx([similarity for similarity, _ in expected], abs=1e-9)
    assert [near.pattern.id for near in found] == [row_id for _, row_id in expected]


@pytest.mark.parametrize("k", [1, 10, 50, 1999, 2000, 5000])
def test_is_exact(k: int) -> None:
    titles = random_units(300, DIMENSIONS)
    rows = random_rows(titles, 2000)
    index = PatternIndex(a_matrix(titles), CONTEXTS, rows)
    for query in (*random_units(5, DIMENSIONS, seed=8), titles[7], CONTEXTS[3]):
        agrees(index, rows, titles, query, k)


def test_is_exact_where_titles_are_all_but_the_same() -> None:
    noise = np.random.default_rng(1).standard_normal((400, DIMENSIONS)).astype(np.float32)
    near = random_units(1, DIMENSIONS) + 1e-6 * noise
    titles = np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), np.float32)
    rows = random_rows(titles, 1500)
    index = PatternIndex(a_matrix(titles), CONTEXTS, rows)
    for query in random_units(5, DIMENSIONS, seed=8):
        found = [near.pattern.id for near in index.nearest(query, 20, [])]
        assert found == [row_id for _, row_id in truth(rows, titles, query)[:20]]


def test_filters_before_it_takes_the_best() -> None:
    titles = random_units(100, DIMENSIONS)
    rows = random_rows(titles, 900)
    index = PatternIndex(a_matrix(titles), CONTEXTS, rows)
    query = random_units(1, DIMENSIONS, seed=8)[0]
    for bounds in (
        [("slot", 3, 4)],
        [("kind", 1, 1)],
        [("profile", 2, 2), ("sample_count", 4, 9)],
        [("success_milli", 500, 500), ("slot", 0, 0), ("kind", 0, 1)],
        [("slot", 5, 4)],
    ):
        among = [row for row in rows if all(low <= attribute(row, name) <= high for name, low, high in bounds)]
        for k in (1, 5, len(among) or 1, 1000):
            found = [near.pattern.id for near in index.nearest(query, k, bounds)]
            assert found == [row_id for _, row_id in truth(among, titles, query)[:k]]


def test_ties_come_by_id_wherever_they_lie() -> None:
    titles = random_units(90, DIMENSIONS)
    rows = [a_row(1000 - i, 5 if i % 3 else i // 3, 6, titles, profile=i) for i in range(270)]
    index = PatternIndex(a_matrix(titles), CONTEXTS, rows)
    tied = sorted(row.record.id for row in rows if row.record.content_id == "t5")
    found = index.nearest(titles[5], 100, [])
    assert [near.pattern.id for near in found] == tied[:100]
    assert len({near.similarity for near in found}) == 1


def test_grows_and_replaces_one_by_one() -> None:
    titles = random_units(60, DIMENSIONS)
    rows = random_rows(titles, 700)
    query = random_units(1, DIMENSIONS, seed=8)[0]
    matrix = a_matrix(titles[:1])
    index = PatternIndex(matrix, CONTEXTS, [])
    assert index.nearest(query, 5, []) == []
    assert index.records() == []
    for row in rows:
        if row.title_id not in matrix:
            matrix.put(row.title_id, titles[row.title_id // 2], ())
        index.put(row)
    agrees(index, rows, titles, query, 40)
    assert len(index) == 700
    changed = [a_row(row.record.id, row.title_id // 2, row.record.slot, titles, samples=77) for row in rows[::7]]
    for row in changed:
        index.put(row)
    agrees(index, rows, titles, query, 40)
    assert len(index.nearest(query, 999, [("sample_count", 77, 77)])) == len(changed)
    assert index.records() == sorted(
        [row.record for row in changed] + [row.record for i, row in enumerate(rows) if i % 7], key=lambda row: row.id
    )


@given(rows=st.integers(1, 80), k=st.integers(1, 90), seed=st.integers(0, 999), dimensions=st.integers(2, 5))
def test_is_exact_in_few_dimensions(rows: int, k: int, seed: int, dimensions: int) -> None:
    titles = random_units(6, dimensions, seed=seed)
    drawn = random_rows(titles, rows, seed)
    index = PatternIndex(a_matrix(titles), np.ascontiguousarray(CONTEXTS[:, :dimensions]), drawn)
    query = random_units(1, dimensions, seed=seed + 1)[0]
    agrees(index, drawn, titles, query, k)
