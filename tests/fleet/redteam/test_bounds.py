"""The bounds, on numbers that fit on a hand, and against all that can be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.wire import Row
from omega.fleet.redteam.bounds import SLACK, Heard, told_bound

HEARD = Heard.of(
    [(0, [Row(0, 0, 10, 1000), Row(1, 0, 9, 1000)]), (0, [Row(0, 1, 10, 1000)]), (1, [Row(1, 1, 8, 1000)])], 2, 3, 10
)


def test_adds_up_what_was_told() -> None:
    assert HEARD.samples.tolist() == [3, 1]
    assert HEARD.trends.tolist() == [[2, 0.5, 0], [0, 0.25, 0]]
    assert HEARD.households.tolist() == [[2, 1, 0], [0, 1, 0]]


def test_the_poisoned_share_is_that_of_all_or_of_the_worst_shard() -> None:
    acts = np.array([1, 3])
    assert HEARD.poisoned(acts, trends=False, pooled=True) == 4 / 8
    assert HEARD.poisoned(acts, trends=False, pooled=False) == 3 / 4
    assert HEARD.poisoned(acts, trends=True, pooled=True) == pytest.approx(4 / 6.75)
    assert HEARD.poisoned(np.array([0, 0]), trends=True, pooled=False) == 0


def test_a_title_has_no_more_of_all_trends_than_its_households_can_watch() -> None:
    none, some = np.array([0, 0]), np.array([3, 0])
    assert HEARD.crowded(2, none, pooled=True) == 0
    assert HEARD.crowded(2, some, pooled=True) == pytest.approx(24 / (24 + 2.75))
    assert HEARD.crowded(0, some, pooled=False) == pytest.approx(40 / (40 + 0.5))
    many = SLACK * 8 * 9
    assert HEARD.crowded(2, np.array([9, 0]), pooled=True) == pytest.approx(many / (many + 2.75)), "an estimate"


def test_what_is_told_moves_more_where_less_is_told() -> None:
    assert told_bound(0.2, 1.0) == pytest.approx(0.2)
    assert told_bound(0.2, 0.5) == pytest.approx(0.2 / 0.6)
    assert told_bound(0.0, 0.5) == 0


@given(
    st.lists(st.integers(0, 50), min_size=4, max_size=4),
    st.lists(st.integers(0, 50), min_size=4, max_size=4),
    st.lists(st.integers(0, 50), min_size=4, max_size=4),
)
def test_no_acts_move_shares_beyond_the_poisoned_share(honest: list[int], given_: list[int], back: list[int]) -> None:
    """As many are given as are taken back, at least, and no title has half of everything."""
    before, acts = np.array(honest, float), sum(given_) + sum(back)
    if before.sum() == 0 or before.max() > before.sum() / 2 or sum(back) > sum(given_):
        return
    after = np.maximum(before + given_ - back, 0)
    if after.sum() == 0:
        return
    moved = np.abs(after / after.sum() - before / before.sum()).sum() / 2
    assert moved <= acts / (before.sum() + acts) + 1e-12
