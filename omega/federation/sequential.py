"""Whether an arm does better than another, looked at as often as one likes. Pure functions.

Three things would make a plain interval err. Each has its answer here, and what holds on all days and at all looks at
once holds for whatever part of them somebody chooses to look at:

- A day that is still being told is looked at many times. Its interval is a mixture's (Robbins, "Statistical methods
  related to the law of the iterated logarithm", Annals of Mathematical Statistics 1970): the difference of two means,
  times its information 1 / variance, moves with what is told as a Brownian motion does, and leaves the mixture's bounds
  ever with a probability of the level. Variances are taken from the sums, so this holds for many households
  (Waudby-Smith et al., "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics
  2024).
- There is another day tomorrow. The t-th day since the experiment began has the level 6 / (pi t)^2 of the whole, which
  adds up to the whole over all days there will ever be (Bonferroni; Basel's sum), whichever of them is told first.
- A household's days are alike: thirty days of a hundred households say little more than one. No sum says how alike, so
  the worst is taken: the mean over days of their differences is off by the mean of their intervals' halves at most, if
  each day is within its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

ALPHA = 0.05
LEAST_HOUSEHOLDS = 30
"""Of an arm on a day that counts: the mean of fewer is far from normal."""
_SURE_OF = 200
"""The mixture's width, in households an arm: narrowest at 1,900 on the first day, at 4,800 on the 30th.

At 5,000 no other width is 2 % narrower on any day; at 300 the best one is 13 % to 20 % narrower.
"""


class Day(NamedTuple):
    """What an arm's households came to on one day, as far as they have told it."""

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


def difference(control: Sequence[Day], arm: Sequence[Day], first_day: int, alpha: float = ALPHA) -> Difference:
    """Return how an arm differs from the control on the days that both have, with LEAST_HOUSEHOLDS each.

    The intervals of all looks hold together with a probability of 1 - alpha at least. Days before `first_day`, which
    began the experiment, are passed over.
    """
    known = {day.day: day for day in control if day.day >= first_day}
    pairs = [(known[day.day], day) for day in arm if day.day in known]
    pairs = [pair for pair in pairs if min(of.households for of in pair) >= LEAST_HOUSEHOLDS]
    if not pairs:
        return Difference(0, 0.0, -math.inf, math.inf, "open")
    effect = sum(_mean(there) - _mean(here) for here, there in pairs) / len(pairs)
    halves = [half(here, there, level(here.day - first_day + 1, alpha)) for here, there in pairs]
    off = sum(halves) / len(halves)
    verdict = "better" if effect > off else "worse" if effect < -off else "open"
    return Difference(len(pairs), effect, effect - off, effect + off, verdict)


def level(day: int, alpha: float) -> float:
    """Return how probable an error about the t-th day, 1 or more, may be."""
    return alpha * 6 / (math.pi * day) ** 2


def half(here: Day, there: Day, alpha: float) -> float:
    """Return by how much a day's difference of means is off at most, at all looks, but for a probability of alpha."""
    spread = [_spread(day) for day in (here, there)]
    variance = spread[0] / here.households + spread[1] / there.households
    if not variance:
        return 0.0 if _mean(here) == _mean(there) else math.inf
    households = sum(spread) / variance  # an arm, were both as large; so much is known, for two alike spreads
    beyond = math.log1p(households / _SURE_OF) - 2 * math.log(alpha)
    return math.sqrt(variance * (1 + _SURE_OF / households) * beyond)


def _mean(day: Day) -> float:
    return day.total / day.households


def _spread(day: Day) -> float:
    """Return the variance of a household: in whole numbers to the last step, so that it is never below 0."""
    n = day.households
    return (n * day.squares - day.total**2) / (n * (n - 1))
