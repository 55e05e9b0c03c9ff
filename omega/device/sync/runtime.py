"""The loop that syncs a brain: it waits until pacing says so, carries frames over a transport, and tells the outcome.

It runs on the daemon's loop and thread, where the brain is: an exchange is awaited, so that clients are answered
meanwhile, and the ledger's work between two exchanges takes milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from omega.core.errors import OmegaError, TransportError
from omega.core.wire import Reason
from omega.device.sync.pacing import Moment, Pacing
from omega.device.sync.report import Report, Tally
from omega.device.sync.session import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from omega.core.ports import Fetched
    from omega.device.brain import Brain
    from omega.device.sync.downloads import Downloads
    from omega.device.sync.messages import Codec
    from omega.device.sync.pacing import Pace
    from omega.device.sync.session import Session

log = logging.getLogger(__name__)

MOST_TRIPS = 16
"""Round trips of one sync; months offline take a few, and no shard can keep a TV busy."""
LOOK_S = 30.0
"""How often the clocks and the ledger are looked at: a TV that slept notices that late at most."""
DEBTS_S = 6 * 3_600.0
"""How often shards that were left are visited, until they hold all they were told and no backup of theirs lacks it."""


class Exchanger(Protocol):
    """An open way to a shard, as `core.ports.TransportClient`."""

    async def exchange(self, frame: bytes) -> bytes:
        """Return the answer to a frame; raises TransportError."""

    async def get(self, path: str, *, max_bytes: int, part: range | None = None) -> Fetched:
        """Fetch what stands at a path; raises TransportError."""

    async def close(self) -> None:
        """Let go of every connection."""


class Line(Protocol):
    """The way to the shard that a TV belongs to, and to those that it belonged to before."""

    @property
    def codec(self) -> Codec:
        """What frames are made with."""

    @property
    def shard(self) -> str | None:
        """The name of the TV's shard as the ledger has it, None as long as none has admitted the TV."""

    async def enter(self) -> str:
        """Return that name, and be admitted before where that takes it. Raises OmegaError."""

    def connect(self, shard: str) -> Exchanger:
        """Return the way to a shard by its name. Raises OmegaError where there is none."""


def clock() -> Moment:
    """Return the time on both clocks."""
    return Moment(time.monotonic(), time.time())


