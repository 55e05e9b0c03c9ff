"""The merge: what several shards say of each title in each context, as one, part by part.

Pure functions on arrays. A part is some titles of all shards, so that parts can be worked on anywhere and memory holds
a few at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.ports import SumsOfShards, TotalsOfShards
from omega.core.shard_records import (
    ALL_SLOTS,
    AUDIENCE_HALF_LIFE_DAYS,
    HALF_LIVES_DAYS,
    LEAST_TASTE,
    MAX_TAGS,
    MOST_TASTE,
    TASTE_NUMBERS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Doubles, Engine, Integers, Strategy
    from omega.core.shard_sums import ShardSums

KEYS = 16
"""Keys of a title: 8 contexts, all of them, and room."""
PART_KEYS = 16_384
"""Rows of a part, about: eight shards' are 10 MB."""
_HALF_LIVES = np.asarray(HALF_LIVES_DAYS)
_HEARD = 1 + TASTE_NUMBERS
_LARGEST_PRODUCT = 8**2 * (1 + 1e-9)
"""Of two numbers of a code, which are -8..7."""


class Told(NamedTuple):
    """What one shard says, as arrays; of n rows and m audiences."""

    keys: Integers
    """(n,) title x KEYS + slot, ascending."""
    sums: Integers
    """(4, n) samples, success in thousandths, households, progress."""
    trends: Doubles
    """(n, half-lives)"""
    heard_titles: Integers
    """(m,) ascending"""
    heard: Doubles
    """(m, 1 + TASTE_NUMBERS) decayed number of taste codes, and their decayed sum."""
    shard: int
    """Its number."""

    def part(self, first: int, end: int) -> Told:
        """Return the titles from `first` to before `end`."""
        rows = slice(*np.searchsorted(self.keys, (first * KEYS, end * KEYS)))
        some = slice(*np.searchsorted(self.heard_titles, (first, end)))
        heard = self.heard_titles[some], self.heard[some]
        return Told(self.keys[rows], self.sums[:, rows], self.trends[rows], *heard, self.shard)


@dataclass(frozen=True, slots=True)
class Merged:
    """What all say together; of n rows and m audiences."""

    keys: Integers
    """(n,) title x KEYS + slot, ascending."""
    samples: Integers
    success_milli: Integers
    households: Integers
    shards: Integers
    """(s,) who told, by number."""
    progress: Integers
    """(n, s) each one's, as `Columns.progress`."""
    trends: Doubles
    """(n, half-lives) as of the day that `told` was called with."""
    heard_titles: Integers
    heard: Doubles
    """(m, 1 + TASTE_NUMBERS)"""

    @classmethod
    def empty(cls) -> Merged:
        """Return nothing."""
        none = np.zeros(0, np.int64)
        nobody = np.zeros((0, 0), np.int64)
        return cls(none, none, none, none, none, nobody, np.zeros((0, len(_HALF_LIVES))), none, np.zeros((0, _HEARD)))

    @property
    def whole(self) -> NDArray[np.bool_]:
        """(n,) which rows are a title's in all contexts."""
        mask: NDArray[np.bool_] = self.keys % KEYS == ALL_SLOTS
        return mask


def told(sums: ShardSums, day: int) -> Told:
    """Return a shard's columns as arrays, trends and audiences aged to `day`, within what samples allow.

    A trend beyond the samples, which retractions may leave, counts as these, and so do households beyond them and
    MAX_TAGS: these a shard knows by their tags, whatever somebody took back that he never gave. No audience's mean is
    beyond what a taste code can say, as it would be where codes were taken back that nobody had given.
    """
    columns, age = sums.columns, max(day - sums.facts.day, 0)
    keys = np.asarray(columns.title, np.int64) * KEYS + np.asarray(columns.slot, np.int64)
    numbers = columns.samples, columns.success_milli, columns.households, columns.progress
    counts = np.stack([np.asarray(column) for column in numbers])
    counts[2] = np.minimum(counts[2], np.maximum(counts[0], MAX_TAGS))
    trends = np.asarray(columns.trends).reshape(-1, len(_HALF_LIVES)) * np.exp2(-age / _HALF_LIVES)
    heard = np.asarray(columns.audience, np.float64).reshape(-1, _HEARD) * 2.0 ** (-age / AUDIENCE_HALF_LIFE_DAYS)
    heard[:, 1:] = np.clip(heard[:, 1:], LEAST_TASTE * heard[:, :1], MOST_TASTE * heard[:, :1])
    heard_titles = np.asarray(columns.audience_title, np.int64)
    return Told(keys, counts, np.minimum(trends, counts[0][:, None]), heard_titles, heard, sums.facts.shard)


