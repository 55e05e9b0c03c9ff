"""Exploration: what is drawn comes as often as it says, stays for the day, and is logged in the episode alone."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.testing.contracts import random_units
from omega.core.types import DayType, TimeSlot, ViewContext, ViewingEvent
from omega.device import backup, exploring, ranking
from omega.device.ranking import TERMS, Weights
from omega.device.results import Mode
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from omega.core.ports import Floats
    from omega.core.testing.fakes import Clock
    from omega.device.ranking import Scores
    from tests.device.conftest import OpenBrain

DRAWS = 20_000
MORNING = ViewContext(time=TimeSlot.MORNING, day=DayType.WEEKDAY)
EVENING = ViewContext(time=TimeSlot.EVENING, day=DayType.WEEKDAY)


def test_propensities_are_nine_tenths_of_a_softmax_and_a_tenth_for_all() -> None:
    odds = exploring.propensities(np.log(np.array([6.0, 3.0, 1.0])))
    assert odds == pytest.approx([0.9 * 0.6 + 1 / 30, 0.9 * 0.3 + 1 / 30, 0.9 * 0.1 + 1 / 30])
    assert exploring.propensities(np.array([-1e9])) == pytest.approx([1.0])
    assert exploring.propensities(np.array([0.0, -1e9])) == pytest.approx([0.95, 0.05])


@pytest.mark.parametrize("place", [0, 18, 19])
def test_twenty_thousand_draws_come_as_often_as_stated(place: int) -> None:
    rows = np.array([3, 4, 500, 65_536, 65_537], np.int64)
    odds = exploring.propensities(np.array([2.0, 1.0, 0.0, -1.0, -4.0]))
    counts = np.zeros(len(rows))
    for day in range(DRAWS):
        seed = exploring.seed_of(b"a household", day)
        counts[exploring.draw(odds, exploring.chances(seed, place, rows))] += 1
    surprise = float(((counts - DRAWS * odds) ** 2 / (DRAWS * odds)).sum())
    assert surprise < 23.5, "chi-square of 4 degrees, p = .0001"


def test_draws_of_two_places_and_of_two_households_tell_nothing_of_each_other() -> None:
    rows = np.arange(4, dtype=np.int64)
    odds = np.full(4, 0.25)
    pairs = np.zeros((2, 4, 4))
    for day in range(DRAWS):
        seed, other = exploring.seed_of(b"one", day), exploring.seed_of(b"two", day)
        first = exploring.draw(odds, exploring.chances(seed, 18, rows))
        pairs[0, first, exploring.draw(odds, exploring.chances(seed, 19, rows))] += 1
        pairs[1, first, exploring.draw(odds, exploring.chances(other, 18, rows))] += 1
    expected = DRAWS / 16
    assert (((pairs - expected) ** 2 / expected).sum(axis=(1, 2)) < 44.3).all(), "chi-square of 15 degrees, p = .0001"


def scores_of(seed: int, n: int) -> Scores:
    terms = np.random.default_rng(seed).normal(size=(n, len(TERMS))).astype(np.float32)
    return ranking.Scores(terms, np.zeros((n, 10), np.float32), np.zeros((n, 0), np.float32), np.zeros(n, np.float32))


def literal(scores: Scores, vectors: Floats, above: list[int], row: int, strength: float) -> float:
    """Return the propensity of a row at its place, from the definition; pools of all titles alone."""
    quiet = scores.quiet.sum(axis=1)

    def odds(other: int) -> float:
        likest = max([0.0, *(float(strength * (vectors[up] @ vectors[other])) for up in above)])
        return math.exp(float(quiet[other]) - likest)

    left = [other for other in range(len(vectors)) if other not in above]
    return 0.9 * odds(row) / sum(map(odds, left)) + 0.1 / len(left)


@pytest.mark.parametrize("seed", range(20))
def test_the_last_places_are_drawn_and_say_their_propensity(seed: int) -> None:
    scores, vectors = scores_of(seed, 60), np.abs(random_units(60, seed=seed))
    weights = Weights(explore=0.2)
    places = ranking.places(scores, vectors, np.ones(60, bool), 20, weights, seed=seed)
    plain = ranking.places(scores, vectors, np.ones(60, bool), 20, Weights(explore=0))
    assert places[:16] == plain[:16]
    rows = [place.row for place in places]
    assert len(set(rows)) == 20
    for at, place in enumerate(places[16:], 16):
        assert place.propensity == pytest.approx(literal(scores, vectors, rows[:at], place.row, 0.5), rel=1e-4)
        assert place.quiet
    assert ranking.places(scores, vectors, np.ones(60, bool), 20, weights, seed=seed) == places
    assert all(place.propensity is None for place in plain)


def test_all_places_may_be_drawn_and_few_titles_are_enough() -> None:
    scores, vectors = scores_of(1, 5), random_units(5)
    places = ranking.places(scores, vectors, np.ones(5, bool), 20, Weights(explore=1.0), seed=9)
    assert sorted(place.row for place in places) == list(range(5))
    assert places == ranking.places(scores, vectors, np.ones(5, bool), 20, Weights(explore=1.0), seed=9)
    assert ranking.places(scores, vectors, np.zeros(5, bool), 20, Weights(explore=1.0)) == []


def test_lists_stay_for_a_day_and_a_restart_and_differ_between_days_and_households(
    open_brain: OpenBrain, clock: Clock
) -> None:
    store = MemoryDeviceStore()
    weights = Weights(explore=0.3)
    brain = open_brain(store, weights=weights)
    first = brain.recommend(EVENING)
    assert [one.propensity is not None for one in first] == [False] * 14 + [True] * 6
    assert brain.recommend(EVENING) == first
    assert open_brain(store, weights=weights).recommend(EVENING) == first
    others = [open_brain(weights=weights).recommend(EVENING) for _ in range(3)]
    assert len({tuple(one.content_id for one in found) for found in (first, *others)}) > 1
    clock.now += timedelta(days=1)
    assert [one.content_id for one in brain.recommend(EVENING)] != [one.content_id for one in first]


@pytest.mark.parametrize("seed", range(20))
def test_a_place_may_be_drawn_at_times_and_else_by_score_with_what_both_make_probable(seed: int) -> None:
    scores, vectors = scores_of(3, 60), np.abs(random_units(60, seed=3))
    places = ranking.places(scores, vectors, np.ones(60, bool), 20, Weights(explore=0.065), seed=seed)
    plain = ranking.places(scores, vectors, np.ones(60, bool), 20, Weights(explore=0))
    rows = [place.row for place in places]
    assert [place.propensity is None for place in places] == [True] * 18 + [False] * 2
    for at, share in ((18, 0.3), (19, 1.0)):
        drawn = literal(scores, vectors, rows[:at], rows[at], 0.5)
        by_score = at == 18 and rows[at] == plain[at].row
        assert places[at].propensity == pytest.approx(share * drawn + (1 - share) * by_score, rel=1e-4)


def test_every_second_list_ends_with_what_is_drawn() -> None:
    scores, vectors = scores_of(5, 300), random_units(300, seed=5)

    def last(day: int) -> int:
        seed = exploring.seed_of(b"one", day)
        return ranking.places(scores, vectors, np.ones(300, bool), 20, Weights(), seed=seed)[-1].row

    found = Counter(last(day) for day in range(400))
    by_score, times = found.most_common(1)[0]
    assert by_score == ranking.places(scores, vectors, np.ones(300, bool), 20, Weights(explore=0))[-1].row
    assert 160 <= times <= 250
    assert len(found) > 50


def test_few_places_of_a_long_list_are_drawn_and_none_of_a_short_one() -> None:
    assert exploring.shares(9, 1.0) == [0.0] * 9
    assert exploring.shares(10, 0.1) == [0.0] * 9 + [1.0]
    assert exploring.shares(700, 0.1) == [0.0] * 698 + [1.0, 1.0]


def test_where_nothing_is_drawn_json_tells_nothing_new(open_brain: OpenBrain) -> None:
    plain = [
        *open_brain(weights=Weights(explore=0)).recommend(EVENING),
        *open_brain(weights=Weights()).recommend(EVENING, 9),
    ]
    assert all(one.propensity is None for one in plain)
    assert b"propensity" not in msgspec.json.encode(plain)
    told = msgspec.json.decode(msgspec.json.encode(open_brain(weights=Weights(explore=0.1)).recommend(EVENING)))
    assert [set(one) >= {"propensity"} for one in told] == [False] * 18 + [True] * 2


def test_what_is_watched_keeps_its_propensity_in_the_episode(open_brain: OpenBrain, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store, weights=Weights(explore=0.3))
    listed = brain.recommend(EVENING)
    for title in (listed[0], listed[-1]):
        brain.observe(ViewingEvent(content_id=title.content_id, watch_pct=1.0))
    chosen, drawn = store.events()
    assert (chosen.offered, chosen.propensity) == (1, None)
    assert (drawn.offered, drawn.propensity) == (20, listed[-1].propensity)
    brain.observe(ViewingEvent(content_id=drawn.content_id, watch_pct=0.5, at=clock()))
    assert store.events()[1].propensity == listed[-1].propensity, "told again, it was drawn all the same"
    document = backup.parse(msgspec.json.encode(brain.export()))
    assert document.events == tuple(store.events())
    fields = set(itertools.chain.from_iterable(line.__struct_fields__ for line in store.ledger.waiting("s", 1, 9)))
    assert "propensity" not in fields, "it never waits to be shared"


def test_a_guest_is_drawn_for_too_and_nothing_of_it_is_kept(open_brain: OpenBrain) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store, weights=Weights(explore=0.1))
    brain.set_mode(Mode.GUEST)
    assert brain.recommend(MORNING)[-1].propensity
    assert brain.recommend(MORNING) == brain.recommend(MORNING)
