"""The formula as a method: ranked by the sum of its terms, perhaps with the last places for what isn't in fashion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.evaluation.method import NOTHING, Method, barred, best

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.core.ranking_weights import RankingWeights
    from omega.evaluation.formula.features import Features
    from omega.evaluation.log import Past

BREADTH_PLACES = 0.3
"""Which share of a list is for breadth: 6 of 20."""
BREADTH_SHARE = 0.35
"""How much of TREND and FRESH counts there."""


class Formula(Method):
    """Ranks by TREND + FRESH + AUDIENCE + TASTE + NOVELTY."""

    def __init__(self, name: str, features: Features, weights: RankingWeights, *, broad: bool = False) -> None:
        """`features` may be shared with others; a `broad` list is 14 titles and 6 for breadth."""
        self.name = name
        self._features = features
        self._values = weights.values
        self._broad = broad

    def learn(self, past: Past) -> None:
        """Take in what came before."""
        self._past = past
        self._features.learn(past)

    def rank(self, at_s: int, viewers: NDArray[np.int64], k: int) -> NDArray[np.int64]:  # noqa: ARG002
        """Return the titles of the highest score."""
        block = self._features.block(viewers)
        everybodys, own = block.everybodys(self._values), block.own(self._values)
        if self._broad:
            return broad_list(everybodys, barred(own, self._past, viewers), k)
        return best(barred(own + everybodys, self._past, viewers), k)


def broad_list(everybodys: Floats, own: Floats, k: int) -> NDArray[np.int64]:
    """Return (v, k): the best by everybodys (t,) + own (v, t), then the best of the rest with less of everybodys."""
    first = best(own + everybodys, k - round(BREADTH_PLACES * k))
    rest = own + np.float32(BREADTH_SHARE) * everybodys
    rows, places = np.nonzero(first != NOTHING)
    rest[rows, first[rows, places]] = -np.inf
    return np.hstack([first, best(rest, k - first.shape[1])])
