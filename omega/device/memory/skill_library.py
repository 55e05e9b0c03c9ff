"""The skill library of one household: sums over all episodes, kept in the store by idle work, whole in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from omega.core.records import SkillRow
from omega.device.memory.consolidate import consolidate, faded, within
from omega.device.memory.lifts import SumArrays
from omega.device.memory.skills import Key, Sums, fold, rank, skills_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from omega.core.ports import DeviceStore
    from omega.core.records import WatchRecord
    from omega.device.memory.episodes import Episode
    from omega.device.memory.skills import Skill


class Progress(msgspec.Struct, frozen=True):
    """What idle work got done."""

    episodes: int
    """How many were consolidated."""
    remaining: int
    """How many wait for the next time."""


class SkillLibrary:
    """All sums by profile, day, time and facet; what was not consolidated yet is folded in memory."""

    def __init__(
        self, store: DeviceStore, episode: Callable[[int, WatchRecord], Episode], genre_names: Sequence[str]
    ) -> None:
        """Read what was kept, and the events since; `episode` makes one of an event and its row id."""
        self._store = store
        self._episode = episode
        self._genre_names = genre_names
        self._cursor, rows = store.skills()
        self._kept = {Key(row.profile, row.day, row.time, row.facet): _sums(row) for row in rows}
        self._rows = dict(self._kept)
        self._arrays: dict[int | None, SumArrays] = {}
        self._told: dict[int | None, tuple[int, list[Skill]]] = {}  # by profile: the hour, and its skills then
        self._seen = 0
        for step in consolidate(self._rows, self._cursor, self._read):
            self._rows |= step.rows
        self._waiting = self._seen

    def add(self, watch: WatchRecord) -> None:
        """Take in an event that was recorded."""
        self._rows |= fold(self._rows, [self._episode(0, watch)])
        self._waiting += 1
        self._arrays.clear()
        self._told.clear()

    def arrays(self, profile: int | None) -> SumArrays:
        """Return a profile's sums as arrays, everybody's with None."""
        if profile not in self._arrays:
            rows = {key: sums for key, sums in self._rows.items() if profile in (None, key.profile)}
            self._arrays[profile] = SumArrays.of(rows, self._genre_names)
        return self._arrays[profile]

    def skills(self, profile: int | None, now_s: float) -> list[Skill]:
        """Return the habits of a profile, of everybody with None, ordered by day, time and facet."""
        return skills_of({key: sums for key, sums in self._rows.items() if profile in (None, key.profile)}, now_s)

    def best(self, profile: int | None, day: int, time: int, facets: Container[str], now_s: float) -> Skill | None:
        """Return the skill of this very context that ranks first for titles of these facets, None without any.

        Skills are told anew every hour, since they take 1 ms and fade over weeks.
        """
        hour = int(now_s // 3600)
        if (known := self._told.get(profile)) is None or known[0] != hour:
            known = self._told[profile] = hour, self.skills(profile, now_s)
        ranked = rank(known[1], day, time, 1, facets)
        return ranked[0].skill if ranked and ranked[0].similarity == 1 else None

    def consolidate(self, budget_ms: float, clock: Callable[[], float], now_s: float) -> Progress:
        """Keep the sums of further episodes in the store, and let faded ones go, for about so long; goes on next time.

        `clock` gives seconds. One step is always done.
        """
        before = self._seen
        for step in within(consolidate(self._kept, self._cursor, self._read), budget_ms, clock):
            self._kept |= step.rows
            self._store.set_skills(step.cursor, [_row(key, sums) for key, sums in step.rows.items()])
            self._cursor = step.cursor
        done = self._seen - before
        self._waiting = max(self._waiting - done, 0)
        if not self._waiting:
            self._let_go(now_s)
        return Progress(done, self._waiting)

    def _let_go(self, now_s: float) -> None:
        """Drop the rows that faded, here as in the store; all episodes are in them, so that none comes back."""
        if gone := faded(self._kept, now_s):
            self._store.set_skills(self._cursor, [], [_row(key, self._kept[key]) for key in gone])
            self._kept = {key: sums for key, sums in self._kept.items() if key not in gone}
            self._rows = dict(self._kept)
            self._arrays.clear()
        self._told.clear()

    def _read(self, after: int, most: int) -> list[Episode]:
        found = [self._episode(row_id, watch) for row_id, watch in self._store.events_after(after, most)]
        self._seen += len(found)
        return found


def _sums(row: SkillRow) -> Sums:
    return Sums(row.count, row.finished, row.episodes, row.successes, row.rewards, row.uses, row.last_at)


def _row(key: Key, sums: Sums) -> SkillRow:
    return SkillRow(*key, *msgspec.structs.astuple(sums))
