"""Episodes: each watched event with how it went, what it reminds of, and what was given up.

After the episodic memory of Reflexion (Shinn et al., 2023): a try, its reward, a critique in words.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.records import reward

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.core.types import Title

HALF_LIFE_S = 60 * 86_400
"""An episode says half as much after two months."""
FINISHED_MILLI, ENJOYED_MILLI, LUKEWARM_MILLI = 900, 700, 300
"""Least shares of the critiques; less than the last was given up."""
SUCCESS_REWARD = 0.7
"""An episode with more reward than this succeeded."""


class Critique(StrEnum):
    """What the watched share says, in a word."""

    FINISHED = "finished"
    ENJOYED = "enjoyed"
    LUKEWARM = "lukewarm"
    GIVEN_UP = "given up"


class Episode(msgspec.Struct, frozen=True):
    """One watched event as the memories see it."""

    id: int
    """The event's number in order of recording."""
    at: int
    """Unix seconds."""
    day: int
    """0..6 from Monday; the night until 5 belongs to the evening before."""
    time: int
    """Time of day, 0..3."""
    watched_milli: int
    """Share that was watched, in thousandths."""
    facets: tuple[str, ...]
    """What `facets_of` says of its title."""
    engagement_milli: int | None = None
    """What `engagement` says, in thousandths; None is the watched share."""
    offered: bool = False
    """It was chosen from a list that the TV offered."""
    profile: int = 0

    @property
    def reward(self) -> float:
        """How well it went, 0..1."""
        return reward(self.watched_milli, self.engagement_milli)


def engagement(watched_milli: int, *, liked: bool | None = None, offered: bool = False, continued: bool = False) -> int:
    """Return how much an event was wanted, in thousandths, whatever became of it.

    A like is 1000 and a dislike 0, whatever else there is; else what was chosen from an offered list, or continued
    where it was left (the next episode, a movie resumed), is 1000; without any sign it is the watched share.
    """
    if liked is not None:
        return 1000 if liked else 0
    return 1000 if offered or continued else watched_milli


def critique(watched_milli: int) -> Critique:
    """Return the band of a watched share: 90 % and more, 70 %, 30 %, less."""
    if watched_milli >= FINISHED_MILLI:
        return Critique.FINISHED
    if watched_milli >= ENJOYED_MILLI:
        return Critique.ENJOYED
    return Critique.LUKEWARM if watched_milli >= LUKEWARM_MILLI else Critique.GIVEN_UP


def genre_facet(genre: str) -> str:
    """Return the facet of a genre however it is written: `Sci-Fi`, `sci_fi` and `SCI  FI` are one."""
    return "genre:" + re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", genre).casefold()).strip()


def kind_facet(kind: str) -> str:
    """Return the facet of a kind."""
    return f"kind:{kind}"


def facets_of(title: Title) -> tuple[str, ...]:
    """Return what skills group a title by: each of its genres once, and its kind."""
    return (*dict.fromkeys(map(genre_facet, title.genres)), kind_facet(title.kind))


def recall(
    similarities: NDArray[np.float64],
    at_s: NDArray[np.int64],
    rewards: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    now_s: float,
    k: int,
) -> NDArray[np.intp]:
    """Return up to `k` of the allowed among n episodes, the most telling first and none that tells nothing.

    value = similarity to the question x 2^(-age / 60 days) x |2 reward - 1|: relevance, recency and importance as in
    Generative Agents (Park et al., 2023), multiplied, so that what lacks one is not recalled. All arrays (n,);
    `similarities` 0..1, of the contexts alone or times the titles'. Of equal values the later row comes first.
    """
    recency = 2.0 ** (np.minimum(at_s - now_s, 0) / HALF_LIFE_S)
    value = np.where(allowed, similarities * recency * np.abs(2 * rewards - 1), 0)
    order = np.lexsort((-np.arange(len(value)), -value))[:k]
    telling: NDArray[np.intp] = order[value[order] > 0]
    return telling


def given_up(at_s: NDArray[np.float64], now_s: float) -> Floats:
    """Return (n,) -1..0: -1 for a title just given up, halving in 60 days.

    `at_s` (n,) is when a title was watched the last time if it was given up then, else -inf.
    """
    penalty: Floats = (-(2.0 ** (np.minimum(at_s - now_s, 0) / HALF_LIFE_S))).astype(np.float32)
    return penalty
