"""The whole evaluation: fits weights on what came before, replays all methods, compares them, audits.

>>> result = evaluate(log, Embeddings(log.titles, vectors), Plan(protocol="daily"))
>>> result.method("formula").vs_best_popularity
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.compose import extra_module
from omega.core.errors import InputError, MissingExtraError
from omega.core.ranking_weights import TERMS
from omega.evaluation.audit import audit
from omega.evaluation.baselines import Random, popularities
from omega.evaluation.fitting import counted, features_of, fitted_weights
from omega.evaluation.intervals import relative_gain
from omega.evaluation.metrics import OFTEN
from omega.evaluation.protocol import moments, scored_from, steps
from omega.evaluation.replay import Tally, replay
from omega.evaluation.results import LIFT_EDGES, Audit, BestPopularity, Figures, Fitted, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from omega.core.ranking_weights import RankingWeights
    from omega.evaluation.embeddings import Embeddings
    from omega.evaluation.log import Log
    from omega.evaluation.method import Method
    from omega.evaluation.protocol import Protocol

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
    """Whether the formula is judged without each of its terms, too."""
    threads: int = 1

    def __post_init__(self) -> None:
        """Raise InputError for what can't be."""
        if not 1 <= self.k <= 100:
            raise InputError(f"k is {self.k}, allowed: 1..100: ask for a list that fits a screen")


def evaluate(
    log: Log,
    embeddings: Embeddings,
    plan: Plan,
    *,
    more: Sequence[Method] = (),
    notes: Sequence[str] = (),
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Result:
    """Replay a log by all methods that there are, and `more`. Raises InputError where nothing can be judged.

    `progress` gets what is done, of how much, and of what.
    """
    start = scored_from(log, plan.protocol, plan.score_from)
    before, scored = moments(log, plan.protocol, None, start), moments(log, plan.protocol, start)
    judged = list(steps(log, plan.protocol, scored))
    if not judged:
        raise InputError(
            f"nobody is asked from {start} on, allowed: one viewer at least who is known by then and watches something "
            f"new: give a log of more viewers, or another --score-from or --protocol"
        )
    left_out: list[str] = []
    popular = popularities()
    chosen = replay(
        popular,
        steps(log, plan.protocol, before),
        titles=len(log.titles),
        k=plan.k,
        progress=counted(progress, before, "popularity before"),
    )
    formula = _formula(log, embeddings, plan, before, progress, left_out)
    methods: list[Method] = [Random(plan.seed), *popular, *_neighbors(plan, left_out), *formula.methods, *more]
    tallies = replay(methods, judged, titles=len(log.titles), k=plan.k, progress=counted(progress, scored, "replay"))
    hindsight = max(tallies[1 : 1 + len(popular)], key=lambda tally: tally.mean("ndcg"))
    return Result(
        protocol=plan.protocol,
        steps=len(judged),
        viewers=sum(len(step.viewers) for step in judged),
        methods=tuple(_figures(tally, hindsight, len(log.titles), plan.seed) for tally in tallies),
        k=plan.k,
        score_from=start.isoformat(),
        days=tuple(datetime.fromtimestamp(step.at_s, UTC).isoformat() for step in judged),
        events=len(log),
        titles=len(log.titles),
        best_popularity=BestPopularity(max(chosen, key=lambda tally: tally.mean("ndcg")).name, hindsight.name),
        weights=msgspec.to_builtins(formula.weights),
        fit=formula.fit,
        audit=_audited(log, embeddings, plan, scored, formula.weights, progress) if plan.audit else None,
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class _Formula:
    methods: Sequence[Method] = ()
    weights: RankingWeights | None = None
    fit: Fitted | None = None


def _formula(
    log: Log,
    embeddings: Embeddings,
    plan: Plan,
    before: Sequence[int],
    progress: Callable[[int, int, str], None],
    left_out: list[str],
) -> _Formula:
    """Return the formula's methods with given weights, or fitted ones."""
    try:
        features = features_of(log, embeddings)
    except MissingExtraError as error:
        left_out.append(f"{FORMULA}: {error}")
        return _Formula()
    if plan.weights:
        weights, fit = {"": plan.weights} | {term: plan.weights.without([term]) for term in TERMS}, None
    else:
        weights, fit = fitted_weights(log, features, plan.protocol, before, seed=plan.seed, progress=progress)
    made = extra_module("omega.evaluation.formula.method", "federation").Formula
    full = weights.pop("")
    methods = [made(FORMULA, features, full), made(BROAD, features, full, broad=True)]
    if plan.ablation:
        methods += [made(f"{FORMULA}-no-{term}", features, found) for term, found in weights.items()]
    return _Formula(methods, full, fit)


def _neighbors(plan: Plan, left_out: list[str]) -> list[Method]:
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


def _audited(
    log: Log,
    embeddings: Embeddings,
    plan: Plan,
    scored: Sequence[int],
    weights: RankingWeights | None,
    progress: Callable[[int, int, str], None],
) -> Audit:
    """Audit all methods in the middle of the time that is judged."""

    def made(given: Log) -> Sequence[Method]:
        formula = _formula(given, embeddings, given_weights, [], progress, []).methods if weights else ()
        return [Random(plan.seed), *popularities(), *_neighbors(plan, []), *formula]

    given_weights = dataclasses.replace(plan, weights=weights, ablation=False)
    return audit(
        log,
        plan.protocol,
        scored[: len(scored) // 2 + 1],
        made,
        k=plan.k,
        seed=plan.seed,
        progress=lambda done, total: progress(done, total, "audit"),
    )


def _figures(tally: Tally, hindsight: Tally, titles: int, seed: int) -> Figures:
    shown = tally.shown
    (_, own), (_, others) = tally.by_viewer(), hindsight.by_viewer()
    edges = np.array(LIFT_EDGES)
    lifts = np.histogram(np.clip(own - others, edges[0], edges[-1]), edges)[0]
    return Figures(
        name=tally.name,
        ndcg=tally.mean("ndcg"),
        recall=tally.mean("recall"),
        mrr=tally.mean("reciprocal_rank"),
        coverage=shown.coverage(titles),
        cov5=shown.coverage(titles, OFTEN),
        entropy=shown.entropy,
        novelty=shown.novelty,
        cold_share=shown.cold_share,
        vs_best_popularity=relative_gain(tally.ndcg_sums, hindsight.ndcg_sums, seed),
        lift_histogram=tuple(int(count) for count in lifts),
        ndcg_by_step=tuple(round(float(step.ndcg.mean()), 5) for step in tally.judged),
        seconds=round(tally.seconds, 2),
    )
