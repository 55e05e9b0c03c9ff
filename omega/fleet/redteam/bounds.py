"""What bad devices can move at most, worked out from what was told alone: no shard and no round is asked.

Of a devices' acts, samples and retractions alike, beside honest samples worth T, q = a / (T + a) is the poisoned share.
Where sums are added up, shares of titles move by at most q, half the sum of what they differ by: a samples change h / T
into (h + x) / (T + a), which is (1 - q) h / T + q x / a. What is taken back counts twice, since as much had to be given
before; that holds as long as no title has half of everything. Of trends, T is what honest samples are worth still, and
each act counts as one of today.

Where the middle of the shards' shares is told, each shard has a q of its own, and at worst the largest counts. A share
that is told is the middle one over the sum M of all titles' middle ones, less than 1 where most shards never heard of
some; so q becomes q / (q + M (1 - q)).

A title's trend is bounded a second way: MOST_TRENDS[0] for each household that ever watched it and each bad device,
x = 8 (h + A), so that it gains no more than x / (T' + x) beside T', what all others are worth. A shard that counts more
than MAX_TAGS of them estimates, with a standard error of 25 %; so SLACK times as much is allowed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from omega.core.shard_records import MAX_TAGS, MOST_TRENDS, RANKED_BY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Doubles, Integers
    from omega.core.wire import Row


SLACK = 1.75
"""Three standard errors of an estimated number of households."""


@dataclass(frozen=True)
class Heard:
    """What s shards heard of honest devices, about n titles."""

    samples: Doubles
    """(s,)"""
    trends: Doubles
    """(s, n) what it is worth on the day of the attack, halving every day."""
    households: Integers
    """(s, n) that ever watched the title."""

    @classmethod
    def of(cls, told: Sequence[tuple[int, Sequence[Row]]], shards: int, titles: int, day: int) -> Heard:
        """Add up what each device told its shard."""
        samples, trends = np.zeros(shards), np.zeros((shards, titles))
        households = np.zeros((shards, titles), np.int64)
        for shard, rows in told:
            samples[shard] += len(rows)
            for row in rows:
                trends[shard, row.title] += 2.0 ** (row.day - day)
            households[shard, list({row.title for row in rows})] += 1
        return cls(samples, trends, households)

    def poisoned(self, acts: Integers, *, trends: bool, pooled: bool) -> float:
        """Return q of all shards together, or the largest of one, where these had (s,) acts of bad devices."""
        worth = self.trends.sum(axis=1) if trends else self.samples
        if pooled:
            worth, acts = worth.sum(keepdims=True), acts.sum(keepdims=True)
        return float((acts / np.maximum(worth + acts, 1)).max())

    def crowded(self, title: int, devices: Integers, *, pooled: bool) -> float:
        """Return the most that a title's share of trends can be with (s,) bad devices, however much they tell."""
        many = self.households[:, title] + devices
        most = MOST_TRENDS[RANKED_BY] * np.where(many > MAX_TAGS, SLACK, 1.0) * many
        others = self.trends.sum(axis=1) - self.trends[:, title]
        if pooled:
            most, others = most.sum(keepdims=True), others.sum(keepdims=True)
        return float((most / np.maximum(others + most, 1)).max())


def told_bound(poisoned: float, kept: float) -> float:
    """Return by how much shares that are told may move, where the middle shares of all titles sum to `kept`."""
    return poisoned / (poisoned + kept * (1 - poisoned)) if poisoned else 0.0
