"""The sequential test: how often it errs, looked at each day, where households' days are alike, and what it finds."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from omega.federation.sequential import ALPHA, Day, difference, quantile

DAYS, RUNS = 21, 2_000


def lived(random: np.random.Generator, runs: int, households: int, *, alike: float, lift: float = 1.0) -> np.ndarray:
    """Return (runs, DAYS, 2): sums and sums of squares of an arm; households' rates vary by `alike`, all month."""
    rates = np.full((runs, households), 2.0)
    if alike:
        rates = random.gamma(1 / alike, 2.0 * alike, (runs, households))
    days = random.poisson(rates[:, None, :] * lift, (runs, DAYS, households)).astype(np.int64)
    return np.stack([days.sum(axis=2), (days * days).sum(axis=2)], axis=2)


def verdicts(control: np.ndarray, arm: np.ndarray, households: int) -> set[str]:
    """Look at one run each day, and return what was seen."""
    of = [[Day(day, households, *row) for day, row in enumerate(sums.tolist())] for sums in (control, arm)]
    return {difference(of[0][:end], of[1][:end]).verdict for end in range(1, DAYS + 1)}


@pytest.mark.parametrize("alike", [0.0, 1.0], ids=["every day anew", "the same all month"])
def test_arms_without_a_difference_are_told_apart_as_seldom_as_promised(alike: float) -> None:
    random = np.random.default_rng(20_261_123)
    wrong = 0
    for _ in range(RUNS // 100):
        here, there = (lived(random, 100, 60, alike=alike) for _ in range(2))
        wrong += sum(verdicts(mine, theirs, 60) != {"open"} for mine, theirs in zip(here, there, strict=True))
    assert wrong <= ALPHA * RUNS
    assert alike == 0 or wrong > 0, "a test that never errs tells nothing"


def test_a_day_as_its_own_witness_would_err_where_households_are_alike() -> None:
    """The check above can fail: an interval from days' scatter alone takes who is in an arm for what the arm does."""
    random, wrong = np.random.default_rng(7), 0
    for _ in range(3):
        here, there = (lived(random, 100, 60, alike=1.0)[:, :, 0] / 60 for _ in range(2))
        apart = there - here
        half = quantile(DAYS, ALPHA) * apart.std(axis=1, ddof=1) / math.sqrt(DAYS)
        wrong += int((np.abs(apart.mean(axis=1)) > half).sum())
    assert wrong > 0.2 * 300


def test_a_tenth_more_is_found_and_its_sign() -> None:
    random = np.random.default_rng(5)
    here, there = (lived(random, 40, 4_000, alike=0.5, lift=lift) for lift in (1.0, 1.1))
    found = [verdicts(mine, theirs, 4_000) for mine, theirs in zip(here, there, strict=True)]
    assert sum("better" in seen for seen in found) >= 36
    assert not any("worse" in seen for seen in found)
    assert "worse" in verdicts(there[0], here[0], 4_000)


def test_one_day_by_hand() -> None:
    control, arm = [Day(9, 100, 200, 500)], [Day(8, 100, 900, 9_000), Day(9, 50, 150, 600)]
    found = difference(control, arm)
    variance = (500 - 200**2 / 100) / 99 / 100 + (600 - 150**2 / 50) / 49 / 50
    half = NormalDist().inv_cdf(1 - 0.05 * 6 / math.pi**2 / 2) * math.sqrt(variance)
    assert (found.days, found.effect, found.verdict) == (1, 1.0, "better")
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half))


def test_days_of_few_households_or_of_one_arm_say_nothing() -> None:
    assert difference([Day(1, 29, 29, 29)], [Day(1, 900, 0, 0)]) == (0, 0.0, -math.inf, math.inf, "open")
    assert difference([Day(1, 90, 29, 29)], [Day(2, 90, 0, 0)]).verdict == "open"
    assert difference([], []).days == 0
    assert difference([Day(1, 90, 90, 90)], [Day(1, 90, 90, 90)]).verdict == "open"


def test_all_days_levels_add_up_to_the_whole() -> None:
    levels = [2 * (1 - NormalDist().cdf(quantile(day, 0.05))) for day in range(1, 4_000)]
    assert sum(levels) == pytest.approx(0.05, rel=1e-3)
    assert sum(levels) < 0.05
