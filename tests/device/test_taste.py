"""Taste: decays and log ratios against arrays worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.device.taste import COUNT_HALF_LIFE_EVENTS, VECTOR_HALF_LIFE_EVENTS, Taste, liking

if TYPE_CHECKING:
    from omega.core.ports import Floats

EAST, NORTH = np.eye(2, dtype=np.float32)


@pytest.mark.parametrize(("milli", "expected"), [(0, -0.5), (250, -0.5), (400, -0.2), (500, 0), (750, 0.5), (1000, 1)])
def test_liking_runs_from_given_up_to_watched_to_the_end(milli: int, expected: float) -> None:
    assert liking(milli) == pytest.approx(expected)


def watched(*events: tuple[int, int, int]) -> Taste:
    """Return the taste of (slot, milli, genre) events; genre 0 points east and is a movie, genre 1 north, a series."""
    taste = Taste(genre_count=2, dimensions=2)
    for slot, milli, genre in events:
        taste.add(milli, (EAST, NORTH)[genre], np.eye(2, dtype=np.float32)[genre])
        taste.add_in(slot, milli, np.eye(2, dtype=np.float32)[genre], genre)
    return taste


def test_the_first_event_counts_whole() -> None:
    taste = watched((3, 1000, 0))
    assert np.allclose(taste.vector, [1, 0])
    assert taste.liked == 1
    assert np.allclose(taste.genres, [1, 0])
    assert np.allclose(taste.slot_liked, [0, 0, 0, 1, 0, 0, 0, 0])
    assert np.allclose(taste.slot_genres[3], [1, 0])
    assert np.allclose(taste.slot_kinds[3], [1, 0, 0])


def test_what_was_given_up_pushes_the_vector_away_and_counts_for_no_genre() -> None:
    taste = watched((0, 0, 1))
    assert np.allclose(taste.vector, [0, -0.5])
    assert taste.liked == 0
    assert not taste.genres.any()
    assert not taste.slot_kinds.any()


def test_the_vector_halves_in_fifteen_events_and_the_counts_in_forty() -> None:
    indifferent = [(1, 500, 1)] * 40
    assert (VECTOR_HALF_LIFE_EVENTS, COUNT_HALF_LIFE_EVENTS) == (15, 40)
    assert np.allclose(watched((0, 1000, 0), *indifferent[:15]).vector, [0.5, 0])
    taste = watched((0, 1000, 0), *indifferent)
    assert taste.liked == pytest.approx(0.5, abs=1e-5)
    assert np.allclose(taste.genres, [0.5, 0])
    assert np.allclose(taste.slot_genres[0], [1, 0]), "a context decays with its own events alone"
    same = watched((0, 1000, 0), *[(0, 500, 1)] * 40)
    assert np.allclose(same.slot_genres[0], [0.5, 0])
    assert np.allclose(same.slot_kinds[0], [0.5, 0, 0])
    assert same.slot_liked[0] == pytest.approx(0.5, abs=1e-5)


def shares(*of: float) -> Floats:
    return np.array(of, np.float32)


KINDS = shares(0.5, 0.3, 0.2)


def test_nothing_known_leans_nowhere() -> None:
    leanings = watched().leanings(2, shares(0.8, 0.2), KINDS)
    assert not leanings.vector.any()
    for found in (leanings.genres, leanings.slot_genres, leanings.slot_kinds):
        assert np.allclose(found, 0, atol=1e-6)


def test_genres_are_logs_against_the_catalogs_shares() -> None:
    """One liked event of genre 0, mixed with five average ones: (1 + 5 x .2) / 6 and (0 + 5 x .8) / 6."""
    leanings = watched((0, 1000, 0)).leanings(5, shares(0.2, 0.8), KINDS)
    assert np.allclose(leanings.genres, np.log([2 / 6 / 0.2, 4 / 6 / 0.8]), atol=1e-6)
    assert np.allclose(leanings.vector, EAST)


def test_a_contexts_genres_are_logs_against_the_households_own_shares() -> None:
    """All liked is genre 0, so the household's shares are 2/6 and 4/6; its context has seen that one event as well."""
    taste = watched((0, 1000, 0))
    expected = np.log([(1 + 5 * 2 / 6) / 6 / (2 / 6), (5 * 4 / 6) / 6 / (4 / 6)])
    assert np.allclose(taste.leanings(0, shares(0.2, 0.8), KINDS).slot_genres, expected, atol=1e-6)
    assert np.allclose(taste.leanings(1, shares(0.2, 0.8), KINDS).slot_genres, 0, atol=1e-6)


def test_a_contexts_kinds_are_logs_against_all_contexts_kinds() -> None:
    """A movie in context 0, a series in context 1: half and half of all, mixed with five of the catalog's."""
    taste = watched((0, 1000, 0), (1, 1000, 1))
    own = np.array([1 + 2.5, 1 + 1.5, 1.0]) / 7
    expected = np.log([(1 + 5 * own[0]) / 6 / own[0], 5 / 6, 5 / 6])
    assert np.allclose(taste.leanings(0, shares(0.5, 0.5), KINDS).slot_kinds, expected, atol=1e-6)


def test_a_share_of_nothing_keeps_logs_finite() -> None:
    leanings = watched((0, 1000, 0)).leanings(0, shares(0, 1), shares(0, 0, 0))
    for found in (leanings.genres, leanings.slot_genres, leanings.slot_kinds):
        assert np.isfinite(found).all()
