"""The sums of a shard as arrays: many samples are added to many rows at once; and the sketches that count households.

A *row* is a title's sums in one context or in all of them. Everything here is arithmetic on what was read, nothing
knows a database.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from omega.core.shard_records import (
    AUDIENCE_HALF_LIFE_DAYS,
    HALF_LIVES_DAYS,
    LEAST_AGAIN,
    LEAST_HOUSEHOLDS,
    MAX_TAGS,
    MOST_TRENDS,
    RANKED_BY,
    TAG_RANGE,
    TASTE_NUMBERS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Bytes, Integers

    Doubles = NDArray[np.float64]

_HALF_LIVES = np.asarray(HALF_LIVES_DAYS)
_TAG_BITS = TAG_RANGE.bit_length() - 1
_COUNTED_AT_ONCE = 8_192
FEWEST_NEWS = 16
"""A trend is shown anew on the same day only when it moved by 1 / FEWEST_NEWS, less than a pull's steps tell.

What is hot would be written a second time at each fold otherwise.
"""


class Sketch:
    """Counts distinct households: exactly up to MAX_TAGS, then by a sample of them, so that a repeat adds nobody.

    Tags are uniform. Those below `theta` are kept; when they become too many, the largest becomes the new theta. A tag
    that enters stands for TAG_RANGE / theta households, itself and those whose tags weren't kept: the counter of Ting,
    "Streamed approximate counting of distinct elements" (KDD 2014), with a relative standard error of
    1/sqrt(2 MAX_TAGS), 25 %. A bare counter in its place counts a series that 9 households watch daily 9 times a day.
    """

    __slots__ = ("households", "tags", "theta")

    def __init__(self, households: int = 0, theta: int = TAG_RANGE, tags: bytes = b"") -> None:
        """Take what `households`, `theta` and `packed` were."""
        self.households, self.theta, self.tags = households, theta, array("I", tags)

    @property
    def packed(self) -> bytes:
        """The tags, 4 bytes each."""
        return self.tags.tobytes()

    @property
    def _worth(self) -> int:
        return (TAG_RANGE + self.theta // 2) // self.theta

    def add(self, tag: int) -> None:
        """Count a household, unless it is counted."""
        tags, theta = self.tags, self.theta
        if tag >= theta or tag in tags:
            return
        self.households += 1 if theta == TAG_RANGE else self._worth
        tags.append(tag)
        if len(tags) > MAX_TAGS:
            self.theta = max(tags)
            tags.remove(self.theta)

    def remove(self, tag: int) -> None:
        """Count a household no more; one that isn't in the sample stood for nobody."""
        if tag in self.tags:
            self.tags.remove(tag)
            self.households -= self._worth

    def settle(self) -> None:
        """Count no fewer than are known by their tags; and no more, once these are fewer than may be shown.

        An estimate of many that left may stay above LEAST_HOUSEHOLDS with nobody there; so it ends, and counting begins
        anew with those who are known.
        """
        self.households = max(self.households, len(self.tags))
        if len(self.tags) < LEAST_HOUSEHOLDS:
            self.households, self.theta = len(self.tags), TAG_RANGE

    def merge(self, other: Sketch) -> None:
        """Count who is in either; exact while both are."""
        tags, self.theta = {*self.tags, *other.tags}, min(self.theta, other.theta)
        kept = sorted(tag for tag in tags if tag < self.theta)
        if len(kept) > MAX_TAGS:
            self.theta = kept[MAX_TAGS]
        self.tags = array("I", kept[:MAX_TAGS])
        if self.theta == TAG_RANGE:
            self.households = len(self.tags)
        else:
            estimate = (len(self.tags) * TAG_RANGE + self.theta // 2) // self.theta
            self.households = max(self.households, other.households, estimate)


@dataclass(slots=True)
class Rows:
    """The sums of m rows, in one order."""

    samples: Integers
    """(m,)"""
    success_milli: Integers
    """(m,)"""
    day: Integers
    """(m,) the trends are worth this as of then."""
    trends: Doubles
    """(m, len(HALF_LIVES_DAYS))"""
    sketches: list[Sketch]
    shown: Integers
    """(3, m) households, samples and day as shown: 0 where none do yet, households -1 where none do any more."""
    turns: Integers
    """(m,) how often three households came or went; see `omega.core.shard_sums.Columns.progress`."""
    since: Integers
    """(m, LEAST_HOUSEHOLDS) tags of households that came or went since then, some of them; -1 for no more."""

    @classmethod
    def empty(cls, count: int) -> Rows:
        """Return rows of nothing."""
        samples, success, day, turns = (np.zeros(count, np.int64) for _ in range(4))
        trends = np.zeros((count, len(HALF_LIVES_DAYS)))
        sketches = [Sketch() for _ in range(count)]
        nobody = np.full((count, LEAST_HOUSEHOLDS), -1)
        return cls(samples, success, day, trends, sketches, np.zeros((3, count), np.int64), turns, nobody)

    def age(self, day: Integers | int) -> None:
        """Bring the trends to a day, or (m,) days; never back."""
        later = np.maximum(self.day, day)
        self.trends *= np.exp2(-(later - self.day)[:, None] / _HALF_LIVES)
        self.day = later

    def add(self, place: Integers, sign: Integers, success_milli: Integers, day: Integers) -> None:
        """Add n samples to the rows at `place` (n,); `sign` is 1, or -1 to take one back; by `day` it has decayed."""
        rows = len(self.samples)
        self.samples += totals(place, sign, rows)
        self.success_milli += totals(place, sign * success_milli, rows)
        worth = sign[:, None] * _worth_of(np.maximum(self.day[place] - day, 0))
        for at, weight in enumerate(worth.T):
            self.trends[:, at] += np.bincount(place, weight, rows)

    def count(self, place: Integers, sign: Integers, tags: Integers) -> None:
        """Count the households of the same n samples, in order."""
        self._note(place, tags)
        thetas = np.asarray([sketch.theta for sketch in self.sketches], np.int64)
        for start in range(0, len(place), _COUNTED_AT_ONCE):
            part = slice(start, start + _COUNTED_AT_ONCE)
            heard = tags[part] < thetas[place[part]]  # no other tag changes a sketch, and most titles' are full
            facts = [array[part][heard].tolist() for array in (place, sign, tags)]
            for where, way, tag in zip(*facts, strict=True):
                if way > 0:
                    self.sketches[where].add(tag)
                else:
                    self.sketches[where].remove(tag)
            thetas[facts[0]] = [self.sketches[where].theta for where in facts[0]]

    def _note(self, place: Integers, tags: Integers) -> None:
        """Add tags (n,) to those that came or went at `place` (n,); of several turns the last one's stay."""
        rows, columns = np.nonzero(self.since >= 0)
        known = rows << _TAG_BITS | self.since[rows, columns]
        pairs = np.sort(np.concatenate([known, place << _TAG_BITS | tags]))
        pairs = pairs[np.r_[True, pairs[1:] != pairs[:-1]][: len(pairs)]]  # `np.unique` takes four times as long
        of_row, at = pairs >> _TAG_BITS, np.arange(len(pairs))
        column = at - np.searchsorted(of_row, of_row)
        kept = column < LEAST_HOUSEHOLDS
        self.since[of_row[kept], column[kept]] = pairs[kept] & (TAG_RANGE - 1)
        self.turns += np.maximum(np.bincount(of_row, minlength=len(self.turns)) // LEAST_HOUSEHOLDS - 1, 0)

    def merge(self, other: Rows) -> None:
        """Add the rows of another name of the same titles."""
        for rows, more in ((self, other), (other, self)):
            rows.age(more.day)
        self.samples += other.samples
        self.success_milli += other.success_milli
        self.trends += other.trends
        for sketch, more_sketch in zip(self.sketches, other.sketches, strict=True):
            sketch.merge(more_sketch)
        rows_at, columns = np.nonzero(other.since >= 0)
        self._note(rows_at, other.since[rows_at, columns])

    def settle(self) -> None:
        """Bring the sums within their bounds."""
        np.maximum(self.samples, 0, out=self.samples)
        np.clip(self.success_milli, 0, 1000 * self.samples, out=self.success_milli)
        np.maximum(self.trends, 0, out=self.trends)
        for sketch in self.sketches:
            sketch.settle()

    def households(self) -> Integers:
        """Return (m,) households."""
        return np.asarray([sketch.households for sketch in self.sketches], np.int64)

    def to_show(self) -> Integers:
        """Return the places of rows whose shown figures are to be replaced, those that are to be hidden among them.

        While households are counted exactly, by three further ones. An estimate moves by an eighth at a time, and not
        at all for who watches again: there by any three that came or went, so that a trend is never days behind.
        """
        now, (households, samples, day) = self.households(), self.shown
        exact = np.asarray([sketch.theta == TAG_RANGE for sketch in self.sketches], np.bool_)
        news = (self.day > day) | (FEWEST_NEWS * np.abs(self.samples - samples) >= self.trends[:, RANKED_BY])
        by_tags = (self.since >= 0).all(axis=1) & news
        by_count = np.where(households < 0, now >= LEAST_AGAIN, np.abs(now - households) >= LEAST_HOUSEHOLDS)
        moved = np.where(exact | (households <= 0), by_count, by_tags)
        places: Integers = np.flatnonzero(np.where(now >= LEAST_HOUSEHOLDS, moved, households > 0))
        return places

    def told_trends(self) -> Doubles:
        """Return (m, len(HALF_LIVES_DAYS)) the trends that are told."""
        return believed(self.trends, self.households())

    def mark_shown(self, places: Integers) -> None:
        """Take note that the shown figures at these places were replaced, and whether by three households."""
        self.turns[places] += (self.since[places] >= 0).all(axis=1)
        self.since[places] = -1

    def packed_since(self) -> list[bytes]:
        """Return who came or went since, of each row, as it is stored."""
        numbers = np.zeros((len(self.since), 1 + LEAST_HOUSEHOLDS), "<u4")
        numbers[:, 0] = (self.turns << 2 | (self.since >= 0).sum(axis=1)) & (TAG_RANGE - 1)
        numbers[:, 1:] = np.maximum(self.since, 0)
        whole, width = numbers.tobytes(), numbers.shape[1] * 4
        return [whole[at : at + width] for at in range(0, len(whole), width)]

    def ranks(self) -> Doubles:
        """Return (m,) numbers that order told trends as of any day: log2 of the decayed count, plus day / half-life."""
        with np.errstate(divide="ignore"):
            logs = np.log2(self.told_trends()[:, RANKED_BY])
        ranks: Doubles = logs + self.day / HALF_LIVES_DAYS[RANKED_BY]
        return ranks


def distinct(keys: Integers) -> tuple[Integers, NDArray[np.intp]]:
    """Return the keys (n,) ascending, each once, and which of these each is: `np.unique`, a tenth of its time.

    Keys that lie close together are marked in a row of bits; others are sorted.
    """
    first, last = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    if last - first >= 8 * len(keys):
        ascending, place = np.unique(keys, return_inverse=True)
        return ascending, place.reshape(-1)
    there = np.zeros(last - first + 1, np.bool_)
    there[keys - first] = True
    places = np.cumsum(there) - 1
    return np.flatnonzero(there) + first, places[keys - first]


def totals(place: Integers, values: Integers, count: int) -> Integers:
    """Return (count,) the sums of values (n,) by place (n,); exact below 2^53, in a third of `np.add.at`'s time."""
    return np.bincount(place, values, count).astype(np.int64)


def _worth_of(age_days: Integers) -> Doubles:
    """Return (n, len(HALF_LIVES_DAYS)) what samples of this age (n,) are worth: of a few ages, as a rule."""
    ages, place = distinct(age_days)
    worth: Doubles = np.exp2(-ages[:, None] / _HALF_LIVES)[place]
    return worth


def progress_of(packed: Sequence[bytes]) -> Integers:
    """Return (m,) how far rows are, from what is stored; see `omega.core.shard_sums.Columns.progress`."""
    return np.frombuffer(b"".join(packed), "<u4").reshape(len(packed), 1 + LEAST_HOUSEHOLDS)[:, 0].astype(np.int64)


def since_of(packed: Sequence[bytes]) -> tuple[Integers, Integers]:
    """Return (m,) turns and (m, LEAST_HOUSEHOLDS) tags, from what is stored."""
    numbers = np.frombuffer(b"".join(packed), "<u4").reshape(len(packed), 1 + LEAST_HOUSEHOLDS).astype(np.int64)
    there = np.arange(LEAST_HOUSEHOLDS) < (numbers[:, :1] & 3)
    return numbers[:, 0] >> 2, np.where(there, numbers[:, 1:], -1)


def believed(trends: Doubles, households: Integers) -> Doubles:
    """Return (m, len(HALF_LIVES_DAYS)) trends, as far as so many households (m,) can have come to them."""
    most: Doubles = np.minimum(trends, households[:, None] * np.asarray(MOST_TRENDS))
    return most


def taste_numbers(codes: Bytes) -> Doubles:
    """Return (n, 1 + TASTE_NUMBERS): a 1, and the numbers -8..7 of the taste codes (n, TASTE_BYTES)."""
    numbers = np.ones((len(codes), 1 + TASTE_NUMBERS))
    numbers[:, 1::2] = (codes & 15) - 8.0
    numbers[:, 2::2] = (codes >> 4) - 8.0
    return numbers


def faded(age_days: Integers) -> Doubles:
    """Return what an audience is worth after so many days, (n,); never more than 1."""
    worth: Doubles = np.exp2(-np.maximum(age_days, 0) / AUDIENCE_HALF_LIFE_DAYS)
    return worth
