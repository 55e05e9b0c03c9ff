"""What shards tell of how taste codes vary gives the covariance that all codes have, code by code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import decode_basis
from omega.core.ports import Strategy
from omega.core.shard_records import Move, Sample, Tick
from omega.core.shard_sums import ShardSums, decode, may_be_told, pages
from omega.core.testing.shard_contract import an_id
from omega.core.testing.shard_fake import MemoryShardStore
from omega.federation.audience import fitted, whitening
from omega.federation.board import heard_of
from omega.federation.merging import merge, merged_moments, told
from omega.federation.round import run_round
from omega_plugins.strategies.weighted_mean import WeightedMean
from tests.federation.making import CATALOG, DAY, KEYS, clock, facts, federation, source
from tests.federation.making import NOW as NOW_S

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import Doubles

RANDOM = np.random.default_rng(11)
EVENTS = 240
SHARD_OF, TITLES = RANDOM.integers(0, 3, EVENTS), RANDOM.integers(0, 20, EVENTS)
DAYS, HOUSEHOLDS = DAY - RANDOM.integers(0, 30, EVENTS), RANDOM.integers(0, 40, EVENTS)
CODES = np.clip(np.rint(RANDOM.normal(0, np.linspace(0.5, 3, 44), (EVENTS, 44)) + (TITLES % 3)[:, None]), -8, 7)


def packed(code: Doubles) -> bytes:
    steps = (code + 8).astype(int).tolist()
    return bytes(low | high << 4 for low, high in zip(steps[::2], steps[1::2], strict=True))


def a_shard(shard: int) -> ShardSums:
    """Return what a store that was told one third of the events tells, through its file."""
    store = MemoryShardStore()
    for event in np.flatnonzero(shard == SHARD_OF).tolist():
        [slot] = store.enrol([an_id(event)], DAY)
        assert slot is not None
        code = packed(CODES[event])
        sample = Sample(int(TITLES[event]), 4, int(DAYS[event]), 900, int(HOUSEHOLDS[event]) * 977, code)
        store.commit(Tick(DAY, [Move(slot, 1, 0, 1, (sample,))]))
    columns = store.sums(next(pages(len(CATALOG))), DAY)
    moments = may_be_told(store.moments(DAY).ravel().tolist(), columns)
    return decode(ShardSums(facts(shard), columns, moments).encode())


SHARDS = [a_shard(shard) for shard in range(3)]
WORTH = 2.0 ** ((DAYS - DAY) / 20)
MEAN = sum(w * z for w, z in zip(WORTH, CODES, strict=True)) / WORTH.sum()
COVARIANCE = sum(w * np.outer(z - MEAN, z - MEAN) for w, z in zip(WORTH, CODES, strict=True)) / WORTH.sum()


def test_a_rounds_whitening_is_that_of_all_codes_one_by_one() -> None:
    assert all(len(sums.moments) == 45 * 45 for sums in SHARDS)
    found = whitening(np.zeros((0, 45)), merged_moments(SHARDS, DAY, WeightedMean()))
    ridge = 0.1 * np.trace(COVARIANCE) / 44
    assert np.abs(found.mean - MEAN).max() < 1e-6
    inverse = np.linalg.inv(COVARIANCE + ridge * np.eye(44))
    assert np.abs(found.matrix @ found.matrix.T - inverse).max() < 1e-6


def test_moments_age_with_the_days_and_a_shard_that_cannot_mean_them_has_no_say() -> None:
    older = [replace(sums, facts=facts(sums.facts.shard, day=DAY - 20)) for sums in SHARDS]
    now = merged_moments(SHARDS, DAY, WeightedMean())
    assert merged_moments(older, DAY, WeightedMean()) == pytest.approx(now / 2)
    assert (now == now.T).all()
    wrong = replace(SHARDS[0], moments=SHARDS[0].moments[:])
    wrong.moments[50] = 65 * wrong.moments[0]
    assert merged_moments([wrong, *SHARDS[1:]], DAY, WeightedMean()) == pytest.approx(
        merged_moments(SHARDS[1:], DAY, WeightedMean())
    )


def test_a_strategy_that_says_nothing_of_moments_lets_none_out() -> None:
    class Plain(WeightedMean):
        merge_moments = Strategy.merge_moments

    assert not merged_moments(SHARDS, DAY, Plain()).any()
    assert not merged_moments([], DAY, WeightedMean()).any()


def test_the_published_basis_is_made_with_them(tmp_path: Path) -> None:
    setup = federation(tmp_path, *map(source, SHARDS))
    run_round(setup, now=clock(NOW_S))
    shelf = Shelf(tmp_path / "shelf")
    [manifest] = [found for found in shelf.verify(KEYS) if found.kind is Kind.AUDIENCE]
    basis = decode_basis(shelf.read(manifest))
    merged = merge([told(sums, DAY) for sums in SHARDS], WeightedMean(), setup.engine)
    with_one = np.hstack([np.ones((EVENTS, 1)), CODES])
    moments = with_one.T @ (with_one * WORTH[:, None])
    trending = heard_of(merged, np.arange(20))
    expected = fitted(merged.heard, moments, trending)
    assert np.abs(np.asarray(basis.mean) - MEAN).max() < 0.002, "told in 11 bits"
    gram = expected.projection.T @ expected.projection
    assert np.abs(np.asarray(basis.projection).T @ np.asarray(basis.projection) - gram).max() < 0.002
    alone = fitted(merged.heard, moments * 0, trending).projection
    assert np.abs(alone.T @ alone - gram).max() > 0.05, "it isn't what audiences alone give"
