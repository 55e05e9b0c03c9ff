"""What the household's history adds up to: a soft mixture of the tastes that its contexts show.

Nobody says who watches, so each context stands for whoever watches then. Asked in one, every other context counts by
how alike the two tastes are: one taste at all times gives one sum over everything, two persons at different times give
two. Everything decays with a context's own events and not with time, so that a holiday forgets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import SLOTS
from omega.device.titles import AGES

if TYPE_CHECKING:
    from omega.core.ports import Floats

VECTOR_HALF_LIFE_EVENTS = 10.0
COUNT_HALF_LIFE_EVENTS = 25.0
"""Of a context's own events; longer ones learn steady tastes better and a change of taste too slowly."""
REPLAYED_EVENTS = 400
"""How many past events of each context rebuild the state; what is older weighs less than 1/10000."""
PRIOR_EVENTS = 5.0
"""How many average events a count is mixed with before it is believed."""
STRANGER_SHARE = 0.1
"""How much a context with nothing in common counts: the household's common taste is never quite out of mind."""
LIKENESS_SOFTNESS = 0.2
"""Contexts so much less alike count 1/e as much. At .1 several viewers gain more by simulation, and one alone loses."""
_LEAST_SHARE = 1e-6
"""No share is less, so that logs stay finite."""


def liking(watched_milli: int) -> float:
    """Return what an event says for its title: -0.5 given up at once, 0 half watched, 1 watched to the end."""
    return max(2 * watched_milli / 1000 - 1, -0.5)


@dataclass(frozen=True, slots=True)
class Leanings:
    """The taste in one context as it stands to the catalog, in natural logs: 0 is as expected, .7 twice as much."""

    vector: Floats
    """(384,) sum of liking x centered title vector, each context's by how much it counts here."""
    liked: float
    """Decayed number of liked events in all contexts."""
    genres: Floats
    """(g,) how much more of each genre than the catalog has, each context's by how much it counts here."""
    slot_genres: Floats
    """(g,) how much more of each genre in this context than in all of them."""
    slot_kinds: Floats
    """(3,) how much more of each kind in this context than in all of them."""
    ages: Floats
    """(6,) how much more of titles so old when watched than the catalog has, each context's by how much it counts."""


@dataclass(slots=True)
class Taste:
    """The decayed sums by context; g genres, 3 kinds, 8 contexts."""

    genre_count: int
    dimensions: int
    slot_vectors: Floats = field(init=False)
    """(8, 384) sum of liking x centered title vector."""
    slot_liked: Floats = field(init=False)
    """(8,) decayed number of liked events."""
    slot_genres: Floats = field(init=False)
    """(8, g) decayed likings by genre."""
    slot_kinds: Floats = field(init=False)
    """(8, 3) decayed likings by kind."""
    slot_ages: Floats = field(init=False)
    """(8, 6) decayed likings by how old the title was."""

    def __post_init__(self) -> None:
        """Start with nothing known."""
        self.slot_vectors = np.zeros((SLOTS, self.dimensions), np.float32)
        self.slot_liked = np.zeros(SLOTS, np.float32)
        self.slot_genres = np.zeros((SLOTS, self.genre_count), np.float32)
        self.slot_kinds = np.zeros((SLOTS, 3), np.float32)
        self.slot_ages = np.zeros((SLOTS, AGES), np.float32)

    def add(
        self, slot: int, watched_milli: int, centered: Floats, genres: Floats, kind: int, age: int | None = None
    ) -> None:
        """Add one event to its context: its title's centered vector (384,), genre weights (g,), kind and age class."""
        like = liking(watched_milli)
        gain, decay = max(like, 0.0), _decay(COUNT_HALF_LIFE_EVENTS)
        self.slot_vectors[slot] = self.slot_vectors[slot] * _decay(VECTOR_HALF_LIFE_EVENTS) + like * centered
        self.slot_liked[slot] = self.slot_liked[slot] * decay + gain
        self.slot_genres[slot] = self.slot_genres[slot] * decay + gain * genres
        self.slot_kinds[slot] *= decay
        self.slot_kinds[slot, kind] += gain
        self.slot_ages[slot] *= decay
        if age is not None:
            self.slot_ages[slot, age] += gain

    def leanings(self, slot: int, genre_shares: Floats, kind_shares: Floats, age_shares: Floats) -> Leanings:
        """Return how who watches in a context leans against the catalog's shares (g,), (3,) and (6,)."""
        liked = float(self.slot_liked.sum())
        genres = _shares(self.slot_genres.sum(axis=0), liked, genre_shares)
        kinds = _shares(self.slot_kinds.sum(axis=0), liked, kind_shares)
        by_genre = _shares(self.slot_genres, self.slot_liked[:, None], genres)
        by_kind = _shares(self.slot_kinds, self.slot_liked[:, None], kinds)
        counts = companions(by_genre, by_kind, slot)
        mixed = _shares(counts @ self.slot_genres, float(counts @ self.slot_liked), genre_shares)
        aged = counts @ self.slot_ages
        ages = _shares(aged, float(aged.sum()), age_shares)
        return Leanings(
            vector=counts @ self.slot_vectors,
            liked=liked,
            genres=np.log(mixed / np.maximum(genre_shares, _LEAST_SHARE)),
            slot_genres=np.log(by_genre[slot] / genres),
            slot_kinds=np.log(by_kind[slot] / kinds),
            ages=np.log(ages / np.maximum(age_shares, _LEAST_SHARE)),
        )


def companions(by_genre: Floats, by_kind: Floats, slot: int) -> Floats:
    """Return (8,) how much each context counts in context `slot`, from STRANGER_SHARE to 1.

    Two contexts are alike by the Bhattacharyya coefficients of their genre shares (8, g) and kind shares (8, 3)
    multiplied (Bhattacharyya, 1943): 1 for the same shares, 0 for none in common.
    """
    likeness = _overlap(by_genre, slot) * _overlap(by_kind, slot)
    counts: Floats = STRANGER_SHARE + (1 - STRANGER_SHARE) * np.exp((likeness - 1) / LIKENESS_SOFTNESS)
    return counts.astype(np.float32)


def _overlap(shares: Floats, slot: int) -> Floats:
    """Return (8,) Bhattacharyya coefficients of each row with row `slot`, whatever the rows sum to."""
    roots = np.sqrt(shares)
    lengths = np.sqrt(shares.sum(axis=1))
    overlap: Floats = (roots @ roots[slot]) / (lengths * lengths[slot])
    return overlap


def _decay(half_life_events: float) -> float:
    return float(2.0 ** (-1.0 / half_life_events))


def _shares(counts: Floats, total: Floats | float, prior: Floats) -> Floats:
    """Return the shares that `counts` of `total` show once they are mixed with the prior."""
    shares: Floats = np.maximum((counts + PRIOR_EVENTS * prior) / (total + PRIOR_EVENTS), _LEAST_SHARE)
    return shares
