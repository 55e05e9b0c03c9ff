"""What can be judged: a method learns what came before a step, and is asked for lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.log import Past

NOTHING = -1
"""Fills the end of a list that is shorter than asked for."""


class Method(ABC):
    """Something that recommends. A replay makes it anew, then calls `learn` and `rank` in turn, step by step."""

    name: str
    """What it is called in tables, unique among the methods of a replay."""

    @abstractmethod
    def learn(self, past: Past) -> None:
        """Take in what came before a step.

        `past` holds all events before it in order of time; those of the step before are its beginning, so that who
        keeps a state reads on from where it stopped. A method MUST NOT know events of any other source.
        """

    @abstractmethod
    def rank(self, at_s: int, viewers: NDArray[np.int64], k: int) -> NDArray[np.int64]:
        """Return (v, k) the titles' numbers for each of the viewers (v,), best first, at the moment that was learned.

        A list MUST hold no title twice, none that its viewer has watched, and none that nobody has watched; the end of
        a shorter one is NOTHING.
        """


class ScoringMethod(Method):
    """A method that gives every title a score for every viewer."""

    past: Past

    def learn(self, past: Past) -> None:
        """Keep what came before."""
        self.past = past

    @abstractmethod
    def scores(self, viewers: NDArray[np.int64]) -> Floats:
        """Return (v, t) scores, the higher the better; it may be overwritten."""

    def rank(self, at_s: int, viewers: NDArray[np.int64], k: int) -> NDArray[np.int64]:  # noqa: ARG002
        """Return the best of what is allowed."""
        return best(barred(self.scores(viewers), self.past, viewers), k)


def barred(scores: Floats, past: Past, viewers: NDArray[np.int64]) -> Floats:
    """Return the scores (v, t) with -inf in place of what the viewer has watched, and of what nobody has."""
    scores[:, ~past.candidates] = -np.inf
    scores[past.seen(viewers)] = -np.inf
    return scores


def best(scores: Floats, k: int) -> NDArray[np.int64]:
    """Return (v, k) the columns of the highest scores (v, t) in order, NOTHING for -inf; ties by column."""
    k_here = min(k, scores.shape[1])
    top = np.argpartition(-scores, k_here - 1, axis=1)[:, :k_here] if k_here < scores.shape[1] else None
    columns = np.arange(scores.shape[1])[None].repeat(len(scores), axis=0) if top is None else np.sort(top, axis=1)
    found = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    lists = np.full((len(scores), k), NOTHING)
    lists[:, :k_here] = np.where(
        np.isneginf(np.take_along_axis(found, order, axis=1)), NOTHING, np.take_along_axis(columns, order, axis=1)
    )
    return lists


def best_unseen(scores: NDArray[np.float64], past: Past, viewers: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return (v, k) what `best` gives where all viewers have the same scores (t,): those of the first unseen titles."""
    order = np.argsort(-scores, kind="stable")
    order = order[past.candidates[order]]
    seen = past.seen(viewers)
    lists = np.full((len(viewers), k), NOTHING)
    enough = k + int(past.lengths[viewers].max(initial=0))
    fresh = ~seen[:, order[:enough]]
    place = np.cumsum(fresh, axis=1) - 1
    rows, columns = np.nonzero(fresh & (place < k))
    lists[rows, place[rows, columns]] = order[columns]
    return lists
