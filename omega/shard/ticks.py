"""Group commit: what arrives within a tick is committed together, and waits for the disk once.

While one tick is committed in the store's thread the next one gathers; commits never overlap. Nobody is answered before
the commit that counted him is durable. Where the store has a second session, what isn't a tick goes on beside them.

After a failure the same tick is committed again every few seconds, whether anybody comes or not: where a balancer sends
nobody to a shard that fails, nobody would find out that it works again. Who was in it comes again and is counted once.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeAlias, TypeVar

from omega.core.errors import OmegaError, StoreError
from omega.core.shard_records import Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.core.ports import ShardStore
    from omega.core.shard_records import Move, PlainMoves, Standing
    from omega.shard.answers import Answer
    from omega.shard.pacing import Service
    from omega.shard.recorder import Histogram, Recorder

P = ParamSpec("P")
T = TypeVar("T")
Conclude: TypeAlias = "Callable[[Standing | None], None]"
"""Hears what became of a move once that is durable; None: the store failed, nothing was counted."""

_LOG = logging.getLogger("omega.shard")
MOST_IN_TICK = 4_096
REST_AFTER_S = 2.0
REST_EVERY_S = 10.0
"""At the latest, where somebody always comes: the log would show which sums moved with whom."""


class Unread(NamedTuple):
    """A device's frame, which is read with its tick."""

    slot: int
    frame: bytes
    answer: Callable[[Answer | OmegaError], None]


class Plain(NamedTuple):
    """The plain moves of a tick, and who hears of all of them, in their order."""

    moves: PlainMoves
    conclude: Callable[[Sequence[Standing | None]], None]


