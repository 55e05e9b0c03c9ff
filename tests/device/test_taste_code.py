"""Taste codes: what travels is where a household stood when the day began, and nothing of the titles' order."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.compose import EXAMPLE_CATALOG_PATH, load_embedder
from omega.core.catalog import Catalog
from omega.core.factors import Factors
from omega.core.records import Selection
from omega.core.shard_records import TASTE_BYTES, TASTE_NUMBERS, TASTE_SPACE
from omega.core.testing.contracts import random_units
from omega.core.testing.fakes import FakeEmbedder
from omega.core.types import ViewingEvent
from omega.device import taste_code
from omega.device.taste_code import Rows, axes_of, code_of, numbers_of, principal_axes, standing, told_by
from omega.device.titles import age_when_watched, load_or_embed
from omega.shard.aggregates import taste_vector
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from omega.core.ports import Floats
    from omega.core.testing.fakes import Clock
    from tests.device.conftest import OpenBrain


class Coding(FakeEmbedder):
    """Says that it is the model that ships, which alone has axes."""

    space = TASTE_SPACE


def bound(store: MemoryDeviceStore) -> dict[int, set[bytes]]:
    """Return the codes that would travel, by day."""
    codes: dict[int, set[bytes]] = {}
    for line in store.ledger.waiting("shard", 1, 100):
        codes.setdefault(line.day, set()).add(line.taste)
    return codes


def by_hand(axes: Floats, centered: Floats, ages: list[int | None]) -> list[float]:
    """Return the 44 numbers, in float64 and one by one."""
    numbers = [0.0] * TASTE_NUMBERS
    for k, (row, age) in enumerate(zip(centered.astype(float), ages, strict=True)):
        told = [float(sum(row[i] * axes[i, axis] for i in range(len(row)))) for axis in range(32)]
        length = sum(part * part for part in told) ** 0.5
        for axis, part in enumerate(told):
            numbers[axis] += 0.955**k * part / length
        if age is not None:
            numbers[32 + age] += 0.95**k
    for start, end in ((0, 32), (32, 38)):
        length = sum(number * number for number in numbers[start:end]) ** 0.5
        numbers[start:end] = [number / length if length else 0.0 for number in numbers[start:end]]
    return numbers


def test_a_code_gives_its_numbers_back_to_half_a_step() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        numbers = random.normal(size=TASTE_NUMBERS).astype(np.float32)
        numbers[:32] /= np.linalg.norm(numbers[:32])
        numbers[32:38] = np.abs(numbers[32:38]) / np.linalg.norm(numbers[32:38])
        numbers[38:] = 0
        code = code_of(numbers)
        assert len(code) == TASTE_BYTES
        told = numbers_of(code)
        steps = np.repeat((0.08, 1 / 7), (32, 12))
        inside = np.abs(numbers) <= 7.5 * steps
        assert inside.mean() > 0.9
        assert (np.abs(told - numbers)[inside] <= steps[inside] / 2 + 1e-6).all()
        assert code_of(told) == code
        assert np.allclose(taste_vector(code), told / steps), "a shard reads the same numbers, in steps"
    assert code_of(np.zeros(TASTE_NUMBERS, np.float32)) == b"\x88" * TASTE_BYTES


def test_a_standing_is_what_a_sum_by_hand_says() -> None:
    random = np.random.default_rng(6)
    axes = principal_axes(random.normal(size=(90, 50)).astype(np.float32))
    centered = random.normal(size=(7, 50)).astype(np.float32)
    ages: list[int | None] = [0, 5, None, 1, 1, 2, 4]
    assert np.allclose(standing(told_by(axes, None, centered, []), ages), by_hand(axes, centered, ages), atol=1e-5)
    assert not standing(told_by(axes, None, centered[:0], []), []).any()


@pytest.mark.parametrize(
    ("watched", "released", "expected"),
    [
        (2026, 2026, 0),
        (2026, 2027, 0),
        (2026, 2025, 1),
        (2026, 2023, 2),
        (2026, 2016, 3),
        (2026, 2001, 4),
        (2026, 2000, 5),
    ],
)
def test_age_classes(watched: int, released: int, expected: int) -> None:
    assert age_when_watched(watched, released) == expected


@pytest.mark.slow
def test_the_axes_that_ship_are_those_of_the_example_catalog() -> None:
    with closing(load_embedder("onnx", None, 1)) as embedder:
        assert embedder.space == TASTE_SPACE
        titles = load_or_embed(Catalog.read(EXAMPLE_CATALOG_PATH), embedder, None)
    shipped = axes_of(TASTE_SPACE)
    assert shipped is not None
    assert np.allclose(shipped.T @ shipped, np.eye(32), atol=2e-3)
    made = principal_axes(np.asarray(titles.centered))
    assert np.linalg.norm(made.T @ shipped, axis=0).min() > 0.99, "each lies in the same 32 dimensions"
    assert (made * shipped).sum(axis=0)[:8].min() > 0.95, "the first ones one by one, signs included"


def test_all_that_a_day_contributes_has_the_code_of_its_morning(open_brain: OpenBrain, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store, embedder=Coding())
    today = clock.now.toordinal() - clock.now.replace(year=1970, month=1, day=1).toordinal()
    watched: list[str] = []
    for day in range(4):
        for title in brain.catalog.titles[3 * day : 3 * day + 3]:
            brain.observe(ViewingEvent(content_id=title.id, watch_pct=0.9))
            clock.advance(minutes=30)
            watched.insert(0, title.id)
        clock.advance(days=1, minutes=-90)
    codes = bound(store)
    assert [len(codes[today + day]) for day in range(4)] == [1, 1, 1, 1]
    assert codes[today] == {b""}, "nothing was watched before"
    axes = axes_of(TASTE_SPACE)
    assert axes is not None
    rows = [brain.catalog.ordinals[title] for title in watched[3:]]
    ages = [age_when_watched(clock.now.year, brain.catalog.titles[row].year) for row in rows]
    expected = code_of(np.array(by_hand(axes, brain._titles.centered[rows], [*ages]), np.float32))
    assert codes[today + 3] == {expected}


def test_what_was_forgotten_is_in_no_later_code(open_brain: OpenBrain, clock: Clock) -> None:
    codes = []
    for forgets in (False, True):
        store = MemoryDeviceStore()
        brain = open_brain(store, embedder=Coding())
        if forgets:
            brain.observe(ViewingEvent(content_id="heat-1995", watch_pct=1.0))
            brain.forget(Selection(content_id="heat-1995"))
        brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0))
        clock.advance(days=1)
        brain.observe(ViewingEvent(content_id="alien-1979", watch_pct=1.0))
        codes.append(store.ledger.waiting("shard", 1, 100)[0].taste)
        clock.advance(days=-1)
    assert codes[0] == codes[1] != b""


def test_titles_of_this_tv_alone_and_other_spaces_tell_nothing(open_brain: OpenBrain, clock: Clock) -> None:
    for embedder, first in ((FakeEmbedder(), "heat-1995"), (Coding(), "mine")):
        store = MemoryDeviceStore()
        brain = open_brain(store, embedder=embedder)
        brain.observe(ViewingEvent(content_id=first, title="A film", watch_pct=1.0))
        clock.advance(days=1)
        brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0))
        assert {line.taste for line in store.ledger.waiting("shard", 1, 100)} == {b""}


def test_only_so_many_titles_are_looked_at(
    open_brain: OpenBrain, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taste_code, "LATEST_TITLES", 2)
    store = MemoryDeviceStore()
    brain = open_brain(store, embedder=Coding())
    for title in brain.catalog.titles[:4]:
        brain.observe(ViewingEvent(content_id=title.id, watch_pct=0.9))
        clock.advance(minutes=20)
    clock.advance(days=1)
    brain.observe(ViewingEvent(content_id=brain.catalog.titles[5].id, watch_pct=0.9))
    axes = axes_of(TASTE_SPACE)
    assert axes is not None
    ages = [age_when_watched(clock.now.year, brain.catalog.titles[row].year) for row in (3, 2)]
    expected = code_of(standing(told_by(axes, None, brain._titles.centered[[3, 2]], []), ages))
    assert store.ledger.waiting("shard", 1, 100)[0].taste == expected


def test_titles_with_factors_are_told_by_them_and_others_along_the_axes() -> None:
    random = np.random.default_rng(9)
    axes, centered = random.normal(size=(16, 32)).astype(np.float32), random_units(3)
    rows = random.integers(-127, 128, (2, 32)).astype(np.int8)
    factors = Factors(version=1, space=1, titles=np.array([4, 9], "<u4").tobytes(), rows=rows.tobytes())
    told = told_by(axes, Rows.of(factors), centered, [9, 5, 4])
    plain = told_by(axes, None, centered, [9, 5, 4])
    expected = rows / np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    assert np.allclose(told, [expected[1], plain[1], expected[0]], atol=1e-6)
