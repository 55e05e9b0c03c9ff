"""What a day adds to its slot, by hand; the term of a title and its shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from msgspec.structs import replace

from omega.device.memory.lifts import SumArrays, lifts, skill_shares, skill_term
from tests.device.memory.memories import FRIDAY, WEEK, an_episode, episode_lists, rebuild

if TYPE_CHECKING:
    from datetime import datetime

    from omega.core.ports import Floats
    from omega.device.memory.episodes import Episode

THRILLER = "genre:thriller", "kind:movie"
COMEDY = "genre:comedy", "kind:movie"
NAMES = ("Thriller", "comedy", "thriller")


def seen(facets: tuple[str, ...], day: int = 4, time: int = 2, milli: int = 1000) -> Episode:
    """Return an episode of this week, undecayed whatever its day is."""
    return replace(an_episode(facets=facets, milli=milli), day=day, time=time)


def lifted(episodes: list[Episode], day: int = 4, time: int = 2, moment: datetime = FRIDAY) -> Floats:
    return lifts(SumArrays.of(rebuild(episodes), NAMES), day, time, moment.timestamp())


def test_lifts_are_logs_of_a_days_share_against_its_slots() -> None:
    """Friday two thrillers, Thursday two comedies, all evenings: each is half of the slot, and (2 + 1) / (2 + 2) today.

    Movies are three of four: of those on Friday half are, (1 + 1.5) / 4. The series' share was one of four. Of what was
    never watched only the prior's half is left.
    """
    fridays = [seen(THRILLER), seen(("genre:thriller", "kind:series"))]
    thursdays = [seen(COMEDY, day=3)] * 2
    found = lifted(fridays + thursdays)
    thriller, comedy = np.log([(2 + 1) / 4 / 0.5, (0 + 1) / 4 / 0.5])
    movie, series = np.log([(1 + 1.5) / 4 / 0.75, (1 + 0.5) / 4 / 0.25])
    assert found.dtype == np.float32
    assert np.allclose(found, [thriller, comedy, thriller, movie, series, np.log(0.5)], atol=1e-6)


def test_a_slots_share_is_mixed_with_that_of_all_times() -> None:
    """Friday evening one thriller, Thursday evening and two mornings one comedy each.

    All times: 1/4 thrillers. The slot: (1 + 2/4) / (2 + 2) = 3/8. Friday: (1 + 3/4) / (1 + 2) = 7/12.
    """
    evenings = [seen(THRILLER), seen(COMEDY, day=3)]
    found = lifted([*evenings, seen(COMEDY, time=0), seen(COMEDY, time=0)])
    assert found[0] == pytest.approx(np.log(7 / 12 / (3 / 8)))
    assert found[1] == pytest.approx(np.log((0 + 2 * 5 / 8) / 3 / (5 / 8)))
    assert found[3] == pytest.approx(0), "all are movies"


def test_a_success_of_four_weeks_ago_counts_half() -> None:
    then = [an_episode(FRIDAY - 4 * WEEK, facets=THRILLER)]
    found = lifted([*then, seen(COMEDY, day=3)])
    share = (0.5 + 2 / 3) / (1.5 + 2)
    assert found[0] == pytest.approx(np.log((0.5 + 2 * share) / (0.5 + 2) / share))


def test_what_is_given_up_says_nothing_of_a_day() -> None:
    assert not lifted([seen(THRILLER, milli=0)] * 3).any()


def test_a_day_says_something_of_its_own_time_alone_and_any_weekday_nothing() -> None:
    evenings = [seen(THRILLER), seen(COMEDY, day=3)]
    assert lifted(evenings)[0] > 0.2
    assert lifted(evenings, day=3)[0] < -0.2
    for day, time in ((7, 2), (4, 0), (1, 2), (5, 2), (8, 2)):
        assert np.allclose(lifted(evenings, day, time), 0, atol=1e-6)


@given(episode_lists())
def test_lifts_are_finite_and_none_without_episodes(episodes: list[Episode]) -> None:
    assert np.isfinite(lifted(episodes)).all()
    assert not lifted([]).any()


def test_the_term_is_the_sum_of_its_shares() -> None:
    lift = np.array([0.6, -0.4, 0.2, 0.5, -0.1], np.float32)
    genres, kinds = np.array([[1, 0], [0.5, 0.5]], np.float32), np.array([0, 1])
    assert np.allclose(skill_term(lift, genres, kinds), [0.6 + 1.67 * 0.2, 0.1 + 1.67 * 0.5])
    assert np.allclose(skill_shares(lift, genres[1], 1), [0.3, -0.2, 0, 1.67 * 0.5, 0])
    for row, kind in enumerate(kinds):
        assert skill_shares(lift, genres[row], kind).sum() == pytest.approx(skill_term(lift, genres, kinds)[row])
