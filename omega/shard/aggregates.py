"""What of a shard's sums may be told: which titles, in which figures, and who is near whom.

The store replaces shown figures only when 3 further households came; here they are made coarse. So whatever a pull
says follows from sums over at least 3 households that no single visit changed, and from the date.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from omega.core.shard_records import ALL_SLOTS, HALF_LIVES_DAYS, LEAST_HOUSEHOLDS, RANKED_BY, TASTE_NUMBERS
from omega.core.types import success_rate
from omega.core.wire import Similar, Trend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Floats
    from omega.core.shard_records import Figures, Shown

_LADDER = (LEAST_HOUSEHOLDS, *(digit * 10**power for power in range(9) for digit in (1, 2, 5) if digit * 10**power > 3))
_SUCCESS_STEP = 40
"""Thousandths, 4 %: a multiple of the wire's 4."""
_STEPS_PER_DOUBLING = 8
PRIOR_LISTENERS = 3.0
"""How many indifferent viewers an audience is mixed with: one lone code is no audience."""


def shown_households(households: int) -> int:
    """Return the largest of 3, 5, 10, 20, 50, 100, ... that isn't above."""
    return _LADDER[bisect_right(_LADDER, households) - 1] if households >= LEAST_HOUSEHOLDS else 0


def shown_success(figures: Figures) -> int:
    """Return the posterior success rate in thousandths, in steps of 4 %."""
    rate = success_rate(figures.samples, figures.success_milli)
    return _SUCCESS_STEP * round(1000 * rate / _SUCCESS_STEP)


def momentum(figures: Figures, day: int) -> int:
    """Return 0..255: 8 log2(1 + trend) as of a day, the trend a number of samples that halves every day."""
    age = max(day - figures.day, 0)
    trend = figures.trends[RANKED_BY] * 2.0 ** (-age / HALF_LIVES_DAYS[RANKED_BY])
    return min(round(_STEPS_PER_DOUBLING * math.log2(1 + trend)), 255)


def rank(figures: Figures) -> float:
    """Return a number that orders trends as of any day: log2 of the trend, plus its day over the half-life."""
    trend = figures.trends[RANKED_BY]
    return math.log2(trend) + figures.day / HALF_LIVES_DAYS[RANKED_BY] if trend > 0 else -math.inf


def trend_of(row: Shown, day: int, audience: bytes = b"") -> Trend:
    """Return what a pull says of a row, with its audience code if there is one."""
    figures = row.figures
    slot = None if row.slot == ALL_SLOTS else row.slot
    households, success = shown_households(figures.households), shown_success(figures)
    return Trend(row.title, slot, households, success, momentum(figures, day), audience)


def similar_to(asks: bytes, rows: Sequence[Shown], audiences: Floats, most: int) -> tuple[Similar, ...]:
    """Return the `most` rows whose audience is nearest to a taste code, best first, ties in their order.

    `audiences` (n, 1 + TASTE_NUMBERS) holds count and sum of the rows' codes. Nearness is the cosine of taste and mean
    audience, both against the mean of all these audiences, scaled from -1..1 to 0..255.
    """
    if not rows:
        return ()
    mean = audiences[:, 1:] / (audiences[:, :1] + PRIOR_LISTENERS)
    center = mean.mean(axis=0)
    near = cosines(mean - center, taste_vector(asks) - center)
    nearest = np.argsort(-near, kind="stable")[:most]
    return tuple(_similar(rows[i], float(near[i])) for i in nearest)


def taste_vector(code: bytes) -> Floats:
    """Return (TASTE_NUMBERS,) float32, -8..7: the nibbles of a taste code, the lower half of a byte first."""
    nibbles = np.frombuffer(code, np.uint8)
    numbers: Floats = np.stack([nibbles & 15, nibbles >> 4], axis=1).reshape(TASTE_NUMBERS).astype(np.float32) - 8
    return numbers


def cosines(rows: Floats, vector: Floats) -> Floats:
    """Return the cosine of each row with the vector, 0 where one of the two has no length."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    found: Floats = np.divide(rows @ vector, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return found


def _similar(row: Shown, cosine: float) -> Similar:
    figures, nearness = row.figures, min(max(round(127.5 * (1 + cosine)), 0), 255)
    return Similar(row.title, row.slot, shown_households(figures.households), shown_success(figures), nearness)
