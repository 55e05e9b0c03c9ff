"""What is shown of merged sums: three households and more, and nothing that one visit changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omega.federation.merging import merge, told
from omega.federation.showing import HIDDEN_DAYS, Showing, showing
from omega_plugins.engines.process_pool import ProcessPool
from omega_plugins.strategies.weighted_mean import WeightedMean
from tests.federation.making import DAY, sums_of


def after(before: Showing, households: dict[int, int], day: int = DAY, each: int = 2, replaced: int = 0) -> Showing:
    arrays = told(sums_of(households, each=each, replaced=replaced, day=day, made_at=day * 86_400), day)
    return showing(before, merge([arrays], WeightedMean(), ProcessPool.open()), day)


def shown(of: Showing) -> dict[int, int]:
    return {row.title: row.figures.households for row in of.trending(99)}


def test_figures_change_with_three_households_and_go_below_three() -> None:
    now = after(Showing.empty(), {1: 2, 2: 3, 5: 9})
    assert shown(now) == {2: 3, 5: 9}
    now = after(now, {1: 3, 2: 5, 5: 7})
    assert shown(now) == {1: 3, 2: 3, 5: 9}
    now = after(now, {1: 3, 2: 6, 5: 6}, DAY + 1)
    assert shown(now) == {1: 3, 2: 6, 5: 6}
    assert now.day[now.titles == 1] == DAY, "figures are of the day on which they were shown"
    now = after(now, {1: 2, 5: 6}, DAY + 2)
    assert shown(now) == {5: 6}
    assert now.hidden(9) == (1, 2)
    assert after(now, {5: 6}, DAY + 1 + HIDDEN_DAYS).hidden(9) == (1, 2)
    assert after(now, {5: 6}, DAY + 2 + HIDDEN_DAYS).hidden(9) == ()
    assert shown(after(now, {1: 4, 5: 6}, DAY + 3)) == {5: 6}, "one that comes and goes would tell the others' figures"
    assert shown(after(now, {1: 5, 5: 6}, DAY + 3)) == {1: 5, 5: 6}
    assert now.hidden(1) in ((1,), (2,))


@given(st.lists(st.dictionaries(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=12))
def test_no_history_shows_fewer_than_three_or_a_change_by_fewer(rounds: list[dict[int, int]]) -> None:
    before = Showing.empty()
    for households in rounds:
        now = after(before, households)
        was, is_now = shown(before), shown(now)
        for title, count in is_now.items():
            assert count >= 3
            assert households.get(title, 0) >= 3
            assert was.get(title) == count or abs(count - was.get(title, 0)) >= 3
        before = now


def test_figures_change_when_a_shard_says_that_three_households_came_or_went() -> None:
    before = after(Showing.empty(), {1: 50, 2: 2}, each=2, replaced=4)
    assert after(before, {1: 50, 2: 2}, each=3, replaced=4).samples.tolist() == [100]
    assert after(before, {1: 50, 2: 2}, each=3, replaced=5).samples.tolist() == [100], "some may have come before"
    now = after(before, {1: 50, 2: 2}, each=3, replaced=6)
    assert (now.titles.tolist(), now.samples.tolist()) == ([1], [150]), "two households are never shown"


def test_the_trendiest_come_first_whatever_day_they_are_of() -> None:
    now = after(Showing.empty(), {1: 10, 2: 20})
    now = after(now, {1: 10, 2: 20, 3: 12}, DAY + 1)
    assert [row.title for row in now.trending(99)] == [3, 2, 1], "24 today; 40 and 20 yesterday"
    assert [row.title for row in now.trending(2)] == [3, 2]
    assert np.isfinite([row.figures.trends[0] for row in now.trending(9)]).all()