class Syncer:
    """Syncs one brain with its shard, and settles what is owed to shards that it was with before."""

    def __init__(
        self,
        brain: Brain,
        line: Line,
        *,
        random: Random,
        now: Callable[[], Moment] = clock,
        pace: Pace | None = None,
        downloads: Downloads | None = None,
    ) -> None:
        """Connect when it is first needed; `close` when it isn't any more.

        `downloads` fetches what the shard names; without it nothing is fetched.
        """
        self._brain = brain
        self._downloads = downloads
        self._line, self._codec = line, line.codec
        self._random, self._now = random, now
        self._pacing = Pacing(now(), random, pace)
        self._clients: dict[str, Exchanger] = {}
        self._plain = False
        self._asked = asyncio.Event()
        self._debts_at_s = now().monotonic_s
        self.report = Report()
        """Of the sync that ended last."""

    def ask(self) -> None:
        """Let `run` sync now."""
        self._asked.set()

    async def run(self) -> None:
        """Sync whenever it is time, for ever; cancel it to end it."""
        try:
            while True:
                await self._until_due()
                if error := (await self.sync()).error:
                    log.warning("sync failed: %s", error)
        finally:
            await self.close()

    async def sync(self) -> Report:
        """Sync once, now, and return what came of it; a failure is told in the report and paces the next one."""
        self._asked.clear()
        started = self._now()
        tally = Tally()
        error: OmegaError | None = None
        try:
            shard = await self._line.enter()
            await self._talk(shard, tally)
            await self._settle(shard, tally, started)
            await self._download(shard, tally)
        except OmegaError as caught:
            error = caught
        self._pace(tally, error)
        now = self._now()
        self.report = tally.report(
            self.report.number + 1,
            error=str(error) if error else None,
            took_ms=1000 * (now.monotonic_s - started.monotonic_s),
            next_s=self._pacing.due_in_s(now),
        )
        if self._downloads and not tally.fetch_error:
            await self._tried(self._downloads.adopt(), tally)
        return self.report

    async def close(self) -> None:
        """Let go of every connection."""
        while self._clients:
            with suppress(OmegaError):
                await self._clients.popitem()[1].close()

    async def _until_due(self) -> None:
        while (wait_s := self._pacing.due_in_s(self._now())) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), min(wait_s, LOOK_S))
                return
            if self._waits():
                self._pacing.watched(self._now())

    def _waits(self) -> bool:
        """Whether the household watched something that no shard knows."""
        try:
            shard = self._line.shard
            return shard is not None and self._session(shard).waits
        except OmegaError:
            return False  # the next sync says why

    async def _talk(self, shard: str, tally: Tally, *, settles: bool = False) -> None:
        """Exchange frames with a shard until there is nothing more to tell."""
        session = self._session(shard, settles=settles)
        if shard not in self._clients:
            self._clients[shard] = self._line.connect(shard)
        for _ in range(MOST_TRIPS):
            frame = self._codec.encode(session.begin(), plain=self._plain)
            answer = await self._clients[shard].exchange(frame)
            synced = session.receive(self._codec.decode(answer))
            tally.add(len(frame), len(answer), synced)
            self._plain |= synced.reason is Reason.DICTIONARY
            if synced.pulled:
                self._brain.listen()
            if not synced.again:
                return

    async def _settle(self, home: str, tally: Tally, now: Moment) -> None:
        """Tell shards that were left what they are owed; what goes wrong there is no failure of this sync."""
        if now.monotonic_s < self._debts_at_s:
            return
        self._debts_at_s = now.monotonic_s + DEBTS_S
        for shard in self._brain.debts(home):
            debts = Tally()
            try:
                await self._talk(shard, debts, settles=True)
            except OmegaError as error:
                log.warning("what is owed to %s has to wait: %s", shard, error)
            tally.include(debts)
            if client := self._clients.pop(shard, None):
                await client.close()

    async def _download(self, shard: str, tally: Tally) -> None:
        """Fetch what the shard names, and go on with it."""
        if (downloads := self._downloads) is None:
            return
        before, epoch = downloads.fetched_bytes, self._brain.catalog.epoch
        await self._tried(downloads.fetch(self._brain.published(shard), self._clients[shard]), tally)
        tally.fetched = downloads.fetched_bytes - before
        await self._tried(downloads.adopt(downloads.bounds.adopt_s), tally)
        if self._brain.catalog.epoch != epoch:
            tally.catalog_epoch = self._brain.catalog.epoch

    async def _tried(self, work: Awaitable[None], tally: Tally) -> None:
        """Do what may fail without any harm to the sync; the next one tries it again."""
        try:
            await work
        except (OmegaError, OSError, MemoryError) as error:
            tally.fetch_error = str(error) or "there is not memory enough"
            log.warning("what the shard publishes has to wait: %s", tally.fetch_error)

    def _session(self, shard: str, *, settles: bool = False) -> Session:
        return self._brain.session(
            shard,
            lambda push: len(self._codec.encode(push, plain=self._plain)),
            self._random,
            settles=settles,
        )

    def _pace(self, tally: Tally, error: OmegaError | None) -> None:
        now, last = self._now(), tally.last
        if error is not None or last is None or last.outcome is Outcome.IGNORED:
            known = error if isinstance(error, TransportError) else None
            retry_after_s = (known.retry_after_s if known else None) or 0
            self._pacing.failed(now, retry_after_s=retry_after_s, permanent=bool(known and known.permanent))
        elif last.outcome is Outcome.REFUSED:
            self._pacing.failed(now, permanent=True)
        elif last.retry_after_s:
            self._pacing.failed(now, retry_after_s=last.retry_after_s)
        else:
            self._pacing.synced(now, changed=tally.changed, next_s=last.next_sync_s)
