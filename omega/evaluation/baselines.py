"""What any recommender must beat: chance, and what everybody watches lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.evaluation.method import Method, ScoringMethod, best_unseen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.log import Past

HALF_LIVES_DAYS = (0.25, 0.5, 1, 2, 4, 8, 32)


class Random(ScoringMethod):
    """Any title, at random."""

    name = "random"

    def __init__(self, seed: int) -> None:
        """Draw the same lists for the same seed."""
        self._seed = seed

    def scores(self, viewers: NDArray[np.int64]) -> Floats:
        """Return numbers drawn for this moment."""
        random = np.random.default_rng([self._seed, self.past.at_s])
        return random.random((len(viewers), len(self.past.titles)), np.float32)


class Popularity(Method):
    """What most have watched, an event counting less the older it is; all-time popularity without a half-life."""

    def __init__(self, half_life_days: float | None) -> None:
        """Halve an event's weight every so many days."""
        self.name = "popularity" if half_life_days is None else f"popularity-{half_life_days:g}d"
        self._half_life_days = half_life_days

    def learn(self, past: Past) -> None:
        """Count the events."""
        self._past = past
        half_life = self._half_life_days
        self._scores = past.counts.astype(np.float64) if half_life is None else past.decayed(half_life)

    def rank(self, at_s: int, viewers: NDArray[np.int64], k: int) -> NDArray[np.int64]:  # noqa: ARG002
        """Return the most popular of what each viewer hasn't watched."""
        return best_unseen(self._scores, self._past, viewers, k)


def popularities() -> list[Popularity]:
    """Return all-time popularity and one for each half-life."""
    return [Popularity(None), *(Popularity(half_life) for half_life in HALF_LIVES_DAYS)]
