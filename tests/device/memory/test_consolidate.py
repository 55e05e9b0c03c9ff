"""Idle work: resumable to the last bit, within its budget, and what it may throw away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from omega.device.memory import consolidate
from omega.device.memory.consolidate import Consolidated, faded, within
from omega.device.memory.skills import Key, Sums
from tests.device.memory.memories import FRIDAY, WEEK, episode_lists, rebuild, weekly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from omega.device.memory.episodes import Episode

NOW = int(FRIDAY.timestamp())
DAY_S = 86_400


def reading(episodes: Sequence[Episode], size: int) -> Callable[[int, int], Sequence[Episode]]:
    """Return what gives at most `size` episodes at a time."""
    return lambda after, most: [e for e in episodes if e.id > after][: min(size, most)]


def consolidated(episodes: list[Episode], size: int, stops: Iterator[bool]) -> tuple[int, dict[Key, Sums]]:
    """Consolidate; where `stops` says so, the steps are thrown away and begun again from what was written."""
    cursor, rows = 0, dict[Key, Sums]()
    while True:
        for step in consolidate.consolidate(rows, cursor, reading(episodes, size)):
            cursor, rows = step.cursor, rows | step.rows
            if next(stops, False):
                break
        else:
            return cursor, rows


@given(episode_lists(most=30), st.integers(1, 8), st.lists(st.booleans(), max_size=30))
def test_interrupted_anywhere_it_ends_as_one_run_does(episodes: list[Episode], size: int, stops: list[bool]) -> None:
    cursor, rows = consolidated(episodes, size, iter(stops))
    assert cursor == (episodes[-1].id if episodes else 0)
    assert rows == rebuild(episodes)


def test_a_step_holds_what_changed_and_no_more() -> None:
    friday, monday = weekly(1), weekly(2, since=FRIDAY + 3 * WEEK / 7)[1:]
    steps = list(consolidate.consolidate({}, 0, reading(friday + monday, 1)))
    assert [step.cursor for step in steps] == [1, 2]
    assert [{key.day for key in step.rows} for step in steps] == [{4}, {0}]


def test_what_is_consolidated_is_not_read_again() -> None:
    assert list(consolidate.consolidate({}, 3, reading(weekly(3), 64))) == []


def test_a_budget_ends_the_work_between_steps_and_the_rest_can_follow() -> None:
    time = iter([0.0, 0.004, 0.008, 0.012, 1.0, 1.001])
    steps = (Consolidated(i, {}) for i in range(5))
    assert [step.cursor for step in within(steps, 10, lambda: next(time))] == [0, 1, 2]
    assert [step.cursor for step in within(steps, 0, lambda: next(time))] == [3]
    assert next(steps).cursor == 4


def test_less_than_half_an_episode_has_faded() -> None:
    rows = rebuild(weekly(1))
    assert faded(rows, NOW + 28 * DAY_S) == []
    assert faded(rows, NOW + 29 * DAY_S) == list(rows)
