"""What the others enjoy as arrays: audiences on the map, and where the household is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.audience import AUDIENCE_NUMBERS, Basis, packed_code
from omega.core.ranking_weights import shipped_weights
from omega.core.shard_records import TASTE_NUMBERS, TASTE_SPACE
from omega.core.testing.fakes import FakeEmbedder
from omega.core.types import ViewingEvent
from omega.core.wire import Artifact, ArtifactKind, Trend, space_code
from omega.device.others import Audiences, heard, likeness
from omega.device.ranking import TERMS
from omega.device.sync import trends
from omega.device.taste_code import axes_of, standing, told_by
from omega.device.titles import age_when_watched
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from omega.core.testing.fakes import Clock
    from tests.device.conftest import OpenBrain

RANDOM = np.random.default_rng(8)
BASIS = Basis(
    version=4,
    space=space_code(TASTE_SPACE),
    mean=tuple(RANDOM.normal(size=TASTE_NUMBERS).tolist()),
    projection=tuple(tuple(row) for row in RANDOM.normal(scale=0.1, size=(AUDIENCE_NUMBERS, TASTE_NUMBERS)).tolist()),
    scale=tuple(RANDOM.uniform(0.05, 0.3, AUDIENCE_NUMBERS).tolist()),
    genre_shares={},
    age_shares=(1 / 6,) * 6,
)
STEPS = {title: tuple(RANDOM.integers(-7, 8, AUDIENCE_NUMBERS).tolist()) for title in (0, 3, 5)}


class Coding(FakeEmbedder):
    """Says that it is the model that ships, which taste codes are of."""

    space = TASTE_SPACE


def a_pull(version: int = 4) -> trends.Trends:
    """Return what a shard says: three titles of which the audience is known, and one of which it isn't."""
    named = tuple(Trend(title, None, 50, 900, 30, packed_code(steps)) for title, steps in STEPS.items())
    basis = Artifact(ArtifactKind.AUDIENCE_BASIS, version, bytes(16), 10)
    return trends.Trends("shard-a", 1, (*named, Trend(7, None, 50, 900, 30)), (), (basis,))


def test_log_odds_are_what_the_discriminant_says() -> None:
    points = np.array([[1, 0], [0, 2]], np.float32)
    odds = likeness(Audiences(np.array([3, 1]), points), np.array([0.5, 1.5], np.float32), 5)
    assert odds.tolist() == [0, 0 + 3 - 2, 0, 0.5 - 0.5, 0]
    assert not likeness(None, np.ones(2, np.float32), 5).any()
    assert not likeness(Audiences(np.array([3, 1]), points), None, 5).any()


def test_codes_are_read_by_the_map_that_the_pull_names_and_by_no_other() -> None:
    shipped = np.zeros(9, np.float32)
    found = heard(shipped, a_pull(), BASIS).audiences
    assert found is not None
    assert found.titles.tolist() == [0, 3, 5]
    assert np.allclose(found.points, [np.array(steps) * BASIS.scale for steps in STEPS.values()], atol=1e-6)
    assert heard(shipped, a_pull(version=5), BASIS).audiences is None
    assert heard(shipped, a_pull(), None).audiences is None


def test_the_audience_term_is_the_households_own_place_against_each_title(open_brain: OpenBrain, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store, embedder=Coding())
    trends.keep(store, a_pull())
    brain.adopt(BASIS)
    column = TERMS.index("audience")
    assert not brain.ask(None).scores.terms[:, column].any(), "nothing was watched, so that there is no place"
    watched: list[int] = []
    fit, axes = shipped_weights(), axes_of(TASTE_SPACE)
    assert axes is not None
    for row in (11, 12, 13):
        brain.observe(ViewingEvent(content_id=brain.catalog.titles[row].id, watch_pct=0.9))
        clock.advance(minutes=20)
        watched.insert(0, row)
        ages = [age_when_watched(clock.now.year, brain.catalog.titles[one].year) for one in watched]
        told = told_by(axes, None, brain._titles.centered[watched], [])
        place = standing(told, ages) / np.repeat((0.08, 1 / 7), (32, 12)) - BASIS.mean
        x = [sum(p * z for p, z in zip(projected, place, strict=True)) for projected in BASIS.projection]
        gain = fit.audience + fit.audience_settled * (len(watched) / (len(watched) + 15) - 0.6)
        terms = brain.ask(None).scores.terms[:, column]
        assert set(np.flatnonzero(terms).tolist()) == set(STEPS)
        for title, steps in STEPS.items():
            a = [step * scale for step, scale in zip(steps, BASIS.scale, strict=True)]
            odds = sum(x[i] * a[i] for i in range(12)) - sum(part * part for part in a) / 2
            assert terms[title] == pytest.approx(gain * odds, rel=1e-3, abs=1e-3)


def test_a_tv_in_another_space_has_no_place_on_the_map(open_brain: OpenBrain) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    brain.observe(ViewingEvent(content_id="heat-1995", watch_pct=0.9))
    trends.keep(store, a_pull())
    brain.adopt(BASIS)
    assert not brain._household.likeness.any()
    assert "trend" in {reason.kind for reason in brain.why(brain.catalog.titles[3].id).recommendation.reasons}


def test_an_audience_that_fits_is_named_as_a_reason(open_brain: OpenBrain) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store, embedder=Coding())
    brain.observe(ViewingEvent(content_id="heat-1995", watch_pct=0.9))
    trends.keep(store, a_pull())
    brain.adopt(BASIS)
    for title in STEPS:
        reasons = {one.kind: one for one in brain.why(brain.catalog.titles[title].id).recommendation.reasons}
        liked = reasons["audience"].weight > 0
        assert reasons["audience"].text == (
            "viewers of your taste enjoy it" if liked else "viewers of another taste enjoy it"
        )
