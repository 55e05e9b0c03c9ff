"""The shard: takes pushes, counts each once, answers with what is on the rise. No socket, no bytes, no token here."""

from __future__ import annotations

import asyncio
import math
import time
from random import Random
from typing import TYPE_CHECKING, TypeVar

from omega.core.errors import StoreError
from omega.core.shard_records import DAY_S
from omega.core.wire import Header, Push
from omega.shard.answers import Answer, Refusal, Refused
from omega.shard.intake import Intake
from omega.shard.pacing import Allowance, Service
from omega.shard.pulls import Board, Pulls
from omega.shard.recorder import Recorder
from omega.shard.syncs import Syncs
from omega.shard.ticks import Ticks, Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from omega.core.catalog import Catalog
    from omega.core.errors import OmegaError
    from omega.core.identity.admission import Candidate
    from omega.core.ports import ShardStore
    from omega.core.privacy import Account
    from omega.core.wire import Artifact, Pull
    from omega.shard.boards import Merged

T = TypeVar("T")


class Shard:
    """Counts what devices share and tells what may be told; use it within one event loop."""

    def __init__(
        self,
        store: ShardStore,
        catalog: Catalog,
        key: bytes,
        *,
        space: int,
        service: Service | None = None,
        recorder: Recorder | None = None,
        now: Callable[[], float] = time.time,
        random: Random | None = None,
    ) -> None:
        """Take over the store; `start` comes before anything else.

        `key`, KEY_BYTES, makes the tags of households; `space` is the code of the one that taste codes are of.
        """
        self._key, self._space, self._now = key, space, now
        self.service = service or Service()
        self._random = random or Random()  # noqa: S311  (spreads intervals, guards nothing)
        self.recorder = recorder or Recorder()
        """What this worker counts of its own work."""
        self._ticks = Ticks(store, self._today, self.service, self.recorder)
        self._ticks.committed = self._pull_is_old
        self._syncs = Syncs(self._ticks, space, self.service, self._random, self._today)
        self._allowance = Allowance(self.service.pace)
        self._artifacts: tuple[Artifact, ...] = ()
        self._experiments: Collection[int] = frozenset()
        self._merged: Merged | None = None
        self._draining = False
        self._making: asyncio.TimerHandle | None = None
        self._made_at = -math.inf
        self._read_by(Intake(catalog, key))

    async def start(self) -> None:
        """Make the first pull. Raises StoreError."""
        await self._ticks.start()
        await self.make_pull()

    @property
    def failing(self) -> bool:
        """Whether the store refuses to store, or takes too long."""
        return self._ticks.failing

    @property
    def draining(self) -> bool:
        """Whether nobody is taken any more."""
        return self._draining

    @property
    def waiting(self) -> int:
        """How many syncs wait for a tick to begin."""
        return self._ticks.waiting

    @property
    def header(self) -> Header:
        """What this shard's frames begin with."""
        return self._syncs.header

    @property
    def pull(self) -> Pull:
        """What is told to every device that has the newest catalog."""
        return self._syncs.pulls.of(self.header.epoch)

    @property
    def privacy(self) -> Account | None:
        """What the figures that all shards tell together cost, if they are told with noise."""
        return self._merged.privacy if self._merged else None

    async def sync(self, slot: int, push: Push) -> Answer:
        """Count what device `slot` pushes, if it wasn't yet, and answer once that is durable.

        Who may speak for a slot was checked before. Raises InputError for a push that no codec makes.
        """
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.hand_in(slot, push, lambda answer: None if answered.done() else answered.set_result(answer))
        return await answered

    def hand_in(self, slot: int, push: Push, answer: Callable[[Answer], None]) -> None:
        """Do what `sync` does without a task: call `answer` once, perhaps at once; never after an InputError."""
        if refusal := self._refusal(slot):
            answer(Answer(refusal))
        else:
            self._syncs.count(slot, push, answer)

    def hand_in_frame(self, slot: int, frame: bytes, answer: Callable[[Answer | OmegaError], None]) -> None:
        """Do the same with a frame, which is read with its tick; one that is no push is answered by the error."""
        if refusal := self._refusal(slot):
            answer(Answer(refusal))
        else:
            self._ticks.gather(Unread(slot, frame, answer))

    def failed(self) -> Answer:
        """Return what is answered when the store can't be asked."""
        return Answer(self._syncs.refused(Refusal.STORE))

    async def admit(self, candidate: Candidate) -> tuple[int, int] | None:
        """Return a device's slot, and since when its tokens count; None when the shard is full.

        Raises DeniedError, StoreError.
        """
        return await self._ticks.call(lambda store: store.admit(candidate, int(self._now())))

    async def ask(self, what: Callable[[ShardStore], T]) -> T:
        """Return what the store answers to a question that is no sync, in turn. Raises StoreError."""
        return await self._ticks.call(what)

    def set_artifacts(self, artifacts: tuple[Artifact, ...]) -> None:
        """Name these files in every pull from now on."""
        self._artifacts = artifacts
        self._show(self._syncs.pulls.board)

    def set_experiments(self, codes: Collection[int]) -> None:
        """Count from now on what devices tell of these experiments alone."""
        self._experiments = self._syncs.intake.experiments = codes

    async def set_merged(self, merged: Merged | None) -> None:
        """Tell from now on what all shards say together; with None, what this one has itself. Raises StoreError."""
        if merged != self._merged:
            self._merged = merged
            await self.make_pull()

    async def set_catalog(self, catalog: Catalog) -> None:
        """Go on with a newer epoch: what was known by hash joins its titles. Raises StoreError."""
        intake = Intake(catalog, self._key)
        folded = self._ticks.between(lambda store: store.fold(intake.ordinals))
        self._read_by(intake)
        await folded
        await self.make_pull()

    async def make_pull(self) -> None:
        """Make the pull from what is stored now. Raises StoreError."""
        self._made_at = asyncio.get_running_loop().time()
        known, counts, merged = self._syncs.intake.ordinals, self._syncs.intake.counts, self._merged
        await self._ticks.call(lambda store: store.fold(known))
        self._show(await self._ticks.call(lambda store: Board.read(store, self._today(), counts, merged)))

    async def drain(self) -> None:
        """Take nobody any more, and return once all that wait are answered."""
        self._draining = True
        await self._ticks.drain()  # with who hung up

    async def close(self) -> None:
        """Drain, and close the store."""
        await self.drain()
        if self._making is not None:
            self._making.cancel()
        await self._ticks.close()

    # --- the door ---

    def _refusal(self, slot: int) -> Refused | None:
        """Return why the device can't be taken now, if so."""
        if self._draining:
            return self._syncs.refused(Refusal.DRAINING)
        if self._ticks.full:
            return self._syncs.refused(Refusal.BUSY)
        if wait_s := self._allowance.wait_s(slot, asyncio.get_running_loop().time()):
            return Refused(Refusal.TOO_OFTEN, math.ceil(wait_s))
        return None

    # --- the pull ---

    def _today(self) -> int:
        return int(self._now() // DAY_S)

    def _read_by(self, intake: Intake) -> None:
        intake.experiments = self._experiments
        self._syncs.intake, self._syncs.header = (
            intake,
            Header(space=self._space, lineage=intake.lineage, epoch=intake.epoch),
        )

    def _show(self, board: Board) -> None:
        self._syncs.pulls = Pulls(board, self.header, self._syncs.intake.counts, self._artifacts)

    def _pull_is_old(self) -> None:
        """After each tick: have the pull made again, as soon as it may be."""
        if self._making is None and not self._draining:
            loop = asyncio.get_running_loop()
            due = self._made_at + self.service.pull_s
            self._making = loop.call_later(max(due - loop.time(), 0), self._make_pull_again)

    def _make_pull_again(self) -> None:
        self._making = None
        making = asyncio.ensure_future(self.make_pull())
        making.add_done_callback(_noticed)


def _noticed(making: asyncio.Task[None]) -> None:
    """Let a failure of the store pass: the old pull stands until the next tick asks for another."""
    if not making.cancelled() and (error := making.exception()) and not isinstance(error, StoreError):
        raise error
