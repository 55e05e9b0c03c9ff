"""What may be shown of merged sums: figures of three households and more, that no single visit changes.

As a shard does it for its own: a row's shown figures are replaced when LEAST_HOUSEHOLDS more, or fewer, have come
since. Where many are counted by estimate, also when one shard says that as many came or went since: of several shards
together two might be one household that moved. What was hidden lately is shown again from LEAST_AGAIN on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from omega.core.shard_records import (
    ALL_SLOTS,
    HALF_LIVES_DAYS,
    LEAST_AGAIN,
    LEAST_HOUSEHOLDS,
    RANKED_BY,
    Figures,
    Shown,
)
from omega.federation.merging import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from omega.core.ports import Doubles, Integers
    from omega.federation.merging import Merged

HIDDEN_DAYS = 30
"""How long a title that lost its households is named."""
UNHEARD = -1
"""The progress of a shard that wasn't there yet."""


class Showing(NamedTuple):
    """The titles that are shown, or were lately; n of them, ascending."""

    titles: Integers
    samples: Integers
    success_milli: Integers
    households: Integers
    """0: hidden since `day`."""
    day: Integers
    trends: Doubles
    """(n, half-lives) as of `day`."""
    progress: Integers
    """(n, s) each shard's as of `day`, or as of when it was heard first; see `Columns.progress`."""
    shards: Integers
    """(s,) their numbers, ascending."""

    @classmethod
    def empty(cls) -> Showing:
        """Return nothing."""
        none = np.zeros(0, np.int64)
        return cls.alone(none, none, none, none, none, np.zeros((0, len(HALF_LIVES_DAYS))))

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Showing:
        """Return what a round kept, were it one that took no note of progress yet."""
        return cls(**kept) if "progress" in kept else cls.alone(*(kept[name] for name in cls._fields[:-2]))

    @classmethod
    def alone(cls, *columns: Any) -> Showing:
        """Return what `columns`, from `titles` to `trends`, show without any shard's progress."""
        return cls._make((*columns, np.zeros((len(columns[0]), 0), np.int64), np.zeros(0, np.int64)))

    def trending(self, most: int) -> list[Shown]:
        """Return the trendiest titles that are shown, first those whose trend of one day is largest on any day."""
        shown = np.flatnonzero(self.households >= LEAST_HOUSEHOLDS)
        with np.errstate(divide="ignore"):
            ranks = np.log2(self.trends[shown, RANKED_BY]) + self.day[shown] / HALF_LIVES_DAYS[RANKED_BY]
        order = shown[np.lexsort((self.titles[shown], -ranks))][:most]
        return [Shown(int(self.titles[at]), ALL_SLOTS, self._figures(at)) for at in order.tolist()]

    def _figures(self, at: int) -> Figures:
        samples, success, households = (
            int(column[at]) for column in (self.samples, self.success_milli, self.households)
        )
        return Figures(samples, success, households, int(self.day[at]), tuple(self.trends[at].tolist()))

    def unchanged(self, before: Showing) -> Integers:
        """Return the titles of which the same is shown as before."""
        titles, here, there = np.intersect1d(self.titles, before.titles, return_indices=True)
        same = (self.samples[here] == before.samples[there]) & (self.day[here] == before.day[there])
        found: Integers = titles[same & (self.households[here] == before.households[there])]
        return found

    def hidden(self, most: int) -> tuple[int, ...]:
        """Return the titles that lost their households, ascending, the last `most` to do so."""
        gone = np.flatnonzero(self.households == 0)
        latest = gone[np.argsort(-self.day[gone], kind="stable")][:most]
        return tuple(sorted(self.titles[latest].tolist()))


def showing(before: Showing, merged: Merged, day: int) -> Showing:
    """Return what is shown from now on."""
    of = merged.whole
    sums = merged.samples[of], merged.success_milli[of], merged.households[of]
    told = Showing(
        merged.keys[of] // KEYS,
        *sums,
        np.full(int(of.sum()), day),
        merged.trends[of],
        merged.progress[of],
        merged.shards,
    )
    titles, shards = np.union1d(before.titles, told.titles), np.union1d(before.shards, told.shards)
    was, now, nothing = (_over(one, titles, shards) for one in (before, told, Showing.empty()))
    renewed = _renewed(was, now)
    lost = (now.households < LEAST_HOUSEHOLDS) & (was.households >= LEAST_HOUSEHOLDS)
    was = was._replace(progress=_begun(was.progress, now.progress))
    nothing = nothing._replace(day=np.full(len(titles), day))
    found = _where(renewed, now, _where(lost, nothing, was))
    kept = (found.households >= LEAST_HOUSEHOLDS) | ((found.day > day - HIDDEN_DAYS) & (found.day > 0))
    return Showing._make((*(column[kept] for column in found[:-1]), shards))


def arrivals(before: Integers, now: Integers) -> Integers:
    """Return how many households at least came or went at a shard between two progresses of a row, up to three.

    A whole turn between them is three. Of the turn in which the first was told, so many had come before. 0 where one is
    UNHEARD, or the shard went back to a backup.
    """
    turns, first, last = (now >> 2) - (before >> 2), before & 3, now & 3
    once = np.maximum(LEAST_HOUSEHOLDS - first, last)
    found: Integers = np.select([turns == 0, turns == 1], [last - first, once], LEAST_HOUSEHOLDS)
    return np.where((before != UNHEARD) & (now >= before), found, 0)


def _renewed(was: Showing, now: Showing) -> NDArray[np.bool_]:
    """Return (n,) whose figures are replaced; both of the same titles and shards."""
    hidden = (was.households == 0) & (was.day > 0)
    by_count = np.abs(now.households - was.households) >= LEAST_HOUSEHOLDS
    by_shard = (was.households > 0) & (arrivals(was.progress, now.progress) >= LEAST_HOUSEHOLDS).any(axis=1)
    moved = np.where(hidden, now.households >= LEAST_AGAIN, by_count | by_shard)
    renewed: NDArray[np.bool_] = (now.households >= LEAST_HOUSEHOLDS) & moved
    return renewed


def _begun(was: Integers, now: Integers) -> Integers:
    """Return progresses to count on from where figures stay: `was`, and what is heard first or begins anew."""
    begun: Integers = np.where((was == UNHEARD) | ((now != UNHEARD) & (now < was)), now, was)
    return begun


def _where(mask: NDArray[np.bool_], one: Showing, other: Showing) -> Showing:
    """Return the rows of `one` where the mask is set, else those of `other`."""
    columns = (
        np.where(mask if mine.ndim == 1 else mask[:, None], mine, theirs)
        for mine, theirs in zip(one[:-1], other[:-1], strict=True)
    )
    return Showing._make((*columns, one.shards))


def _over(of: Showing, titles: Integers, shards: Integers) -> Showing:
    """Return the same with more titles and shards, of which nothing is known."""
    place = np.searchsorted(titles, of.titles)
    progress = np.full((len(titles), len(shards)), UNHEARD)
    progress[np.ix_(place, np.searchsorted(shards, of.shards))] = of.progress
    columns = []
    for mine in of[1:-2]:
        column = np.zeros((len(titles), *mine.shape[1:]), mine.dtype)
        column[place] = mine
        columns.append(column)
    return Showing._make((titles, *columns, progress, shards))
