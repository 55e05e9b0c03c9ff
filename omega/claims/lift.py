"""Claims about what recommendations are worth: real viewers are replayed through TVs, shards and rounds."""

from __future__ import annotations

import os
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.compose import extra_module
from omega.core.errors import InputError

if TYPE_CHECKING:
    from omega.claims.bench import Bench
    from omega.core.settings import Settings
    from omega.evaluation.results import Figures, Result

claims = Claims()
DATA = "OMEGA_EVAL_DATA"
SCORED_FROM = date(2013, 6, 9)
LEAST_COVERAGE = 10.0
"""Times that of the best popularity."""


@claims.add(
    "replay-lift",
    what="low end of the 95 % interval by days of what lists of 14 + 6 gain in NDCG over the decayed popularity that "
    "is best in hindsight, at ten times its coverage and more; real viewers, daily",
    target=0.01,
    unit="%",
    bound="at least",
    oracle="decayed popularity at eight half-lives on the same lists; weights are of earlier days",
    slow=True,
)
def replay_lift(bench: Bench) -> Measured:
    """Replay the product on MovieTweetings."""
    result = _replayed(bench.settings)
    omega, best = result.method("omega"), result.method(result.best_popularity.hindsight)
    wide = omega.coverage >= LEAST_COVERAGE * best.coverage
    return Measured(100 * omega.vs_best_popularity.low, _told(omega, best), agrees=wide)


@claims.add(
    "federation-lift",
    what="the same over TVs without a shard, which know what was popular when they were shipped",
    target=0.01,
    unit="%",
    bound="at least",
    oracle="the same brains in the same replay, their shard's word left out",
    slow=True,
)
def federation_lift(bench: Bench) -> Measured:
    """Compare with TVs that nobody tells anything."""
    result = _replayed(bench.settings)
    gain = extra_module("omega.evaluation.intervals", "federation").relative_gain
    omega, alone = (result.method(name) for name in ("omega", "omega-alone"))
    sums = [np.array(figures.ndcg_by_step) * np.array(result.lists_by_step) for figures in (omega, alone)]
    return Measured(100 * gain(*sums, 0).low, _told(omega, alone))


@lru_cache(maxsize=1)
def _replayed(settings: Settings) -> Result:
    """Return the replay, once for both claims. Raises InputError without the data."""
    folder = os.environ.get(DATA)
    if not folder:
        raise InputError(f"{DATA} names no folder, allowed: one with MovieTweetings' ratings.dat and movies.dat")
    evaluation = {
        name: extra_module(f"omega.evaluation.{name}", "eval")
        for name in ("reading", "embeddings", "contenders", "evaluate")
    }
    ratings, movies = (Path(folder) / f"{name}.dat" for name in ("ratings", "movies"))
    read = evaluation["reading"].read_log(ratings, movies, "movietweetings", seed=0)
    vectors = evaluation["embeddings"].embedded(settings, read.log.titles)
    plan = evaluation["contenders"].Plan(score_from=SCORED_FROM, ablation=False)
    found: Result = evaluation["evaluate"].evaluate(read.log, vectors, plan)
    return found


def _told(omega: Figures, other: Figures) -> dict[str, object]:
    return {
        figures.name: {"ndcg": figures.ndcg, "coverage": figures.coverage, "gain": figures.vs_best_popularity.mean}
        for figures in (omega, other)
    }
