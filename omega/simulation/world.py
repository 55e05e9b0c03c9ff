"""Days of all TVs and shards of a simulation, and everything that goes wrong in them; the seed decides."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from random import Random
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from omega.core.identity.keyring import KeyRing
from omega.core.shard_records import DAY_S, DEVICE_ID_BYTES
from omega.core.types import SLOTS
from omega.simulation.checks import Checks, unsettled
from omega.simulation.greedy import PUSHES, Greedy
from omega.simulation.planted import planted
from omega.simulation.shards import SERVICE, SimulatedShard
from omega.simulation.tvs import CODEC, DIMENSIONS, TV, Fault, Maker, receive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.ports import Reply

    Lived: TypeAlias = Callable[[], None]

SHARDS = 2
START = 1_800_057_600
"""A midnight, unix seconds."""
WAIT_S = 1_000.0
"""How long a TV waits for an answer: three ticks."""
_EVENING_S = 0.9 * DAY_S
_TRIPS, _MOST_TRIPS = 6, 200
_LATER_S = 3_700.0
_RUSH = 12
_MOST_FLYING, _MOST_HEARD = 2_000, 4
_OK, _MALFORMED, _DENIED, _TOO_MUCH = 200, 400, 401, 429
_NO_LIMIT = 1 << 31

_ON_THE_LINE = {
    Fault.LOST: 0.03,
    Fault.TWICE: 0.03,
    Fault.UNHEARD: 0.03,
    Fault.OTHER: 0.01,
    Fault.GARBAGE: 0.005,
    Fault.FORGED: 0.005,
    Fault.LATE: 0.02,
    Fault.RUSHED: 0.001,
}
"""Chances of an exchange."""
_AT_HOME = {
    Fault.FORGOT: 0.02,
    Fault.CUT_OFF: 0.005,
    Fault.SKEWED: 0.003,
    Fault.MOVED: 0.002,
    Fault.RESET: 0.0002,
}
"""Chances of a visit."""
_KILLS, _UNTOLD, _BACKUPS, _RESTORES = 5, 2, 4, 0.7
"""Of a shard and day, in the mean."""


class World:
    """All of them; for one VirtualLoop."""

    def __init__(
        self, folder: Path, catalog: Catalog, *, devices: int, visits: int, seed: int, bug: str | None = None
    ) -> None:
        """Let so many TVs be known to all shards; each makes so many visits a day. A `bug` of BUGS is to be found."""
        store = planted(bug)
        self._random, self._visits = Random(seed), visits  # noqa: S311  (faults, no secrets)
        self._loop = asyncio.get_running_loop()
        ring = KeyRing.fresh(START)
        most = _NO_LIMIT if bug == "limit" else SERVICE.day_samples
        self.shards = [
            SimulatedShard(number, folder, catalog, ring, self.now, store, day_samples=most) for number in range(SHARDS)
        ]
        ids = [b"simulated".ljust(DEVICE_ID_BYTES - 4) + number.to_bytes(4, "big") for number in range(devices + 1)]
        *slots, numbers = zip(*(shard.enrol(ids) for shard in self.shards), strict=True)
        drawn = np.random.default_rng(seed).standard_normal((SLOTS + len(catalog), DIMENSIONS)).astype(np.float32)
        vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        self._maker = Maker(catalog, vectors[:SLOTS], vectors[SLOTS:], self._random)
        self.tvs = [TV(at, numbers, at % SHARDS, self._maker.store()) for at, numbers in enumerate(slots)]
        self.greedy = [Greedy(devices, slot, len(catalog), self._random) for slot in numbers]
        self.checks = Checks(catalog, self.tvs, self.greedy, self.shards)
        self.faults: Counter[Fault] = Counter(dict.fromkeys(Fault, 0))
        self.syncs = 0
        self.offences: list[str] = []
        """What was seen on the way."""
        self._flying: deque[tuple[SimulatedShard, str, bytes]] = deque(maxlen=_MOST_FLYING)

    def now(self) -> float:
        """Return the virtual time, unix seconds."""
        return START + self._loop.time()

    async def start(self) -> None:
        """Start all shards."""
        for shard in self.shards:
            await shard.start()
            shard.back_up()

    async def day(self, day: int, lived: Lived) -> list[str]:
        """Play one day, and return what is wrong after it; `lived` is called whenever a TV has lived it."""
        until_s = (day + 1) * float(DAY_S)
        visits = [self._day_of(tv, day * DAY_S, lived) for tv in self.tvs]
        fates = (self._fate_of(shard, day * DAY_S) for shard in self.shards)
        claims = (self._claim(*pair, day * DAY_S) for pair in zip(self.greedy, self.shards, strict=True))
        await asyncio.gather(*visits, *fates, *claims)
        await asyncio.sleep(max(until_s - self._loop.time(), 0))
        return await self._found()

    async def settle(self) -> list[str]:
        """Let all TVs tell all over a good line, and return what is wrong then."""
        await asyncio.gather(*(self._settle(tv) for tv in self.tvs))
        return await self._found() or unsettled(self.tvs)

    async def _found(self) -> list[str]:
        for shard in self.shards:
            await shard.settled()
        return [*self.offences, *self.checks.offences([await shard.pull() for shard in self.shards])]

    # --- a TV ---

    async def _day_of(self, tv: TV, begins_s: float, lived: Lived) -> None:
        for at_s in sorted(self._random.uniform(0, _EVENING_S) for _ in range(self._visits)):
            await asyncio.sleep(max(begins_s + at_s - self._loop.time(), 0))
            for _ in range(self._random.randrange(3)):
                self._maker.watch(tv, self.now())
            await self._at_home(tv)
            for shard in self._visited(tv):
                for _ in range(_TRIPS):
                    if not await self._exchange(tv, shard):
                        break
        lived()

    async def _at_home(self, tv: TV) -> None:
        """Let happen what may."""
        for fault in (fault for fault, chance in _AT_HOME.items() if self._random.random() < chance):
            self.faults[fault] += 1
            if fault is Fault.FORGOT:
                self._maker.forget(tv, self.now())
            elif fault is Fault.CUT_OFF:
                tv.cut_off_until_s = self._loop.time() + self._random.uniform(0, DAY_S)
            elif fault is Fault.SKEWED:
                tv.skew_s = self._random.randrange(-2 * DAY_S, 2 * DAY_S)
            elif fault is Fault.MOVED:
                tv.shard, tv.has_moved = (tv.shard + 1) % SHARDS, True
            elif not await self._reset(tv):
                self.faults[fault] -= 1

    def _visited(self, tv: TV) -> list[int]:
        """Return the shards that a TV owes something, and where it belongs."""
        left = [at for at in range(SHARDS) if at != tv.shard] if tv.has_moved else []
        owed = {held.shard for held in tv.ledger.shards() if held.owes} if left else set()
        return [*(at for at in left if self.shards[at].name in owed), tv.shard]

    async def _reset(self, tv: TV) -> bool:
        """Let a TV tell all, no backup lack it, and the TV begin anew; say whether all were there for that."""
        await self._settle(tv)
        if unsettled([tv]) or not all(shard.runs for shard in self.shards):
            return False
        for shard in self.shards:
            shard.renew_backups()
        self.checks.end_life(tv)
        tv.store, tv.has_moved, tv.heard = self._maker.store(), False, []
        return True

    async def _settle(self, tv: TV) -> None:
        for shard in self._visited(tv):
            for _ in range(_MOST_TRIPS):
                if not await self._exchange(tv, shard, is_good=True):
                    break

    # --- the line ---

    async def _exchange(self, tv: TV, at: int, *, is_good: bool = False) -> bool:
        """Say something to a shard, over a bad line unless it `is_good`; return whether there is more."""
        shard, fault = self.shards[at], None if is_good else self._drawn()
        if not is_good and self._loop.time() < tv.cut_off_until_s:
            return False
        session = self._maker.session(tv, at, shard.name, self.now)
        frame, token = CODEC.encode(session.begin()), shard.token(tv.slots[at])
        if fault is not None and not await self._before(fault, tv, shard, token, frame):
            return False
        self.syncs += 1
        reply = await self._asked(shard, token, frame)
        if reply is None or reply.status != _OK:
            if reply is not None and reply.status in (_MALFORMED, _DENIED):
                self.offences.append(f"{shard.name} refused TV {tv.number} with {reply.status}: {reply.body.decode()}")
            if is_good:
                await asyncio.sleep(self._random.uniform(60, _LATER_S))
            return is_good
        old = fault is Fault.OTHER and [body for of, body in tv.heard if of == at]
        tv.heard = [*tv.heard, (at, reply.body)][-_MOST_HEARD:] if self._random.random() < 0.1 else tv.heard
        if fault is Fault.UNHEARD:
            return True
        return receive(session, tv, at, self._random.choice(old) if old else reply.body, is_old=bool(old))

    async def _claim(self, greedy: Greedy, shard: SimulatedShard, begins_s: float) -> None:
        """Have a shard's greedy device claim more than a day allows, at one sitting."""
        await asyncio.sleep(max(begins_s + self._random.uniform(0, _EVENING_S) - self._loop.time(), 0))
        for _ in range(PUSHES):
            await asyncio.sleep(self._random.uniform(30, 60))
            if not shard.runs:
                continue
            reply = await self._asked(shard, shard.token(greedy.slot), greedy.frame(shard.header, self.now()))
            if reply is not None and reply.status == _OK:
                greedy.hear(reply.body)
            elif reply is not None:
                self.faults[Fault.GREEDY] += reply.status == _TOO_MUCH

    def _drawn(self) -> Fault | None:
        draw = self._random.random()
        for fault, chance in _ON_THE_LINE.items():
            if draw < chance:
                self.faults[fault] += 1
                return fault
            draw -= chance
        return None

    async def _before(self, fault: Fault, tv: TV, shard: SimulatedShard, token: str, frame: bytes) -> bool:
        """Do to a question what a fault does; return whether it is asked itself."""
        if fault is Fault.LOST:
            self._flying.append((shard, token, frame))
            return False
        if fault is Fault.TWICE:
            shard.ask(token, frame, _nobody)
        elif fault is Fault.LATE and self._flying:
            self._flying.rotate(self._random.randrange(len(self._flying)))
            of, old_token, old_frame = self._flying[0]
            of.ask(old_token, old_frame, _nobody)
        elif fault is Fault.GARBAGE:
            await self._refused(shard, token, self._spoiled(frame), (_MALFORMED,))
        elif fault is Fault.FORGED:
            other = token[:-1] + ("A" if token[-1] != "A" else "B")
            await self._refused(shard, other, frame, (_DENIED,))
        elif fault is Fault.RUSHED:
            answers: list[int] = []
            taken = sum(shard.ask(token, frame, lambda reply: answers.append(reply.status)) for _ in range(_RUSH))
            if taken and answers.count(429) < _RUSH - SERVICE.pace.burst:
                self.offences.append(f"{shard.name} took {_RUSH - len(answers)} syncs at once of TV {tv.number}")
            return False
        return True

    def _spoiled(self, frame: bytes) -> bytes:
        at = self._random.randrange(len(frame))
        return frame[:at] + bytes([frame[at] ^ 1 << self._random.randrange(8)]) + frame[at + 1 :]

    async def _refused(self, shard: SimulatedShard, token: str, frame: bytes, allowed: tuple[int, ...]) -> None:
        """Say what no shard may count."""
        reply = await self._asked(shard, token, frame)
        if reply is not None and reply.status not in allowed:
            self.offences.append(f"{shard.name} answered {reply.status} to what it had to refuse")

    async def _asked(self, shard: SimulatedShard, token: str, frame: bytes) -> Reply | None:
        answered: asyncio.Future[Reply] = self._loop.create_future()
        if not shard.ask(token, frame, lambda reply: None if answered.done() else answered.set_result(reply)):
            return None
        try:
            return await asyncio.wait_for(answered, WAIT_S)
        except TimeoutError:
            return None

    # --- a shard ---

    async def _fate_of(self, shard: SimulatedShard, begins_s: float) -> None:
        """Let a shard be killed, backed up and put back, at moments of its own."""
        restores = self._random.random() < _RESTORES
        acts: list[Fault | None] = [Fault.KILLED] * _KILLS + [Fault.UNTOLD] * _UNTOLD + [None] * _BACKUPS
        acts += [Fault.RESTORED] if restores else []
        moments = sorted((self._random.uniform(0, _EVENING_S), at) for at in range(len(acts)))
        for at_s, at in moments:
            await asyncio.sleep(max(begins_s + at_s - self._loop.time(), 0))
            match acts[at]:
                case Fault.KILLED:
                    shard.kill()
                case Fault.UNTOLD:
                    self.faults[Fault.UNTOLD] += await shard.kill_untold()
                case Fault.RESTORED:
                    self.faults[Fault.RESTORED] += await shard.restore(self._random)
                    self._believe(shard)
                case _:
                    shard.back_up()
            if not shard.runs:
                self.faults[Fault.KILLED] += 1
                await asyncio.sleep(self._random.uniform(1, 2 * SERVICE.tick_s))
                await shard.start()

    def _believe(self, shard: SimulatedShard) -> None:
        """Take it that a shard stands where its backup does: that it forgot is the operator's doing."""
        for tv in self.tvs:
            row = shard.row(tv.slots[shard.number])
            tv.acked[shard.number] = row.incarnation, row.version


def _nobody(_: Reply) -> None:
    """Hear what nobody waits for."""
