"""What adds many samples up at once, held against numpy's own and against one after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omega_storage.shard_sums import distinct, totals

NEAR, FAR = st.integers(-30, 30), st.integers(-(2**40), 2**40)


@given(st.one_of(st.lists(NEAR), st.lists(FAR), st.lists(st.one_of(NEAR, FAR))))
def test_keys_are_told_apart_as_by_numpy(values: list[int]) -> None:
    keys = np.asarray(values, np.int64)
    ascending, place = distinct(keys)
    expected, of = np.unique(keys, return_inverse=True)
    assert ascending.tolist() == expected.tolist()
    assert place.tolist() == of.tolist()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1000, 1000))))
def test_values_are_added_up_by_place(told: list[tuple[int, int]]) -> None:
    place, values = np.asarray(told, np.int64).reshape(-1, 2).T
    expected = [sum(value for at, value in told if at == row) for row in range(6)]
    assert totals(place, values, 6).tolist() == expected
