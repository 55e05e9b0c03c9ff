"""What the product recommends in a replay, as methods: whole, without the others' word, without each of its terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.ranking_weights import TERMS as FITTED_TERMS
from omega.device import exploring, ranking
from omega.device.features import COLUMNS, trends
from omega.device.observe import day_number
from omega.device.others import Others
from omega.device.ranking import OF_EVERYBODY, TERMS, Scores
from omega.evaluation.loop.town import key_of
from omega.evaluation.method import NOTHING, Method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.device.explain import Asked
    from omega.evaluation.log import Past
    from omega.evaluation.loop.town import Town

LOOP, PLAIN, ALONE = "omega", "omega-plain", "omega-alone"
OWN_TERMS = TERMS[len(FITTED_TERMS) :]
"""What the household's own habits say, which no fit on others' data weighs."""
HABITS = [TERMS.index(name) for name in ("context", "skill", "habit")]
"""Terms for which `RankingWeights.habits` counts; a title's own record is in the last, but counts as ever."""
SHIPPED_HALF_LIFE_DAYS = 8.0
"""Of the popularity that a TV without a shard is shipped with."""


@dataclass(frozen=True)
class Variant:
    """One way of making a list of what a brain answers."""

    name: str
    without: tuple[str, ...] = ()
    """Terms that count nothing."""
    plain: bool = False
    """Whether a list is the best by score alone, without breadth and exploration."""
    alone: bool = False
    """Whether no shard has told anything: the operator's popularity of some day is all that is known of others."""


def variants(*, ablation: bool) -> list[Variant]:
    """Return what is judged, the whole first."""
    found = [Variant(LOOP), Variant(PLAIN, plain=True), Variant(ALONE, alone=True)]
    if ablation:
        found += [Variant(f"{LOOP}-no-{term}", (term,)) for term in FITTED_TERMS]
        found.append(Variant(f"{LOOP}-no-habits", OWN_TERMS))
    return found


class Loop:
    """A town as it is asked by several methods: once for all of them."""

    def __init__(self, town: Town, judged: Sequence[Variant]) -> None:
        """List all `judged` variants whenever one of them is asked for."""
        self._town, self._variants = town, judged
        self._past: Past | None = None
        self._shipped: NDArray[np.float64] | None = None  # by number
        self._lists: tuple[tuple[int, int, bytes], dict[str, NDArray[np.int64]]] | None = None

    def methods(self) -> list[LoopMethod]:
        """Return a method for each variant."""
        return [LoopMethod(variant.name, self) for variant in self._variants]

    def learn(self, past: Past) -> None:
        """Let the town play up to a step."""
        self._past = past
        self._town.play(past)

    def ship(self, past: Past) -> None:
        """Note what is popular at a moment, for TVs that no shard tells anything."""
        popular = past.decayed(SHIPPED_HALF_LIFE_DAYS)
        self._shipped = popular / popular.sum()

    def lists(self, at_s: int, viewers: NDArray[np.int64], k: int) -> dict[str, NDArray[np.int64]]:
        """Return each variant's (v, k) titles by number."""
        key = at_s, k, viewers.tobytes()
        if self._lists is None or self._lists[0] != key:
            self._lists = key, self._listed(at_s, viewers, k)
        return self._lists[1]

    def _listed(self, at_s: int, viewers: NDArray[np.int64], k: int) -> dict[str, NDArray[np.int64]]:
        past, numbers = self._past, self._town.growing.numbers
        if past is None:
            raise RuntimeError("lists are asked for before anything was learned")
        found = {variant.name: np.full((len(viewers), k), NOTHING) for variant in self._variants}
        seen = past.seen(viewers)
        for row, (viewer, brain) in enumerate(zip(viewers.tolist(), self._town.brains(viewers, at_s), strict=True)):
            asked = brain.ask()
            allowed = asked.allowed & ~seen[row, numbers]
            seed = exploring.seed_of(key_of(viewer), day_number(asked.now))
            for variant in self._variants:
                places = self._places(asked, variant, allowed, k, seed)
                found[variant.name][row, : len(places)] = numbers[places]
        return found

    def _places(self, asked: Asked, variant: Variant, allowed: NDArray[np.bool_], k: int, seed: int) -> list[int]:
        weights = self._town.weights
        if variant.plain:
            weights = msgspec.structs.replace(weights, breadth=0.0, explore=0.0)
        terms = asked.scores.terms.copy()
        if variant.alone:
            terms[:, OF_EVERYBODY] = self._alone(asked)
            terms[:, TERMS.index("audience")] = 0
        for term in variant.without:
            terms[:, TERMS.index(term)] = 0
        scores = Scores(terms, asked.scores.features, asked.scores.habits, asked.scores.own)
        centered = self._town.growing.arrays.centered
        return [place.row for place in ranking.places(scores, centered, allowed, k, weights, seed=seed)]

    def _alone(self, asked: Asked) -> Floats:
        """Return (n, 2) trend and freshness as they are without a shard."""
        growing, weights = self._town.growing, self._town.weights.of_features
        nothing = np.zeros(len(growing.ordinals), np.float32)
        shipped = nothing if self._shipped is None else self._shipped.astype(np.float32)
        others = Others.shipped(shipped[growing.numbers])
        ten = asked.scores.features.copy()
        ten[:, COLUMNS["trend"]] = np.stack(trends(others), axis=1)
        ten[:, COLUMNS["fresh"][-1]] = 0
        found: Floats = np.stack(
            [ten[:, COLUMNS[term]] @ weights[COLUMNS[term]] for term in ("trend", "fresh")], axis=1
        )
        return found


class LoopMethod(Method):
    """One of a town's variants."""

    def __init__(self, name: str, loop: Loop) -> None:
        """Ask a loop that other methods ask, too."""
        self.name, self._loop = name, loop

    def learn(self, past: Past) -> None:
        """Take in what came before."""
        self._loop.learn(past)

    def rank(self, at_s: int, viewers: NDArray[np.int64], k: int) -> NDArray[np.int64]:
        """Return what the brains list."""
        return self._loop.lists(at_s, viewers, k)[self.name]


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known before a step, for the choice of a fit's titles."""

    items: NDArray[np.float64]
    """(t, 1) how much each title is watched lately."""


@dataclass(frozen=True, slots=True)
class Block:
    """The features of some viewers and titles."""

    features: Floats

    def array(self) -> Floats:
        """Return (v, c, 11)."""
        return self.features


class LoopFeatures:
    """The features that brains go by, and what their habits say, for a fit of the weights."""

    def __init__(self, town: Town) -> None:
        """Let the town play on as steps are learned."""
        self._town = town
        self._at_s = 0

    def learn(self, past: Past) -> Learned:
        """Take in what came before a step."""
        self._town.play(past)
        self._at_s = past.at_s
        return Learned(past.decayed(1.0)[:, None])

    def block(self, viewers: NDArray[np.int64], titles: NDArray[np.int64]) -> Block:
        """Return the features of viewers (v,) and titles (c,), which somebody has watched."""
        rows = self._town.growing.ordinals[titles]
        asked = (brain.ask() for brain in self._town.brains(viewers, self._at_s))
        eleven = [np.column_stack([one.scores.features[rows], _habits(one.scores, rows)]) for one in asked]
        return Block(np.stack(eleven))


def _habits(scores: Scores, rows: NDArray[np.int64]) -> Floats:
    """Return (c,) what habits say of some titles, where their weights are those set by hand."""
    said: Floats = scores.terms[rows][:, HABITS].sum(axis=1) - scores.own[rows]
    return said
