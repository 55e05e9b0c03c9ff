"""The ablation: real brains and stores, judged by what the households hide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.device.brain import Brain
from omega.device.ranking import Weights
from omega.fleet.ablation import FULL, MEMORIES, PARTS, Table, ablation, interval, variants
from omega_plugins.embedders.onnx import OnnxEmbedder
from omega_storage.device_sqlite import SqliteDeviceStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.device.titles import TitleArrays
    from omega.fleet.demo import Clock


def compared(
    example: Catalog, arrays: TitleArrays, folder: Path, asked: Mapping[str, Weights], households: int = 4
) -> Table:
    embedder = OnnxEmbedder.open()
    folder.mkdir(parents=True)

    def opened(name: str, clock: Clock) -> Brain:
        return Brain(SqliteDeviceStore.open(folder / f"{name}.db"), embedder, example, arrays, now=clock)

    return ablation(opened, example, seeds=range(900, 900 + households), weeks=6, asked=asked)


@pytest.fixture(scope="module")
def table(example: Catalog, arrays: TitleArrays, tmp_path_factory: pytest.TempPathFactory) -> Table:
    nothing = msgspec.structs.replace(Weights(), **dict.fromkeys(Weights.__struct_fields__, 0.0))
    asked = variants() | {"nothing": nothing, "twin": Weights()}
    return compared(example, arrays, tmp_path_factory.mktemp("ablation") / "stores", asked)


def test_every_part_is_compared_with_all_of_them(table: Table) -> None:
    assert [row.variant for row in table.rows] == [FULL, *PARTS, "nothing", "twin"]
    assert set(MEMORIES) <= set(PARTS)
    assert table.seeds == (900, 903)
    full = table.row(FULL)
    for row in table.rows:
        assert row.low <= row.brings <= row.high
        assert row.brings == pytest.approx(full.appeal - row.appeal, abs=2e-4)
        assert 0 <= row.given_up <= 1
        assert 0 < row.ndcg <= 1


def test_what_is_equal_brings_nothing_and_what_is_learned_brings_much(table: Table) -> None:
    full, twin, nothing = table.row(FULL), table.row("twin"), table.row("nothing")
    assert (twin.appeal, twin.brings, twin.low, twin.high) == (full.appeal, 0, 0, 0)
    assert nothing.low > 0.1
    assert table.any_appeal < full.appeal < table.best_appeal <= 1
    assert table.row("taste").brings > 0


def test_each_part_has_weights_of_its_own() -> None:
    named = [name for names in PARTS.values() for name in names]
    assert [name for name in set(named) if named.count(name) > 1] == ["content"], "what episodes say of a taste"
    assert set(named) <= set(Weights.__struct_fields__)
    for part, weights in variants(Weights(habit=3.0)).items():
        zero = {name for name in Weights.__struct_fields__ if getattr(weights, name) == 0}
        assert zero == set(PARTS.get(part, ()))
        assert part == "patterns" or weights.habit == 3.0


def test_the_seeds_decide_the_table(example: Catalog, arrays: TitleArrays, tmp_path: Path) -> None:
    asked = {FULL: Weights(), "taste": variants()["taste"]}
    first = compared(example, arrays, tmp_path / "first", asked, households=2)
    assert first == compared(example, arrays, tmp_path / "second", asked, households=2)


def test_the_interval_is_that_of_a_mean_of_households() -> None:
    random = np.random.default_rng(1)
    differences = random.normal(0.02, 0.05, 400)
    low, high = interval(differences, random)
    error = differences.std() / 20
    assert low == pytest.approx(differences.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(differences.mean() + 1.96 * error, abs=0.1 * error)
    assert interval(np.array([0.5, 0.5]), random) == (0.5, 0.5)
