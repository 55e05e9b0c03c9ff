"""Taste: decays, log ratios and the mixture of contexts against arrays worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.types import SLOTS
from omega.device.taste import (
    COUNT_HALF_LIFE_EVENTS,
    STRANGER_SHARE,
    VECTOR_HALF_LIFE_EVENTS,
    Taste,
    companions,
    liking,
)

if TYPE_CHECKING:
    from omega.core.ports import Floats

EAST, NORTH = np.eye(2, dtype=np.float32)
Events = list[tuple[int, int, int]]


@pytest.mark.parametrize(("milli", "expected"), [(0, -0.5), (250, -0.5), (400, -0.2), (500, 0), (750, 0.5), (1000, 1)])
def test_liking_runs_from_given_up_to_watched_to_the_end(milli: int, expected: float) -> None:
    assert liking(milli) == pytest.approx(expected)


def watched(*events: tuple[int, int, int]) -> Taste:
    """Return the taste of (slot, milli, genre) events; genre 0 points east and is a movie, genre 1 north, a series."""
    taste = Taste(genre_count=2, dimensions=2)
    for slot, milli, genre in events:
        taste.add(slot, milli, (EAST, NORTH)[genre], np.eye(2, dtype=np.float32)[genre], genre, age=2 + genre)
    return taste


def shares(*of: float) -> Floats:
    return np.array(of, np.float32)


HALVES = shares(0.5, 0.5)
KINDS = shares(0.5, 0.3, 0.2)
AGES = shares(0.1, 0.1, 0.2, 0.2, 0.2, 0.2)
histories = st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(0, 1000), st.integers(0, 1)), max_size=60)
slots = st.integers(0, SLOTS - 1)


def test_the_first_event_counts_whole_and_in_its_context_alone() -> None:
    taste = watched((3, 1000, 0))
    for found, row in (
        (taste.slot_vectors, [1, 0]),
        (taste.slot_genres, [1, 0]),
        (taste.slot_kinds, [1, 0, 0]),
        (taste.slot_liked, 1),
    ):
        assert np.allclose(found[3], row)
        assert not np.delete(found, 3, axis=0).any()


def test_what_was_given_up_pushes_the_vector_away_and_counts_for_no_genre() -> None:
    taste = watched((0, 0, 1))
    assert np.allclose(taste.slot_vectors[0], [0, -0.5])
    assert not taste.slot_liked.any()
    assert not taste.slot_genres.any()
    assert not taste.slot_kinds.any()


def test_the_vector_halves_in_ten_events_of_its_context_and_the_counts_in_twenty_five() -> None:
    indifferent = [(0, 500, 1)] * 25
    assert (VECTOR_HALF_LIFE_EVENTS, COUNT_HALF_LIFE_EVENTS) == (10, 25)
    assert np.allclose(watched((0, 1000, 0), *indifferent[:10]).slot_vectors[0], [0.5, 0])
    taste = watched((0, 1000, 0), *indifferent)
    assert np.allclose(taste.slot_genres[0], [0.5, 0])
    assert np.allclose(taste.slot_kinds[0], [0.5, 0, 0])
    assert taste.slot_liked[0] == pytest.approx(0.5, abs=1e-5)
    elsewhere = watched((0, 1000, 0), *[(1, 500, 1)] * 25)
    assert np.allclose(elsewhere.slot_genres[0], [1, 0]), "a context decays with its own events alone"


def test_nothing_known_leans_nowhere() -> None:
    leanings = watched().leanings(2, shares(0.8, 0.2), KINDS, AGES)
    assert not leanings.vector.any()
    assert leanings.liked == 0
    for found in (leanings.genres, leanings.slot_genres, leanings.slot_kinds, leanings.ages):
        assert np.allclose(found, 0, atol=1e-6)


def test_genres_are_logs_against_the_catalogs_shares() -> None:
    """One liked event of genre 0, mixed with five average ones: (1 + 5 x .2) / 6 and (0 + 5 x .8) / 6."""
    leanings = watched((0, 1000, 0)).leanings(0, shares(0.2, 0.8), KINDS, AGES)
    assert np.allclose(leanings.genres, np.log([2 / 6 / 0.2, 4 / 6 / 0.8]), atol=1e-6)
    assert np.allclose(leanings.vector, EAST)
    assert leanings.liked == 1


def test_a_contexts_genres_are_logs_against_the_households_own_shares() -> None:
    """All liked is genre 0, so the household's shares are 2/6 and 4/6; its context has seen that one event as well."""
    taste = watched((0, 1000, 0))
    expected = np.log([(1 + 5 * 2 / 6) / 6 / (2 / 6), (5 * 4 / 6) / 6 / (4 / 6)])
    assert np.allclose(taste.leanings(0, shares(0.2, 0.8), KINDS, AGES).slot_genres, expected, atol=1e-6)
    assert np.allclose(taste.leanings(1, shares(0.2, 0.8), KINDS, AGES).slot_genres, 0, atol=1e-6)


