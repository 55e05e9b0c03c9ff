"""What is rising: titles that are watched more, of all that is watched, than their own past leads to expect.

The test is exact and conditional: of a title's n + m samples, n came lately. Were its share of all samples constant, n
would be binomial with the share of all samples that came lately (J. Przyborowski, H. Wilenski, "Homogeneity of results
in testing samples from Poisson series", Biometrika 1940). What moves everything, such as the evening, moves both sides.

Pure functions on arrays.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Doubles, Integers

HOUR_S = 3600
PAST_S = 7 * 24 * HOUR_S
FALSE_ALARMS_A_DAY = 0.01
"""The most titles whose share is constant that are called rising on any one day, by Bonferroni over a day's tests."""


class Rule(NamedTuple):
    """When a title is rising."""

    windows_s: tuple[int, ...] = (2 * HOUR_S, 6 * HOUR_S)
    """What counts as lately; each is tested."""
    tests_a_day: int = 24
    least_samples: int = 3
    """Lately; one household's evening is no trend."""

    @property
    def level(self) -> float:
        """The level of one test."""
        return FALSE_ALARMS_A_DAY / (self.tests_a_day * len(self.windows_s))


HOURLY = Rule()
PLAN = Rule(windows_s=(20 * HOUR_S,))
"""The plan's decay of .95 an hour: its mean age is 1 / (1 - .95) = 20 hours, which is the one window here."""
PRESETS = {"hourly": HOURLY, "plan": PLAN}


class Increment(NamedTuple):
    """What came to the samples of titles between two rounds."""

    at: float
    """When it ended, Unix seconds."""
    titles: Integers
    """(n,) ascending"""
    counts: Integers
    """(n,) above 0"""


def increment(before: tuple[Integers, Integers], now: tuple[Integers, Integers]) -> tuple[Integers, Integers]:
    """Return titles and what came to their samples, of one shard; what was taken back counts as nothing."""
    titles, samples = now
    place = np.minimum(np.searchsorted(before[0], titles), max(len(before[0]) - 1, 0))
    known = before[0][place] == titles if len(before[0]) else np.zeros(len(titles), bool)
    counts = samples - np.where(known, before[1][place] if len(before[1]) else 0, 0)
    some = counts > 0
    return titles[some], counts[some]


def added(parts: Sequence[tuple[Integers, Integers]]) -> tuple[Integers, Integers]:
    """Return the sum over titles of several (titles, counts)."""
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    titles, place = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    counts = np.zeros(len(titles), np.int64)
    np.add.at(counts, place.reshape(-1), np.concatenate([part[1] for part in parts]))
    return titles, counts


def rising(increments: Sequence[Increment], now: float, rule: Rule = HOURLY) -> Integers:
    """Return the titles that rise, ascending, by what came in the last PAST_S."""
    known = [one for one in increments if 0 <= now - one.at < PAST_S]
    titles, counts = added([(one.titles, one.counts) for one in known])
    found = np.zeros(len(titles), bool)
    for window_s in rule.windows_s:
        lately = [one for one in known if now - one.at < window_s]
        some, came = added([(one.titles, one.counts) for one in lately])
        n = np.zeros(len(titles), np.int64)
        n[np.searchsorted(titles, some)] = came
        total = int(counts.sum())
        if total == 0 or int(came.sum()) == total:  # without a past nothing rises
            continue
        share = int(came.sum()) / total
        found |= (n >= rule.least_samples) & (tail(n, counts, share) < rule.level)
    rose: Integers = titles[found]
    return rose


def tail(least: Integers, trials: Integers, chance: float) -> Doubles:
    """Return (n,) the probability of `least` (n,) successes or more in `trials` (n,), each with this chance."""
    result = np.ones(len(least))
    above = np.flatnonzero(least > trials * chance)  # below the mean it is .5 or more, and of no account
    result[above] = _upper(least[above].astype(np.float64), trials[above].astype(np.float64), chance)
    return result


def _upper(least: Doubles, trials: Doubles, chance: float) -> Doubles:
    """Add up the terms from `least` on, each from the one before; beyond the mean they fall."""
    if not len(least):
        return np.zeros(0)
    logs = _log_factorials(trials) - _log_factorials(least) - _log_factorials(trials - least)
    term = np.exp(logs + least * np.log(chance) + (trials - least) * np.log1p(-chance))
    total, at, odds = term.copy(), least.copy(), chance / (1 - chance)
    going: NDArray[np.bool_] = term > 0
    while going.any():
        term = np.where(going, term * (trials - at) / (at + 1) * odds, 0.0)
        total += term
        at += 1
        going = term > total * 1e-15
    found: Doubles = np.minimum(total, 1.0)
    return found


def _log_factorials(numbers: Doubles) -> Doubles:
    return np.asarray([math.lgamma(number + 1) for number in numbers.tolist()])
