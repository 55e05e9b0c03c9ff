"""The merge equals a second implementation in plain Python, whatever its parts are and wherever they are worked on."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.shard_sums import Columns, ShardSums
from omega.federation import merging
from omega.federation.merging import Merged, merge, parts_of, told
from omega_plugins.engines.process_pool import ProcessPool
from omega_plugins.strategies.median import Median
from omega_plugins.strategies.weighted_mean import WeightedMean
from tests.federation.making import DAY, drawn, facts, sums_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def by_hand(shards: Sequence[ShardSums], day: int) -> tuple[dict[tuple[int, int], list[float]], dict[int, list[float]]]:
    """Add everything up row by row, as of a day."""
    rows: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0] * 7)
    heard: dict[int, list[float]] = defaultdict(lambda: [0.0] * 45)
    for shard in shards:
        columns, age = shard.columns, day - shard.facts.day
        for at, key in enumerate(zip(columns.title, columns.slot, strict=True)):
            numbers = [columns.samples[at], columns.success_milli[at], columns.households[at]]
            trends = [columns.trends[4 * at + h] * 0.5 ** (age / days) for h, days in enumerate((1, 2, 7, 30))]
            rows[key] = [one + other for one, other in zip(rows[key], [*numbers, *trends], strict=True)]
        for at, title in enumerate(columns.audience_title):
            count = columns.audience[45 * at]
            for place in range(45):
                number = columns.audience[45 * at + place]
                possible = min(max(number, -8 * count), 7 * count) if place else count
                heard[title][place] += possible * 0.5 ** (age / 20)
    return rows, heard


def same(merged: Merged, shards: Sequence[ShardSums], day: int) -> bool:
    rows, heard = by_hand(shards, day)
    keys = sorted(rows)
    assert [(key // 16, key % 16) for key in merged.keys.tolist()] == keys
    assert merged.heard_titles.tolist() == sorted(heard)
    sums = np.column_stack([merged.samples, merged.success_milli, merged.households, merged.trends])
    return np.allclose(sums, [rows[key] for key in keys], rtol=1e-9) and np.allclose(
        merged.heard, [heard[title] for title in sorted(heard)], rtol=1e-9
    )


@pytest.mark.parametrize("part_keys", [7, 100, 16_384])
def test_pooled_sums_are_what_plain_python_adds_up(part_keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(11)
    shards = [drawn(shard, 300, random, 150, day=DAY - shard) for shard in range(4)]
    monkeypatch.setattr(merging, "PART_KEYS", part_keys)
    arrays = [told(sums, DAY) for sums in shards]
    assert (len(list(parts_of(arrays))) > 3) == (part_keys <= 100)
    assert same(merge(arrays, WeightedMean(), ProcessPool.open()), shards, DAY)


def test_processes_say_the_same_as_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(12)
    arrays = [told(drawn(shard, 300, random, 150), DAY) for shard in range(3)]
    monkeypatch.setattr(merging, "PART_KEYS", 100)
    with ProcessPool.open(2) as engine:
        for strategy in (WeightedMean(), Median()):
            here, there = merge(arrays, strategy, ProcessPool.open()), merge(arrays, strategy, engine)
            for name in Merged.__slots__:
                assert (getattr(here, name) == getattr(there, name)).all()


def test_shards_that_have_nothing_come_to_nothing() -> None:
    nothing = ShardSums(facts(), Columns.empty())
    merged = merge([told(nothing, DAY)] * 2, WeightedMean(), ProcessPool.open())
    assert (len(merged.keys), merged.trends.shape, merged.heard.shape) == (0, (0, 4), (0, 45))
    some = sums_of({3: 2})
    assert merge([told(nothing, DAY), told(some, DAY)], WeightedMean(), ProcessPool.open()).households.tolist() == [
        2,
        2,
    ]


def test_what_goes_beyond_the_samples_counts_as_these() -> None:
    arrays = told(sums_of({3: 2}, trend=1e9), DAY)
    assert arrays.trends.max() == 4
    columns = sums_of({3: 2}).columns
    columns.households[0] = 10**9
    assert told(ShardSums(facts(), columns), DAY).sums[2].tolist() == [8, 2], "8 are known by tags"
