"""Who takes part in an evaluation: the formula, the product itself, what needs libraries that aren't everybody's."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omega.compose import extra_module
from omega.core.errors import InputError, MissingExtraError
from omega.core.ranking_weights import TERMS, RankingWeights
from omega.evaluation.embeddings import BrainEmbeddings
from omega.evaluation.fitting import counted, features_of, fitted_on, fitted_weights
from omega.evaluation.protocol import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from omega.evaluation.embeddings import Embeddings
    from omega.evaluation.log import Log
    from omega.evaluation.loop.town import Town
    from omega.evaluation.method import Method
    from omega.evaluation.protocol import Protocol
    from omega.evaluation.results import Fitted

FORMULA, BROAD = "formula", "formula-14+6"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    protocol: Protocol = "daily"
    score_from: date | None = None
    """The first day that is judged; after two thirds of the time by default."""
    weights: RankingWeights | None = None
    """The formula's; fitted on the steps before `score_from` by default."""
    k: int = 20
    seed: int = 0
    audit: bool = False
    ablation: bool = True
    """Whether formula and loop are judged without each of their terms, too."""
    loop: bool = True
    """Whether the product itself is judged, which takes minutes; it needs BrainEmbeddings."""
    threads: int = 1

    def __post_init__(self) -> None:
        """Raise InputError for what can't be."""
        if not 1 <= self.k <= 100:
            raise InputError(f"k is {self.k}, allowed: 1..100: ask for a list that fits a screen")


@dataclass(frozen=True, slots=True)
class Entered:
    """Methods that rank by the same weights; none where their library is missing."""

    methods: Sequence[Method] = ()
    weights: RankingWeights | None = None
    fit: Fitted | None = None
    """None for weights that were given."""
    town: Town | None = None
    """Where the product was replayed."""


@contextmanager
def looped(
    log: Log,
    embeddings: Embeddings,
    plan: Plan,
    before: Sequence[int],
    start_s: int,
    progress: Callable[[int, int, str], None],
    left_out: list[str],
) -> Iterator[Entered]:
    """Give the product's own methods within the block, to be asked from `start_s` on; `before` are the steps before."""
    if not plan.loop or not isinstance(embeddings, BrainEmbeddings):
        yield Entered()
        return
    try:
        runs = extra_module("omega.evaluation.loop.run", "shard")
    except MissingExtraError as error:
        left_out.append(f"omega: {error}")
        yield Entered()
        return
    with runs.town(log, embeddings, plan.seed) as town:
        weights, fit = plan.weights, None
        if weights is None:
            used = fitted_on(log, before)
            asked = list(steps(log, plan.protocol, used))
            weights, fit = runs.fit(town, asked, plan.seed, counted(progress, used, "omega: before"))
        else:
            town.rank_by(weights)
        loop = runs.loop(town, log, start_s, ablation=plan.ablation)
        yield Entered(loop.methods(), weights, fit, town)


def formula(
    log: Log,
    embeddings: Embeddings,
    plan: Plan,
    before: Sequence[int],
    progress: Callable[[int, int, str], None],
    left_out: list[str],
) -> Entered:
    """Return the formula's methods with given weights, or fitted ones."""
    try:
        features = features_of(log, embeddings)
    except MissingExtraError as error:
        left_out.append(f"{FORMULA}: {error}")
        return Entered()
    if plan.weights:
        weights, fit = {"": plan.weights} | {term: plan.weights.without([term]) for term in TERMS}, None
    else:
        weights, fit = fitted_weights(log, features, plan.protocol, before, seed=plan.seed, progress=progress)
    made = extra_module("omega.evaluation.formula.method", "federation").Formula
    full = weights.pop("")
    methods = [made(FORMULA, features, full), made(BROAD, features, full, broad=True)]
    if plan.ablation:
        methods += [made(f"{FORMULA}-no-{term}", features, found) for term, found in weights.items()]
    return Entered(methods, full, fit)


def others(plan: Plan, left_out: list[str]) -> list[Method]:
    """Return what needs libraries that aren't everybody's; what is missing is named."""
    found: list[Method] = []
    try:
        neighbors = extra_module("omega.evaluation.neighbors", "federation")
        found += [neighbors.ItemNeighbors(), neighbors.Ease()]
    except MissingExtraError as error:
        left_out += [f"item-knn, ease: {error}"]
    try:
        found.append(extra_module("omega.evaluation.als", "eval").ImplicitAls(plan.seed, plan.threads))
    except MissingExtraError as error:
        left_out.append(f"als: {error}")
    return found
