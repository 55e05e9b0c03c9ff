"""Lists for the fit: at each step some titles that are chosen without looking at what was watched after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from omega.core.ranking_weights import NAMES, TERMS, RankingWeights
from omega.federation.ranking_fit import Fit, Lists, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.log import Past
    from omega.evaluation.protocol import Step


class Learned(Protocol):
    """What is known before a step."""

    @property
    def items(self) -> NDArray[Any]:
        """(t, 1 and more): first how much each title is watched lately."""


class Block(Protocol):
    """The features of some viewers and titles."""

    def array(self) -> Floats:
        """Return (v, c, 10) in the order of NAMES."""


class FeatureSource(Protocol):
    """What a fit weighs; gets one step after another."""

    def learn(self, past: Past) -> Learned:
        """Take in what came before a step."""

    def block(self, viewers: NDArray[np.int64], titles: NDArray[np.int64]) -> Block:
        """Return the features of viewers (v,) and titles (c,), at the moment that was learned."""


TRENDING, OTHERS = 400, 200
MOST_LISTS = 12_000
"""600 titles x 10 features of so many lists take 290 MB."""


def lists_of(
    features: FeatureSource,
    steps: Iterable[Step],
    *,
    seed: int,
    share: float = 1.0,
    progress: Callable[[Step], None] = lambda step: None,
) -> list[Lists]:
    """Return a step's lists each: the 400 titles with the most trend, 200 others by lot, for a `share` of the viewers.

    Those who watched none of them are left out, as are titles that they had watched before.
    """
    random = np.random.default_rng(seed)
    found = []
    for step in steps:
        progress(step)
        trends = features.learn(step.past).items[:, 0]
        candidates = np.flatnonzero(step.past.candidates)
        order = candidates[np.argsort(-trends[candidates], kind="stable")]
        rest = order[TRENDING:]
        titles = np.concatenate([order[:TRENDING], random.choice(rest, min(OTHERS, len(rest)), replace=False)])
        hits = np.zeros((len(step.viewers), len(step.past.titles)), np.bool_)
        hits[step.rows, step.titles] = True
        hits = hits[:, titles]
        kept = np.flatnonzero(hits.any(axis=1) & (random.random(len(hits)) < share))
        if len(kept):
            viewers = step.viewers[kept]
            array = features.block(viewers, titles).array()
            found.append(Lists(array, ~step.past.seen(viewers)[:, titles], hits[kept]))
    return found


def fitted(
    lists: Sequence[Lists], without: Collection[str] = (), start: RankingWeights | None = None
) -> tuple[RankingWeights, Fit]:
    """Return the best weights with some terms left out; raises InputError where no list has a hit.

    Lists of eleven features have habits as the last; where they speak against what is watched, they count nothing.
    """
    absent = {name for term in without for name in TERMS[term]}
    used = np.array(
        [name not in absent for name in NAMES] + [True] * (lists[0].features.shape[2] - len(NAMES) if lists else 0)
    )
    found = fit(lists, used, start=np.array(start.values) if start else None)
    if len(found.weights) > len(NAMES) and found.weights[-1] < 0:
        used[-1] = False
        found = fit(lists, used)
    return RankingWeights.of(found.weights), found
