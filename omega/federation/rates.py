"""Base rates: what everybody watches, by genre and by age, over 30 days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.audience import AGE_CLASSES, BASE_RATE_HALF_LIFE_DAYS, age_class
from omega.core.shard_records import HALF_LIVES_DAYS

if TYPE_CHECKING:
    from omega.core.catalog import Catalog
    from omega.core.ports import Doubles, Integers

RATE = HALF_LIVES_DAYS.index(BASE_RATE_HALF_LIFE_DAYS)
"""Which of the trends counts."""


def genre_shares(catalog: Catalog, titles: Integers, weights: Doubles) -> dict[str, float]:
    """Return each genre's share of what was watched, most common first; a title with several counts for each.

    `weights` (n,) are the trends of `titles` (n,). With nothing watched, the shares of the catalog's titles.
    """
    total = float(weights.sum())
    if total <= 0:
        return catalog.genre_shares()
    sums: dict[str, float] = {}
    for title, weight in zip(titles.tolist(), weights.tolist(), strict=True):
        for genre in catalog.titles[title].genres:
            sums[genre] = sums.get(genre, 0.0) + weight
    return {genre: min(found / total, 1.0) for genre, found in sorted(sums.items(), key=lambda item: -item[1])}


def age_shares(catalog: Catalog, titles: Integers, weights: Doubles, year: int) -> tuple[float, ...]:
    """Return the share of each class of `age_class` in what was watched, as of a year; even shares without any."""
    shares = np.zeros(len(AGE_CLASSES) + 1)
    for title, weight in zip(titles.tolist(), weights.tolist(), strict=True):
        shares[age_class(year - catalog.titles[title].year)] += weight
    total = shares.sum()
    return tuple((shares / total if total > 0 else np.full(len(shares), 1 / len(shares))).tolist())
