"""What each TV saw between two syncs: a pure function of (seed, device, version), so that nothing of it is kept.

A push that is told again is made again, and comes out the same; what is to be forgotten is known without a memory. The
numbers are splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014) of these three, for
all devices that are due at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.wire import Row
from omega.core.wire.messages import TASTE_BYTES
from omega.core.wire.samples import DAY_ODDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Integers

MOST_ROWS = 5
"""Patterns that a sync tells at most; 1 to 5, each as likely."""
_YESTERDAY = 0.1
"""Share of what is told that was watched the day before."""
_DRAWS = 4
"""Numbers for a row: title, context, day, success."""
_GOLDEN = 0x9E3779B97F4A7C15
_MIX, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_64_BITS = (1 << 64) - 1
_TASTE_WORDS = -(-TASTE_BYTES // 8)


class Drawn(NamedTuple):
    """What n devices have to tell."""

    counts: Integers
    """(n,) how many of the following (n, MOST_ROWS) are meant."""
    title: Integers
    slot: Integers
    day: Integers
    success: Integers


class Watching:
    """Draws what was watched: titles by Zipf's law, contexts as they come in a week, mostly to the end."""

    def __init__(self, titles: int, seed: int, today: int) -> None:
        """Of a catalog of so many `titles`; `today` is the day since 1970 that most was watched on."""
        random = np.random.default_rng([seed, 2])
        self._popular = random.permutation(titles)
        self._zipf = _cumulated(1 / np.arange(1, titles + 1))
        self._slots = _cumulated(np.asarray(DAY_ODDS, np.float64))
        self._today = today
        self._seed = np.uint64(seed * _GOLDEN & _64_BITS)
        self._taste_seed = np.uint64((seed + 1) * int(_MIX) & _64_BITS)

    def drawn(self, devices: Integers, versions: Integers) -> Drawn:
        """Return the same as columns; a row may stand twice there."""
        drawn = _uniform(_words(self._seed, devices, versions, 1 + MOST_ROWS * _DRAWS))
        count = (1 + drawn[:, 0] * MOST_ROWS).astype(np.int64)
        title, slot, day, success = drawn[:, 1:].reshape(len(drawn), MOST_ROWS, _DRAWS).transpose(2, 0, 1)
        return Drawn(
            count,
            self._popular[np.searchsorted(self._zipf, title, side="right")],
            np.searchsorted(self._slots, slot, side="right"),
            self._today - (day < _YESTERDAY),
            4 * np.rint(_share(success) * 250).astype(np.int64),
        )

    def rows(self, devices: Integers, versions: Integers) -> list[tuple[Row, ...]]:
        """Return what each of (n,) devices has to tell as the (n,) version: 1 to 5 rows, none twice."""
        counts, titles, slots, days, successes = (of.tolist() for of in self.drawn(devices, versions))
        tastes = self.tastes(devices)
        told: list[tuple[Row, ...]] = []
        for at, count in enumerate(counts):
            found = {
                key: Row(*key, successes[at][place], tastes[at])
                for place, key in enumerate(zip(titles[at][:count], slots[at], days[at], strict=False))
            }
            told.append(tuple(found.values()))
        return told

    def tastes(self, devices: Integers) -> list[bytes]:
        """Return the taste code of each of (n,) devices, which stays all day."""
        words = _words(self._taste_seed, devices, np.zeros_like(devices), _TASTE_WORDS)
        raw = words.astype("<u8").tobytes()
        width = 8 * _TASTE_WORDS
        return [raw[at : at + TASTE_BYTES] for at in range(0, len(raw), width)]


def _share(draw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what was watched, 0..1, of a number 0..1: seven in ten to the end, two a bit, one the half of it."""
    return np.select(
        [draw < 0.7, draw < 0.9],
        [0.9 + draw / 7, 0.02 + (draw - 0.7) * 1.4],
        0.3 + (draw - 0.9) * 6,
    )


def _cumulated(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.cumsum(odds)
    sums /= sums[-1]
    return sums


def _words(seed: np.uint64, devices: Integers, versions: Integers, count: int) -> NDArray[np.uint64]:
    """Return (n, count) numbers of 64 bits."""
    start = _mixed(devices.astype(np.uint64) << np.uint64(32) | versions.astype(np.uint64))
    start = _mixed(start ^ seed)
    steps: NDArray[np.uint64] = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    return _mixed(start[:, None] + steps)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * _MIX
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    return words ^ (words >> np.uint64(31))


def _uniform(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return numbers from 0 to below 1."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
