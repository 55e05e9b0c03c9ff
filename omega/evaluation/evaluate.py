"""The whole evaluation: fits weights on what came before, replays all methods, compares them, audits.

>>> result = evaluate(log, Embeddings(log.titles, vectors), Plan(protocol="daily"))
>>> result.method("formula").vs_best_popularity
"""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.errors import InputError
from omega.evaluation.audit import AUDITED_STEPS, audit
from omega.evaluation.beside import Job, judging, middle
from omega.evaluation.contenders import Plan, looped
from omega.evaluation.fitting import counted
from omega.evaluation.intervals import relative_gain
from omega.evaluation.log import DAY_S
from omega.evaluation.metrics import OFTEN
from omega.evaluation.protocol import moments, scored_from, steps
from omega.evaluation.replay import Tally, replay
from omega.evaluation.results import LIFT_EDGES, Audit, BestPopularity, Figures, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.evaluation.beside import Judged
    from omega.evaluation.embeddings import Embeddings
    from omega.evaluation.log import Log
    from omega.evaluation.method import Method

AUDITED_LOOP_DAYS = 21
"""Of the log are played for the audit of the product, which takes a second a day."""


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
    with judging(Job(log, embeddings, plan, before, scored), progress) as judged_beside:
        with looped(log, embeddings, plan, before, scored[0], progress, left_out) as loop:
            methods = [*loop.methods, *more]
            told = counted(progress, scored, "replay of the product")
            products = replay(methods, judged, titles=len(log.titles), k=plan.k, progress=told)
            sizes = loop.town.sizes if loop.town else None
        ours = judged_beside()
        found = _audited(log, embeddings, plan, scored, ours, progress) if ours.audit else None
    tallies = [ours.random, *ours.popular, *ours.others, *products]
    hindsight = max(ours.popular, key=lambda tally: tally.mean("ndcg"))
    return Result(
        protocol=plan.protocol,
        steps=len(judged),
        viewers=sum(len(step.viewers) for step in judged),
        methods=tuple(_figures(tally, hindsight, len(log.titles), plan.seed) for tally in tallies),
        k=plan.k,
        score_from=start.isoformat(),
        days=tuple(datetime.fromtimestamp(step.at_s, UTC).isoformat() for step in judged),
        lists_by_step=tuple(len(step.viewers) for step in judged),
        events=len(log),
        titles=len(log.titles),
        best_popularity=BestPopularity(
            max(ours.popular_before, key=lambda tally: tally.mean("ndcg")).name, hindsight.name
        ),
        weights=msgspec.to_builtins(ours.weights),
        fit=ours.fit,
        loop_weights=msgspec.to_builtins(loop.weights),
        loop_fit=loop.fit,
        loop_sizes=sizes,
        audit=found,
        left_out=(*ours.left_out, *left_out),
        notes=tuple(notes),
    )


def _audited(
    log: Log,
    embeddings: Embeddings,
    plan: Plan,
    scored: Sequence[int],
    ours: Judged,
    progress: Callable[[int, int, str], None],
) -> Audit | None:
    """Add an audit of the product, on the last weeks before the middle of the time that is judged."""
    if ours.audit is None or ours.weights is None or not plan.loop:
        return ours.audit
    given, at = dataclasses.replace(plan, weights=ours.weights, ablation=False), middle(scored)
    with ExitStack() as held:

        def played(found: Log) -> Sequence[Method]:
            start_s = at[-AUDITED_STEPS:][0]
            return held.enter_context(looped(found, embeddings, given, [], start_s, progress, [])).methods

        loop = audit(
            log.since(at[-1] - AUDITED_LOOP_DAYS * DAY_S),
            plan.protocol,
            at,
            played,
            k=plan.k,
            seed=plan.seed,
            progress=lambda done, total: progress(done, total, "audit of the product"),
        )
    return msgspec.structs.replace(ours.audit, leaks=(*ours.audit.leaks, *loop.leaks))


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
