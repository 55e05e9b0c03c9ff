"""Simulated households: the same for a seed, events that any brain accepts, habits that show in what they watch."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.parsing import check_event
from omega.core.types import ContentType, DayType, TimeSlot, ViewingEvent, slot_at, time_and_day
from omega.fleet.households import PERSONAS, WEEKDAYS, WEEKEND, Household, Persona

if TYPE_CHECKING:
    from omega.core.catalog import Catalog

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
EACH = pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)


def weeks(persona: Persona, catalog: Catalog, seed: int = 1, days: int = 42) -> list[ViewingEvent]:
    household = Household(persona, catalog, seed)
    return [event for day in range(days) for event in household.day(MONDAY + timedelta(days=day))]


@EACH
def test_a_seed_decides_everything(persona: Persona, example: Catalog) -> None:
    first = weeks(persona, example, days=14)
    assert first == weeks(persona, example, days=14)
    other = weeks(persona, example, seed=2, days=14)
    assert [event.content_id for event in first] != [event.content_id for event in other]


def test_households_of_one_seed_differ(example: Catalog) -> None:
    first, second = Household(PERSONAS[0], example, 1), Household(PERSONAS[2], example, 1)
    assert first._random.random() != second._random.random()


@EACH
def test_every_event_is_valid_and_in_order_of_time(persona: Persona, example: Catalog) -> None:
    events = weeks(persona, example)
    assert len(events) > 60
    times = [event.at for event in events if event.at]
    assert times == sorted(times)
    assert len(times) == len(events)
    for event, at in zip(events, times, strict=True):
        assert check_event(event, now=at) == event
        title = example.get(event.content_id)
        assert title is not None
        assert (event.episode is not None) == (title.kind is ContentType.SERIES)


@EACH
def test_it_watches_in_its_contexts_alone_and_mostly_what_it_likes(persona: Persona, example: Catalog) -> None:
    household = Household(persona, example, 1)
    slots = Counter(slot_at(event.at) for event in weeks(persona, example) if event.at)
    assert set(slots) == {slot for habit in persona.habits for slot in habit.slots}
    for slot in slots:
        time, day = time_and_day(slot)
        appeal = household.appeal((WEEKEND if day is DayType.WEEKEND else WEEKDAYS)[0], time)
        assert ((appeal >= 0) & (appeal <= 1)).all()
        picked = [
            appeal[example.ordinals[e.content_id]] for e in weeks(persona, example) if e.at and slot_at(e.at) == slot
        ]
        assert np.mean(picked) > 1.5 * appeal.mean()


@EACH
def test_finished_titles_never_come_back_and_episodes_go_on(persona: Persona, example: Catalog) -> None:
    finished: set[str] = set()
    counts: dict[str, int] = {}
    went_on = 0
    for event in weeks(persona, example):
        title = example.titles[example.ordinals[event.content_id]]
        assert title.id not in finished
        if title.kind is not ContentType.SERIES:
            finished |= {title.id} if (event.watch_pct or 0) >= 0.9 else set()
            continue
        number = 8 * ((event.season or 1) - 1) + (event.episode or 1)
        assert number == counts.get(title.id, 0) + 1, (
            "the next one, or the same again when it wasn't watched to its end"
        )
        went_on += number > 1
        counts[title.id] = number - ((event.watch_pct or 0) < 0.9)
    assert went_on > 3


def test_an_hour_without_a_habit_has_the_mean_of_the_others(example: Catalog) -> None:
    household = Household(PERSONAS[0], example, 1)
    habits = PERSONAS[0].habits
    own = [household.appeal(habit.days[0], habit.time) for habit in habits]
    mean = np.average(own, axis=0, weights=[habit.per_day for habit in habits])
    assert np.allclose(household.appeal(2, TimeSlot.NIGHT), mean)
