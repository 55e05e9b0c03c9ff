"""What everybody watches: trend, freshness, and the base rates that a taste is compared with. Natural logarithms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.evaluation.formula.facts import AGE_CLASSES, age_classes, year_of, years_of
from omega.evaluation.log import DAY_S, totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.evaluation.formula.facts import Facts
    from omega.evaluation.log import Past

SMALLEST_SHARE = 1e-4
SURGE_SHARE = 0.004
"""The share from which a title is one that everybody speaks of."""
QUALITY_PRIOR = 5.0
RANK_BOUNDS = (10, 30, 100, 300, 1000)
RANK_CLASSES = len(RANK_BOUNDS) + 1
_BASE_DAYS = 30.0
_RANKED_DAYS = 7.0


def trend_features(past: Past) -> NDArray[np.float64]:
    """Return (t, 2): log of the share of late, and how far the share of a day is above SURGE_SHARE.

    The first share is the mean of p_1 and p*: half-life 1 day, and 2 days with each event over the square root of how
    many titles its viewer watched that day, so that who tells of fifty titles at once doesn't make fifty trends.
    """
    day = _shares(past.decayed(1.0))
    damped = _shares(past.decayed(2.0, 1 / np.sqrt(watched_that_day(past))))
    trend = np.log(0.5 * day + 0.5 * damped + SMALLEST_SHARE)
    return np.stack([trend, np.maximum(0, np.log((day + SMALLEST_SHARE) / SURGE_SHARE))], axis=1)


def watched_that_day(past: Past) -> NDArray[np.int64]:
    """Return (n,) how many titles the viewer of each event watched on its UTC day."""
    days = past.times_s // DAY_S
    _, place, counts = np.unique(
        past.viewers * (days.max(initial=0) + 1) + days, return_inverse=True, return_counts=True
    )
    return counts[place]


def fresh_features(past: Past, facts: Facts) -> NDArray[np.float64]:
    """Return (t, 3): 1 for a title of this year, 1 for one of the last, and how far above the mean it is liked."""
    age = year_of(past.at_s) - facts.years
    weight = past.decayed(_BASE_DAYS)
    mean = past.ratings.mean() if len(past) else 0.0
    quality = past.decayed(_BASE_DAYS, past.ratings - mean) / (weight + QUALITY_PRIOR)
    return np.stack([age <= 0, age == 1, quality], axis=1).astype(np.float64)


def genre_shares(past: Past, facts: Facts) -> NDArray[np.float64]:
    """Return (g,) the share of the last weeks' events whose title has the genre, 30 d half-life."""
    return _shares(past.decayed(_BASE_DAYS)) @ facts.genres


def age_shares(past: Past, facts: Facts) -> NDArray[np.float64]:
    """Return (6,) the share of the last weeks' events with a title of each age class when watched, 30 d half-life."""
    weights = np.exp2(-past.age_days / _BASE_DAYS)
    return _shares(totals(watched_ages(past, facts), weights, AGE_CLASSES))


def watched_ages(past: Past, facts: Facts) -> NDArray[np.int64]:
    """Return (n,) the age class of each event's title when it was watched."""
    return age_classes(years_of(past.times_s) - facts.years[past.watched])


class Ranks:
    """The class of each event's title in the list of its day, the most watched by 7 d half-life first.

    It is the place that it had when the day began: each day's is worked out once, from what came before it.
    """

    def __init__(self) -> None:
        """Begin with no event."""
        self._classes = np.zeros(0, np.int8)

    def learn(self, past: Past) -> NDArray[np.int8]:
        """Return (n,) the classes of a past that goes on where the last one ended."""
        done, days = len(self._classes), past.times_s // DAY_S
        if done < len(past):
            added = np.empty(len(past) - done, np.int8)
            for day in np.unique(days[done:]):
                here = slice(*np.searchsorted(days, [day, day + 1]))
                classes = rank_classes(sums_at(past, int(day) * DAY_S, here.start))
                events = slice(max(here.start, done), here.stop)
                added[events.start - done : events.stop - done] = classes[past.watched[events]]
            self._classes = np.concatenate([self._classes, added])
        return self._classes[: len(past)]


def sums_at(past: Past, at_s: int, count: int) -> NDArray[np.float64]:
    """Return (t,) the sums with 7 d half-life of the first `count` events, as of `at_s`."""
    decay = np.exp2(-(at_s - past.times_s[:count]) / (_RANKED_DAYS * DAY_S))
    return totals(past.watched[:count], decay, len(past.titles))


def rank_classes(sums: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return (t,) 0..5: whether a title is among the first 10, 30, 100, 300, 1000; 5 also where its sum is 0."""
    order = np.argsort(-sums, kind="stable")
    places = np.empty(len(sums), np.int64)
    places[order] = np.arange(len(sums))
    classes = np.searchsorted(RANK_BOUNDS, places, side="right")
    return np.where(sums > 0, classes, RANK_CLASSES - 1).astype(np.int8)


def _shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return sums / max(float(sums.sum()), 1e-300)
