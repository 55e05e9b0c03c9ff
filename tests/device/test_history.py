"""What is finished, what waits, and how long the wish to continue lasts."""

from __future__ import annotations

import numpy as np
import pytest

from omega.core.ports import Watched
from omega.core.testing.contracts import a_title, a_watch
from omega.core.types import ContentType
from omega.device.history import is_finished, is_waiting, resume

DAY_S = 86_400


@pytest.mark.parametrize(
    ("kind", "milli", "state"),
    [
        (ContentType.MOVIE, 1000, "finished"),
        (ContentType.MOVIE, 900, "finished"),
        (ContentType.DOCUMENTARY, 900, "finished"),
        (ContentType.MOVIE, 899, "waiting"),
        (ContentType.MOVIE, 200, "waiting"),
        (ContentType.MOVIE, 199, "given up"),
        (ContentType.SERIES, 1000, "waiting"),
        (ContentType.SERIES, 199, "given up"),
    ],
)
def test_credits_are_not_watched_and_a_series_has_a_next_episode(kind: ContentType, milli: int, state: str) -> None:
    title, watched = a_title(kind=kind), Watched.first(a_watch(milli=milli))
    assert is_finished(title, watched) == (state == "finished")
    assert is_waiting(title, watched) == (state == "waiting")


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