def test_a_contexts_kinds_are_logs_against_all_contexts_kinds() -> None:
    """A movie in context 0, a series in context 1: half and half of all, mixed with five of the catalog's."""
    taste = watched((0, 1000, 0), (1, 1000, 1))
    own = np.array([1 + 2.5, 1 + 1.5, 1.0]) / 7
    expected = np.log([(1 + 5 * own[0]) / 6 / own[0], 5 / 6, 5 / 6])
    assert np.allclose(taste.leanings(0, HALVES, KINDS, AGES).slot_kinds, expected, atol=1e-6)


def test_ages_are_logs_against_the_catalogs_shares() -> None:
    """One liked title of the last ten years, mixed with five average ones; one of unknown age says nothing."""
    taste = Taste(genre_count=2, dimensions=2)
    taste.add(0, 1000, EAST, HALVES, 0, age=3)
    taste.add(0, 1000, EAST, HALVES, 0, age=None)
    decayed = 2 ** (-1 / 25)
    expected = [np.log((decayed * (age == 3) + 5 * AGES[age]) / (decayed + 5) / AGES[age]) for age in range(6)]
    assert np.allclose(taste.leanings(0, HALVES, KINDS, AGES).ages, expected, atol=1e-6)


def test_contexts_count_by_how_alike_their_shares_are() -> None:
    """Context 1 is the same, 2 has nothing in common, 3 half: likenesses 1, 0 and sqrt(.5), in e-folds of .2."""
    by_genre = np.array([[1, 0], [1, 0], [0, 1], [0.5, 0.5]], np.float32)
    found = companions(by_genre, np.ones((4, 1), np.float32), 0)
    near = 0.1 + 0.9 * np.exp((np.sqrt(0.5) - 1) / 0.2)
    assert np.allclose(found, [1, 1, 0.1 + 0.9 * np.exp(-5), near], atol=1e-6)
    other_kind = companions(by_genre, np.array([[1, 0], [0, 1], [1, 0], [1, 0]], np.float32), 0)
    assert np.allclose(other_kind[:2], [1, 0.1 + 0.9 * np.exp(-5)], atol=1e-6)


def test_a_mixture_is_the_sum_over_contexts_by_how_much_each_counts() -> None:
    """One viewer liked a movie of genre 0 in context 0, one a series of genre 1 in context 1; all is half and half.

    Each context's shares are (3.5, 2.5) / 6 either way around, and of kinds (3.5, 2.5, 1) / 7 of all mixed again.
    """
    leanings = watched((0, 1000, 0), (1, 1000, 1)).leanings(0, HALVES, KINDS, AGES)
    own = np.array([3.5, 2.5, 1]) / 7
    here, there = (5 * own + [1, 0, 0]) / 6, (5 * own + [0, 1, 0]) / 6
    alike = 2 * np.sqrt(3.5 * 2.5) / 6 * np.sqrt(here * there).sum()
    other = 0.1 + 0.9 * np.exp((alike - 1) / 0.2)
    assert np.allclose(leanings.vector, [1, other], atol=1e-5)
    expected = np.log([(1 + 2.5) / (6 + other) / 0.5, (other + 2.5) / (6 + other) / 0.5])
    assert np.allclose(leanings.genres, expected, atol=1e-5)


