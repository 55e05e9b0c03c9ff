"""The shard: takes pushes, counts each once, answers with what is on the rise. No socket, no bytes, no token here."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from functools import partial
from random import Random
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from msgspec.structs import replace

from omega.core.errors import InputError, StoreError, WireError
from omega.core.ports import MAX_FRAME_BYTES
from omega.core.shard_records import DAY_S, TASTE_BYTES, Move, Verdict
from omega.core.wire import Ack, Header, Push, Reason, Resync, decode
from omega.shard.answers import Answer, NoPushError, Refusal, Refused
from omega.shard.columns import WORTH_WHILE, read
from omega.shard.intake import Intake
from omega.shard.pacing import Allowance, Budgets, Service, spread
from omega.shard.pulls import Board, Pulls
from omega.shard.recorder import Recorder
from omega.shard.ticks import Plain, Ticks, Unread, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from omega.core.catalog import Catalog
    from omega.core.errors import OmegaError
    from omega.core.identity.admission import Candidate
    from omega.core.ports import Bits, Integers, ShardStore
    from omega.core.privacy import Account
    from omega.core.shard_records import Standing
    from omega.core.wire import Artifact, Pull
    from omega.shard.answers import Receipt
    from omega.shard.boards import Merged

T = TypeVar("T")

_WAIT_S = 3_600
"""When a device that contributed a day's samples is to come again: it may take that long a few times."""
_RECEIVED = Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.BEHIND


