"""The promises of Strategy and Engine in `omega.core.ports` as tests: derive a class Test*, say how to make one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.ports import SumsOfShards, TotalsOfShards
from omega.core.shard_records import HALF_LIVES_DAYS, TASTE_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.core.ports import Doubles, Engine, Strategy

TREND_COUNT = len(HALF_LIVES_DAYS)


def sums_of_shards(shards: int, titles: int = 60, seed: int = 3) -> SumsOfShards:
    """Return what so many shards say, each of about half of the titles."""
    random = np.random.default_rng(seed)
    samples = random.poisson(40, (shards, titles)) * random.integers(0, 2, (shards, titles))
    success = random.integers(0, 1000 * samples + 1)
    households = random.integers(0, samples + 1)
    return SumsOfShards(
        samples, success, households, random.random((shards, titles, TREND_COUNT)) * samples[:, :, None]
    )


def audiences_of_shards(shards: int, titles: int = 20, seed: int = 5) -> Doubles:
    """Return audiences, some of them empty."""
    random = np.random.default_rng(seed)
    counts = random.poisson(9, (shards, titles, 1)) * random.integers(0, 2, (shards, titles, 1))
    return np.concatenate([counts, counts * random.normal(0, 3, (shards, titles, TASTE_NUMBERS))], axis=2)


def moments_of_shards(shards: int, codes: int = 30, seed: int = 7) -> Doubles:
    """Return (s, k, k) second moments of made-up taste codes, k = 1 + TASTE_NUMBERS."""
    random = np.random.default_rng(seed)
    steps = random.integers(-8, 8, (shards, codes, TASTE_NUMBERS))
    with_one = np.concatenate([np.ones((shards, codes, 1)), steps], axis=2)
    found: Doubles = with_one.transpose(0, 2, 1) @ with_one
    return found


def totals_of(sums: SumsOfShards, audiences: Doubles) -> TotalsOfShards:
    """Return what each shard has of all titles."""
    return TotalsOfShards(sums.samples.sum(axis=1), sums.trends.sum(axis=1), audiences[:, :, 0].sum(axis=1))


def same(one: SumsOfShards, other: SumsOfShards) -> bool:
    """Say whether two answers are the same, to the last digits of a float."""
    pairs = ((getattr(one, name), getattr(other, name)) for name in one.__struct_fields__)
    return all(np.allclose(mine, theirs, rtol=1e-12) for mine, theirs in pairs)


class StrategyContract(ABC):
    """What every Strategy promises."""

    @abstractmethod
    def make(self) -> Strategy:
        """Return the strategy."""

    @pytest.mark.parametrize("shards", [1, 2, 3, 4, 8, 9])
    def test_answers_within_bounds(self, shards: int) -> None:
        sums, audiences = sums_of_shards(shards), audiences_of_shards(shards)
        totals = totals_of(sums, audiences)
        found = self.make().merge(sums, totals)
        heard = self.make().merge_audiences(audiences, totals)
        assert found.samples.shape == found.success_milli.shape == found.households.shape == (1, 60)
        assert found.samples.dtype == found.success_milli.dtype == found.households.dtype == np.int64
        assert found.trends.shape == (1, 60, TREND_COUNT)
        assert heard.shape == (20, 1 + TASTE_NUMBERS)
        assert (found.households <= sums.households.sum(axis=0)).all()
        assert (found.success_milli <= 1000 * found.samples).all()
        for numbers in (found.samples, found.success_milli, found.households, found.trends, heard[:, 0]):
            assert numbers.min() >= 0
            assert np.isfinite(numbers).all()
        assert np.isfinite(heard).all()

    def test_tells_one_shard_as_it_is(self) -> None:
        sums, audiences = sums_of_shards(1), audiences_of_shards(1)
        totals = totals_of(sums, audiences)
        assert same(self.make().merge(sums, totals), sums)
        assert self.make().merge_audiences(audiences, totals) == pytest.approx(audiences[0], rel=1e-12)

    @pytest.mark.parametrize("shards", [2, 3, 4, 8])
    def test_tells_equal_shards_as_so_many_times_one(self, shards: int) -> None:
        one, heard = sums_of_shards(1), audiences_of_shards(1)
        many = SumsOfShards(*(np.repeat(getattr(one, name), shards, axis=0) for name in one.__struct_fields__))
        audiences = np.repeat(heard, shards, axis=0)
        found = self.make().merge(many, totals_of(many, audiences))
        assert (found.samples == shards * one.samples).all()
        assert np.allclose(found.success_milli, shards * one.success_milli, atol=1)
        assert found.trends == pytest.approx(shards * one.trends)
        found_heard = self.make().merge_audiences(audiences, totals_of(many, audiences))
        assert found_heard == pytest.approx(shards * heard[0])

    def test_takes_shards_in_any_order_and_titles_in_parts(self) -> None:
        sums, audiences = sums_of_shards(7), audiences_of_shards(7)
        totals, order = totals_of(sums, audiences), np.random.default_rng(1).permutation(7)
        whole, heard = self.make().merge(sums, totals), self.make().merge_audiences(audiences, totals)
        turned = SumsOfShards(*(getattr(sums, name)[order] for name in sums.__struct_fields__))
        others = totals_of(turned, audiences[order])
        assert same(self.make().merge(turned, others), whole)
        assert self.make().merge_audiences(audiences[order], others) == pytest.approx(heard, rel=1e-12)
        for part in (slice(0, 0), slice(0, 7), slice(7, 60)):
            some = SumsOfShards(*(getattr(sums, name)[:, part] for name in sums.__struct_fields__))
            told = SumsOfShards(*(getattr(whole, name)[:, part] for name in whole.__struct_fields__))
            assert same(self.make().merge(some, totals), told)

    def test_tells_moments_of_any_order_and_of_equal_shards_as_so_many_times_one_or_none_at_all(self) -> None:
        moments, order = moments_of_shards(7), np.random.default_rng(1).permutation(7)
        strategy = self.make()
        found = strategy.merge_moments(moments)
        assert found.shape == (1 + TASTE_NUMBERS, 1 + TASTE_NUMBERS)
        assert np.isfinite(found).all()
        assert strategy.merge_moments(moments[order]) == pytest.approx(found, rel=1e-12)
        tells = float(found.any())
        for shards in (1, 2, 8):
            many = np.repeat(moments[:1], shards, axis=0)
            assert strategy.merge_moments(many) == pytest.approx(tells * shards * moments[0])
        assert not strategy.merge_moments(np.zeros_like(moments)).any()

    def test_takes_shards_that_heard_nothing(self) -> None:
        nothing = np.zeros((3, 4), np.int64)
        sums = SumsOfShards(nothing, nothing, nothing, np.zeros((3, 4, TREND_COUNT)))
        audiences = np.zeros((3, 4, 1 + TASTE_NUMBERS))
        found = self.make().merge(sums, totals_of(sums, audiences))
        assert not any(getattr(found, name).any() for name in found.__struct_fields__)
        assert not self.make().merge_audiences(audiences, totals_of(sums, audiences)).any()


def _fail(part: int) -> int:
    raise ArithmeticError(f"part {part}")


class EngineContract(ABC):
    """What every Engine promises."""

    @abstractmethod
    def make(self) -> Engine:
        """Open the engine."""

    def test_answers_in_order_and_takes_parts_as_it_goes(self) -> None:
        taken = 0

        def parts() -> Iterator[int]:
            nonlocal taken
            for number in range(400):
                taken += 1
                yield number

        with self.make() as engine:
            answers = engine.map(math.sqrt, parts())
            assert next(answers) == 0
            assert taken < 100
            assert list(answers) == [math.sqrt(number) for number in range(1, 400)]
            assert list(engine.map(math.sqrt, ())) == []

    def test_raises_what_the_function_raises(self) -> None:
        with self.make() as engine, pytest.raises(ArithmeticError, match="part 3"):
            list(engine.map(_fail, [3]))
