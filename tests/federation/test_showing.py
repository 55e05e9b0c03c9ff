"""What is shown of merged sums: three households and more, and nothing that one visit changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omega.federation.merging import Merged, merge, told
from omega.federation.showing import HIDDEN_DAYS, Showing, arrivals, showing
from omega_plugins.engines.process_pool import ProcessPool
from omega_plugins.strategies.weighted_mean import WeightedMean
from omega_storage.shard_sums import Rows, progress_of
from tests.federation.making import DAY, sums_of


def after(before: Showing, households: dict[int, int], day: int = DAY, each: int = 2, progress: int = 0) -> Showing:
    arrays = told(sums_of(households, each=each, progress=progress, day=day, made_at=day * 86_400), day)
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
    before = after(Showing.empty(), {1: 50, 2: 2}, each=2, progress=4 * 7 + 2)
    for later in (4 * 7 + 3, 4 * 8, 4 * 8 + 2, 4 * 6 + 3):
        kept = after(before, {1: 50, 2: 2}, each=3, progress=later)
        assert kept.samples.tolist() == [100], "two of them had come before, or it went back"
    assert after(kept, {1: 50, 2: 2}, each=3, progress=4 * 7 + 2).samples.tolist() == [100], "counted on from there"
    for later in (4 * 8 + 3, 4 * 9):
        now = after(before, {1: 50, 2: 2}, each=3, progress=later)
        assert (now.titles.tolist(), now.samples.tolist()) == ([1], [150]), "two households are never shown"
        assert after(now, {1: 50}, each=4, progress=later).samples.tolist() == [150]


def test_households_of_several_shards_are_not_added_up_since_one_may_have_moved() -> None:
    def told_by(shards: dict[int, int], each: int) -> Merged:
        arrays = [
            told(sums_of({1: 50}, each=each, progress=of, shard=shard, day=DAY), DAY) for shard, of in shards.items()
        ]
        return merge(arrays, WeightedMean(), ProcessPool.open())

    before = showing(Showing.empty(), told_by({4: 0, 9: 4}, 2), DAY)
    assert before.samples.tolist() == [200]
    assert showing(before, told_by({9: 4 + 2, 4: 2}, 3), DAY).samples.tolist() == [200]
    assert showing(before, told_by({9: 4 + 3, 4: 0}, 3), DAY).samples.tolist() == [300]
    assert showing(before, told_by({9: 4 + 2, 4: 0, 7: 4 * 90}, 3), DAY).samples.tolist() == [450], "a hundred more"
    alone = showing(before, told_by({4: 1}, 3), DAY)
    assert alone.samples.tolist() == [150], "fifty fewer"
    late = showing(alone, told_by({4: 1, 9: 4 * 90}, 3), DAY)
    assert late.samples.tolist() == [300], "fifty more"


@given(st.lists(st.lists(st.integers(0, 5), max_size=7), min_size=2, max_size=8), st.data())
def test_who_is_counted_between_two_progresses_came_between_them(folds: list[list[int]], data: st.DataObject) -> None:
    rows, told_at = Rows.empty(1), [0]
    for fold in folds:
        tags = np.asarray(fold, np.int64)
        rows.count(np.zeros(len(tags), np.int64), np.ones(len(tags), np.int64), tags)
        if data.draw(st.booleans()):
            rows.mark_shown(np.asarray([0]))
        told_at.append(int(progress_of(rows.packed_since())[0]))
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(folds))] * 2)))
    between = {tag for fold in folds[first:last] for tag in fold}
    counted = arrivals(np.asarray([told_at[first]]), np.asarray([told_at[last]]))[0]
    assert counted <= min(len(between), 3)


def test_a_round_reads_what_one_kept_that_noted_no_progress() -> None:
    now = after(Showing.empty(), {1: 5})
    kept = {name: column for name, column in now._asdict().items() if name not in ("progress", "shards")}
    old = Showing.of(kept | {"replaced": np.asarray([3])})
    assert shown(old) == {1: 5}
    assert shown(after(old, {1: 6}, progress=99)) == {1: 5}, "as of a shard that wasn't heard before"


def test_the_trendiest_come_first_whatever_day_they_are_of() -> None:
    now = after(Showing.empty(), {1: 10, 2: 20})
    now = after(now, {1: 10, 2: 20, 3: 12}, DAY + 1)
    assert [row.title for row in now.trending(99)] == [3, 2, 1], "24 today; 40 and 20 yesterday"
    assert [row.title for row in now.trending(2)] == [3, 2]
    assert np.isfinite([row.figures.trends[0] for row in now.trending(9)]).all()
