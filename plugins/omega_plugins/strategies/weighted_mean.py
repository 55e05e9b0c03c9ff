"""The mean of all shards, each weighted by how much it has heard: their sums, added up.

Federated averaging: H. B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas, "Communication-efficient
learning of deep networks from decentralized data", AISTATS 2017, algorithm 1, where a client weighs as much as it has
samples.

It departs from success x samples as a weight: a rate weighted by itself is the mean of squares over the mean, and
comes out too high the more shards differ; .9 and .1 of as many samples would be .82. Embeddings aren't averaged,
since a title has one and the same at every shard. One shard that lies by a factor moves the sum by as much: the
breakdown point is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from omega.core.hooks import hookimpl
from omega.core.ports import Strategy, SumsOfShards

if TYPE_CHECKING:
    from omega.core.ports import Doubles, TotalsOfShards


class WeightedMean(Strategy):
    """All shards' sums, added up: each counts as much as it has heard."""

    NAME: ClassVar[str] = "weighted-mean"

    def merge(self, sums: SumsOfShards, totals: TotalsOfShards) -> SumsOfShards:  # noqa: ARG002  (sums say it all)
        """Return the sums over the shards."""
        return SumsOfShards(
            sums.samples.sum(axis=0, keepdims=True),
            sums.success_milli.sum(axis=0, keepdims=True),
            sums.households.sum(axis=0, keepdims=True),
            sums.trends.sum(axis=0, keepdims=True),
        )

    def merge_audiences(self, audiences: Doubles, totals: TotalsOfShards) -> Doubles:  # noqa: ARG002  (the same)
        """Return the sums over the shards."""
        summed: Doubles = audiences.sum(axis=0)
        return summed

    def merge_moments(self, moments: Doubles) -> Doubles:
        """Return the sums over the shards."""
        summed: Doubles = moments.sum(axis=0)
        return summed


@hookimpl
def omega_strategies() -> list[type[Strategy]]:
    """Offer WeightedMean."""
    return [WeightedMean]
