"""Contexts, pattern ids and success rates: values that stores and peers keep, so they must never change."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.types import (
    SLOTS,
    ContentType,
    DayType,
    PatternContext,
    TimeSlot,
    Title,
    ViewingPattern,
    pattern_id,
    slot_at,
    slot_of,
    success_rate,
    time_and_day,
)


@pytest.mark.parametrize(
    ("samples", "milli", "rate"), [(0, 0, 1 / 2), (1, 1000, 2 / 3), (1, 0, 1 / 3), (3, 1900, 0.58), (98, 98_000, 0.99)]
)
def test_a_success_rate_is_the_mean_of_its_beta_posterior(samples: int, milli: int, rate: float) -> None:
    assert success_rate(samples, milli) == pytest.approx(rate)


def test_a_pattern_tells_its_rate_and_slot() -> None:
    context = PatternContext(
        time_of_day=TimeSlot.EVENING, day_of_week=DayType.WEEKEND, content_type=ContentType.MOVIE, genre_hints=("war",)
    )
    pattern = ViewingPattern(
        id=1, content_id="heat-1995", context=context, sample_count=2, success_milli=1000, created_at=1, updated_at=2
    )
    assert pattern.success_rate == pytest.approx(0.5)
    assert pattern.context.slot == 5


@pytest.mark.parametrize(
    ("content_id", "slot", "expected"),
    [
        ("heat-1995", 4, 3_810_524_830_739_597_837),
        ("heat-1995", 5, 6_941_790_767_109_735_745),
        ("abc", 0, 3_007_172_540_599_071_527),
        ("Ünser Urlaub", 7, 306_125_457_850_672_389),
    ],
)
def test_pattern_ids_are_the_same_in_every_version(content_id: str, slot: int, expected: int) -> None:
    assert pattern_id(content_id, slot) == expected


def test_pattern_ids_are_distinct_and_fit_63_bits() -> None:
    ids = [pattern_id(f"title-{i}", slot) for i in range(10_000) for slot in range(SLOTS)]
    assert len(set(ids)) == len(ids) == 80_000
    assert 0 <= min(ids) < 2**56  # all 63 bits are in use,
    assert 2**62 < max(ids) < 2**63  # and no more


def test_a_slot_is_time_by_day() -> None:
    assert [slot_of(*time_and_day(slot)) for slot in range(SLOTS)] == list(range(8))
    assert time_and_day(0) == (TimeSlot.MORNING, DayType.WEEKDAY)
    assert slot_of(TimeSlot.NIGHT, DayType.WEEKEND) == 7


FRIDAY = datetime(2026, 1, 9)  # noqa: DTZ001  (a local time without a zone has a slot too)


@pytest.mark.parametrize(
    ("hour", "time"),
    [
        (0, "night"),
        (4, "night"),
        (5, "morning"),
        (11, "morning"),
        (12, "afternoon"),
        (16, "afternoon"),
        (17, "evening"),
        (21, "evening"),
        (22, "night"),
        (23, "night"),
    ],
)
def test_the_day_is_cut_at_5_12_17_and_22(hour: int, time: str) -> None:
    for minute in (0, 59):
        assert time_and_day(slot_at(FRIDAY.replace(hour=hour, minute=minute)))[0] == time


@pytest.mark.parametrize(
    ("days", "hour", "day"),
    [
        (0, 23, "weekday"),  # Friday's night
        (1, 2, "weekday"),  # still Friday's, on Saturday
        (1, 5, "weekend"),
        (2, 2, "weekend"),  # Saturday's night, on Sunday
        (2, 23, "weekend"),
        (3, 2, "weekend"),  # Sunday's night, on Monday
        (3, 4, "weekend"),
        (3, 5, "weekday"),
        (4, 2, "weekday"),
    ],
)
def test_the_hours_after_midnight_belong_to_the_evening_before(days: int, hour: int, day: str) -> None:
    assert time_and_day(slot_at(FRIDAY + timedelta(days=days, hours=hour)))[1] == day


@given(st.datetimes())
def test_every_moment_has_a_slot(moment: datetime) -> None:
    assert 0 <= slot_at(moment) < SLOTS


def test_what_is_embedded_for_a_title() -> None:
    heat = Title("heat-1995", "Heat", 1995, ContentType.MOVIE, ("crime", "drama", "thriller"), 170, 16)
    assert heat.text == "Heat. crime, drama, thriller movie"
    assert Title("x", "Ours", 0, ContentType.SERIES, (), 0, 0).text == "Ours. series"
