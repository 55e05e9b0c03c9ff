"""What rises: the test's probabilities are exact, and only a change of a title's own share is found."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from omega.federation.trends import HOURLY, PLAN, Increment, added, increment, rising, tail

HOUR = 3600.0


def exact(least: int, trials: int, chance: Fraction) -> float:
    terms = (comb(trials, n) * chance**n * (1 - chance) ** (trials - n) for n in range(least, trials + 1))
    return float(sum(terms, Fraction(0)))


@pytest.mark.parametrize("chance", [Fraction(1, 100), Fraction(1, 28), Fraction(1, 3)])
def test_the_tail_is_exact_above_the_mean(chance: Fraction) -> None:
    pairs = [(n, trials) for trials in (1, 5, 60, 300) for n in range(trials + 1) if n > trials * chance]
    found = tail(np.asarray([n for n, _ in pairs]), np.asarray([trials for _, trials in pairs]), float(chance))
    assert found == pytest.approx([exact(n, trials, chance) for n, trials in pairs], rel=1e-9, abs=1e-300)
    assert tail(np.asarray([0]), np.asarray([10]), 0.5).tolist() == [1.0]
    assert tail(np.asarray([10**6]), np.asarray([10**7]), 0.05)[0] == 0.0


def hours(counts: dict[int, list[int]]) -> list[Increment]:
    """Return an increment an hour, the last one at hour 0."""
    many = len(next(iter(counts.values())))
    told = []
    for at in range(many):
        titles = [title for title, values in sorted(counts.items()) if values[at]]
        came = [counts[title][at] for title in titles]
        told.append(Increment((at - many + 1) * HOUR, np.asarray(titles, np.int64), np.asarray(came, np.int64)))
    return told


def test_a_title_that_gains_a_share_rises_and_the_evening_doesnt() -> None:
    steady = {title: [10] * 100 for title in range(50)}
    assert rising(hours(steady), 0.0).tolist() == []
    evening = {title: [10] * 98 + [40] * 2 for title in range(50)}
    assert rising(hours(evening), 0.0).tolist() == []
    evening[7] = [10] * 98 + [120] * 2
    assert rising(hours(evening), 0.0).tolist() == [7]
    evening[9] = [10] * 98 + [0] * 2
    assert rising(hours(evening), 0.0).tolist() == [7], "what falls doesn't rise"


def test_a_long_past_and_a_slow_rise_are_told_by_the_longer_window() -> None:
    slow = {title: [2] * 160 for title in range(50)}
    slow[3] = [2] * 154 + [5] * 6
    assert rising(hours(slow), 0.0).tolist() == [3]
    assert rising(hours({title: values[-8:] for title, values in slow.items()}), 0.0).tolist() == []
    assert rising(hours(slow), 0.0, PLAN).tolist() == [], "its 20 hours are 14 of the past and 6 of the rise"
    slow[3] = [2] * 140 + [5] * 20
    assert rising(hours(slow), 0.0, PLAN).tolist() == [3]


def test_nothing_rises_without_a_past_or_by_one_evening_of_two() -> None:
    assert rising([], 0.0).tolist() == []
    assert rising(hours({1: [5], 2: [900]}), 0.0).tolist() == []
    quiet = {title: [1] * 150 for title in range(300)} | {999: [0] * 149 + [2]}
    assert rising(hours(quiet), 0.0).tolist() == []
    assert rising(hours(quiet), 8 * 86_400.0).tolist() == [], "a week later nothing of it counts"


def test_what_came_is_what_is_more_than_before() -> None:
    before = np.asarray([2, 5, 9]), np.asarray([10, 10, 10])
    now = np.asarray([2, 4, 5, 9]), np.asarray([12, 3, 10, 7])
    titles, counts = increment(before, now)
    assert (titles.tolist(), counts.tolist()) == ([2, 4], [2, 3]), "what was taken back is nothing"
    assert increment((before[0][:0], before[1][:0]), now)[1].tolist() == [12, 3, 10, 7]
    both = added([(titles, counts), (np.asarray([4, 8]), np.asarray([1, 1]))])
    assert [part.tolist() for part in both] == [[2, 4, 8], [2, 4, 1]]


def test_levels_share_the_days_false_alarms() -> None:
    assert pytest.approx(HOURLY.level * 24 * 2) == 0.01
    assert pytest.approx(PLAN.level * 24) == 0.01
