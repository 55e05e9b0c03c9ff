"""The street of the demonstration: neighbors with TVs of their own, who meet its households at two shards."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import BOARDS_FOLDER, decode_board
from omega.core.neighbors import decode_neighbors
from omega.core.shard_records import ALL_SLOTS, LEAST_HOUSEHOLDS
from omega.fleet.demo import Clock, Tv
from omega.fleet.generated import generated
from omega.fleet.households import PERSONAS, Household
from omega.fleet.report import Lately, Met, Round, Step, Synced, Told
from omega.fleet.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from omega.core.artifacts.manifest import Manifest
    from omega.core.audience import Board
    from omega.core.catalog import Catalog
    from omega.core.neighbors import Neighbors
    from omega.core.ports import ShardStore
    from omega.device.brain import Brain
    from omega.device.sync.report import Report
    from omega.federation.round import RoundReport
    from omega.fleet.households import Persona
    from omega.fleet.report import Heard

MOST_NEIGHBORS = 50
MOST_WEEKS = 6
"""Neighbors watch in the last weeks alone: what is older is no news to a shard."""
_SPARE_S = 0.5
"""What a pull may take to be made."""
_LOOK_S = 0.1
_MOST_LATELY = 5


def neighbor(number: int) -> Persona:
    """Return the household next door, 1, 2, ...: by turns one much like one of PERSONAS, and one drawn by lot.

    Likeness ends at the habits: what they think of single titles comes with the name.
    """
    alike, name = PERSONAS[number // 2 % len(PERSONAS)], f"neighbor-{number}"
    return replace(alike if number % 2 else generated(number), name=name)


class Held(NamedTuple):
    """A round, and what it published."""

    report: RoundReport
    board: Board
    neighbors: Neighbors | None


def held(report: RoundReport, folder: Path) -> Held:
    """Return a round with what lies of it in the folder of published files. Raises ArtifactError."""

    def read(shelf: Shelf, kind: Kind, version: int) -> bytes:
        def named(one: Manifest) -> bool:
            return (one.kind, one.version) == (kind, version)

        return shelf.read(next(filter(named, shelf.manifests())))

    board = decode_board(read(Shelf(folder / BOARDS_FOLDER), Kind.BOARD, report.version))
    near = decode_neighbors(read(Shelf(folder), Kind.NEIGHBORS, report.neighbors)) if report.neighbors else None
    return Held(report, board, near)


@dataclass(frozen=True, slots=True)
class Shards:
    """The shards that serve, as the street uses them."""

    open_neighbor: Callable[[str, Clock], Brain]
    """Opens a neighbor's brain by name and clock."""
    sync: Callable[[str, Brain], Report]
    """Syncs a household's brain, by its name."""
    shard_of: Callable[[str], int]
    """Which of them a household's TV syncs with, by its name."""
    open_stores: Sequence[Callable[[], ShardStore]]
    """Opens what each keeps, to be read beside it."""
    hold_round: Callable[[], Held]
    """Makes one of what all know, and publishes it."""
    pull_s: float
    """How soon everybody hears of what was told."""
    look_s: float
    """How soon a shard tells what was published."""


class Street:
    """What happens between the neighbors, the households and the shards.

    TVs sync one after the other, each after the pull was made that says what the one before told: what is shown of a
    title depends on which households were there when it was looked at, and so a seed decides it.
    """

    def __init__(self, neighbors: int, shards: Shards, on_step: Callable[[Step], None]) -> None:
        """`on_step` sees what takes its time."""
        self._neighbors, self._shards, self._on_step = neighbors, shards, on_step
        self._synced: dict[str, Synced] = {}
        self._told_at = time.monotonic()

    def watch(self, catalog: Catalog, seed: int, weeks: int, start: datetime) -> None:
        """Let every neighbor watch up to the end of the simulated weeks, and tell its shard."""
        lived = min(weeks, MOST_WEEKS)
        for number in range(1, self._neighbors + 1):
            clock = Clock(start + timedelta(weeks=weeks - lived))
            household = Household(neighbor(number), catalog, seed)
            with closing(self._shards.open_neighbor(household.persona.name, clock)) as brain:
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
        done = self._shards.sync(name, brain)
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
        return self._told_at + self._shards.pull_s + _SPARE_S

    def confer(self, catalog: Catalog) -> Round:
        """Let the shards add up what they were told, hold a round, and wait until they tell what came of it."""
        self._wait("the shards add up what they were told", self._due)
        shards = [self._told(number) for number in range(len(self._shards.open_stores))]
        self._on_step(Step("the shards hold a round", 0, 1))
        report, board, near = self._shards.hold_round()
        self._on_step(Step("the shards hold a round", 1, 1))
        self._wait("the shards hear what came of it", time.monotonic() + self._shards.look_s + self._shards.pull_s)
        rows = board.section("").rows
        alone = set[int]().union(*(shown for _, _, shown in shards))
        lately = [
            Lately(catalog.titles[row.title].id, catalog.titles[row.title].title, row.figures.households)
            for row in rows
        ]
        return Round(
            seconds=report.seconds,
            shards=tuple(one for one, _, _ in shards),
            titles_counted=len(set[int]().union(*(counted for _, counted, _ in shards))),
            titles_shown=len(rows),
            titles_together=len({row.title for row in rows} - alone),
            audiences=sum(bool(row.audience) for row in rows),
            neighbors=len(near.titles) if near else 0,
            lately=tuple(sorted(lately, key=lambda one: -one.households)[:_MOST_LATELY]),
        )

    def _told(self, number: int) -> tuple[Told, set[int], set[int]]:
        """Return what one shard knows by itself, which titles it counted, and which of them it would tell."""
        with closing(self._shards.open_stores[number]()) as store:
            rows = [row for row in store.aggregates() if row.slot == ALL_SLOTS and row.now.samples]
        counted, shown = {row.title for row in rows}, {row.title for row in rows if row.shown}
        tvs = sum(self._shards.shard_of(name) == number for name in self._synced)
        return Told(tvs, len(counted), len(shown)), counted, shown

    def _wait(self, what: str, due: float) -> None:
        total = max(round((due - time.monotonic()) / _LOOK_S), 0)
        for done in range(total + 1):
            self._on_step(Step(what, done, total))
            time.sleep(min(_LOOK_S, max(due - time.monotonic(), 0)))

    def met(self, held_: Round, heard: tuple[Heard, ...]) -> Met:
        """Return what came of a round, and of hearing of it."""
        return Met(
            neighbors=self._neighbors,
            titles_counted=held_.titles_counted,
            titles_shown=held_.titles_shown,
            least_households=LEAST_HOUSEHOLDS,
            synced=tuple(self._synced.values()),
            heard=heard,
            round=held_,
        )
