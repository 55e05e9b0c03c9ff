"""When to sync next: a sum of rules on two clocks, which asks for no time and waits for nothing.

Retry and breaker libraries (stamina, pybreaker) sleep and read the clock by themselves, so that a week of a TV's life
couldn't be played in milliseconds; what is needed of them are the few lines of `failed`.

- Every 10 minutes, half a turn sooner or later, so that no two TVs keep step. The shard's own wish comes first: never
  sooner than it asks, and at most a quarter later.
- While nothing changes on either side, half as long again each time, up to an hour; a watch brings the turn back.
- After a failure, full jitter (Brooker, "Exponential backoff and jitter", 2015): a time drawn from 0 to 15 s, to 30 s,
  to 60 s and so on. After 5 in a row the circuit is open: one probe after 15 to 30 minutes, then after twice that, up
  to an hour or two; the first that succeeds closes it. What can't get better by itself opens it at once.
- The monotonic clock stands still in a TV that sleeps, the wall clock jumps when it is set. What is due by either is
  due; after a sleep or a jump within a minute, drawn anew: a street that wakes up together doesn't call together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from random import Random


class Moment(msgspec.Struct, frozen=True):
    """One time on both clocks, in seconds."""

    monotonic_s: float
    wall_s: float


class Pace(msgspec.Struct, frozen=True):
    """The bounds; the defaults are the product's."""

    turn_s: float = 600
    """The middle of the interval while there is something to tell."""
    longest_s: float = 3_600
    """While nothing changes."""
    least_s: float = 30
    """Between two syncs that succeed, whoever asks for what."""
    greatest_s: float = 86_400
    """What a shard may ask for at most."""
    backoff_s: float = 15
    failures: int = 5
    """In a row, before the circuit opens."""
    open_s: float = 900
    longest_open_s: float = 3_600
    wake_s: float = 60
    """Within this a TV that woke up syncs."""


class Pacing:
    """Says how long to wait; is told what happened, and when."""

    def __init__(self, now: Moment, random: Random, pace: Pace | None = None) -> None:
        """Begin with a first sync within a minute, since many TVs start together after a power cut."""
        self._pace, self._random = pace or Pace(), random
        self._quiet, self._failures = 0, 0
        self._open_s, self._asked_s = self._pace.open_s, 0.0
        self._wait(now, random.uniform(0, self._pace.wake_s))

    @property
    def is_open(self) -> bool:
        """Whether so much failed that the next sync is a probe."""
        return self._failures >= self._pace.failures

    def due_in_s(self, now: Moment) -> float:
        """Return how long to wait still by the monotonic clock; 0 when it is time."""
        left_s, wall_left_s = self._due.monotonic_s - now.monotonic_s, self._due.wall_s - now.wall_s
        if abs(left_s - wall_left_s) > self._pace.wake_s:  # it slept, or a clock was set
            left_s = min(left_s, max(wall_left_s, self._random.uniform(0, self._pace.wake_s)))
            self._wait(now, max(left_s, 0))
        return max(left_s, 0)

    def synced(self, now: Moment, *, changed: bool, next_s: float = 0) -> None:
        """Take note of a success: whether anything was told or heard, and what the shard wishes, 0 for nothing."""
        pace, self._failures, self._open_s = self._pace, 0, self._pace.open_s
        self._quiet = 0 if changed else self._quiet + 1
        self._asked_s = min(next_s, pace.greatest_s)
        if self._asked_s > 0:
            wait_s = self._asked_s * self._random.uniform(1, 1.25)
        else:
            turn_s = min(pace.turn_s * 1.5 ** min(self._quiet, 16), pace.longest_s / 1.5)
            wait_s = turn_s * self._random.uniform(0.5, 1.5)
        self._wait(now, max(wait_s, pace.least_s))

    def failed(self, now: Moment, *, retry_after_s: float = 0, permanent: bool = False) -> None:
        """Take note of a failure: what the shard asks for, and whether trying again is of any use."""
        pace = self._pace
        self._failures = max(self._failures + 1, pace.failures if permanent else 0)
        if self.is_open:
            wait_s = self._open_s * self._random.uniform(1, 2)
            self._open_s = min(2 * self._open_s, pace.longest_open_s)
        else:
            wait_s = self._random.uniform(0, pace.backoff_s * 2 ** (self._failures - 1))
        asked_s = min(retry_after_s, pace.greatest_s)
        self._wait(now, max(wait_s, asked_s * self._random.uniform(1, 1.25), 1))

    def watched(self, now: Moment) -> None:
        """Take note that there is something to tell: a wait that had grown long is cut to what it is else."""
        if self._quiet and not self._failures and not self._asked_s:
            self._quiet = 0
            left_s = self._pace.turn_s * self._random.uniform(0.5, 1.5)
            if left_s < self._due.monotonic_s - now.monotonic_s:
                self._wait(now, left_s)

    def _wait(self, now: Moment, wait_s: float) -> None:
        self._due = Moment(now.monotonic_s + wait_s, now.wall_s + wait_s)
