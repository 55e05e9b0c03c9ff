"""The oracles of federation's claims see what is wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from omega.claims import federation_oracle as oracle
from omega.federation.merging import Merged, merge, told
from omega_plugins.engines.process_pool import ProcessPool
from omega_plugins.strategies.weighted_mean import WeightedMean
from tests.federation.making import DAY, drawn

RANDOM = np.random.default_rng(8)
SHARDS = [drawn(shard, 200, RANDOM, 90, day=DAY - shard) for shard in range(3)]
MERGED = merge([told(sums, DAY) for sums in SHARDS], WeightedMean(), ProcessPool.open())
ORACLE = oracle.added_up(SHARDS, DAY)


def test_a_right_merge_has_no_error() -> None:
    assert oracle.error(MERGED, *ORACLE) < 1e-12


@pytest.mark.parametrize("column", ["samples", "success_milli", "households", "trends", "heard"])
def test_every_column_that_is_off_is_seen(column: str) -> None:
    numbers = getattr(MERGED, column).copy().astype(np.float64)
    numbers[(-1,) * numbers.ndim] += 3
    off: Merged = replace(MERGED, **{column: numbers})
    assert oracle.error(off, *ORACLE) > 1e-4


def test_a_row_too_few_or_a_day_too_late_is_seen() -> None:
    fewer = merge([told(sums, DAY) for sums in SHARDS[1:]], WeightedMean(), ProcessPool.open())
    assert oracle.error(fewer, *ORACLE) == math.inf
    late = merge([told(sums, DAY + 1) for sums in SHARDS], WeightedMean(), ProcessPool.open())
    assert oracle.error(late, *ORACLE) > 0.01


def test_the_trendiest_are_those_of_three_households() -> None:
    best = oracle.trendiest(ORACLE[0], 20)
    assert 0 < len(best) <= 20
    assert all(households >= 3 for _, households in best.values())
