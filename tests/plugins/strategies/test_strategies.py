"""The built-in strategies on arrays worked out by hand, and their contract."""

from __future__ import annotations

import numpy as np
import pytest

from omega.compose import registry
from omega.core.ports import Strategy, SumsOfShards, TotalsOfShards
from omega.core.testing.federation_contract import (
    StrategyContract,
    audiences_of_shards,
    moments_of_shards,
    sums_of_shards,
    totals_of,
)
from omega_plugins.strategies.median import Median
from omega_plugins.strategies.private import Private
from omega_plugins.strategies.trimmed_mean import TrimmedMean
from omega_plugins.strategies.weighted_mean import WeightedMean


class TestWeightedMean(StrategyContract):
    def make(self) -> Strategy:
        return WeightedMean()


class TestMedian(StrategyContract):
    def make(self) -> Strategy:
        return Median()


class TestPrivate(StrategyContract):
    def make(self) -> Strategy:
        return Private()


class TestTrimmedMean(StrategyContract):
    def make(self) -> Strategy:
        return TrimmedMean()


def three(samples: list[list[int]], success: list[list[int]], households: list[list[int]]) -> SumsOfShards:
    trends = np.asarray(samples, np.float64)[:, :, None] * np.ones(4)
    return SumsOfShards(np.asarray(samples), np.asarray(success), np.asarray(households), trends)


