"""How good lists are: each viewer's own figures, and what all the lists together show.

NDCG with binary gains (Jarvelin and Kekalainen, 2002), recall as hits / min(k, n), reciprocal rank; coverage, breadth
as exp(entropy), novelty as -log2 of popularity (Castells, Hurley and Vargas, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.evaluation.protocol import Step

COLD = 3
"""A title that fewer viewers than these have watched is cold: nobody may be told of it."""
OFTEN = 5
"""In how many lists a title must be to count for `cov5`."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The figures of v lists."""

    ndcg: NDArray[np.float64]
    """(v,) 0..1."""
    recall: NDArray[np.float64]
    """(v,) 0..1."""
    reciprocal_rank: NDArray[np.float64]
    """(v,) 0..1."""


def judged(lists: NDArray[np.int64], step: Step) -> Judged:
    """Return the figures of the lists (v, k), best title first; -1 fills the end of one that is shorter."""
    v, k = lists.shape
    hits = np.zeros((v, k), np.bool_)
    wanted = np.zeros((v, len(step.past.titles)), np.bool_)
    wanted[step.rows, step.titles] = True
    hits = np.take_along_axis(wanted, np.maximum(lists, 0), axis=1) & (lists >= 0)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    reachable = np.minimum(step.wanted, k)
    first = np.where(hits.any(axis=1), 1 / (1 + hits.argmax(axis=1)), 0.0)
    return Judged(hits @ discounts / np.cumsum(discounts)[reachable - 1], hits.sum(axis=1) / reachable, first)


@dataclass(slots=True)
class Shown:
    """Counts what is shown in all lists."""

    titles: int
    """How many titles there are."""
    counts: NDArray[np.int64] = field(init=False)
    """(t,): in how many lists each title was."""
    places: int = 0
    surprise_bits: float = 0.0
    cold: int = 0

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.counts = np.zeros(self.titles, np.int64)

    def add(self, lists: NDArray[np.int64], step: Step) -> None:
        """Count the lists (v, k) of a step."""
        listed = lists[lists >= 0]
        counts = step.past.counts
        self.counts += np.bincount(listed, minlength=self.titles)
        self.places += len(listed)
        self.surprise_bits -= float(np.log2(np.maximum(counts[listed], 1) / max(len(step.past), 1)).sum())
        self.cold += int((counts[listed] < COLD).sum())

    def coverage(self, catalog: int, least: int = 1) -> float:
        """Return which share of `catalog` titles was in at least so many lists."""
        return float((self.counts >= least).sum()) / max(catalog, 1)

    @property
    def entropy(self) -> float:
        """exp(entropy) of what was shown: as broad as so many titles shown equally often."""
        shares = self.counts[self.counts > 0] / max(self.places, 1)
        return float(np.exp(-(shares * np.log(shares)).sum())) if self.places else 0.0

    @property
    def novelty(self) -> float:
        """Mean over the places of -log2 of the title's share of all events before, bits."""
        return self.surprise_bits / max(self.places, 1)

    @property
    def cold_share(self) -> float:
        """Share of the places with a title that fewer than COLD viewers had watched."""
        return self.cold / max(self.places, 1)
