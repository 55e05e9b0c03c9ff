"""The sequential test: how often it errs, looked at each hour, where households' days are alike, and what it finds."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from omega.federation.sequential import ALPHA, Day, difference, half, level

DAYS, LOOKS, RUNS, HOUSEHOLDS = 7, 8, 400, 300
Told = np.ndarray
"""(runs, DAYS, LOOKS, 3): households, sums and sums of squares of an arm, as far as each look of a day has heard."""


def lived(random: np.random.Generator, runs: int, households: int, *, alike: float, lift: float = 1.0) -> Told:
    """Return what an arm's households tell; their rates vary by `alike`, and stay all week."""
    rates = random.gamma(1 / alike, 2.0 * alike, (runs, 1, households)) if alike else 2.0
    days = random.poisson(rates * lift, (runs, DAYS, households)).astype(np.int64)
    at = np.linspace(0, households, LOOKS + 1).astype(np.int64)[1:]
    sums = [np.cumsum(of, axis=2)[:, :, at - 1] for of in (days, days * days)]
    return np.stack([np.broadcast_to(at, sums[0].shape), *sums], axis=3)


def seen(control: np.ndarray, arm: np.ndarray) -> set[str]:
    """Look at one run at every hour of each day, and return all verdicts."""
    found = set()
    for day in range(DAYS):
        for look in range(LOOKS):
            until = [[*of[:day, -1].tolist(), of[day, look].tolist()] for of in (control, arm)]
            here, there = ([Day(100 + at, *row) for at, row in enumerate(of)] for of in until)
            found.add(difference(here, there, 100).verdict)
    return found


@pytest.mark.parametrize("alike", [0.0, 1.0], ids=["every day anew", "the same all week"])
def test_arms_without_a_difference_are_told_apart_as_seldom_as_promised(alike: float) -> None:
    random = np.random.default_rng(20_261_123)
    here, there = (lived(random, RUNS, HOUSEHOLDS, alike=alike) for _ in range(2))
    wrong = sum(seen(mine, theirs) != {"open"} for mine, theirs in zip(here, there, strict=True))
    assert wrong <= ALPHA * RUNS / 2  # a mixture holds at looks that were never made, too


def test_an_interval_for_one_look_a_day_would_err() -> None:
    """The check above can fail: who looks while a day is told sees more than its level allows."""
    random = np.random.default_rng(20_261_123)
    here, there = (lived(random, RUNS, HOUSEHOLDS, alike=1.0).astype(float) for _ in range(2))
    apart = there[..., 1] / there[..., 0] - here[..., 1] / here[..., 0]
    of = [
        (told[..., 2] - told[..., 1] ** 2 / told[..., 0]) / (told[..., 0] - 1) / told[..., 0] for told in (here, there)
    ]
    within = np.array([NormalDist().inv_cdf(1 - level(day + 1, ALPHA) / 2) for day in range(DAYS)])
    outside = (np.abs(apart) > within[:, None] * np.sqrt(of[0] + of[1])).any(axis=(1, 2))
    assert outside.mean() > 1.5 * ALPHA


def test_a_days_interval_holds_at_all_looks() -> None:
    """Against brute force: many looks at one day alone leave it as seldom as its level says, and sometimes."""
    random, alpha, looks = np.random.default_rng(3), 0.2, range(50, 20_000, 50)
    wrong = 0
    for _ in range(200):
        sums = [np.cumsum(random.exponential(2.0, 20_000).astype(np.int64)) for _ in range(2)]
        values = [np.diff(of, prepend=0) for of in sums]
        squares = [np.cumsum(of * of) for of in values]
        days = [
            [Day(1, n, int(of[n - 1]), int(also[n - 1])) for n in looks] for of, also in zip(sums, squares, strict=True)
        ]
        wrong += any(
            abs(b.total / b.households - a.total / a.households) > half(a, b, alpha) for a, b in zip(*days, strict=True)
        )
    assert 0 < wrong <= alpha * 200


def test_a_tenth_more_is_found_and_its_sign() -> None:
    random = np.random.default_rng(5)
    here, there = (lived(random, 40, 5_000, alike=0.5, lift=lift) for lift in (1.0, 1.1))
    found = [seen(mine, theirs) for mine, theirs in zip(here, there, strict=True)]
    assert sum("better" in verdicts for verdicts in found) >= 36
    assert not any("worse" in verdicts for verdicts in found)
    assert "worse" in seen(there[0], here[0])


def test_two_days_by_hand() -> None:
    control, arm = [Day(9, 100, 200, 500), Day(10, 100, 210, 600)], [Day(10, 90, 180, 500), Day(9, 50, 150, 600)]
    found = difference(control, arm, 9)
    assert found.days == 2
    assert found.effect == pytest.approx((1.0 - 0.1) / 2)
    spreads = (500 - 200**2 / 100) / 99, (600 - 150**2 / 50) / 49
    variance = spreads[0] / 100 + spreads[1] / 50
    n, alpha = sum(spreads) / variance, 0.05 * 6 / math.pi**2
    first = math.sqrt(variance * (n + 200) / n * math.log((n + 200) / 200 / alpha**2))
    assert half(control[0], arm[1], alpha) == pytest.approx(first)
    off = (first + half(control[1], arm[0], alpha / 4)) / 2
    assert (found.low, found.high) == pytest.approx((0.45 - off, 0.45 + off))


def test_days_of_few_households_or_of_one_arm_or_before_the_first_say_nothing() -> None:
    assert difference([Day(1, 29, 29, 29)], [Day(1, 900, 0, 0)], 1) == (0, 0.0, -math.inf, math.inf, "open")
    assert difference([Day(1, 90, 29, 29)], [Day(2, 90, 0, 0)], 1).verdict == "open"
    assert difference([], [], 1).days == 0
    both = [Day(8, 90, 900, 9_900)], [Day(8, 90, 9, 9)]
    assert difference(*both, 8).verdict == "worse"
    assert difference(*both, 9).days == 0


def test_households_that_are_all_the_same_say_nothing_of_others() -> None:
    assert difference([Day(1, 90, 90, 90)], [Day(1, 90, 90, 90)], 1).verdict == "open"
    assert difference([Day(1, 90, 90, 90)], [Day(1, 90, 180, 360)], 1).verdict == "open"


def test_all_days_levels_add_up_to_the_whole() -> None:
    levels = [level(day, 0.05) for day in range(1, 4_000)]
    assert sum(levels) == pytest.approx(0.05, rel=1e-3)
    assert sum(levels) < 0.05
