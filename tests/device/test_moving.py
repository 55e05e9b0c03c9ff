"""The way to another space: small steps, nothing lost, the embedder closed when the move ends early."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.errors import ModelError
from omega.core.testing.fakes import FakeEmbedder
from omega.core.types import ContentType, Title
from omega.device.fallback import Fallback, Policy
from omega.device.moving import Arrived, Mover, moving

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.ports import Floats
    from omega.device.fallback import Which
    from omega.device.moving import Move

OURS = [Title(f"ours-{i}", f"Our film {i}", 0, ContentType.MOVIE, (), 0, 0) for i in range(6)]


class Watched(FakeEmbedder):
    """Counts texts, may break, and knows whether it was closed."""

    space = "fake-words-2"

    def __init__(self, breaks_at: int = 1_000_000) -> None:
        self.texts, self.closed, self.breaks_at = 0, False, breaks_at

    def embed(self, texts: Sequence[str]) -> Floats:
        self.texts += len(texts)
        if self.texts > self.breaks_at:
            raise MemoryError
        return super().embed(texts)

    def close(self) -> None:
        self.closed = True


def arrived(move: Move) -> tuple[Arrived, int]:
    steps = 0
    while True:
        try:
            next(move)
        except StopIteration as end:
            found: Arrived = end.value
            return found, steps
        steps += 1


def test_a_move_is_made_in_small_steps_and_brings_everything(example: Catalog, tmp_path: Path) -> None:
    embedder = Watched()
    before = 0
    move = moving(lambda: embedder, example, OURS, tmp_path)
    for _ in range(10):
        next(move)
        assert embedder.texts - before <= 4
        before = embedder.texts
    found, _ = arrived(move)
    assert np.allclose(
        [found.local[title.id] for title in OURS], FakeEmbedder().embed([title.text for title in OURS]), atol=1e-6
    )
    assert found.titles.vectors.shape == (800, 384)
    assert not embedder.closed


def test_what_the_cache_has_is_not_embedded_again(example: Catalog, tmp_path: Path) -> None:
    arrived(moving(Watched, example, [], tmp_path))
    again = Watched()
    found, steps = arrived(moving(lambda: again, example, OURS, tmp_path))
    assert (again.texts, steps) == (6, 2)
    assert found.titles.vectors.shape == (800, 384)


@pytest.mark.parametrize("breaks_at", [0, 500, 800 + 8 + 22 + 4])
def test_a_model_that_breaks_on_the_way_is_closed(example: Catalog, breaks_at: int) -> None:
    embedder = Watched(breaks_at)
    with pytest.raises(MemoryError):
        arrived(moving(lambda: embedder, example, OURS, None))
    assert embedder.closed


def test_a_move_that_is_given_up_closes_the_model(example: Catalog) -> None:
    embedder = Watched()
    move = moving(lambda: embedder, example, OURS, None)
    next(move)
    move.close()
    assert embedder.closed


class Timer:
    """A timer that only an embedder turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Model(Watched):
    """Takes so many milliseconds a text of the timer's time."""

    def __init__(self, timer: Timer, ms: float = 3.0) -> None:
        super().__init__()
        self.timer, self.ms = timer, ms

    def embed(self, texts: Sequence[str]) -> Floats:
        self.timer.now += len(texts) * self.ms / 1000
        return super().embed(texts)


class House:
    """What a brain does with a mover: a model that can be made slow or broken, and the table that always works."""

    def __init__(self, example: Catalog, cache: Path) -> None:
        self.timer = Timer()
        self.ms = 3.0
        self.broken: str | None = None
        self.models: list[Model] = []
        self.fallback = Fallback(0, Policy())
        self.mover = Mover(self.fallback, self.load, example, cache, self.timer)
        self.embedder: FakeEmbedder = self.load("model")
        self.now_s = 0.0
        self.history = ["model"]

    def load(self, which: Which) -> FakeEmbedder:
        if which == "static":
            return FakeEmbedder()
        if self.broken:
            raise ModelError(self.broken)
        self.models.append(Model(self.timer, self.ms))
        return self.models[-1]

    def idle(self, budget_ms: float = 50) -> None:
        self.now_s += 60
        found = self.mover.tend(self.embedder, OURS, self.now_s, budget_ms)
        if found:
            self.embedder.close()
            assert isinstance(found.embedder, FakeEmbedder)
            self.embedder = found.embedder
            assert set(found.local) == {title.id for title in OURS}
            self.history.append(self.mover.which)

    def slower(self, ms: float) -> None:
        self.ms = ms
        for model in self.models:
            model.ms = ms


@pytest.fixture
def house(example: Catalog, tmp_path: Path) -> House:
    return House(example, tmp_path)


def test_a_model_that_keeps_its_budget_is_judged_once_and_kept(house: House) -> None:
    for _ in range(20):
        house.idle()
    assert house.history == ["model"]
    assert house.models[0].texts == 20


def test_a_slow_model_is_found_out_in_idle_time_and_left(house: House) -> None:
    house.slower(40)
    for _ in range(30):
        house.idle()
    assert house.history == ["model", "static"]
    assert house.embedder.NAME == "fake"
    assert all(model.closed for model in house.models)
    assert house.fallback.state.why == "20 of 20 texts took over 15 ms, allowed: 2 of them"


def test_a_model_that_is_quick_again_comes_back_bit_by_bit_while_the_table_answers(house: House) -> None:
    house.slower(40)
    while house.history != ["model", "static"]:
        house.idle()
    house.slower(3)
    while house.fallback.state.which == "static":
        house.idle()
    answered = 0
    while house.mover.which == "static":
        before = house.timer.now
        house.idle()
        answered += house.mover.which == "static"
        assert house.timer.now - before < 0.07
    assert answered > 40  # 836 texts of 3 ms in pieces of 50 ms
    assert house.history == ["model", "static", "model"]
    assert [model.closed for model in house.models] == [True] * (len(house.models) - 1) + [False]


def test_a_model_that_breaks_while_it_embeds_is_left_with_the_reason(house: House) -> None:
    house.models[0].breaks_at = 0
    assert house.mover.embed(house.embedder, "something funny", 1) is None
    assert house.fallback.state.why == "the model can't be used: there is not memory enough to run it"
    house.idle(budget_ms=1e9)
    assert house.history == ["model", "static"]
    row = house.mover.embed(house.embedder, "something funny", 2)
    assert row is not None
    assert np.allclose(row, FakeEmbedder().embed(["something funny"])[0])


def test_a_model_that_cant_be_loaded_is_tried_ever_less_often(house: House) -> None:
    house.broken = "it was cut short"
    house.fallback.failed(house.broken, 0)
    for _ in range(24 * 60):
        house.idle()
    assert house.history == ["model", "static"]
    assert len(house.models) == 1
    house.broken = None
    for _ in range(24 * 60):
        house.idle()
    assert house.history == ["model", "static", "model"]


def test_a_model_that_breaks_on_its_way_back_leaves_the_table_in_use(house: House) -> None:
    house.fallback.failed("none", 0)
    while house.fallback.state.which != "model" or house.mover.which != "static":
        house.idle(budget_ms=1)
    broken = house.models[-1]
    broken.breaks_at = 100
    for _ in range(15):
        house.idle()
    assert house.mover.which == "static"
    assert house.history == ["model", "static"]
    assert broken.closed
    assert house.fallback.state.why.startswith("the model can't be used")
