"""Whether an arm does better than another, looked at as often as one likes. Pure functions.

A household's days are alike: thirty days of a hundred households say little more than one. No sum says how alike, so
the worst is taken: the mean over days of the arms' difference varies at most as one day's does, on average, whatever
ties the days together, since the variance of a mean is never above the mean of the variances.

Who looks each day and stops as soon as he sees something would err in the end. So the level of the t-th day is
6 / (pi t)^2 of the whole, which adds up to the whole over all days there will ever be (Bonferroni; Basel's sum): an
interval holds on all days at once with a probability of 1 - alpha at least. It is wider than one that knows when it is
looked at, and than confidence sequences that know how days hang together (Howard et al., "Time-uniform, nonparametric,
nonasymptotic confidence sequences", Annals of Statistics 2021).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

ALPHA = 0.05
LEAST_HOUSEHOLDS = 30
"""Of an arm on a day that counts: the mean of fewer is far from normal."""


class Day(NamedTuple):
    """What an arm's households came to on one day."""

    day: int
    households: int
    total: int
    squares: int
    """Sum over households of the square."""


class Difference(NamedTuple):
    """What the days of two arms say."""

    days: int
    """So many both have."""
    effect: float
    """Mean over days of the second arm's mean less the first one's; in the outcome's unit, a household and day."""
    low: float
    high: float
    verdict: str
    """`better`, `worse`: the interval is on one side of 0; `open`: it isn't, or there is no day."""


def difference(control: Sequence[Day], arm: Sequence[Day], alpha: float = ALPHA) -> Difference:
    """Return how an arm differs from the control on the days that both have, with LEAST_HOUSEHOLDS each.

    The interval holds on all days at once with a probability of 1 - alpha at least.
    """
    known = {day.day: day for day in control}
    pairs = [(known[day.day], day) for day in arm if day.day in known]
    pairs = [pair for pair in pairs if min(of.households for of in pair) >= LEAST_HOUSEHOLDS]
    if not pairs:
        return Difference(0, 0.0, -math.inf, math.inf, "open")
    effect = sum(_mean(there) - _mean(here) for here, there in pairs) / len(pairs)
    variance = sum(_variance(here) + _variance(there) for here, there in pairs) / len(pairs)
    half = quantile(len(pairs), alpha) * math.sqrt(variance)
    verdict = "better" if effect > half else "worse" if effect < -half else "open"
    return Difference(len(pairs), effect, effect - half, effect + half, verdict)


def quantile(days: int, alpha: float) -> float:
    """Return how many deviations are left and right of an effect after so many days."""
    level = alpha * 6 / (math.pi * days) ** 2
    return NormalDist().inv_cdf(1 - level / 2)


def _mean(day: Day) -> float:
    return day.total / day.households


def _variance(day: Day) -> float:
    """Return the variance of the day's mean."""
    n = day.households
    return max(day.squares - day.total**2 / n, 0.0) / (n - 1) / n
