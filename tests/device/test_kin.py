"""Neighbors in a reason: what this household finished, and nothing else, and no score changes by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.audience import AUDIENCE_NUMBERS, packed_code
from omega.core.neighbors import Neighbors
from omega.core.types import ViewContext, ViewingEvent
from omega.core.wire import Artifact, ArtifactKind, Trend
from omega.device.results import Mode
from omega.device.sync import trends
from omega_storage.device_memory import MemoryDeviceStore
from tests.device.test_others import BASIS, Coding

if TYPE_CHECKING:
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain


NEAR = msgspec.structs.replace(BASIS, scale=(0.01,) * AUDIENCE_NUMBERS)
"""A map on which audiences lie so close to the middle that one of two opposite ones is like any household."""
STEPS = {0: (7, -7) * 6, 3: (-7, 7) * 6}


@pytest.fixture
def brain(open_brain: OpenBrain) -> Brain:
    """A TV that knows where audiences are, with one title among them that speaks for it."""
    store = MemoryDeviceStore()
    brain = open_brain(store, embedder=Coding())
    named = tuple(Trend(title, None, 50, 900, 30, packed_code(steps)) for title, steps in STEPS.items())
    basis = Artifact(ArtifactKind.AUDIENCE_BASIS, NEAR.version, bytes(16), 10)
    trends.keep(store, trends.Trends("shard-a", 1, named, (), (basis,)))
    brain.adopt(NEAR)
    return brain


def watch(brain: Brain, row: int, share: float, profile: str | None = None) -> str:
    title = brain.catalog.titles[row]
    brain.observe(ViewingEvent(content_id=title.id, watch_pct=share, profile=profile))
    return title.title


def liked(brain: Brain, context: ViewContext | None = None) -> tuple[int, str, float]:
    """Return the title whose audience speaks most for it, with its reason's words and weight."""
    found = []
    for row in STEPS:
        reasons = brain.why(brain.catalog.titles[row].id, context).recommendation.reasons
        found += [(reason.weight, row, reason.text) for reason in reasons if reason.kind == "audience"]
    weight, row, text = max(found)
    assert weight > 0
    return row, text, weight


def movies(brain: Brain, count: int) -> list[int]:
    """Return films that no pull names, for anybody's eyes."""
    return [row for row, title in enumerate(brain.catalog.titles) if title.kind == "movie" and row not in STEPS][:count]


def test_what_the_household_finished_is_named_and_no_score_changes(brain: Brain) -> None:
    finished, half, nearest = movies(brain, 3)
    watch(brain, half, 0.5)
    name = watch(brain, finished, 1.0)
    row, before, weight = liked(brain)
    assert before == "viewers of your taste enjoy it"
    scores = [title.score for title in brain.recommend()]
    brain.adopt(Neighbors.of(brain.catalog.lineage, {row: [nearest, half, finished]}))
    assert liked(brain) == (row, f"{before}; its audience is like that of {name}, which you finished", weight)
    assert [title.score for title in brain.recommend()] == scores


def test_what_was_not_finished_is_not_named(brain: Brain) -> None:
    half, never, series = *movies(brain, 2), next(r for r, t in enumerate(brain.catalog.titles) if t.kind == "series")
    watch(brain, half, 0.6)
    watch(brain, series, 1.0)
    row, *_ = liked(brain)
    beyond = len(brain.catalog) + 5
    brain.adopt(Neighbors.of(brain.catalog.lineage, {row: [beyond, half, never, series]}))
    assert liked(brain)[1] == "viewers of your taste enjoy it"


def test_a_child_is_named_nothing_for_adults(brain: Brain) -> None:
    adult = next(
        row
        for row, title in enumerate(brain.catalog.titles)
        if title.age >= 16 and title.kind == "movie" and row not in STEPS
    )
    name = watch(brain, adult, 1.0)
    row, *_ = liked(brain)
    brain.adopt(Neighbors.of(brain.catalog.lineage, {row: [adult]}))
    assert name in liked(brain)[1]
    assert name not in liked(brain, ViewContext(max_age=15))[1]


def test_a_guest_is_told_nothing_of_the_household(brain: Brain) -> None:
    [finished] = movies(brain, 1)
    name = watch(brain, finished, 1.0)
    brain.adopt(Neighbors.of(brain.catalog.lineage, {row: [finished] for row in STEPS}))
    assert name in liked(brain)[1]
    brain.set_mode(Mode.GUEST)
    assert all(name not in reason.text for title in brain.recommend() for reason in title.reasons)


def test_neighbors_of_another_catalog_say_nothing(brain: Brain) -> None:
    [finished] = movies(brain, 1)
    watch(brain, finished, 1.0)
    row, *_ = liked(brain)
    known = Neighbors.of(brain.catalog.lineage, {row: [finished]})
    brain.adopt(known)
    assert "which you finished" in liked(brain)[1]
    brain.adopt(Neighbors.of("f" * 16, {row: [finished]}))
    assert "which you finished" not in liked(brain)[1]
    brain.adopt(known)
    before = msgspec.to_builtins(brain.recommend())
    brain.listen()
    assert msgspec.to_builtins(brain.recommend()) == before, "the next pull doesn't lose them"
