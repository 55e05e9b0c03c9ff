"""The fit of the ranking's weights on what viewers watched, with its ablation; `omega federation fit` and `omega eval`.

>>> found = fit_log(log, Embeddings(log.titles, vectors), FitPlan(until=date(2013, 6, 9)))
>>> found.weights.trend, found.terms[0].worth
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from omega.compose import extra_module
from omega.core.errors import InputError
from omega.core.ranking_weights import TERMS, RankingWeights
from omega.evaluation.log import DAY_S
from omega.evaluation.protocol import midnight_s, moments, steps, window_s
from omega.evaluation.results import Fitted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from omega.evaluation.embeddings import Embeddings
    from omega.evaluation.formula.features import Features
    from omega.evaluation.log import Log
    from omega.evaluation.protocol import Protocol, Step

WARM_UP_DAYS = 28
"""The first weeks of a log aren't fitted on: trends and audiences are only beginning then."""


@dataclass(frozen=True, slots=True)
class FitPlan:
    """What is asked for."""

    protocol: Protocol = "daily"
    until: date | None = None
    """Nothing from this day on is looked at; by default all is."""
    seed: int = 0


class Term(msgspec.Struct, frozen=True):
    """What one term is worth to the fit."""

    name: str
    worth: float
    """By how much the loss rises when the term is left out and the others are fitted anew, nats a title."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the fit found."""

    protocol: str
    weights: RankingWeights
    lists: int
    """So many viewers' days, or weeks, were looked at."""
    loss: float
    """Mean over the lists of what a watched title surprises, nats."""
    blind: float
    """The same of lists in random order."""
    terms: tuple[Term, ...]
    events: int
    titles: int
    viewers: int
    first: str
    """Day of the first event,"""
    last: str
    """and of the last one that was looked at."""
    seconds: float
    """Without reading the files and embedding titles."""
    notes: tuple[str, ...] = ()


def fit_log(
    log: Log,
    embeddings: Embeddings,
    plan: FitPlan,
    *,
    notes: Sequence[str] = (),
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Found:
    """Return the weights that explain best what was watched, and what each term does for that.

    Raises InputError where nobody can be asked, MissingExtraError.
    """
    began_s = time.perf_counter()
    first = _day(log.times_s[0])
    if plan.until is not None and plan.until <= first:
        raise InputError(
            f"--until is {plan.until}, allowed: a day after {first}, when the log begins: name a later one"
        )
    end_s = int(log.times_s[-1]) + 1 if plan.until is None else midnight_s(plan.until)
    before = moments(log, plan.protocol, None, plan.until)
    if plan.until is not None:  # a week that ends later would be looked at whole
        before = [at_s for at_s in before if at_s + window_s(plan.protocol) <= end_s]
    used = log.before(end_s)
    features = features_of(log, embeddings)
    weights, fit = fitted_weights(log, features, plan.protocol, before, seed=plan.seed, progress=progress)
    return Found(
        protocol=plan.protocol,
        weights=weights[""],
        lists=fit.lists,
        loss=fit.loss,
        blind=fit.blind,
        terms=tuple(Term(name, loss - fit.loss) for name, loss in fit.loss_without.items()),
        events=len(used),
        titles=int(used.candidates.sum()),
        viewers=int((used.lengths > 0).sum()),
        first=first.isoformat(),
        last=_day(used.times_s[-1]).isoformat(),
        seconds=round(time.perf_counter() - began_s, 2),
        notes=tuple(notes),
    )


def features_of(log: Log, embeddings: Embeddings) -> Features:
    """Return what works out the formula's features for a log; raises MissingExtraError."""
    facts, factors, features = (
        extra_module(f"omega.evaluation.formula.{name}", "federation") for name in ("facts", "factors", "features")
    )
    made: Features = features.Features(facts.facts_of(log.titles, embeddings.of(log.titles)), factors.co_watch_factors)
    return made


def fitted_weights(
    log: Log,
    features: Features,
    protocol: Protocol,
    before: Sequence[int],
    *,
    seed: int,
    progress: Callable[[int, int, str], None],
) -> tuple[dict[str, RankingWeights], Fitted]:
    """Return the best weights of all terms, by "", and without each, fitted on the steps `before` (Unix seconds).

    Raises InputError where no list has a hit, MissingExtraError.
    """
    training = extra_module("omega.evaluation.formula.training", "federation")
    used = fitted_on(log, before)
    asked = list(steps(log, protocol, used))
    share = min(1.0, training.MOST_LISTS / max(sum(len(step.viewers) for step in asked), 1))
    lists = training.lists_of(
        features, asked, seed=seed, share=share, progress=counted(progress, used, "fit: features")
    )
    weights: dict[str, RankingWeights] = {}
    losses: dict[str, float] = {}
    for done, left in enumerate(("", *TERMS)):
        progress(done, len(TERMS) + 1, "fit: weights")
        weights[left], found = training.fitted(lists, [left] if left else [], weights.get(""))
        losses[left] = found.loss
    count = sum(len(part.features) for part in lists)
    blind = sum(math.log(titles) for part in lists for titles in part.open.sum(axis=1).tolist()) / count
    return weights, Fitted(count, losses.pop(""), losses, blind)


def fitted_on(log: Log, before: Sequence[int]) -> list[int]:
    """Return which of the steps `before` (Unix seconds) are fitted on."""
    warm_s = int(log.times_s[0]) + WARM_UP_DAYS * DAY_S
    return [at_s for at_s in before if at_s >= warm_s] or list(before)


def counted(progress: Callable[[int, int, str], None], at: Sequence[int], what: str) -> Callable[[Step], None]:
    """Return what tells `progress` of each step that is begun, by its place among the moments `at`."""
    place = {at_s: done for done, at_s in enumerate(at)}
    return lambda step: progress(place[step.at_s], len(at), what)


def _day(at_s: Any) -> date:
    return datetime.fromtimestamp(int(at_s), UTC).date()
