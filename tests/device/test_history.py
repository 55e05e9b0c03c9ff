"""What is finished, what waits, and how long the wish to continue lasts."""

from __future__ import annotations

import numpy as np
import pytest

from omega.core.records import Watched
from omega.core.testing.watching import a_title, a_watch
from omega.core.types import ContentType
from omega.device.history import continues, is_finished, is_given_up, is_waiting, next_episode, resume

DAY_S = 86_400


@pytest.mark.parametrize(
    ("kind", "milli", "state"),
    [
        (ContentType.MOVIE, 1000, "finished"),
        (ContentType.MOVIE, 900, "finished"),
        (ContentType.DOCUMENTARY, 900, "finished"),
        (ContentType.MOVIE, 899, "waiting"),
        (ContentType.MOVIE, 300, "waiting"),
        (ContentType.MOVIE, 299, "given up"),
        (ContentType.SERIES, 1000, "waiting"),
        (ContentType.SERIES, 299, "given up"),
    ],
)
def test_credits_are_not_watched_and_a_series_has_a_next_episode(kind: ContentType, milli: int, state: str) -> None:
    title, watched = a_title(kind=kind), Watched.first(a_watch(milli=milli))
    assert is_finished(title, watched) == (state == "finished")
    assert is_waiting(title, watched) == (state == "waiting")
    assert is_given_up(title, watched) == (state == "given up")


@pytest.mark.parametrize(
    ("kind", "milli", "at", "state"),
    [
        (ContentType.MOVIE, 950, 50, "finished"),
        (ContentType.MOVIE, 100, 50, "waiting"),
        (ContentType.MOVIE, 100, 100, "given up"),
        (ContentType.MOVIE, 100, 150, "given up"),
        (ContentType.SERIES, 100, 50, "waiting"),
        (ContentType.SERIES, 100, 150, "given up"),
    ],
)
def test_an_event_that_comes_late_can_finish_a_title_but_not_undo_the_last_watch(
    kind: ContentType, milli: int, at: int, state: str
) -> None:
    title, watched = a_title(kind=kind), Watched.first(a_watch(at=100, milli=500)).after(a_watch(at=at, milli=milli))
    assert is_finished(title, watched) == (state == "finished")
    assert is_waiting(title, watched) == (state == "waiting")
    assert is_given_up(title, watched) == (state == "given up")


@pytest.mark.parametrize("milli", [0, 300, 1000])
def test_a_finished_movie_stays_finished_whatever_is_watched_later(milli: int) -> None:
    watched = Watched.first(a_watch(at=100, milli=900)).after(a_watch(at=200, milli=milli))
    assert is_finished(a_title(), watched)
    assert not is_waiting(a_title(), watched)


def test_the_wish_halves_in_two_weeks_and_is_less_in_another_context() -> None:
    now = 1_800_000_000.0
    left = np.array([now, now - 14 * DAY_S, now - 28 * DAY_S, now, now - 14 * DAY_S, -np.inf, now + 99])
    slots = np.array([4, 4, 4, 5, 5, 4, 4])
    assert np.allclose(resume(left, slots, now, 4), [1, 0.5, 0.25, 0.3, 0.15, 0, 1])


def seen(milli: int, season: int | None = 1, episode: int | None = 4) -> Watched:
    return Watched("dark-2017", 0, at=0, slot=0, watched_milli=milli, season=season, episode=episode, best_milli=milli)


@pytest.mark.parametrize(
    ("watched", "expected"),
    [(seen(950), (1, 5)), (seen(899), (1, 4)), (seen(950, None, 4), (None, 5)), (seen(950, None, None), (None, None))],
)
def test_a_series_goes_on_with_the_next_episode(watched: Watched, expected: tuple[int | None, int | None]) -> None:
    assert next_episode(watched) == expected


@pytest.mark.parametrize(
    ("season", "episode", "expected"), [(1, 5, True), (2, 1, True), (1, 4, False), (1, 3, False), (None, None, True)]
)
def test_a_later_episode_goes_on_with_what_was_left(season: int | None, episode: int | None, *, expected: bool) -> None:
    assert continues(a_title("dark-2017", ContentType.SERIES), seen(950), season, episode) == expected


def test_an_interrupted_movie_is_gone_on_with_and_a_finished_one_is_not() -> None:
    assert continues(a_title(), Watched.first(a_watch(milli=500)), None, None)
    assert not continues(a_title(), Watched.first(a_watch(milli=950)), None, None)
    assert not continues(a_title(), Watched.first(a_watch(milli=100)), None, None)
