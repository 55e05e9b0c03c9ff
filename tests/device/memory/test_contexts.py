"""Days and times agree with the contexts of patterns, and how alike two of them are."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.types import slot_at
from omega.device.memory.contexts import DAYS, any_day, asked_context, day_and_time, similarity


@given(st.datetimes())
def test_day_and_time_agree_with_the_slot(moment: datetime) -> None:
    day, time = day_and_time(moment.replace(year=2026, day=min(moment.day, 28)))
    assert slot_at(moment.replace(year=2026, day=min(moment.day, 28))) == 2 * time + (any_day(day) == 8)


def test_the_night_belongs_to_the_evening_before() -> None:
    assert day_and_time(datetime(2026, 3, 7, 4, 59, tzinfo=UTC)) == (4, 3)
    assert day_and_time(datetime(2026, 3, 7, 5, tzinfo=UTC)) == (5, 0)


def test_a_question_about_today_is_of_its_day_and_any_other_of_any_day() -> None:
    friday = datetime(2026, 3, 6, 20, tzinfo=UTC)
    assert asked_context(4, friday) == (4, 2)
    assert asked_context(0, friday) == (4, 0)
    assert asked_context(5, friday) == (8, 2)
    assert asked_context(4, friday.replace(day=8)) == (7, 2)


@pytest.mark.parametrize(
    ("day", "time", "expected"),
    [
        (4, 2, 1),  # Friday evenings
        (7, 2, 1),  # weekday evenings
        (3, 2, 0.2),
        (5, 2, 0.1),
        (8, 2, 0.1),
        (4, 3, 0.1),
        (4, 1, 0.1),
        (4, 0, 0),
        (6, 3, 0.01),
    ],
)
def test_a_friday_evening_is_like_other_times_by_day_and_by_hour(day: int, time: int, expected: float) -> None:
    assert similarity(day, time, 4, 2) == pytest.approx(expected)


def test_similarity_takes_arrays_and_is_one_with_itself() -> None:
    days = np.arange(len(DAYS))
    assert all(similarity(day, time, day, time) == 1 for day in range(len(DAYS)) for time in range(4))
    assert np.allclose(similarity(days, np.zeros(9, np.int64), 7, 0), [1] * 5 + [0.1] * 2 + [1, 0.1])
