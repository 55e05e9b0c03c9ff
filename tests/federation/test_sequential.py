"""The sequential test: how often it errs, looked at each hour, where households' days are alike, and what it finds."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from omega.federation.sequential import ALPHA, LEAST_HOUSEHOLDS, Day, difference, half, level

DAYS, LOOKS, RUNS, HOUSEHOLDS = 7, 24, 300, 300
Told = np.ndarray
"""(runs, DAYS, LOOKS, 3): households, sums and sums of squares of an arm, as far as each look of a day has heard."""
ALIKE = "every day anew", "the same rates all week", "the same days all week"


def lived(random: np.random.Generator, runs: int, households: int, alike: str, lift: float = 1.0) -> Told:
    """Return what an arm's households tell, each at any hour: at no look both arms have told equally much."""
    rates = 2.0 if alike == ALIKE[0] else random.gamma(2.0, 1.0, (runs, 1, households))
    drawn = random.poisson(rates * lift, (runs, 1 if alike == ALIKE[2] else DAYS, households))
    days = np.broadcast_to(drawn, (runs, DAYS, households)).reshape(-1, households)
    look = np.arange(runs * DAYS)[:, None] * LOOKS + random.integers(0, LOOKS, days.shape)
    sums = [
        np.bincount(look.ravel(), of.ravel(), runs * DAYS * LOOKS).reshape(runs, DAYS, LOOKS).cumsum(axis=2)
        for of in (np.ones_like(days), days, days * days)
    ]
    return np.stack(sums, axis=3).astype(np.int64)


def seen(control: np.ndarray, arm: np.ndarray) -> set[str]:
    """Look at one run at every hour of each day, and return all verdicts."""
    found = set()
    for day in range(DAYS):
        for look in range(LOOKS):
            until = [[*of[:day, -1].tolist(), of[day, look].tolist()] for of in (control, arm)]
            here, there = ([Day(100 + at, *row) for at, row in enumerate(of)] for of in until)
            found.add(difference(here, there, 100).verdict)
    return found


@pytest.mark.parametrize("alike", ALIKE)
def test_arms_without_a_difference_are_told_apart_as_seldom_as_promised(alike: str) -> None:
    random = np.random.default_rng(20_261_123)
    here, there = (lived(random, RUNS, HOUSEHOLDS, alike) for _ in range(2))
    wrong = sum(seen(mine, theirs) != {"open"} for mine, theirs in zip(here, there, strict=True))
    assert wrong <= ALPHA * RUNS / 2  # a mixture holds at looks that were never made, too


def test_an_interval_for_one_look_a_day_would_err() -> None:
    """The check above can fail: the same days, looked at by a normal interval of each day's level."""
    random = np.random.default_rng(20_261_123)
    here, there = (lived(random, RUNS, HOUSEHOLDS, ALIKE[2]).astype(float) for _ in range(2))
    counts = np.minimum(here[..., 0], there[..., 0]) >= LEAST_HOUSEHOLDS
    means = [told[..., 1] / np.maximum(told[..., 0], 1) for told in (here, there)]
    variances = [
        (told[..., 2] / np.maximum(told[..., 0], 1) - mean**2) / np.maximum(told[..., 0] - 1, 1)
        for told, mean in zip((here, there), means, strict=True)
    ]
    days = np.arange(DAYS)[:, None] + counts
    apart, variance = (
        (np.cumsum(of[..., -1:], axis=1) - of[..., -1:] + of * counts) / np.maximum(days, 1)
        for of in (means[1] - means[0], variances[0] + variances[1])
    )
    within = np.array([0.0, *(NormalDist().inv_cdf(1 - level(day + 1, ALPHA) / 2) for day in range(DAYS))])
    outside = (np.abs(apart) > within[days] * np.sqrt(variance)) & (days > 0)
    assert outside.any(axis=(1, 2)).mean() > 1.5 * ALPHA


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
    here, there = (lived(random, 40, 5_000, ALIKE[1], lift) for lift in (1.0, 1.1))
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


def test_a_days_deviation_is_exact_where_floats_would_fall_below_zero() -> None:
    for n, each in ((49, 1_439), (93, 1_237), (10**6 + 3, 1_433)):
        same = Day(1, n, n * each, n * each**2)
        assert half(same, same, ALPHA) == 0
        once = same._replace(total=same.total + 1, squares=same.squares + 2 * each + 1)
        n_over_s, variance = n / 200, 2 / n**2
        by_hand = math.sqrt(variance * (1 + 1 / n_over_s) * (math.log1p(n_over_s) - 2 * math.log(ALPHA)))
        assert half(once, once, ALPHA) == pytest.approx(by_hand)


def test_households_that_are_all_the_same_say_nothing_of_others() -> None:
    assert difference([Day(1, 90, 90, 90)], [Day(1, 90, 90, 90)], 1).verdict == "open"
    assert difference([Day(1, 90, 90, 90)], [Day(1, 90, 180, 360)], 1).verdict == "open"


def test_all_days_levels_add_up_to_the_whole() -> None:
    levels = [level(day, 0.05) for day in range(1, 4_000)]
    assert sum(levels) == pytest.approx(0.05, rel=1e-3)
    assert sum(levels) < 0.05