def audiences(*rows: tuple[float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return one title's audience at several shards: a count, and the first number's sum."""
    return np.asarray([[[count, told, *[0.0] * 43]] for count, told in rows])


HONEST = three([[10, 90], [20, 80], [30, 70]], [[9_000, 0], [10_000, 0], [24_000, 0]], [[2, 9], [1, 8], [4, 7]])
TOTALS = TotalsOfShards(np.asarray([100, 100, 100]), np.full((3, 4), 100.0), np.asarray([2.0, 4.0, 4.0]))


def test_pooled_sums_are_sums() -> None:
    found = WeightedMean().merge(HONEST, TOTALS)
    assert found.samples.tolist() == [[60, 240]]
    assert found.success_milli.tolist() == [[43_000, 0]], "717 a sample: each sample counts once"
    assert found.households.tolist() == [[7, 24]]
    assert found.trends[0, :, 0].tolist() == [60.0, 240.0]
    assert WeightedMean().merge_audiences(audiences((2, 4), (1, -1)), TOTALS)[0, :2].tolist() == [3.0, 3.0]


def test_the_median_is_the_shard_in_the_middle() -> None:
    found = Median().merge(HONEST, TOTALS)
    assert found.samples.tolist() == [[60, 240]], "shares .1 .2 .3 and .9 .8 .7 of 300"
    assert found.success_milli.tolist() == [[48_000, 0]], "rates .9 .5 .8: .8 of 60"
    assert found.households.tolist() == [[2, 8]], "the middle one alone: never more than there are"
    assert found.trends[0, :, 0] == pytest.approx([60.0, 240.0])


def test_the_middle_of_four_is_the_mean_of_two() -> None:
    sums = three([[1], [2], [4], [90]], [[1000], [1000], [2000], [0]], [[1], [2], [3], [50]])
    totals = TotalsOfShards(np.full(4, 100), np.full((4, 4), 100.0), np.ones(4))
    found = Median().merge(sums, totals)
    assert found.samples.tolist() == [[12]], "3 of 100, of 400"
    assert found.success_milli.tolist() == [[6_000]], "rates 0 .5 .5 1"
    assert found.households.tolist() == [[5]]


def test_a_trimmed_mean_leaves_out_a_quarter_at_either_end() -> None:
    sums = three([[1], [2], [3], [4], [5], [6], [70], [800]], [[0]] * 8, [[1], [1], [1], [1], [2], [2], [9], [99]])
    totals = TotalsOfShards(np.full(8, 1_000), np.full((8, 4), 1_000.0), np.ones(8))
    found = TrimmedMean().merge(sums, totals)
    assert found.samples.tolist() == [[36]], "(3 + 4 + 5 + 6) / 4 of 1,000, of 8,000"
    assert found.households.tolist() == [[6]]


@pytest.mark.parametrize("strategy", [Median(), TrimmedMean()])
def test_audiences_are_the_middle_of_means(strategy: Strategy) -> None:
    totals = TotalsOfShards(np.ones(3, np.int64), np.ones((3, 4)), np.asarray([4.0, 4.0, 4.0]))
    found = strategy.merge_audiences(audiences((2, 4), (1, 3), (4, 28)), totals)
    assert found[0, :2] == pytest.approx([6.0, 18.0]), "counts .25 .5 1 of 12; means 2 3 7"
    found = strategy.merge_audiences(audiences((2, 4), (0, 0), (4, 28)), totals)
    assert found[0, 1] / found[0, 0] == pytest.approx(4.5), "who heard no code has no say in what they are"


def test_moments_are_added_up_or_the_middle_of_means() -> None:
    told = np.asarray([np.full((45, 45), number) for number in (2.0, 4.0, 9.0)])
    told[:, 1, 1] *= (3, 5, 1_000)
    assert WeightedMean().merge_moments(told)[:2, :2].tolist() == [[15, 15], [15, 9_026]]
    for strategy in (Median(), TrimmedMean()):
        assert strategy.merge_moments(told)[:2, :2] == pytest.approx(np.asarray([[12, 12], [12, 60]])), "4 of 3, and 5"
        silent = np.concatenate([told, np.zeros((1, 45, 45))])
        assert strategy.merge_moments(silent) == pytest.approx(strategy.merge_moments(told)), (
            "who tells none has no say"
        )
        assert strategy.merge_moments(told[:1]) == pytest.approx(told[0]), "one alone is told as it is"
        assert not strategy.merge_moments(silent[3:]).any()


@pytest.mark.parametrize(("strategy", "liars"), [(Median(), 3), (TrimmedMean(), 2)])
def test_liars_up_to_the_breakdown_point_stay_within_what_the_honest_say(strategy: Strategy, liars: int) -> None:
    sums, heard = sums_of_shards(8), audiences_of_shards(8)
    for claim in (0, 10**10):
        told = SumsOfShards(*(getattr(sums, name).copy() for name in sums.__struct_fields__))
        for name in told.__struct_fields__:
            getattr(told, name)[:liars] = claim * (1000 if name == "success_milli" else 1)
        lied = heard.copy()
        lied[:liars] = claim
        totals = totals_of(told, lied)
        found = strategy.merge(told, totals)
        honest = sums.samples[liars:] / totals.samples[liars:, None]
        scale = found.samples[0] / (8 * np.sort(totals.samples)[[3, 4]].mean())
        assert (found.households[0] <= 8 * sums.households[liars:].max(axis=0)).all()
        assert found.samples.max() < 10**6
        assert (scale <= honest.max(axis=0) * 1.5 + 0.01).all()
        assert np.abs(strategy.merge_audiences(lied, totals)).max() < 10**6


@pytest.mark.parametrize(("strategy", "liars"), [(Median(), 3), (TrimmedMean(), 2)])
def test_moments_of_liars_stay_within_what_the_honest_say(strategy: Strategy, liars: int) -> None:
    honest = moments_of_shards(8)
    means = honest[liars:] / honest[liars:, :1, :1]
    for claim in (-64.0, 64.0):
        lied = honest.copy()
        lied[:liars] = claim * 10**9
        lied[:liars, 0, 0] = 10**9
        found = strategy.merge_moments(lied)
        assert found[0, 0] == pytest.approx(8 * 30), "eight times the middle number of codes"
        assert (found / found[0, 0] <= means.max(axis=0) + 1e-9).all()
        assert (found / found[0, 0] >= means.min(axis=0) - 1e-9).all()


def test_one_liar_moves_the_pooled_sums_at_will() -> None:
    told = SumsOfShards(*(getattr(HONEST, name).copy() for name in HONEST.__struct_fields__))
    told.samples[0, 0] = 10**9
    assert WeightedMean().merge(told, TOTALS).samples[0, 0] > 10**9 - 1


def test_all_are_found_by_name() -> None:
    found = registry(strict=True)
    for strategy in (WeightedMean, Median, TrimmedMean, Private):
        assert found.strategy(strategy.NAME) is strategy