def merged_moments(shards: Sequence[ShardSums], day: int, strategy: Strategy) -> Doubles:
    """Return (1 + TASTE_NUMBERS, 1 + TASTE_NUMBERS): all shards' second moments of taste codes, aged to `day`.

    A shard whose products are larger than its codes allow, as retractions of codes that never came make them, counts
    with none.
    """
    told_ = [
        np.asarray(sums.moments, np.float64).reshape(_HEARD, _HEARD)
        * 2.0 ** (-max(day - sums.facts.day, 0) / AUDIENCE_HALF_LIFE_DAYS)
        for sums in shards
        if sums.moments
    ]
    sound = [one for one in told_ if np.abs(one).max() <= _LARGEST_PRODUCT * one[0, 0]]
    together = strategy.merge_moments(np.asarray(sound)) if sound else np.zeros((_HEARD, _HEARD))
    symmetric: Doubles = (together + together.T) / 2
    return symmetric


def totals_of(shards: Sequence[Told]) -> TotalsOfShards:
    """Return how much each shard has heard of all titles."""
    whole = [shard.keys % KEYS == ALL_SLOTS for shard in shards]
    return TotalsOfShards(
        np.asarray([shard.sums[0, of].sum() for shard, of in zip(shards, whole, strict=True)], np.int64),
        np.asarray([shard.trends[of].sum(axis=0) for shard, of in zip(shards, whole, strict=True)]),
        np.asarray([shard.heard[:, 0].sum() for shard in shards]),
    )


def merge(shards: Sequence[Told], strategy: Strategy, engine: Engine) -> Merged:
    """Return what these shards, one at least, say together by a strategy, its parts worked on by an engine."""
    work = partial(merge_part, strategy, totals_of(shards))
    found = list(engine.map(work, parts_of(shards)))
    whole = {name: np.concatenate([getattr(part, name) for part in found]) for name in Merged.__slots__}
    return Merged(**whole | {"shards": found[0].shards})


def parts_of(shards: Sequence[Told]) -> Iterator[list[Told]]:
    """Yield all titles in parts of about PART_KEYS rows, one at least."""
    keys = np.unique(np.concatenate([shard.keys for shard in shards]))
    heard = np.unique(np.concatenate([shard.heard_titles for shard in shards]))
    end = 1 + max((int(last) for last in (*(keys[-1:] // KEYS), *heard[-1:])), default=0)
    bounds = sorted({0, *(int(key // KEYS) for key in keys[PART_KEYS::PART_KEYS]), end})
    for first, before in pairwise(bounds):
        yield [shard.part(first, before) for shard in shards]


def merge_part(strategy: Strategy, totals: TotalsOfShards, shards: Sequence[Told]) -> Merged:
    """Return what the shards say together of some titles."""
    keys = np.unique(np.concatenate([shard.keys for shard in shards]))
    titles = np.unique(np.concatenate([shard.heard_titles for shard in shards]))
    sums = np.zeros((4, len(shards), len(keys)), np.int64)
    samples, success, households, progress = sums
    trends = np.zeros((len(shards), len(keys), len(_HALF_LIVES)))
    heard = np.zeros((len(shards), len(titles), _HEARD))
    for at, shard in enumerate(shards):
        rows = np.searchsorted(keys, shard.keys)
        sums[:, at, rows], trends[at, rows] = shard.sums, shard.trends
        heard[at, np.searchsorted(titles, shard.heard_titles)] = shard.heard
    found = strategy.merge(SumsOfShards(samples, success, households, trends), totals)
    together = strategy.merge_audiences(heard, totals)
    return Merged(
        keys,
        found.samples[0],
        found.success_milli[0],
        found.households[0],
        np.asarray([shard.shard for shard in shards], np.int64),
        progress.T,
        found.trends[0],
        titles,
        together,
    )
