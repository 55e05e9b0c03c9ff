"""The ten numbers by which a title is ranked before the household's own habits count, each with a weight of its own.

`omega.core.ranking_weights` names them, a fit on replayed viewers weighs them; pure functions on arrays of n titles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.ranking_weights import NAMES, TERMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.device.others import Others

COLUMNS = {term: [NAMES.index(name) for name in names] for term, names in TERMS.items()}
"""Which features are of which term."""
_SHARE_FLOOR = 1e-4
_WELL_KNOWN_SHARE = 0.004
"""Above it a title's share counts once more."""
_SETTLED_TITLES, _SETTLED_SHARE = 15.0, 0.6


def features(
    others: Others,
    ages: NDArray[np.int64],
    genre: Floats,
    content: Floats,
    novelty: Floats,
    likeness: Floats,
    known: int,
) -> Floats:
    """Return (n, 10) float32 in the order of `ranking_weights.NAMES`.

    `ages` (n,) are the titles' age classes, `genre`, `content` and `novelty` (n,) how the household leans to them,
    `likeness` (n,) how like it their audiences are; so many titles it is `known` by.
    """
    trend, surge = trends(others)
    named = {
        "trend": trend,
        "surge": surge,
        "this_year": ages == 0,
        "last_year": ages == 1,
        "quality": others.quality,
        "genre": genre,
        "content": content,
        "novelty": novelty,
        "audience": likeness,
        "audience_settled": likeness * settled(known),
    }
    found = np.empty((len(ages), len(NAMES)), np.float32)
    for column, name in enumerate(NAMES):
        found[:, column] = named[name]
    return found


def trends(others: Others) -> tuple[Floats, Floats]:
    """Return two (n,): natural logs of what is watched lately, and of that above what is well known.

    Both are 0 for a title nobody is known to watch.
    """
    shares = others.shares + _SHARE_FLOOR
    return np.log(shares / _SHARE_FLOOR), np.maximum(np.log(shares / _WELL_KNOWN_SHARE), 0)


def settled(known: int) -> float:
    """Return how well a household is known that is known by so many titles: 0 for some twenty, -.6 to .4."""
    return known / (known + _SETTLED_TITLES) - _SETTLED_SHARE
