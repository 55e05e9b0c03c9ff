"""What the household's history adds up to: a taste vector, genre and kind counts, the same for each context.

Everything decays with the number of events since, those of a context with that context's own, and not with time, so
that a holiday forgets nothing. Half-lives were found by replaying real viewers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import SLOTS

if TYPE_CHECKING:
    from omega.core.ports import Floats

VECTOR_HALF_LIFE_EVENTS = 15.0
COUNT_HALF_LIFE_EVENTS = 40.0
REPLAYED_EVENTS = 400
"""How many past events, in all and of each context, rebuild the state; what is older weighs less than 1/1000."""
PRIOR_EVENTS = 5.0
"""How many average events a count is mixed with before it is believed."""
_LEAST_SHARE = 1e-6
"""No share is less, so that logs stay finite."""


def liking(watched_milli: int) -> float:
    """Return what an event says for its title: -0.5 given up at once, 0 half watched, 1 watched to the end."""
    return max(2 * watched_milli / 1000 - 1, -0.5)


@dataclass(frozen=True, slots=True)
class Leanings:
    """The taste as it stands to the catalog, in natural logs: 0 is as much as expected, .7 twice as much."""

    vector: Floats
    """(384,) sum of liking x centered title vector."""
    liked: float
    """Decayed number of liked events."""
    genres: Floats
    """(g,) how much more of each genre than the catalog has."""
    slot_genres: Floats
    """(g,) how much more of each genre in this context than in all of them."""
    slot_kinds: Floats
    """(3,) how much more of each kind in this context than in all of them."""


@dataclass(slots=True)
class Taste:
    """The decayed sums; g genres, 3 kinds, 8 contexts."""

    genre_count: int
    dimensions: int
    vector: Floats = field(init=False)
    """(384,) sum of liking x centered title vector."""
    liked: float = 0.0
    """Decayed number of liked events."""
    genres: Floats = field(init=False)
    """(g,) decayed likings by genre."""
    slot_liked: Floats = field(init=False)
    """(8,) like `liked`, by context."""
    slot_genres: Floats = field(init=False)
    """(8, g) like `genres`, by context."""
    slot_kinds: Floats = field(init=False)
    """(8, 3) decayed likings by context and kind."""

    def __post_init__(self) -> None:
        """Start with nothing known."""
        self.vector = np.zeros(self.dimensions, np.float32)
        self.genres = np.zeros(self.genre_count, np.float32)
        self.slot_liked = np.zeros(SLOTS, np.float32)
        self.slot_genres = np.zeros((SLOTS, self.genre_count), np.float32)
        self.slot_kinds = np.zeros((SLOTS, 3), np.float32)

    def add(self, watched_milli: int, centered: Floats, genres: Floats) -> None:
        """Add one event to what holds in every context: its title's centered vector (384,) and genre weights (g,)."""
        like = liking(watched_milli)
        gain, decay = max(like, 0.0), _decay(COUNT_HALF_LIFE_EVENTS)
        self.vector = self.vector * _decay(VECTOR_HALF_LIFE_EVENTS) + like * centered
        self.liked = self.liked * decay + gain
        self.genres = self.genres * decay + gain * genres

    def add_in(self, slot: int, watched_milli: int, genres: Floats, kind: int) -> None:
        """Add one event to its context: its title's genre weights (g,) and kind."""
        gain, decay = max(liking(watched_milli), 0.0), _decay(COUNT_HALF_LIFE_EVENTS)
        self.slot_liked[slot] = self.slot_liked[slot] * decay + gain
        self.slot_genres[slot] = self.slot_genres[slot] * decay + gain * genres
        self.slot_kinds[slot] *= decay
        self.slot_kinds[slot, kind] += gain

    def leanings(self, slot: int, genre_shares: Floats, kind_shares: Floats) -> Leanings:
        """Return how the household leans, and how it leans in a context, against the catalog's shares (g,) and (3,)."""
        genres = _shares(self.genres, self.liked, genre_shares)
        all_kinds = self.slot_kinds.sum(axis=0)
        kinds = _shares(all_kinds, float(all_kinds.sum()), kind_shares)
        here = float(self.slot_liked[slot])
        return Leanings(
            vector=self.vector,
            liked=self.liked,
            genres=np.log(genres / np.maximum(genre_shares, _LEAST_SHARE)),
            slot_genres=np.log(_shares(self.slot_genres[slot], here, genres) / genres),
            slot_kinds=np.log(_shares(self.slot_kinds[slot], here, kinds) / kinds),
        )


def _decay(half_life_events: float) -> float:
    return float(2.0 ** (-1.0 / half_life_events))


def _shares(counts: Floats, total: float, prior: Floats) -> Floats:
    """Return the shares that `counts` of `total` show once they are mixed with the prior."""
    shares: Floats = np.maximum((counts + PRIOR_EVENTS * prior) / (total + PRIOR_EVENTS), _LEAST_SHARE)
    return shares
