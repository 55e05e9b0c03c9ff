"""The figures that are shown, the nearest audience, and the pace, on values worked out by hand."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from omega.core.shard_records import ALL_SLOTS, TASTE_NUMBERS, Figures, Shown
from omega.core.testing.shard_contract import TASTE
from omega.core.wire import Trend
from omega.shard.aggregates import momentum, shown_households, shown_success, similar_to, taste_vector, trend_of
from omega.shard.pacing import Allowance, Budgets, Pace


def figures(samples: int = 3, milli: int = 3000, households: int = 3, day: int = 100, trend: float = 3.0) -> Figures:
    return Figures(samples, milli, households, day, (trend, 0.0, 0.0, 0.0))


def test_households_are_told_by_steps() -> None:
    told = [shown_households(n) for n in (0, 2, 3, 4, 5, 9, 10, 19, 20, 49, 50, 99, 100, 123_456)]
    assert told == [0, 0, 3, 3, 5, 5, 10, 10, 20, 20, 50, 50, 100, 100_000]


def test_success_is_told_by_steps_that_the_wire_has() -> None:
    assert shown_success(figures(3, 3000)) == 800
    assert shown_success(figures(3, 0)) == 200
    assert shown_success(figures(100, 50_000)) == 480  # 51 of 102: halfway, to the even step
    assert all(shown_success(figures(9, milli)) % 4 == 0 for milli in range(0, 9001, 37))


def test_momentum_is_in_eighths_of_a_doubling_and_fades() -> None:
    assert [momentum(figures(trend=trend), 100) for trend in (0, 1, 3, 7, 2.0**40)] == [0, 8, 16, 24, 255]
    assert [momentum(figures(trend=7.0), day) for day in (99, 100, 101, 120)] == [24, 24, 17, 0]
    row = Shown(7, ALL_SLOTS, figures())
    assert trend_of(row, 100) == Trend(7, None, 3, 800, 16)
    assert trend_of(Shown(7, 4, figures()), 100).slot == 4


def test_a_taste_code_is_nibbles_around_eight() -> None:
    assert taste_vector(TASTE).tolist() == [2.0, 1.0] + [0.0] * (TASTE_NUMBERS - 2)


def test_the_nearest_audience_comes_first() -> None:
    audiences = np.zeros((4, 1 + TASTE_NUMBERS), np.float32)
    audiences[:, 0] = 3
    audiences[0, 1], audiences[1, 1], audiences[2, 2], audiences[3, 2] = 12, -12, 12, -12
    rows = [Shown(title, 4, figures()) for title in range(4)]
    found = similar_to(TASTE, rows, audiences, 3)
    assert [(row.title, row.nearness) for row in found] == [(0, 242), (2, 185), (3, 70)]  # 127.5 (1 + 2/sqrt 5), ...
    assert similar_to(TASTE, [], audiences[:0], 3) == ()


@pytest.mark.parametrize(("devices", "seconds"), [(0, 300), (900_000, 300), (1_800_000, 600), (9_000_000, 900)])
def test_many_devices_come_less_often(devices: int, seconds: int) -> None:
    pace, random = Pace(), Random(1)
    told = [pace.next_sync_s(devices, random) for _ in range(500)]
    assert 0.8 * seconds <= min(told) < 0.82 * seconds
    assert 1.18 * seconds < max(told) <= 1.2 * seconds


def test_a_device_contributes_so_much_a_day() -> None:
    budgets = Budgets(100)
    assert [budgets.spend(7, samples, 50) for samples in (60, 41, 40, 1, 0)] == [True, False, True, False, True]
    assert budgets.spend(3, 100, 50)
    budgets.refund(7, 40, 50)
    assert [budgets.spend(7, samples, 50) for samples in (41, 40)] == [False, True]
    budgets.refund(7, 60, 49)
    assert not budgets.spend(7, 1, 50), "another day's samples are not given back today"
    assert [budgets.spend(7, 512, day) for day in (51, 51)] == [True, False], "a day's first push is never refused"


def test_a_device_may_come_in_a_burst_and_then_waits() -> None:
    allowance = Allowance(Pace(burst=3, refill_s=10))
    assert [allowance.wait_s(7, 100.0) for _ in range(4)] == [0, 0, 0, 10]
    assert allowance.wait_s(8, 100.0) == 0
    assert allowance.wait_s(7, 104.0) == pytest.approx(6)
    assert [allowance.wait_s(7, 110.0) for _ in range(2)] == [0, 10]
    assert [allowance.wait_s(7, 9_999.0) for _ in range(4)] == [0, 0, 0, 10]