def test_two_who_watch_at_different_times_are_told_apart() -> None:
    taste = watched(*[(0, 1000, 0), (5, 1000, 1)] * 20)
    morning, evening = (taste.leanings(slot, HALVES, KINDS, AGES) for slot in (0, 5))
    assert morning.genres[0] > 0.3 > -0.3 > morning.genres[1]
    assert evening.genres[1] > 0.3 > -0.3 > evening.genres[0]
    assert morning.vector @ EAST > 2 * (morning.vector @ NORTH)
    assert evening.vector @ NORTH > 2 * (evening.vector @ EAST)
    unused = taste.leanings(3, HALVES, KINDS, AGES)
    assert np.allclose(unused.genres, 0, atol=0.02), "who never watched then is all of them"


def test_one_taste_at_all_times_is_one_sum() -> None:
    taste = watched(*[(slot, 1000, genre) for slot in range(SLOTS) for genre in (0, 0, 1)])
    liked = float(taste.slot_liked.sum())
    expected = np.log((taste.slot_genres.sum(axis=0) + 5 * HALVES) / (liked + 5) / HALVES)
    for slot in range(SLOTS):
        leanings = taste.leanings(slot, HALVES, KINDS, AGES)
        assert np.allclose(leanings.genres, expected, atol=1e-5)
        assert np.allclose(leanings.vector, taste.slot_vectors.sum(axis=0), atol=1e-5)
        assert np.allclose(leanings.slot_genres, 0, atol=0.15)


@given(histories, slots)
def test_a_context_counts_whole_for_itself_and_no_other_more(history: Events, slot: int) -> None:
    taste = watched(*history)
    by_genre = taste.slot_genres + 5 * HALVES
    counts = companions(by_genre, taste.slot_kinds + 5 * KINDS, slot)
    assert counts[slot] == pytest.approx(1, abs=1e-5)
    assert (counts <= 1 + 1e-5).all()
    assert (counts >= STRANGER_SHARE).all()
    mutual = [companions(by_genre, taste.slot_kinds + 5 * KINDS, other)[slot] for other in range(SLOTS)]
    assert np.allclose(mutual, counts, atol=1e-5), "likeness is mutual"


@given(histories, slots)
def test_a_mixture_lies_within_what_the_contexts_show(history: Events, slot: int) -> None:
    taste = watched(*history)
    found = np.exp(taste.leanings(slot, HALVES, KINDS, AGES).genres) * HALVES
    assert found.sum() == pytest.approx(1, abs=1e-4)
    seen = taste.slot_genres[taste.slot_liked > 0] / taste.slot_liked[taste.slot_liked > 0, None]
    low, high = np.vstack([seen, HALVES]).min(axis=0), np.vstack([seen, HALVES]).max(axis=0)
    assert ((found >= low - 1e-4) & (found <= high + 1e-4)).all()


@given(histories, slots)
def test_the_order_in_which_contexts_are_told_makes_no_difference(history: Events, slot: int) -> None:
    """So a replay context by context rebuilds what was learned event by event, to the bit."""
    live = watched(*history).leanings(slot, HALVES, KINDS, AGES)
    replayed = watched(*sorted(history, key=lambda event: event[0])).leanings(slot, HALVES, KINDS, AGES)
    assert np.array_equal(live.vector, replayed.vector)
    assert np.array_equal(live.genres, replayed.genres)
    assert np.array_equal(live.slot_genres, replayed.slot_genres)
    assert np.array_equal(live.slot_kinds, replayed.slot_kinds)
    assert np.array_equal(live.ages, replayed.ages)


def test_a_share_of_nothing_keeps_logs_finite() -> None:
    leanings = watched((0, 1000, 0)).leanings(0, shares(0, 1), shares(0, 0, 0), shares(*[0] * 6))
    for found in (leanings.genres, leanings.slot_genres, leanings.slot_kinds, leanings.ages):
        assert np.isfinite(found).all()