class _Asked(NamedTuple):
    """What of a sync its answer depends on."""

    slot: int
    samples: int
    day: int
    epoch: int
    known_pull: int
    asks: bytes = b""
    reason: Reason | None = None
    """Why nothing of it could be read."""
    resolved: tuple[tuple[int, int], ...] = ()


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
        self._ticks.committed, self._ticks.read = self._pull_is_old, self._read
        self._allowance, self._budgets = Allowance(self.service.pace), Budgets(self.service.day_samples)
        self._asked = array("H")  # by device, the day of its last question for similar titles
        self._artifacts: tuple[Artifact, ...] = ()
        self._experiments: Collection[int] = frozenset()
        self._merged: Merged | None = None
        self._draining = False
        self._making: asyncio.TimerHandle | None = None
        self._made_at = -math.inf
        self._read_by(Intake(catalog, key))
        self._pulls: Pulls

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
        return self._header

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
            self._count(slot, push, answer)

    def hand_in_frame(self, slot: int, frame: bytes, answer: Callable[[Answer | OmegaError], None]) -> None:
        """Do the same with a frame, which is read with its tick; one that is no push is answered by the error."""
        if refusal := self._refusal(slot):
            answer(Answer(refusal))
        else:
            self._ticks.gather(Unread(slot, frame, answer))

    def failed(self) -> Answer:
        """Return what is answered when the store can't be asked."""
        return Answer(self._refused(Refusal.STORE))

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
        self._show(self._pulls.board)

    def set_experiments(self, codes: Collection[int]) -> None:
        """Count from now on what devices tell of these experiments alone."""
        self._experiments = self._intake.experiments = codes

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
        known, counts, merged = self._intake.ordinals, self._intake.counts, self._merged
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

    # --- one sync ---

    def _read(self, unread: Sequence[Unread], moves: Sequence[Move]) -> Plain | None:
        """Return the plain ones of a tick's frames; have all others counted one by one."""
        if len(unread) < WORTH_WHILE:
            for one in unread:
                self._read_one(one)
            return None
        slots = np.fromiter((one.slot for one in unread), np.int64, len(unread))
        pushes, day = read([one.frame for one in unread]), self._today()
        which = self._intake.plain(pushes) & (pushes.space == self._space)
        which &= _once(slots) & ~np.isin(slots, [move.slot for move in moves])
        may = np.ones(len(unread), bool)
        may[which] = self._budgets.spend_all(slots[which], pushes.counts[which], day)
        concluded = []
        told = zip(*(of.tolist() for of in (which, may, pushes.counts, pushes.epoch, pushes.known_pull)), strict=True)
        for one, (is_plain, may_tell, samples, epoch, known_pull) in zip(unread, told, strict=True):
            if not is_plain:
                self._read_one(one)
            elif may_tell:
                concluded.append(partial(self._conclude, _Asked(one.slot, samples, day, epoch, known_pull), one.answer))
            else:
                tell(one.answer, self._spent())
        return Plain(self._intake.moves(slots, pushes, which & may), concluded) if concluded else None

    def _read_one(self, unread: Unread) -> None:
        try:
            push = decode(unread.frame, max_bytes=MAX_FRAME_BYTES)
            if not isinstance(push, Push):
                raise NoPushError
            self._count(unread.slot, push, partial(tell, unread.answer))
        except (InputError, WireError) as error:
            tell(unread.answer, error)

    def _count(self, slot: int, push: Push, answer: Callable[[Answer], None]) -> None:
        """Have a push counted with the next tick. Raises InputError."""
        if push.asks and len(push.asks) != TASTE_BYTES:
            raise InputError(f"a question has {len(push.asks)} bytes, allowed {TASTE_BYTES}: send a taste code")
        intake = self._intake
        reason = self._misread(push)
        move = Move(slot, push.incarnation, 0, 0) if reason else intake.move(slot, push)  # the former only asks
        day, samples = self._today(), len(move.contributed)
        if not self._budgets.spend(slot, samples, day):
            answer(self._spent())
            return
        resolved = () if reason else intake.resolved(push)
        asked = _Asked(slot, samples, day, push.header.epoch, push.known_pull, push.asks, reason, resolved)
        self._ticks.hand_in(move, partial(self._conclude, asked, answer))

    def _conclude(self, asked: _Asked, answer: Callable[[Answer], None], standing: Standing | None) -> None:
        """Answer a sync that was counted, or couldn't be."""
        if standing is None or standing.verdict is not Verdict.ACCEPTED:
            self._budgets.refund(asked.slot, asked.samples, asked.day)
        receipt = self._receipt(asked, standing)
        answer(Answer(receipt, self._pull(asked) if isinstance(receipt, Ack) else None))

    def _refusal(self, slot: int) -> Refused | None:
        """Return why the device can't be taken now, if so."""
        if self._draining:
            return self._refused(Refusal.DRAINING)
        if self._ticks.full:
            return self._refused(Refusal.BUSY)
        if wait_s := self._allowance.wait_s(slot, asyncio.get_running_loop().time()):
            return Refused(Refusal.TOO_OFTEN, math.ceil(wait_s))
        return None

    def _refused(self, reason: Refusal) -> Refused:
        return Refused(reason, spread(self.service.retry_s, 0.5, self._random))

    def _spent(self) -> Answer:
        """Return what a device hears that contributed a day's samples."""
        return Answer(Refused(Refusal.TOO_OFTEN, spread(_WAIT_S, 0.5, self._random)))

    def _misread(self, push: Push) -> Reason | None:
        if push.header.space != self._space:
            rows = (*push.contributed, *push.retracted)
            if push.asks or any(row.taste for row in rows):
                return Reason.SPACE
        return self._intake.misread(push)

    def _receipt(self, asked: _Asked, standing: Standing | None) -> Receipt:
        if standing is None:
            return self._refused(Refusal.STORE)
        if standing.verdict is Verdict.STRANGER:
            return self._refused(Refusal.STRANGER)
        header, incarnation, version = self._header, standing.incarnation, standing.version
        if standing.verdict not in _RECEIVED or asked.reason:
            why = Reason.GAP if standing.verdict is Verdict.STALE else asked.reason or Reason.GAP
            return Resync(header=header, incarnation=incarnation, version=version, reason=why)
        return Ack(
            header=header,
            incarnation=incarnation,
            version=version,
            horizon=standing.horizon,
            next_sync_s=self.service.pace.next_sync_s(self._pulls.board.devices, self._random),
            similar_allowed=not asked.asks and self._may_ask(asked),
            resolved=asked.resolved,
        )

    def _pull(self, asked: _Asked) -> Pull | None:
        """Return the pull unless the device has it; with an answer of its own when it may ask."""
        pull = self._pulls.of(asked.epoch)
        if asked.asks and self._may_ask(asked):
            self._asked[asked.slot] = asked.day
            return replace(pull, similar=self._pulls.board.similar(asked.asks, self._pulls.titles(asked.epoch)))
        return None if pull.pull_id == asked.known_pull else pull

    def _may_ask(self, asked: _Asked) -> bool:
        """Say whether the device didn't ask today; a restart forgets who did."""
        slot = asked.slot
        if slot >= len(self._asked):
            self._asked.extend([0] * (slot + 1 - len(self._asked)))
        return self._asked[slot] != asked.day

    # --- the pull ---

    def _today(self) -> int:
        return int(self._now() // DAY_S)

    def _read_by(self, intake: Intake) -> None:
        self._intake = intake
        intake.experiments = self._experiments
        self._header = Header(space=self._space, lineage=intake.lineage, epoch=intake.epoch)

    def _show(self, board: Board) -> None:
        self._pulls = Pulls(board, self._header, self._intake.counts, self._artifacts)

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


def _once(slots: Integers) -> Bits:
    """Return (n,) which of these stand here once."""
    _, place, times = np.unique(slots, return_inverse=True, return_counts=True)
    found: Bits = times[place.reshape(-1)] == 1
    return found


def _noticed(making: asyncio.Task[None]) -> None:
    """Let a failure of the store pass: the old pull stands until the next tick asks for another."""
    if not making.cancelled() and (error := making.exception()) and not isinstance(error, StoreError):
        raise error
