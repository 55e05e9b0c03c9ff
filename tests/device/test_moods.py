"""Moods through the shipped INT4 model: words that no title has move the titles that fit them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega.core.parsing import parse_context, parse_event
from omega.device.brain import Brain
from omega.device.ranking import Weights
from omega.device.titles import load_or_embed
from omega_plugins.embedders.onnx import OnnxEmbedder
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.catalog import Catalog
    from omega.core.testing.fakes import Clock
    from omega.core.types import Recommendation


@pytest.fixture(scope="module")
def real(example: Catalog, tmp_path_factory: pytest.TempPathFactory) -> tuple[OnnxEmbedder, object]:
    embedder = OnnxEmbedder.open()
    return embedder, load_or_embed(example, embedder, tmp_path_factory.getbasetemp() / "titles")


@pytest.fixture
def brain(real: tuple[OnnxEmbedder, object], example: Catalog, clock: Clock) -> Brain:
    embedder, arrays = real
    weights = Weights(explore=0)  # what is drawn needn't fit
    return Brain(MemoryDeviceStore(), embedder, example, arrays, now=clock, weights=weights)  # type: ignore[arg-type]


def how_many(genres: set[str], found: Sequence[Recommendation], example: Catalog) -> int:
    return sum(bool(genres & set(example.titles[example.ordinals[r.content_id]].genres)) for r in found)


@pytest.mark.parametrize(
    ("mood", "other", "genres"),
    [
        ("scary", "funny", {"horror"}),
        ("funny", "scary", {"comedy"}),
        ("romantic", "scary", {"romance"}),
        ("epic", "cozy", {"war", "history", "adventure", "fantasy"}),
    ],
)
def test_a_mood_changes_the_list_towards_its_genre(
    brain: Brain, example: Catalog, mood: str, other: str, genres: set[str]
) -> None:
    fitting = brain.recommend(parse_context(f'{{"time":"evening","mood":"{mood}"}}'))
    opposite = brain.recommend(parse_context(f'{{"time":"evening","mood":"{other}"}}'))
    neither = brain.recommend(parse_context('{"time":"evening"}'))
    assert [r.content_id for r in fitting] != [r.content_id for r in opposite] != [r.content_id for r in neither]
    assert how_many(genres, fitting, example) > how_many(genres, opposite, example)
    assert how_many(genres, fitting, example) > how_many(genres, neither, example)
    assert how_many(genres, fitting, example) >= 10
    assert all(reason.text == f"sounds {mood}" for r in fitting for reason in r.reasons if reason.kind == "mood")


def test_a_mood_still_counts_once_there_is_a_taste(brain: Brain, example: Catalog) -> None:
    for title in [title for title in example if "comedy" in title.genres][:15]:
        brain.observe(parse_event(f'{{"content_id":"{title.id}","watch_pct":0.95}}'))
    relaxed = brain.recommend(parse_context('{"time":"evening","mood":"relaxed"}'))
    scary = brain.recommend(parse_context('{"time":"evening","mood":"scary"}'))
    assert [r.content_id for r in relaxed] != [r.content_id for r in scary]
    assert how_many({"horror"}, scary, example) > how_many({"horror"}, relaxed, example)


@pytest.mark.parametrize("mood", ["relaxed", "calm", "cozy", "feel good", "with the kids"])
def test_a_gentle_mood_brings_no_horror(brain: Brain, example: Catalog, mood: str) -> None:
    found = brain.recommend(parse_context(f'{{"time":"evening","mood":"{mood}"}}'), 12)
    assert how_many({"horror", "war", "crime"}, found, example) <= 1
    assert how_many({"horror"}, found, example) == 0
    assert "a-quiet-place-2018" not in {r.content_id for r in found}


@pytest.mark.parametrize("mood", ["qwertz", "x", "42"])
def test_a_mood_that_nothing_answers_to_changes_nothing(brain: Brain, example: Catalog, mood: str) -> None:
    for title in [title for title in example if "comedy" in title.genres][:15]:
        brain.observe(parse_event(f'{{"content_id":"{title.id}","watch_pct":0.95}}'))
    without = brain.recommend(parse_context('{"time":"evening"}'))
    assert brain.recommend(parse_context(f'{{"time":"evening","mood":"{mood}"}}')) == without
