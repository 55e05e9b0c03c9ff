"""Item factors from audiences alone: a step of subspace iteration that passes through the households.

A title's audience is the sum of its viewers' codes before they watched it, a code the sum of its titles' factors: so
audiences are the product of the co-watch matrix with the factors, and nobody has told a pair of titles. Scaled by the
number of codes to the power COUNT_POWER, and made orthonormal, they are the next factors. The nearest orthonormal
matrix, A (A'A)^-1/2 (Fan and Hoffman, 1955), keeps the axes where they were: codes of two weeks stay in one sum.

Pure functions on arrays, in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.factors import FACTORS, MOST_STEPS, Factors
from omega.core.shard_records import AUDIENCE_HALF_LIFE_DAYS, LEAST_HOUSEHOLDS, TASTE_NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Doubles, Integers

FACTORS_S = 7 * 24 * 3600
"""Factors are made anew so often; each day instead loses a third of a point by replay."""
HALF_LIFE_DAYS = 60.0
"""Of the sums that they are made of: by replay a point better than the audiences' own."""
COUNT_POWER = -0.4
_LEAST_LENGTH = 1e-9


class Heard(NamedTuple):
    """What was heard of m titles up to some moment."""

    titles: Integers
    """(m,) ascending"""
    heard: Doubles
    """(m, 1 + TASTE_NUMBERS) decayed number of taste codes, and their decayed sum."""

    @classmethod
    def empty(cls) -> Heard:
        """Return nothing."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 1 + TASTE_NUMBERS)))

    def of(self, titles: Integers) -> Doubles:
        """Return what was heard of other titles (n,), zeros where there is nothing."""
        found = np.zeros((len(titles), self.heard.shape[1]))
        _, here, there = np.intersect1d(titles, self.titles, return_indices=True)
        found[here] = self.heard[there]
        return found


def longer(kept: Heard, before: Heard, now: Heard, days: float) -> Heard:
    """Return sums with HALF_LIFE_DAYS, from sums with AUDIENCE_HALF_LIFE_DAYS `before` and `now`, so many days apart.

    What came in between is what the one sum has more than the other, decayed, would have left.
    """
    titles = np.union1d(kept.titles, now.titles)
    came = now.of(titles) - before.of(titles) * 2.0 ** (-days / AUDIENCE_HALF_LIFE_DAYS)
    found = kept.of(titles) * 2.0 ** (-days / HALF_LIFE_DAYS) + came
    found[found[:, 0] <= 0] = 0  # of a shard that is away, everything seems taken back
    return Heard(titles, found)


def learned(sums: Heard) -> Doubles:
    """Return (m, FACTORS) rows of length 1, zeros for titles of fewer than LEAST_HOUSEHOLDS codes."""
    counts, codes = sums.heard[:, 0], sums.heard[:, 1 : 1 + FACTORS]
    known = counts >= LEAST_HOUSEHOLDS
    scaled = np.where(known[:, None], codes, 0.0) * np.maximum(counts, 1.0)[:, None] ** COUNT_POWER
    turned, lengths, axes = np.linalg.svd(scaled, full_matrices=False)
    turned[:, lengths <= _LEAST_LENGTH * max(float(lengths.max(initial=0.0)), _LEAST_LENGTH)] = 0
    nearest = turned @ axes
    rows: Doubles = nearest / np.maximum(np.linalg.norm(nearest, axis=1, keepdims=True), _LEAST_LENGTH)
    return np.where(known[:, None], rows, 0.0)


def new_factors(
    sums: Heard, told: Integers, steady: Integers, before: Factors | None, *, version: int, space: int
) -> Factors | None:
    """Return the next factors of the titles that may be `told`; None where no audience is heard.

    The rows of `steady` titles stay as they were `before`: what is shown of them hasn't changed since.
    """
    rows = np.rint(MOST_STEPS * learned(sums)).astype(np.int8)
    heard = rows.any(axis=1) & np.isin(sums.titles, told)
    if not heard.any():
        return None
    found = dict(zip(sums.titles[heard].tolist(), rows[heard], strict=True))
    if before is not None:
        known = dict(zip(*arrays_of(before), strict=True))
        found |= {title: known[title] for title in steady.tolist() if title in known and title in found}
    titles = np.asarray(sorted(found), "<u4")
    stacked = np.stack([found[title] for title in titles.tolist()])
    return Factors(version=version, space=space, titles=titles.tobytes(), rows=stacked.tobytes())


def arrays_of(factors: Factors) -> tuple[list[int], NDArray[np.int8]]:
    """Return (n,) titles and (n, FACTORS) int8 rows."""
    rows = np.frombuffer(factors.rows, np.int8).reshape(-1, FACTORS)
    return np.frombuffer(factors.titles, "<u4").tolist(), rows
