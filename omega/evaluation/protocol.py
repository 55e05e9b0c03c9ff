"""What is asked, of whom, when: a log cut into days or weeks, each predicted from all that came before it.

daily    steps at 00:00 UTC; asked is who has 5 earlier titles or more, and watches something new to them that day
weekly   the same with steps on Sundays at 00:00 UTC, for the week that begins there
onboard  days again, but of viewers with at most 4 earlier titles, none included: a TV's first days

To be found is what somebody watches in the window of a step for the first time, be it known to anybody by then or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from omega.core.errors import InputError
from omega.evaluation.log import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from omega.evaluation.log import Log, Past

Protocol: TypeAlias = Literal["daily", "weekly", "onboard"]
PROTOCOLS = get_args(Protocol)
SETTLED = 5
"""Earlier titles that make a viewer one who is known."""
_FIRST_SUNDAY_S = 3 * DAY_S
"""1 January 1970 was a Thursday."""


@dataclass(frozen=True, slots=True)
class Step:
    """One moment at which lists are made, and what was watched until the next."""

    past: Past
    viewers: NDArray[np.int64]
    """(v,) who is asked, ascending."""
    rows: NDArray[np.int64]
    """(h,) for each title to be found, whose it is: a place in `viewers`."""
    titles: NDArray[np.int64]
    """(h,) the titles to be found."""

    @property
    def at_s(self) -> int:
        """When it is."""
        return self.past.at_s

    @property
    def wanted(self) -> NDArray[np.int64]:
        """(v,): how many titles are to be found for each viewer."""
        return np.bincount(self.rows, minlength=len(self.viewers))


def moments(log: Log, protocol: Protocol, start: date | None = None, end: date | None = None) -> list[int]:
    """Return the steps' Unix seconds from a date on and before another, by default the log's first and last."""
    length_s, phase_s = (7 * DAY_S, _FIRST_SUNDAY_S) if protocol == "weekly" else (DAY_S, 0)
    first_s = midnight_s(start) if start else int(log.times_s[0])
    last_s = min(int(log.times_s[-1]), midnight_s(end) - 1 if end else int(log.times_s[-1]))
    first = -(-(first_s - phase_s) // length_s)
    return [phase_s + at * length_s for at in range(first, (last_s - phase_s) // length_s + 1)]


def window_s(protocol: Protocol) -> int:
    """Return how long a step lasts."""
    return 7 * DAY_S if protocol == "weekly" else DAY_S


def midnight_s(day: date) -> int:
    """Return the Unix seconds at which a UTC day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def steps(log: Log, protocol: Protocol, at: list[int]) -> Iterator[Step]:
    """Give the steps at these moments, those at which nobody is asked left out."""
    for at_s in at:
        step = step_at(log, protocol, at_s)
        if len(step.viewers):
            yield step


def step_at(log: Log, protocol: Protocol, at_s: int) -> Step:
    """Return the step of one moment; nobody may be asked at it."""
    past, window = log.before(at_s), log.between(at_s, at_s + window_s(protocol))
    known = past.lengths[log.viewers[window]] >= SETTLED
    asked = ~known if protocol == "onboard" else known
    viewers, rows = np.unique(log.viewers[window][asked], return_inverse=True)
    return Step(past, viewers, rows, log.watched[window][asked])


def scored_from(log: Log, protocol: Protocol, start: date | None) -> date:
    """Return the day from which steps are judged, by default after two thirds of the log's time; raises InputError."""
    first, last = (datetime.fromtimestamp(int(at), UTC).date() for at in (log.times_s[0], log.times_s[-1]))
    chosen = start or first + (last - first) * 2 // 3
    if not first < chosen <= last or not moments(log, protocol, chosen):
        raise InputError(f"--score-from is {chosen}, allowed: a day after {first} with a step before the end of {last}")
    return chosen
