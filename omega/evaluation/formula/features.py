"""The ten features of the formula at one moment, for some viewers and titles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from omega.core.ranking_weights import NAMES
from omega.evaluation.formula.audience import Audiences, Tastes, audiences, tastes
from omega.evaluation.formula.facts import age_classes, year_of
from omega.evaluation.formula.shares import (
    Ranks,
    age_shares,
    fresh_features,
    genre_shares,
    trend_features,
    watched_ages,
)
from omega.evaluation.formula.taste import age_ratios, centered, content_vectors, genre_ratios

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.formula.facts import Facts
    from omega.evaluation.log import Past

ITEM_NAMES = ("trend", "surge", "this_year", "last_year", "quality")
"""Features that are the same for every viewer."""
SETTLED_TITLES, SETTLED_SHARE = 15.0, 0.6
"""A viewer of n titles is n / (n + 15) - .6 settled: 0 for one of some twenty."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known before a step, of t titles."""

    past: Past
    items: Floats
    """(t, 5) float32: the features in the order of ITEM_NAMES."""
    genre_shares: NDArray[np.float64]
    age_shares: NDArray[np.float64]
    centered: Floats
    """(t, d) float32, unit rows."""
    tastes: Tastes
    audiences: Audiences


class Features:
    """Works the features out: once a step for all methods that use them."""

    def __init__(self, facts: Facts, factors: Callable[[Past], Floats]) -> None:
        """`factors` gives (t, f) unit rows from what came before a step, and gets one step after another."""
        self._facts = facts
        self._factors = factors
        self._ranks = Ranks()
        self._moment: Moment | None = None
        self._block: tuple[bytes, Block] | None = None

    def learn(self, past: Past) -> Moment:
        """Take in what came before a step; the same past again costs nothing."""
        if self._moment is None or self._moment.past is not past:
            self._moment, self._block = self._learned(past), None
        return self._moment

    def _learned(self, past: Past) -> Moment:
        facts = self._facts
        trends = trend_features(past)
        facets = np.stack([watched_ages(past, facts), self._ranks.learn(past)], axis=1)
        codes = tastes(past, self._factors(past), facets)
        return Moment(
            past=past,
            items=np.hstack([trends, fresh_features(past, facts)]).astype(np.float32),
            genre_shares=genre_shares(past, facts),
            age_shares=age_shares(past, facts),
            centered=centered(past, facts),
            tastes=codes,
            audiences=audiences(past, codes, trends[:, 0]),
        )

    def block(self, viewers: NDArray[np.int64], titles: NDArray[np.int64] | None = None) -> Block:
        """Return the features of viewers (v,) and titles (c,), all by default, at the moment that was learned."""
        moment, facts = self._moment, self._facts
        if moment is None:
            raise RuntimeError("features are asked for before anything was learned")
        key = viewers.tobytes()
        if titles is None and self._block and self._block[0] == key:
            return self._block[1]
        past = moment.past
        columns = np.arange(len(past.titles)) if titles is None else titles
        own_genres = genre_ratios(past, facts, moment.genre_shares, viewers)
        own_content = content_vectors(past, moment.centered, viewers)
        own_ages = age_ratios(past, facts, moment.age_shares, viewers)
        classes = age_classes(year_of(past.at_s) - facts.years[columns])
        odds = np.zeros((len(viewers), len(columns)), np.float32)
        told = np.flatnonzero(moment.audiences.codes[columns].any(axis=1))
        odds[:, told] = moment.audiences.odds(moment.tastes.now[viewers], columns[told])
        lengths = past.lengths[viewers]
        made = Block(
            items=moment.items[columns],
            genre=own_genres @ facts.genre_means[columns].T,
            content=own_content @ moment.centered[columns].T,
            novelty=own_ages[:, classes],
            audience=odds,
            settled=(lengths / (lengths + SETTLED_TITLES) - SETTLED_SHARE).astype(np.float32),
        )
        if titles is None:
            self._block = (key, made)
        return made


@dataclass(frozen=True, slots=True)
class Block:
    """The features of v viewers and c titles, all float32."""

    items: Floats
    """(c, 5)"""
    genre: Floats
    """(v, c)"""
    content: Floats
    """(v, c)"""
    novelty: Floats
    """(v, c)"""
    audience: Floats
    """(v, c)"""
    settled: Floats
    """(v,)"""

    def array(self) -> Floats:
        """Return (v, c, 10) the features in the order of NAMES."""
        found = np.empty((*self.genre.shape, len(NAMES)), np.float32)
        named = {"genre": self.genre, "content": self.content, "novelty": self.novelty, "audience": self.audience}
        named["audience_settled"] = self.audience * self.settled[:, None]
        for place, name in enumerate(NAMES):
            found[:, :, place] = self.items[:, ITEM_NAMES.index(name)] if name in ITEM_NAMES else named[name]
        return found

    def everybodys(self, weights: Sequence[float]) -> Floats:
        """Return (c,) TREND and FRESH, for weights in the order of NAMES."""
        found: Floats = self.items @ np.array([weights[NAMES.index(name)] for name in ITEM_NAMES], np.float32)
        return found

    def own(self, weights: Sequence[float]) -> Floats:
        """Return (v, c) AUDIENCE, TASTE and NOVELTY, for weights in the order of NAMES."""
        weight = dict(zip(NAMES, map(np.float32, weights), strict=True))
        gains = weight["audience"] + weight["audience_settled"] * self.settled
        found: Floats = weight["genre"] * self.genre
        found += weight["content"] * self.content
        found += weight["novelty"] * self.novelty
        found += gains[:, None] * self.audience
        return found
