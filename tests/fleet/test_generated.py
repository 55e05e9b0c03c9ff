"""Households drawn by lot: plausible, the same for a seed, and of a mind that shows in what they do."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from omega.core.catalog import Catalog
from omega.core.parsing import check_event
from omega.core.types import ContentType, TimeSlot, Title, ViewingEvent
from omega.fleet.generated import GENRES, generated
from omega.fleet.households import GUESTS, Habit, Household, Person, Persona

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SEEDS = range(1, 41)


def watched(household: Household, weeks: int) -> list[ViewingEvent]:
    return [event for day in range(7 * weeks) for event in household.day(MONDAY + timedelta(days=day))]


def test_a_seed_decides_the_household() -> None:
    assert generated(3) == generated(3)
    assert len({repr(generated(seed)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_household_is_plausible(seed: int) -> None:
    persona = generated(seed)
    assert 1 <= len(persona.persons) <= 4
    assert persona.persons[0].oldest_age >= 18
    assert 3 <= sum(habit.per_day * len(habit.days) for habit in persona.habits) <= 30
    for habit in persona.habits:
        assert habit.days == tuple(sorted(set(habit.days)))
        assert set(habit.days) <= set(range(7))
        assert set(habit.who) <= set(range(len(persona.persons)))
    for person in persona.persons:
        assert set(person.genres) == set(GENRES)
        assert all(0 <= liking <= 1 for liking in person.kinds.values())


def test_households_are_of_many_sorts() -> None:
    personas = [generated(seed) for seed in range(200)]
    assert {len(persona.persons) for persona in personas} == {1, 2, 3, 4}
    lives = Counter(word for persona in personas for word in persona.about.split(", "))
    assert set(lives) == {"worker", "shift worker", "pensioner", "child up to 6", "child up to 12"}
    evenings = [habit for p in personas for habit in p.habits if len(habit.days) == 1 and 1.0 in habit.genres.values()]
    fridays_to_sundays = sum(habit.days[0] >= 4 for habit in evenings)
    assert fridays_to_sundays / len(evenings) == pytest.approx(0.68, abs=0.07)


@pytest.mark.parametrize("seed", range(1, 5))
def test_its_events_are_valid_and_come_at_its_hours(seed: int, example: Catalog) -> None:
    household = Household(generated(seed), example, seed)
    events = watched(household, 6)
    times = [event.at for event in events if event.at]
    assert times == sorted(times)
    assert len(times) == len(events) > 15
    for event, at in zip(events, times, strict=True):
        assert check_event(event, now=at) == event
        assert any(at.weekday() in habit.days for habit in household.persona.habits)
    assert events == watched(Household(generated(seed), example, seed), 6)


def test_a_weekday_has_a_taste_of_its_own(example: Catalog) -> None:
    film_night = Habit(TimeSlot.EVENING, (4,), 1, {"thriller": 1}, {ContentType.MOVIE: 1})
    sunday = Habit(TimeSlot.EVENING, (6,), 1, {"nature": 1}, {ContentType.DOCUMENTARY: 1})
    household = Household(Persona("two nights", "one adult", (film_night, sunday)), example, 1)
    best = [example.titles[household.appeal(day, TimeSlot.EVENING).argmax()] for day in (4, 6)]
    assert (best[0].kind, best[1].kind) == (ContentType.MOVIE, ContentType.DOCUMENTARY)
    assert "thriller" in best[0].genres
    assert "nature" in best[1].genres


def test_two_before_one_tv_like_what_both_like_and_nothing_too_old_for_the_younger(example: Catalog) -> None:
    everything = dict.fromkeys(ContentType, 1.0)
    persons = (Person({"horror": 1, "comedy": 0.5}), Person({"comedy": 1}, oldest_age=6))
    evening = {"genres": {}, "kinds": everything, "per_day": 1.0}
    alone = Habit(TimeSlot.NIGHT, (4,), who=(0,), **evening)  # type: ignore[arg-type]
    both = Habit(TimeSlot.EVENING, (4,), who=(0, 1), **evening)  # type: ignore[arg-type]
    household = Household(Persona("two", "two", (alone, both), persons), example, 1)
    old = np.array([title.age > 6 for title in example])
    together, by_oneself = household.appeal(4, TimeSlot.EVENING), household.appeal(4, TimeSlot.NIGHT)
    assert (together[old] == 0).all()
    assert by_oneself[old].mean() > 0.3
    comedy = np.array(["comedy" in title.genres for title in example]) & ~old
    assert together[comedy].mean() > together[~comedy & ~old].mean() + 0.1


def one_title(kind: ContentType, liked: float) -> Household:
    """Return a household in a world of two titles, of which it knows one sort alone."""
    titles = [Title(f"title-{n}", f"Title {n}", 2000, kind, ("drama",), 100, 0) for n in range(2)]
    habit = Habit(TimeSlot.EVENING, (0, 1, 2, 3, 4, 5, 6), 1.0, {"drama": liked}, {kind: 1.0})
    return Household(Persona("lone", "one adult", (habit,)), Catalog.build(titles), 1)


def test_what_is_liked_goes_on_and_what_is_not_is_given_up() -> None:
    loved = [event.watch_pct or 0 for event in watched(one_title(ContentType.SERIES, 1.0), 20)]
    disliked = [event.watch_pct or 0 for event in watched(one_title(ContentType.SERIES, -0.7), 20)]
    assert np.mean([share >= 0.9 for share in loved]) > 0.85
    assert np.mean([share <= 0.3 for share in disliked]) > 0.5


@pytest.mark.parametrize("liked", [1.0, -1.0])
def test_when_everything_is_finished_it_is_watched_again(liked: float) -> None:
    household = one_title(ContentType.MOVIE, liked)
    events = watched(household, 30)
    finished = Counter(event.content_id for event in events if (event.watch_pct or 0) >= 0.9)
    assert household.finished.all()
    assert min(finished.values()) > 1


def test_the_next_episode_is_wanted_more_than_a_first_and_what_was_given_up_less() -> None:
    household = one_title(ContentType.SERIES, 0.3)
    first = household.appeal(0, TimeSlot.EVENING)
    at = np.ones(2)
    for event in watched(household, 1):
        at[household.row(event.content_id)] = event.watch_pct or 0
    later = household.appeal(0, TimeSlot.EVENING)
    assert (at < 1).any()
    for row in np.flatnonzero(at < 1):
        assert household.given_up[row] == (at[row] <= 0.3)
        assert (later[row] < first[row]) if household.given_up[row] else (later[row] > first[row])


def test_tastes_drift_over_months_and_guests_watch_what_nobody_would(example: Catalog) -> None:
    persona = generated(1)
    household = Household(persona, example, 1)
    day, time = persona.sittings[0]
    likes = [household.appeal(day, time)]
    events = []
    for weeks in (1, 51):
        events += watched(household, weeks)
        likes.append(household.appeal(day, time))
    week, year = (float(np.corrcoef(likes[0], later)[0, 1]) for later in likes[1:])
    assert 0.5 < year < week < 1
    alien = [
        event
        for event in events
        if (event.watch_pct or 0) >= 0.9 and (likes[0] + likes[-1])[household.row(event.content_id)] == 0
    ]
    assert 0 < len(alien) <= 3 * GUESTS * len(events)