class Ticks:
    """The queue in front of a store, and the threads that use it."""

    def __init__(self, store: ShardStore, today: Callable[[], int], service: Service, recorder: Recorder) -> None:
        """Take over the store, which `close` closes."""
        self._store, self._today, self._recorder = store, today, recorder
        self._tick_s, self._most_waiting = service.tick_s, service.most_waiting
        self._probe_s, self._stuck_s, self._closing = service.probe_s, service.stuck_s, False
        self._thread = self._side_thread = ThreadPoolExecutor(1, "omega-shard-store")
        self._beside, self._observing = store, Lock()
        self._waiting: list[tuple[Move, Conclude]] = []
        self._unread: list[Unread] = []
        self._committing = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._rested_at_s = self._began_s = 0.0
        self._failed: list[tuple[Move, Conclude]] | None = None  # the last tick, if it couldn't be stored
        self.read: Callable[[Sequence[Unread], Sequence[Move]], Plain | None]
        """Reads the frames of a tick which has these moves already: returns the plain ones, hands in all others."""
        self.committed: Callable[[], None] = lambda: None
        """Called after each tick that was committed."""

    @property
    def waiting(self) -> int:
        """How many syncs wait for a tick to begin."""
        return len(self._waiting) + len(self._unread)

    @property
    def failing(self) -> bool:
        """Whether the last commit failed, or one takes too long."""
        stuck = self._committing and asyncio.get_running_loop().time() - self._began_s > self._stuck_s
        return self._failed is not None or bool(stuck)

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return len(self._waiting) + len(self._unread) >= self._most_waiting

    def hand_in(self, move: Move, concluded: Conclude) -> None:
        """Have a move committed with the next tick; a task for each would take a tenth of a shard's CPU time."""
        self._waiting.append((move, concluded))
        self._await_tick()

    def gather(self, unread: Unread) -> None:
        """Have a frame read and committed with the next tick."""
        self._unread.append(unread)
        self._await_tick()

    def _await_tick(self) -> None:
        self._idle.clear()
        if self._timer is None and not self._committing:
            self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._begin)

    async def start(self) -> None:
        """Have another session of the store for what isn't a tick, if there may be one. Raises StoreError."""
        other = await self.call(lambda store: store.another())
        if other is not None:
            self._beside, self._side_thread = other, ThreadPoolExecutor(1, "omega-shard-side")

    async def call(self, what: Callable[[ShardStore], T]) -> T:
        """Run something on the store that is no tick; one after the other."""
        try:
            return await self._run(self._side_thread, partial(what, self._beside))
        except StoreError:
            if self._failed is None and self._idle.is_set() and not self._closing:
                self._commit([])  # does it still take ticks? Nobody who comes should be the first to find out
            raise

    def between(self, what: Callable[[ShardStore], T]) -> asyncio.Future[T]:
        """Run something on the store after all moves that were handed in until now, and before any later one."""
        while self.waiting:
            self._begin()
        return self._run(self._thread, partial(what, self._store))

    async def drain(self) -> None:
        """Return once nobody waits any more."""
        await self._idle.wait()

    async def close(self) -> None:
        """Drain, and close the store."""
        self._closing = True
        await self.drain()
        for timer in (self._timer, self._resting):
            if timer is not None:
                timer.cancel()
        loop = asyncio.get_running_loop()
        for thread, store in {self._side_thread: self._beside, self._thread: self._store}.items():
            await loop.run_in_executor(thread, store.close)
            thread.shutdown()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch: list[tuple[Move, Conclude]] = []
        plain = None
        while self.waiting and not (batch or plain):  # all of a tick's frames may be none
            unread, self._unread = self._unread[:MOST_IN_TICK], self._unread[MOST_IN_TICK:]
            plain = self.read(unread, [move for move, _ in self._waiting]) if unread else None
            batch, self._waiting = self._waiting[:MOST_IN_TICK], self._waiting[MOST_IN_TICK:]
        if asyncio.get_running_loop().time() - self._rested_at_s > REST_EVERY_S:
            self._rest()
        if batch or plain:
            self._commit(batch, plain)
        elif not self._committing:
            self._idle.set()

    def _commit(self, batch: list[tuple[Move, Conclude]], plain: Plain | None = None) -> None:
        loop = asyncio.get_running_loop()
        if not self._committing:
            self._began_s = loop.time()
        self._committing += 1
        self._idle.clear()
        if self._resting is not None:
            self._resting.cancel()
        tick = Tick(self._today(), [move for move, _ in batch], plain and plain.moves)
        done = self._run(self._thread, partial(self._store.commit, tick), self._recorder.commit_s)
        done.add_done_callback(partial(self._end, tick, batch, plain))

    def _end(
        self,
        tick: Tick,
        batch: Sequence[tuple[Move, Conclude]],
        plain: Plain | None,
        done: asyncio.Future[list[Standing]],
    ) -> None:
        self._committing -= 1
        loop = asyncio.get_running_loop()
        self._began_s = loop.time()
        standings = self._standings(done, tick)
        if self.waiting and not self._committing:
            self._begin()  # they came while this tick was committed: that was their time to gather
        for (_, conclude), standing in zip(batch, standings, strict=False):
            tell(conclude, standing)
        if plain:
            plain.conclude(standings[len(batch) :])
        if not self.waiting and not self._committing:
            self._idle.set()  # whoever waits for it goes on after all these answers
            if self._failed is None:
                self._resting = loop.call_later(REST_AFTER_S, self._rest)
            else:
                self._resting = loop.call_later(self._probe_s, self._commit, self._failed)

    def _standings(self, done: asyncio.Future[list[Standing]], tick: Tick) -> Sequence[Standing | None]:
        error = done.exception()
        if error is None:
            if self._failed is not None:
                _LOG.warning("the store works again")
            self._failed = None
            self.committed()
            self._recorder.tick(tick, done.result())
            return done.result()
        if self._failed is None:
            _LOG.error("the store failed, devices are asked to come later: %s", error, exc_info=_if_unforeseen(error))
        moves = tick.all_moves()
        # What no store was to blame for would fail for ever.
        self._failed = [(move, _nobody) for move in moves] if isinstance(error, StoreError) else []
        return [None] * len(moves)

    def _rest(self) -> None:
        self._rested_at_s = asyncio.get_running_loop().time()
        done = self._run(self._thread, self._store.rest)
        done.add_done_callback(lambda rested: rested.exception())  # what fails here fails again at the next tick

    def _run(
        self, thread: ThreadPoolExecutor, what: Callable[[], T], also: Histogram | None = None
    ) -> asyncio.Future[T]:
        """Run something in a thread of the store's, and count how long it took there."""

        def timed() -> T:
            began_s = perf_counter()
            try:
                return what()
            finally:
                taken_s = perf_counter() - began_s
                with self._observing:
                    self._recorder.store_s.observe(taken_s)
                    if also is not None:
                        also.observe(taken_s)

        return asyncio.get_running_loop().run_in_executor(thread, timed)


def tell(answer: Callable[P, None], *what: P.args, **named: P.kwargs) -> None:
    """Answer one of a tick; one that can't be answered is no reason to leave the others without."""
    try:
        answer(*what, **named)
    except Exception:  # noqa: BLE001  (whatever it is)
        _LOG.exception("a sync couldn't be answered")


def _nobody(_: Standing | None) -> None:
    """Answer whoever was told already to come later."""


def _if_unforeseen(error: BaseException) -> BaseException | None:
    return None if isinstance(error, OmegaError) else error
