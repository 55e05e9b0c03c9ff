"""A TV of the claim `exactly-once`: a store on disk, real sessions, and everything that goes wrong on the way."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from omega.claims.once_line import Line
from omega.claims.once_shard import SPACE
from omega.core.errors import TransportError
from omega.core.identity.device_key import DeviceKey
from omega.core.records import Selection, WatchRecord
from omega.core.shard_records import DAY_S
from omega.core.types import SLOTS, shared_milli
from omega.device.sync.entry import Passport
from omega.device.sync.memberships import Memberships
from omega.device.sync.messages import WireCodec
from omega.device.sync.session import Session
from omega_storage.device_sqlite import SqliteDeviceStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.claims.once_line import Clock, ShardProcess, Sums
    from omega.core.catalog import Catalog

DIMENSIONS = 8
_LONGER = 8
"""How much longer than it is a frame is taken to be, so that it holds few rows: many versions, and some that wait."""
_KILLED_WITHIN_S = 0.006
_MOST_TRIPS = 300


class Fault(StrEnum):
    """What goes wrong with one exchange."""

    NONE = "none"
    DIES = "tv_killed_before_it_asked"
    LOST = "questions_lost_or_late"
    TWICE = "questions_doubled"
    AGAIN = "questions_repeated_late"
    UNHEARD = "answers_lost"
    OTHER = "answers_to_other_questions"
    DIES_LATER = "tv_killed_before_it_heard"
    SHARD_DIES = "shard_killed_meanwhile"


_ODDS = {
    Fault.NONE: 46,
    Fault.DIES: 3,
    Fault.LOST: 13,
    Fault.TWICE: 10,
    Fault.AGAIN: 9,
    Fault.UNHEARD: 9,
    Fault.OTHER: 4,
    Fault.DIES_LATER: 3,
    Fault.SHARD_DIES: 3,
}


class TV:
    """A device; a reset makes it another life of the same one."""

    def __init__(
        self, number: int, folder: Path, catalog: Catalog, shards: Sequence[ShardProcess], clock: Clock
    ) -> None:
        """Start with an empty store."""
        self._random = Random(number)  # noqa: S311  (faults, no secrets)
        self._name, self._folder, self._catalog, self._clock = f"tv-{number}", folder, catalog, clock
        self._shards = {shard.name: shard for shard in shards}
        self._key = DeviceKey(self._random.randbytes(32))
        vectors = np.random.default_rng(number).standard_normal((SLOTS + len(catalog), DIMENSIONS)).astype(np.float32)
        self._vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self._codec = WireCodec()
        self._files = 0
        self._flying: list[tuple[str, str, bytes]] = []
        """Shard, token and frame of what was said and may be heard at any time."""
        self._heard: dict[str, list[bytes]] = {}
        self.shard = self._random.choice(list(self._shards))
        self.done: Counter[str] = Counter()
        self._open()

    def _open(self) -> None:
        self._store = SqliteDeviceStore.open(self._file, dimensions=DIMENSIONS)
        self._store.bind(SPACE, self._vectors[:SLOTS])
        self._sessions = {name: self._session(name) for name in self._shards}
        passport = Passport(self._key, Memberships(self._folder / f"{self._name}.json"), now=self._now)
        self._lines = {name: Line(shard, passport) for name, shard in self._shards.items()}

    @property
    def _file(self) -> Path:
        return self._folder / f"{self._name}-{self._files}.db"

    def _now(self) -> float:
        return self._clock.now

    def _session(self, shard: str) -> Session:
        return Session(
            self._store,
            self._catalog,
            shard,
            space=SPACE,
            size_of=lambda push: _LONGER * len(self._codec.encode(push)),
            now_s=self._now,
            random=self._random,
            settles=shard != self.shard,
        )

    # --- the household ---

    def watch(self) -> None:
        """Watch something, and queue it to be shared unless the day has it."""
        number, milli = self._random.randrange(len(self._catalog)), self._random.randrange(1001)
        title = self._catalog.titles[number]
        event = WatchRecord(title.id, self._clock.now, self._random.randrange(3), milli)
        day = self._clock.now // DAY_S
        self._store.record(event, title, self._vectors[SLOTS + number], local=False, day=day)

    def forget(self) -> None:
        """Forget some hours, everything, or one title's part of that."""
        self.done["forgettings"] += 1
        since = self._clock.now - self._random.randrange(20 * DAY_S)
        whole, one = self._random.random() < 0.1, self._random.random() < 0.7
        title = self._random.choice(self._catalog.titles).id if one else None
        until = None if whole else since + self._random.randrange(6 * DAY_S)
        self._store.forget(Selection(content_id=title, since=None if whole else since, until=until))

    def truth(self) -> Sums:
        """Return, event by event, what the shards must have counted of this life once all is settled."""
        counted: Sums = Counter()
        for event in self._store.events():
            if event.shared:
                counted[event.content_id, event.slot, "samples"] += 1
                counted[event.content_id, event.slot, "thousandths"] += shared_milli(event.watched_milli)
        return counted

    # --- the line ---

    async def sync(self, shard: str, *, reliable: bool = False) -> bool:
        """Exchange one frame over a bad line, and say whether there is more."""
        fault = Fault.NONE if reliable else self._random.choices(list(_ODDS), list(_ODDS.values()))[0]
        self.done["syncs"] += 1
        self.done[fault] += fault is not Fault.NONE
        frame = self._codec.encode(self._sessions[shard].begin())
        if fault in (Fault.LOST, Fault.AGAIN):
            self._flying.append((shard, self._lines[shard].token(), frame))
        if fault is Fault.DIES:
            await self.die()
        if fault in (Fault.DIES, Fault.LOST):
            return True
        try:
            answer = await self._asked(shard, frame, fault)
        except TransportError:
            if reliable:
                raise
            self.done["unanswered"] += 1
            return False
        return await self._heard_of(shard, answer, fault)

    async def _asked(self, shard: str, frame: bytes, fault: Fault) -> bytes:
        asking = [asyncio.ensure_future(self._lines[shard].entry.exchange(frame))]
        if fault is Fault.TWICE:
            asking.append(asyncio.ensure_future(self._lines[shard].entry.exchange(frame)))
        if fault is Fault.SHARD_DIES:
            await asyncio.sleep(self._random.uniform(0, _KILLED_WITHIN_S))
            self.done["shard_killed_before_it_answered"] += not asking[0].done()
            self._shards[shard].kill()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        if isinstance(answers[-1], BaseException):
            raise answers[-1]
        return answers[-1]

    async def _heard_of(self, shard: str, answer: bytes, fault: Fault) -> bool:
        if fault is Fault.DIES_LATER:
            await self.die()
            return True
        if fault is Fault.UNHEARD:
            self._keep(shard, answer)
            return True
        if fault is Fault.OTHER and self._heard.get(shard):
            answer = self._random.choice(self._heard[shard])
        synced = self._sessions[shard].receive(self._codec.decode(answer))
        self.done[synced.outcome] += 1
        return synced.again

    async def late(self) -> None:
        """Let a shard hear something that was said long ago, and perhaps again later."""
        if self._flying:
            at = self._random.randrange(len(self._flying))
            shard, token, frame = self._flying.pop(at) if self._random.random() < 0.7 else self._flying[at]
            self.done["late_questions"] += 1
            line, old = self._lines[shard], self._random.random() < 0.3
            try:
                self._keep(shard, await (line.tell_late(token, frame) if old else line.entry.exchange(frame)))
            except TransportError:
                self.done["late_and_refused"] += 1

    def _keep(self, shard: str, answer: bytes) -> None:
        self._heard[shard] = [*self._heard.get(shard, []), answer][-20:]

    def debts(self) -> list[str]:
        """Return the shards that it left and that some backup may make forget."""
        return [held.shard for held in self._store.ledger.shards() if held.owes and held.shard != self.shard]

    async def settle(self) -> int:
        """Tell everything to everybody over a line without faults, and return how much is left to tell: 0."""
        for shard in [*self.debts(), self.shard]:
            for _ in range(_MOST_TRIPS):
                if not await self.sync(shard, reliable=True):
                    break
        counts = self._store.ledger.counts()
        return counts.queued + counts.unacknowledged + counts.retractions

    # --- its fate ---

    async def die(self) -> None:
        """Go on with the store's files as they lie now, which is what a kill leaves."""
        self.done["tvs_killed"] += 1
        before, left = self._file, self._store
        self._files += 1
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{before}{suffix}", f"{self._file}{suffix}")
        left.close()
        before.unlink()
        await self._reopen()

    async def reset(self) -> None:
        """Begin a new life."""
        self.done["resets"] += 1
        self._store.close()
        self._files += 1
        self._heard = {}  # frames outlive their sender, answers do not
        await self._reopen()

    async def move(self) -> None:
        """Belong to the other shard from now on."""
        self.done["moves"] += 1
        self.shard = next(name for name in self._shards if name != self.shard)
        await self.die()

    async def close(self) -> None:
        """Close store and lines."""
        self._store.close()
        for line in self._lines.values():
            await line.close()

    async def _reopen(self) -> None:
        for line in self._lines.values():
            await line.close()
        self._open()
