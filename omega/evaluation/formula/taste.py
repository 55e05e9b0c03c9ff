"""What a viewer likes, of genres, texts and ages of titles: log ratios against everybody's, and a cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.evaluation.formula.facts import AGE_CLASSES
from omega.evaluation.formula.shares import watched_ages
from omega.evaluation.log import totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.formula.facts import Facts
    from omega.evaluation.log import Past

GENRE_TITLES, CONTENT_TITLES = 40.0, 15.0
"""How many titles later one counts half."""
PRIOR_TITLES = 5.0
_LEAST_SHARE = 1e-6


def genre_ratios(past: Past, facts: Facts, shares: NDArray[np.float64], viewers: NDArray[np.int64]) -> Floats:
    """Return (v, g) float32: how much more than others each viewer watches each genre, nats."""
    rows, events, after = past.histories(viewers)
    decay = np.exp2(-after / GENRE_TITLES)
    counted = summed(rows, decay, facts.genres[past.watched[events]], len(viewers))
    return ratios(counted, totals(rows, decay, len(viewers)), shares)


def age_ratios(past: Past, facts: Facts, shares: NDArray[np.float64], viewers: NDArray[np.int64]) -> Floats:
    """Return (v, 6) float32: how much more than others each viewer watches titles of each age class, nats."""
    rows, events, _ = past.histories(viewers)
    classes = watched_ages(past, facts)[events]
    counted = np.bincount(rows * AGE_CLASSES + classes, minlength=len(viewers) * AGE_CLASSES)
    return ratios(counted.reshape(len(viewers), AGE_CLASSES), past.lengths[viewers], shares)


def ratios(
    counted: Floats | NDArray[np.int64], lengths: NDArray[np.float64] | NDArray[np.int64], shares: NDArray[np.float64]
) -> Floats:
    """Return log(((counted (v, c) + 5 share) / (length (v,) + 5)) / share) for shares (c,) of everybody's."""
    base = np.maximum(shares, _LEAST_SHARE)
    found: Floats = np.log((counted + PRIOR_TITLES * base) / (lengths[:, None] + PRIOR_TITLES) / base)
    return found.astype(np.float32)


def centered(past: Past, facts: Facts) -> Floats:
    """Return (t, d) float32, unit rows: the titles' vectors less the mean of those that somebody has watched."""
    mean = facts.vectors[past.candidates].mean(axis=0) if past.candidates.any() else 0.0
    return unit(facts.vectors - mean)


def content_vectors(past: Past, rows_of_titles: Floats, viewers: NDArray[np.int64]) -> Floats:
    """Return (v, d) float32, unit rows: what each viewer watched of rows (t, d), the last titles counting most."""
    rows, events, after = past.histories(viewers)
    decay = np.exp2(-after / CONTENT_TITLES)
    return unit(summed(rows, decay, rows_of_titles[past.watched[events]], len(viewers)))


def unit(rows: Floats) -> Floats:
    """Return rows (n, d) scaled to length 1; a zero row stays zero."""
    scaled: Floats = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return scaled.astype(np.float32)


def summed(rows: NDArray[np.int64], weights: NDArray[np.float64], values: Floats, count: int) -> Floats:
    """Return (count, d) float32: the sums of weights (h,) times values (h, d) by ascending row (h,)."""
    sums = np.zeros((count, values.shape[1]), np.float32)
    if len(rows):
        present, starts = np.unique(rows, return_index=True)
        sums[present] = np.add.reduceat(values * weights[:, None].astype(np.float32), starts, axis=0)
    return sums
