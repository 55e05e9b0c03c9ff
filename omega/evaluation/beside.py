"""What is judged beside the product, in a process of its own: the formula, baselines, popularity, and their audit.

None of it knows the product's TVs and shards, so that a second core does it meanwhile.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from omega.core.errors import OmegaError
from omega.evaluation.audit import audit
from omega.evaluation.baselines import Random, popularities
from omega.evaluation.contenders import formula, others
from omega.evaluation.embeddings import Embeddings
from omega.evaluation.fitting import counted
from omega.evaluation.protocol import steps
from omega.evaluation.replay import Tally, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from omega.core.ranking_weights import RankingWeights
    from omega.evaluation.contenders import Plan
    from omega.evaluation.log import Log
    from omega.evaluation.method import Method
    from omega.evaluation.results import Audit, Fitted

    Progress = Callable[[int, int, str], None]

LEAST_EVENTS = 20_000
"""A process takes two seconds to begin, in which fewer events are replayed."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be judged; it travels to another process."""

    log: Log
    embeddings: Embeddings
    plan: Plan
    before: Sequence[int]
    """Moments of the steps that weights are fitted on,"""
    scored: Sequence[int]
    """and of those that are judged."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of it."""

    popular_before: Sequence[Tally]
    """Of popularities at the steps before."""
    random: Tally
    popular: Sequence[Tally]
    others: Sequence[Tally]
    weights: RankingWeights | None
    """The formula's; None where its library is missing."""
    fit: Fitted | None
    audit: Audit | None
    left_out: Sequence[str]


@contextmanager
def judging(job: Job, progress: Progress, *, least_events: int = LEAST_EVENTS) -> Iterator[Callable[[], Judged]]:
    """Give what returns what was judged: begun now beside the block where that pays, else done when it is asked for.

    Only what is done here is told to `progress`. Raises OmegaError, also where the process was killed.
    """
    if not job.plan.loop or len(job.log) < least_events:
        yield lambda: judged(job, progress)
        return
    small = replace(job, embeddings=Embeddings(job.log.titles, job.embeddings.of(job.log.titles)))
    spawn = multiprocessing.get_context("spawn")  # a fork beside the shards' threads may hang
    pool = ProcessPoolExecutor(1, spawn)
    try:
        begun = pool.submit(judged, small)

        def waited() -> Judged:
            try:
                return begun.result()
            except BrokenProcessPool:
                found = "the process that judges the baselines was killed, allowed: one that ends by itself"
                raise OmegaError(f"{found}: free 2 GiB of memory, or leave the product out by --no-loop") from None

        yield waited
    finally:
        pool.shutdown(cancel_futures=True)


def judged(job: Job, progress: Progress = lambda done, total, what: None) -> Judged:
    """Fit, replay and audit all that isn't the product. Raises OmegaError."""
    log, plan, left_out = job.log, job.plan, list[str]()
    popular = popularities()
    before = _replayed(job, popular, job.before, progress, "popularity before")
    ours = formula(log, job.embeddings, plan, job.before, progress, left_out)
    methods = [Random(plan.seed), *popular, *others(plan, left_out), *ours.methods]
    random, *tallies = _replayed(job, methods, job.scored, progress, "replay")
    return Judged(
        popular_before=before,
        random=random,
        popular=tallies[: len(popular)],
        others=tallies[len(popular) :],
        weights=ours.weights,
        fit=ours.fit,
        audit=_audited(job, ours.weights, progress) if plan.audit else None,
        left_out=left_out,
    )


def _replayed(job: Job, methods: Sequence[Method], at: Sequence[int], progress: Progress, what: str) -> list[Tally]:
    asked = steps(job.log, job.plan.protocol, list(at))
    told = counted(progress, at, what)
    return replay(methods, asked, titles=len(job.log.titles), k=job.plan.k, progress=told)


def _audited(job: Job, weights: RankingWeights | None, progress: Progress) -> Audit:
    """Audit in the middle of the time that is judged."""
    plan = replace(job.plan, weights=weights, ablation=False)

    def made(found: Log) -> Sequence[Method]:
        ours = formula(found, job.embeddings, plan, [], progress, []).methods if weights else ()
        return [Random(plan.seed), *popularities(), *others(plan, []), *ours]

    return audit(
        job.log,
        plan.protocol,
        middle(job.scored),
        made,
        k=plan.k,
        seed=plan.seed,
        progress=lambda done, total: progress(done, total, "audit"),
    )


def middle(scored: Sequence[int]) -> Sequence[int]:
    """Return the moments up to the one that is audited."""
    return scored[: len(scored) // 2 + 1]
