"""What becomes of each sync: read with its tick, counted once, answered when that is durable."""

from __future__ import annotations

from array import array
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec.structs import replace

from omega.core.errors import InputError, WireError
from omega.core.ports import MAX_FRAME_BYTES
from omega.core.shard_records import TASTE_BYTES, Move, Verdict
from omega.core.wire import Ack, Push, Reason, Resync, decode
from omega.shard.answers import Answer, NoPushError, Refusal, Refused
from omega.shard.columns import WORTH_WHILE, read
from omega.shard.pacing import Budgets, spread
from omega.shard.ticks import Plain, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from omega.core.ports import Bits, Integers
    from omega.core.shard_records import Standing
    from omega.core.wire import Header, Pull
    from omega.shard.answers import Receipt
    from omega.shard.intake import Intake
    from omega.shard.pacing import Service
    from omega.shard.pulls import Pulls
    from omega.shard.ticks import Ticks, Unread

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


class Syncs:
    """Between a shard's door and its ticks."""

    intake: Intake
    """By which pushes are read, ..."""
    header: Header
    """... with what answers begin, ..."""
    pulls: Pulls
    """... and what they tell."""

    def __init__(self, ticks: Ticks, space: int, service: Service, random: Random, today: Callable[[], int]) -> None:
        """Have `ticks` read its frames here; the three above are set before the first one."""
        self._ticks, self._space, self._service, self._random, self._today = ticks, space, service, random, today
        self._budgets = Budgets(service.day_samples)
        self._asked = array("H")  # by device, the day of its last question for similar titles
        ticks.read = self.read

    def refused(self, reason: Refusal) -> Refused:
        """Return a refusal that has devices spread."""
        return Refused(reason, spread(self._service.retry_s, 0.5, self._random))

    def read(self, unread: Sequence[Unread], moves: Sequence[Move]) -> Plain | None:
        """Return the plain ones of a tick's frames; have all others counted one by one."""
        if len(unread) < WORTH_WHILE:
            for one in unread:
                self._read_one(one)
            return None
        slots = np.fromiter((one.slot for one in unread), np.int64, len(unread))
        pushes, day = read([one.frame for one in unread]), self._today()
        which = self.intake.plain(pushes) & (pushes.space == self._space)
        which &= _once(slots) & ~np.isin(slots, [move.slot for move in moves])
        may = np.ones(len(unread), bool)
        may[which] = self._budgets.spend_all(slots[which], pushes.counts[which], day)
        waiting: list[tuple[_Asked, Callable[[Answer], None]]] = []
        told = zip(*(of.tolist() for of in (which, may, pushes.counts, pushes.epoch, pushes.known_pull)), strict=True)
        for one, (is_plain, may_tell, samples, epoch, known_pull) in zip(unread, told, strict=True):
            if not is_plain:
                self._read_one(one)
            elif may_tell:
                waiting.append((_Asked(one.slot, samples, day, epoch, known_pull), one.answer))
            else:
                tell(one.answer, self._spent())
        if not waiting:
            return None
        return Plain(self.intake.moves(slots, pushes, which & may), partial(self._conclude_all, waiting))

    def _read_one(self, unread: Unread) -> None:
        try:
            push = decode(unread.frame, max_bytes=MAX_FRAME_BYTES)
            if not isinstance(push, Push):
                raise NoPushError
            self.count(unread.slot, push, lambda answer: tell(unread.answer, answer))
        except (InputError, WireError) as error:
            tell(unread.answer, error)

    def count(self, slot: int, push: Push, answer: Callable[[Answer], None]) -> None:
        """Have a push counted with the next tick. Raises InputError."""
        if push.asks and len(push.asks) != TASTE_BYTES:
            raise InputError(f"a question has {len(push.asks)} bytes, allowed {TASTE_BYTES}: send a taste code")
        intake = self.intake
        reason = self._misread(push)
        move = Move(slot, push.incarnation, 0, 0) if reason else intake.move(slot, push)  # the former only asks
        day, samples = self._today(), len(move.contributed)
        if not self._budgets.spend(slot, samples, day):
            answer(self._spent())
            return
        resolved = () if reason else intake.resolved(push)
        asked = _Asked(slot, samples, day, push.header.epoch, push.known_pull, push.asks, reason, resolved)
        self._ticks.hand_in(move, partial(self._conclude, asked, answer))

    def _conclude_all(
        self, waiting: Sequence[tuple[_Asked, Callable[[Answer], None]]], standings: Sequence[Standing | None]
    ) -> None:
        """Answer the plain ones of a tick; one that can't be answered is no reason to leave the others without."""
        for (asked, answer), standing in zip(waiting, standings, strict=True):
            tell(self._conclude, asked, answer, standing)

    def _conclude(self, asked: _Asked, answer: Callable[[Answer], None], standing: Standing | None) -> None:
        """Answer a sync that was counted, or couldn't be."""
        if standing is None or standing.verdict is not Verdict.ACCEPTED:
            self._budgets.refund(asked.slot, asked.samples, asked.day)
        receipt = self._receipt(asked, standing)
        answer(Answer(receipt, self._pull(asked) if isinstance(receipt, Ack) else None))

    def _spent(self) -> Answer:
        """Return what a device hears that contributed a day's samples."""
        return Answer(Refused(Refusal.TOO_OFTEN, spread(_WAIT_S, 0.5, self._random)))

    def _misread(self, push: Push) -> Reason | None:
        if push.header.space != self._space:
            rows = (*push.contributed, *push.retracted)
            if push.asks or any(row.taste for row in rows):
                return Reason.SPACE
        return self.intake.misread(push)

    def _receipt(self, asked: _Asked, standing: Standing | None) -> Receipt:
        if standing is None:
            return self.refused(Refusal.STORE)
        if standing.verdict is Verdict.STRANGER:
            return self.refused(Refusal.STRANGER)
        header, incarnation, version = self.header, standing.incarnation, standing.version
        if standing.verdict not in _RECEIVED or asked.reason:
            why = Reason.GAP if standing.verdict is Verdict.STALE else asked.reason or Reason.GAP
            return Resync(header=header, incarnation=incarnation, version=version, reason=why)
        return Ack(
            header=header,
            incarnation=incarnation,
            version=version,
            horizon=standing.horizon,
            next_sync_s=self._service.pace.next_sync_s(self.pulls.board.devices, self._random),
            similar_allowed=not asked.asks and self._may_ask(asked),
            resolved=asked.resolved,
        )

    def _pull(self, asked: _Asked) -> Pull | None:
        """Return the pull unless the device has it; with an answer of its own when it may ask."""
        pull = self.pulls.of(asked.epoch)
        if asked.asks and self._may_ask(asked):
            self._asked[asked.slot] = asked.day
            return replace(pull, similar=self.pulls.board.similar(asked.asks, self.pulls.titles(asked.epoch)))
        return None if pull.pull_id == asked.known_pull else pull

    def _may_ask(self, asked: _Asked) -> bool:
        """Say whether the device didn't ask today; a restart forgets who did."""
        slot = asked.slot
        if slot >= len(self._asked):
            self._asked.extend([0] * (slot + 1 - len(self._asked)))
        return self._asked[slot] != asked.day


def _once(slots: Integers) -> Bits:
    """Return (n,) which of these stand here once."""
    _, place, times = np.unique(slots, return_inverse=True, return_counts=True)
    found: Bits = times[place.reshape(-1)] == 1
    return found
