"""When something is watched, finer than the eight contexts of a pattern: the day of the week and the time of day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from omega.core.types import DayType, TimeSlot, slot_at, time_and_day

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole: TypeAlias = int | NDArray[np.int64]

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "weekday", "weekend")
"""A day's number is its place: 0..6 a day of the week, 7 any day from Monday to Friday, 8 either of the weekend."""
ANY_WEEKDAY, ANY_WEEKEND = 7, 8
TIMES = tuple(TimeSlot)
"""A time's number is its place."""
ANOTHER_DAY, ANOTHER_DAY_TYPE, NEXT_TIME = 0.2, 0.1, 0.1
"""What of a habit is left on another day of the same type, of the other type, at the time before or after."""
_DAY_BEGINS = timedelta(hours=5)


def any_day(day: int) -> int:
    """Return the type of a day, as a day's number: 7 for weekdays, 8 for the weekend."""
    return ANY_WEEKEND if day in (5, 6, ANY_WEEKEND) else ANY_WEEKDAY


def night_day(moment: datetime) -> datetime:
    """Return a local time moved to the day that it belongs to: the night until 5 belongs to the evening before."""
    return moment - _DAY_BEGINS


def day_and_time(moment: datetime) -> tuple[int, int]:
    """Return the day, 0..6, and the time, 0..3, of a local time; both agree with `slot_at`."""
    time, _ = time_and_day(slot_at(moment))
    return night_day(moment).weekday(), TIMES.index(time)


def asked_context(slot: int, now: datetime) -> tuple[int, int]:
    """Return day and time of a question: today if the slot is of today's type, else any day of the slot's."""
    time, day_type = time_and_day(slot)
    today, _ = day_and_time(now)
    asked = ANY_WEEKEND if day_type is DayType.WEEKEND else ANY_WEEKDAY
    return today if any_day(today) == asked else asked, TIMES.index(time)


def similarity(day: Whole, time: Whole, asked_day: int, asked_time: int) -> NDArray[np.float64]:
    """Return 0..1, how much what happened in contexts (n,) or in one says of the asked one: by day x by time.

    By day 1 for the same and for a day and its type, .2 for another day of that type, .1 else; by time 1 for the same,
    .1 for the one before or after within a day, 0 else.
    """
    found: NDArray[np.float64] = np.asarray(_BY_DAY[day, asked_day] * _BY_TIME[time, asked_time])
    return found


def _by_day(day: int, asked: int) -> float:
    if day in (asked, any_day(asked)) or asked == any_day(day):
        return 1.0
    return ANOTHER_DAY if any_day(day) == any_day(asked) else ANOTHER_DAY_TYPE


_BY_DAY = np.array([[_by_day(day, asked) for asked in range(len(DAYS))] for day in range(len(DAYS))])
_BY_TIME = np.array([[(1.0, NEXT_TIME, 0.0, 0.0)[abs(a - b)] for b in range(len(TIMES))] for a in range(len(TIMES))])
