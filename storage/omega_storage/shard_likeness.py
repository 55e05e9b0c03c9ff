"""Which titles' audiences are alike: a table of directions beside the sums, for a search in the database.

What the table says of a title is replaced when its shown figures are, by 3 further households, and never by less. A
title that may no longer be told leaves it in the same transaction; one that may enters it, or moves, a little later and
a few at a time, because the index of a large shard takes .6 ms a row.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from omega.core.errors import InputError
from omega.core.shard_records import ALL_SLOTS, LEAST_HOUSEHOLDS, LEAST_SUCCESS, TASTE_NUMBERS, Figures, Shown
from omega.core.types import success_rate
from omega_storage.shard_devices import ShardDevices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Floats, Integers
    from omega_storage.shard_sums import Doubles

KEYS = 16
"""Keys of a title: 8 contexts, all of them, and room."""
MOST_NEAREST = 1_000
MOVED_AT_A_FOLD, MOVED_AT_A_QUESTION, MOVED_AT_REST = 64, 256, 1_024
"""How many titles enter the table, or move in it, at most: 40 ms of a Postgres's time, 150 ms, 600 ms."""


class ShardLikeness(ShardDevices):
    """The part of a store that compares audiences."""

    @abstractmethod
    def _settled(self) -> None:
        """Add to the sums what ticks have counted since the last time."""

    @abstractmethod
    def _audiences(self, titles: Integers) -> tuple[Integers, Doubles]:
        """Return (n,) days and (n, 1 + TASTE_NUMBERS) numbers of ascending titles, zeros where nothing was told."""

    def nearest(self, taste: Floats, most: int) -> list[Shown]:
        """Return what goes well and whose audience is nearest to a taste."""
        direction = _direction(taste)
        if most < 1:
            raise InputError(f"most is {most}, allowed: 1..{MOST_NEAREST}: ask for at least one")
        self._settled()
        self._move(MOVED_AT_A_QUESTION)
        return [shown_of(row) for row in self._near(direction, min(most, MOST_NEAREST))]

    def _near(self, direction: Floats, most: int) -> list[Any]:
        """Return the nearest rows of figures, from all that may be told: exactly."""
        rows = self._tables.read("likeness")
        if not rows:
            return []
        titles, directions = zip(*rows, strict=True)
        order = np.lexsort((titles, -(self._tables.floats(directions) @ direction)))[:most]
        best = [titles[place] for place in order]
        found = {row[0]: row for row in self._tables.read("shown", self._tables.among([_key(title) for title in best]))}
        return [found[title] for title in best if title in found]

    def _replaced(self, keys: Integers, samples: Integers, success_milli: Integers, *, shown: Any) -> None:
        """Take note that the shown figures of these keys were replaced, within the caller's transaction."""
        of_titles = (keys % KEYS == ALL_SLOTS) & (keys >= 0)
        rates = [success_rate(*sums) for sums in zip(samples.tolist(), success_milli.tolist(), strict=True)]
        well = shown & (np.asarray(rates) >= LEAST_SUCCESS)
        titles = keys // KEYS
        if len(good := titles[of_titles & well]):
            self._tables.write("add_due", good)
        if len(bad := titles[of_titles & ~well]):
            for name in ("drop_due", "untell"):
                self._tables.read(name, self._tables.among(bad.tolist()))

    def _move(self, most: int) -> None:
        """Let up to so many titles enter the table, or move in it."""
        [(some,)] = self._tables.read("has_due")
        if not some:
            return
        with self._tables.transaction():
            self._tables.lock("sums")
            titles = np.sort(np.asarray(self._tables.read("take_due", most), np.int64).reshape(-1))
            numbers = self._audiences(titles)[1]
            lengths = np.linalg.norm(numbers[:, 1:], axis=1)
            heard = (numbers[:, 0] >= LEAST_HOUSEHOLDS) & (lengths > 0)
            if heard.any():
                directions = (numbers[heard, 1:] / lengths[heard, None]).astype(np.float32)
                self._tables.write("tell", titles[heard], directions)
            if not heard.all():
                self._tables.read("untell", self._tables.among(titles[~heard].tolist()))


def shown_of(row: Sequence[Any]) -> Shown:
    """Return a row of figures, after its title and context, as a value."""
    return Shown(row[0], row[1], figures_of(row[2:]))


def figures_of(columns: Sequence[Any]) -> Figures:
    """Return figures from their columns."""
    samples, success, households, day, trends = columns
    return Figures(samples, success, households, day, tuple(np.frombuffer(trends).tolist()))


def _key(title: int) -> int:
    return title * KEYS + ALL_SLOTS


def _direction(taste: Floats) -> Floats:
    """Return a taste at length 1. Raises InputError."""
    numbers = np.asarray(taste, np.float32)
    length = float(np.linalg.norm(numbers))
    if numbers.shape != (TASTE_NUMBERS,) or not 0 < length < np.inf:  # written so that NaN is refused
        raise InputError(
            f"taste has shape {numbers.shape} and length {length:.4g}, allowed: {TASTE_NUMBERS} numbers, not all 0: "
            "give a taste code's, or the sum of an audience's"
        )
    return numbers / np.float32(length)
