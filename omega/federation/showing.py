"""What may be shown of merged sums: figures of three households and more, that no single visit changes.

As a shard does it for its own: a row's shown figures are replaced when LEAST_HOUSEHOLDS more, or fewer, have come
since. Where many are counted by estimate, also when the shards have replaced what they show more often than there are
shards: one of them did so twice, the second time by three households that came or went since. What was hidden lately is
shown again from LEAST_AGAIN on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
    from omega.core.ports import Doubles, Integers
    from omega.federation.merging import Merged

HIDDEN_DAYS = 30
"""How long a title that lost its households is named."""


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
    replaced: Integers
    """How often the shards had replaced what they show, by then."""

    @classmethod
    def empty(cls) -> Showing:
        """Return nothing."""
        none = np.zeros(0, np.int64)
        return cls(none, none, none, none, none, np.zeros((0, len(HALF_LIVES_DAYS))), none)

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
    whole = merged.whole
    now_titles = merged.keys[whole] // KEYS
    titles = np.union1d(before.titles, now_titles)
    old = _spread(titles, before.titles, before[1:])
    days = np.full(len(now_titles), day)
    sums = (merged.samples, merged.success_milli, merged.households)
    told = [
        *(column[whole] for column in sums),
        days,
        merged.trends[whole],
        merged.replaced[whole],
        merged.tellers[whole],
    ]
    *new, tellers = _spread(titles, now_titles, told)
    was, now = old[2], new[2]
    enough = now >= LEAST_HOUSEHOLDS
    was_hidden = (was == 0) & (old[3] > 0)
    by_count = np.where(was_hidden, now >= LEAST_AGAIN, np.abs(now - was) >= LEAST_HOUSEHOLDS)
    renewed = enough & (by_count | ((new[5] - old[5] > tellers) & (was > 0)))
    lost = ~enough & (was >= LEAST_HOUSEHOLDS)
    found = []
    for column, (mine, fresh) in enumerate(zip(old, new, strict=True)):
        of = renewed if mine.ndim == 1 else renewed[:, None]
        gone = lost if mine.ndim == 1 else lost[:, None]
        nothing = day if column == 3 else 0
        found.append(np.where(gone, nothing, np.where(of, fresh, mine)))
    kept = (found[2] >= LEAST_HOUSEHOLDS) | ((found[3] > day - HIDDEN_DAYS) & (found[3] > 0))
    return Showing(titles[kept], *(column[kept] for column in found))


def _spread(
    titles: Integers, mine: Integers, columns: list[Integers | Doubles] | tuple[Integers | Doubles, ...]
) -> list[Integers | Doubles]:
    """Return columns of `mine` at their places among `titles`, zeros elsewhere."""
    place = np.searchsorted(titles, mine)
    spread = []
    for column in columns:
        row = np.zeros((len(titles), *column.shape[1:]), column.dtype)
        row[place] = column
        spread.append(row)
    return spread
