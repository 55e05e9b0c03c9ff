"""The street of the demonstration: neighbors with TVs of their own, who meet its households at a shard."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from omega.core.shard_records import ALL_SLOTS, LEAST_HOUSEHOLDS
from omega.fleet.demo import Clock, Tv
from omega.fleet.generated import generated
from omega.fleet.households import PERSONAS, Household
from omega.fleet.report import Met, Step, Synced
from omega.fleet.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from omega.core.catalog import Catalog
    from omega.core.ports import ShardStore
    from omega.device.brain import Brain
    from omega.device.sync.report import Report
    from omega.fleet.households import Persona
    from omega.fleet.report import Heard

MOST_NEIGHBORS = 50
MOST_WEEKS = 6
"""Neighbors watch in the last weeks alone: what is older is no news to a shard."""
_SPARE_S = 0.5
"""What a pull may take to be made."""
_LOOK_S = 0.1


def neighbor(number: int) -> Persona:
    """Return the household next door, 1, 2, ...: by turns one much like one of PERSONAS, and one drawn by lot.

    Likeness ends at the habits: what they think of single titles comes with the name.
    """
    alike, name = PERSONAS[number // 2 % len(PERSONAS)], f"neighbor-{number}"
    return replace(alike if number % 2 else generated(number), name=name)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard that serves, as the street uses it."""

    open_neighbor: Callable[[str, Clock], Brain]
    """Opens a neighbor's brain by name and clock."""
    sync: Callable[[str, Brain], Report]
    """Syncs a household's brain, by its name."""
    open_store: Callable[[], ShardStore]
    """Opens what it keeps, to be read beside it."""
    pull_s: float
    """How soon everybody hears of what was told."""


class Street:
    """What happens between the neighbors, the households and the shard.

    TVs sync one after the other, each after the pull was made that says what the one before told: what is shown of a
    title depends on which households were there when it was looked at, and so a seed decides it.
    """

    def __init__(self, neighbors: int, shard: Shard, on_step: Callable[[Step], None]) -> None:
        """`on_step` sees what takes its time."""
        self._neighbors, self._shard, self._on_step = neighbors, shard, on_step
        self._synced: dict[str, Synced] = {}
        self._told_at = time.monotonic()

    def watch(self, catalog: Catalog, seed: int, weeks: int, start: datetime) -> None:
        """Let every neighbor watch up to the end of the simulated weeks, and tell the shard."""
        lived = min(weeks, MOST_WEEKS)
        for number in range(1, self._neighbors + 1):
            clock = Clock(start + timedelta(weeks=weeks - lived))
            household = Household(neighbor(number), catalog, seed)
            with closing(self._shard.open_neighbor(household.persona.name, clock)) as brain:
                tv = Tv(household, brain, clock)
                with brain.many():
                    events = sum(len(day.watched) for day in tv.live(lived, Stopwatch()))
                self.sync(tv.name, brain)
            last = f"{tv.name}, {events} events in {lived} weeks"
            self._on_step(Step("neighbors watch and sync", number, self._neighbors, last))

    def sync(self, name: str, brain: Brain) -> None:
        """Sync a household's TV, and add to what is known of its syncs."""
        before = self._synced.get(name, Synced(name, 0, 0, 0, 0, 0))
        time.sleep(max(self._due - time.monotonic(), 0))
        done = self._shard.sync(name, brain)
        self._told_at = time.monotonic()
        shared = brain.status().shared
        self._synced[name] = Synced(
            household=name,
            rows=before.rows + done.contributed,
            waiting=shared.queued + shared.unacknowledged,
            sent_bytes=before.sent_bytes + done.sent_bytes,
            received_bytes=before.received_bytes + done.received_bytes,
            round_trips=before.round_trips + done.round_trips,
            error=done.error or before.error,
        )

    @property
    def _due(self) -> float:
        return self._told_at + self._shard.pull_s + _SPARE_S

    def settle(self) -> None:
        """Wait until what was told last is in the shard's pull."""
        due = self._due
        total = max(round((due - time.monotonic()) / _LOOK_S), 0)
        for done in range(total + 1):
            self._on_step(Step("the shard adds up what it was told", done, total))
            time.sleep(min(_LOOK_S, max(due - time.monotonic(), 0)))

    def met(self, heard: tuple[Heard, ...]) -> Met:
        """Return what came of it; the shard's titles are counted in its store."""
        with closing(self._shard.open_store()) as store:
            titles = [row for row in store.aggregates() if row.slot == ALL_SLOTS and row.now.samples]
        return Met(
            neighbors=self._neighbors,
            titles_counted=len(titles),
            titles_shown=sum(row.shown is not None for row in titles),
            least_households=LEAST_HOUSEHOLDS,
            synced=tuple(self._synced.values()),
            heard=heard,
        )
