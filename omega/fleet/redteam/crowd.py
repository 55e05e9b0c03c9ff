"""Honest households: what each of them watches, and the taste code that it tells with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from omega.core.shard_records import LEAST_TASTE, MOST_TASTE, TASTE_NUMBERS
from omega.core.types import SLOTS
from omega.core.wire import Row, quantized

if TYPE_CHECKING:
    from omega.core.ports import Doubles

SAMPLES_A_DAY = 4
"""What a household watches on a day, in the mean."""
_GROUPS = 8
"""Kinds of households; each has favorites of its own."""
_SPREAD = 2.0
"""By how many steps tastes differ: between groups, and again within one."""
_FAVORED = 3.0
"""A group's favorites are watched about e^3 times as often by it."""


class Crowd:
    """So many households over a catalog; the same seed gives the same crowd."""

    def __init__(self, households: int, titles: int, seed: int) -> None:
        """Draw their tastes, and what each kind of them likes."""
        random = np.random.default_rng([seed, 1])
        popularity = 1 / np.arange(1, titles + 1)
        favored = np.exp(random.normal(0, _FAVORED / 2, (_GROUPS, titles)))
        odds = random.permutation(popularity) * favored
        self._odds = odds / odds.sum(axis=1, keepdims=True)
        self._groups = random.integers(_GROUPS, size=households)
        centers = random.normal(0, _SPREAD, (_GROUPS, TASTE_NUMBERS))
        tastes = centers[self._groups] + random.normal(0, _SPREAD, (households, TASTE_NUMBERS))
        self.tastes: Doubles = np.clip(np.rint(tastes), LEAST_TASTE, MOST_TASTE)
        """(households, TASTE_NUMBERS)"""
        self._seed = seed

    def __len__(self) -> int:
        return len(self._groups)

    def watched(self, who: int, day: int) -> list[Row]:
        """Return what a household watched on a day, each title once in a context."""
        random = np.random.default_rng([self._seed, 2, who, day])
        count, odds = int(random.poisson(SAMPLES_A_DAY)), self._odds[self._groups[who]]
        titles = random.choice(len(odds), count, p=odds).tolist()
        slots = random.integers(SLOTS, size=count).tolist()
        shares = random.beta(4, 1, count).tolist()
        taste = packed_taste(self.tastes[who])
        rows = {
            (title, slot): Row(title, slot, day, quantized(round(1000 * share)), taste)
            for title, slot, share in zip(titles, slots, shares, strict=True)
        }
        return list(rows.values())


def packed_taste(numbers: Any) -> bytes:
    """Return the taste code of (TASTE_NUMBERS,) whole numbers -8..7."""
    nibbles = np.asarray(numbers, np.int64) + 8
    return bytes((nibbles[::2] | nibbles[1::2] << 4).astype(np.uint8))
