"""A town from its first day to the last step: fitted on what came before, then asked."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omega.device.ranking import Weights
from omega.evaluation.formula.training import fitted, lists_of
from omega.evaluation.loop.method import Loop, LoopFeatures, variants
from omega.evaluation.loop.town import Town
from omega.evaluation.results import Fitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from omega.core.ranking_weights import RankingWeights
    from omega.evaluation.embeddings import BrainEmbeddings
    from omega.evaluation.log import Log
    from omega.evaluation.protocol import Step

SHARDS = 2
FITTED_LISTS = 3_000
"""Each takes a brain's answer, 10 to 20 ms; twice as many move no weight by a tenth."""


@contextmanager
def town(log: Log, embeddings: BrainEmbeddings, seed: int) -> Iterator[Town]:
    """Give a town in which nothing has happened yet, within the block."""
    with tempfile.TemporaryDirectory(prefix="omega-town-") as folder:
        made = Town(
            log.titles,
            embeddings.arrays(log.titles),
            embeddings.embedder,
            Path(folder),
            weights=Weights(),
            shards=SHARDS,
            seed=seed,
        )
        try:
            yield made
        finally:
            made.close()


def fit(
    town: Town, asked: Sequence[Step], seed: int, progress: Callable[[Step], None] = lambda step: None
) -> tuple[RankingWeights, Fitted]:
    """Play through the steps, fit the weights on their lists, and let all brains go by them."""
    share = min(1.0, FITTED_LISTS / max(sum(len(step.viewers) for step in asked), 1))
    lists = lists_of(LoopFeatures(town), asked, seed=seed, share=share, progress=progress)
    weights, found = fitted(lists)
    town.rank_by(weights)
    return weights, Fitted(found.lists, found.loss, {})


def loop(town: Town, log: Log, start_s: int, *, ablation: bool) -> Loop:
    """Return the town as methods; TVs without a shard know what was popular at the start."""
    made = Loop(town, variants(ablation=ablation))
    made.ship(log.before(start_s))
    return made
