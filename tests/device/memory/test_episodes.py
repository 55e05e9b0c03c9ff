"""Reward, engagement and critique at their edges; recall and what was given up against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.records import reward
from omega.core.testing.watching import a_title
from omega.device.memory.episodes import (
    HALF_LIFE_S,
    Critique,
    critique,
    engagement,
    facets_of,
    genre_facet,
    given_up,
    recall,
)
from tests.device.memory.memories import an_episode

NOW = 1_800_000_000
MILLI = st.integers(0, 1000)


@pytest.mark.parametrize(
    ("milli", "expected"),
    [
        (1000, Critique.FINISHED),
        (900, Critique.FINISHED),
        (899, Critique.ENJOYED),
        (700, Critique.ENJOYED),
        (699, Critique.LUKEWARM),
        (300, Critique.LUKEWARM),
        (299, Critique.GIVEN_UP),
        (0, Critique.GIVEN_UP),
    ],
)
def test_the_critique_has_four_bands(milli: int, expected: Critique) -> None:
    assert critique(milli) is expected


def test_signs_of_engagement_stand_above_the_watched_share_and_a_word_above_all() -> None:
    assert engagement(400) == 400
    assert engagement(400, offered=True) == 1000
    assert engagement(400, continued=True) == 1000
    assert engagement(400, liked=True) == 1000
    assert engagement(400, liked=False, offered=True, continued=True) == 0


def test_reward_is_seven_parts_watched_and_three_engagement() -> None:
    assert reward(500, 1000) == 0.65
    assert reward(1000, 0) == 0.7
    assert an_episode(milli=640).reward == 0.64


@given(MILLI, MILLI)
def test_the_reward_of_a_plain_event_is_its_share_and_more_engagement_is_never_less(milli: int, wanted: int) -> None:
    assert reward(milli, engagement(milli)) == reward(milli) == milli / 1000
    assert 0 <= reward(milli, 0) <= reward(milli, wanted) <= reward(milli, 1000) <= 1


def test_a_genre_is_the_same_however_it_is_written() -> None:
    assert {genre_facet(genre) for genre in ("Sci-Fi", "sci_fi", " SCI  fi", "\uff33ci-fi")} == {"genre:sci fi"}
    assert genre_facet("sci-fi") != genre_facet("science")
    assert facets_of(a_title()) == (*(genre_facet(g) for g in a_title().genres), f"kind:{a_title().kind}")


def recalled(
    similarity: list[float], age_days: list[int], rewards: list[float], allowed: list[bool], k: int
) -> list[int]:
    at = NOW - 86_400 * np.array(age_days, np.int64)
    return list(recall(np.array(similarity), at, np.array(rewards), np.array(allowed, bool), NOW, k))


def test_recall_weighs_similarity_recency_and_how_clear_the_outcome_was() -> None:
    """Values: 1 x 1 x .4, 1 x 1/2 x 1, .3 x 1 x 1, and nothing for a half-watched or a foreign one."""
    similarity, ages, rewards = [1, 1, 0.3, 1, 0], [0, 60, 0, 0, 0], [0.7, 1, 0, 0.5, 1]
    assert recalled(similarity, ages, rewards, [True] * 5, 5) == [1, 0, 2]
    assert recalled(similarity, ages, rewards, [True, False, True, True, True], 1) == [0]


def test_of_equal_episodes_the_later_is_recalled() -> None:
    assert recalled([1, 1], [0, -3], [1, 1], [True, True], 1) == [1]


def test_nothing_is_recalled_from_nothing() -> None:
    assert recalled([], [], [], [], 3) == []


def test_what_was_given_up_counts_against_itself_half_as_much_after_two_months() -> None:
    at = np.array([NOW, NOW - HALF_LIFE_S, NOW - 2 * HALF_LIFE_S, -np.inf, NOW + 9])
    assert np.allclose(given_up(at, NOW), [-1, -0.5, -0.25, 0, -1])
    assert given_up(at, NOW).dtype == np.float32
