"""The world of the claim `exactly-once`: TVs, two shards, and chance."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack, closing
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from omega.claims.once_line import Clock, ShardProcess
from omega.claims.once_store import FileKeeper
from omega.claims.once_tv import TV
from omega.core.catalog import Catalog
from omega.core.shard_records import ALL_SLOTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from omega.claims.once_line import Keep, Sums
    from omega.core.types import Title

TVS = 4
_START = 1_800_000_000
_STEP_S = 7_000
"""A step takes up to so long: some 25 make a day, some 170 the life of a backup."""
_CRASHED_WITHIN_S = 0.03
_OLD = 20
"""So many titles a shard's first catalog has; the others are newer."""


class Found(msgspec.Struct, frozen=True):
    """What came of some steps."""

    off: dict[str, int]
    """Sums over all checks: absolute differences of samples, of thousandths of success, of a shard's rows of all
    contexts to its others; and rows that TVs couldn't settle."""
    checks: int
    samples: int
    """That the shards must hold at the end."""
    done: dict[str, int]


class Chances(NamedTuple):
    """On what the shards keep their sums, and what may happen to that."""

    keep: Keep = FileKeeper
    forgets: bool = False
    """A killed shard loses where its devices stood."""
    crash: Callable[[], None] | None = None
    """Crashes the database of all shards, and returns once it has recovered."""


class World:
    """Everything, one step after the other."""

    def __init__(self, folder: Path, titles: Sequence[Title], seed: int, stack: ExitStack, chances: Chances) -> None:
        """Start the shards; the stack ends them."""
        self._random, self._crash = Random(seed), chances.crash  # noqa: S311  (faults, no secrets)
        self._clock = Clock(folder / "clock", _START)
        first = Catalog.build(titles[:_OLD])
        epochs = [first, Catalog.build(titles, first)]
        self._shards = []
        for number in range(2):
            shard = ShardProcess(folder, number, self._clock, epochs, chances.keep, forgets=chances.forgets)
            self._shards.append(stack.enter_context(closing(shard)))
        self._tvs = [TV(TVS * seed + n, folder, epochs[-1], self._shards, self._clock) for n in range(TVS)]
        self._ended: Sums = Counter()
        """What the lives that ended by a reset had shared."""
        self._off = Counter(dict.fromkeys(("samples", "thousandths", "all_contexts", "unsettled"), 0))
        self._checks = 0
        self._databases_died = 0
        self._start_all()

    async def play(self, steps: int, every: int, progress: Callable[[int, int, str], None]) -> Found:
        """Take so many steps, and compare every so often, and at the end."""
        for step in range(steps):
            await self._step()
            if (step + 1) % every == 0 or step + 1 == steps:
                await self._check()
                progress(step + 1, steps, "syncing while everything fails")
        done: Counter[str] = Counter()
        for counted in (*(tv.done for tv in self._tvs), *(shard.done for shard in self._shards)):
            done += counted
        done["databases_died"] = self._databases_died
        samples = sum(count for (*_, what), count in self._truth().items() if what == "samples")
        for tv in self._tvs:
            await tv.close()
        return Found(dict(self._off), self._checks, samples, dict(done))

    async def _step(self) -> None:
        self._clock.go(self._random.randrange(1, _STEP_S))
        for shard in self._shards:
            if not shard.running and self._random.random() < 0.4:
                shard.start()
        tv, shard = self._random.choice(self._tvs), self._random.choice(self._shards)
        acts: list[tuple[int, Callable[[], Awaitable[object] | None]]] = [
            (340, tv.watch),
            (370, lambda: tv.sync(tv.shard)),
            (20, lambda: asyncio.gather(*(one.sync(one.shard) for one in self._tvs))),
            (60, lambda: self._settle_some(tv)),
            (70, tv.late),
            (50, tv.forget),
            (40, shard.back_up),
            (30, lambda: shard.restore(self._random)),
            (10, shard.kill),
            (10, tv.die),
            (10, tv.move),
            (3, lambda: setattr(shard, "epoch", 2)),
            (3, lambda: self._reset(tv)),
            (10 if self._crash else 0, self._database_dies),
        ]
        odds, choices = zip(*acts, strict=True)
        doing = self._random.choices(choices, odds)[0]()
        if doing is not None:
            await doing

    async def _settle_some(self, tv: TV) -> None:
        for debt in tv.debts():
            await tv.sync(debt)

    async def _database_dies(self) -> None:
        """Crash the database while all sync; the shards must find it again by themselves."""
        if self._crash is None:
            return
        syncs = [asyncio.ensure_future(tv.sync(tv.shard)) for tv in self._tvs]
        await asyncio.sleep(self._random.uniform(0, _CRASHED_WITHIN_S))
        await asyncio.to_thread(self._crash)
        await asyncio.gather(*syncs)
        self._databases_died += 1
        for shard in self._shards:
            for tv in self._tvs[:2]:  # each of its two sessions has to hear that it is lost
                await tv.sync(shard.name)

    async def _reset(self, tv: TV) -> None:
        """Let a TV tell all, no backup lack it, and the TV begin anew: what its life shared is known for good."""
        self._start_all()
        self._off["unsettled"] += await tv.settle()
        self._ended += tv.truth()
        for shard in self._shards:
            shard.renew_backups()
        await tv.reset()

    def _start_all(self) -> None:
        for shard in self._shards:
            shard.start()

    def _truth(self) -> Sums:
        return sum((tv.truth() for tv in self._tvs), self._ended.copy())

    async def _check(self) -> None:
        """Let all TVs tell all, and add up how far the shards are from the truth."""
        self._start_all()
        for tv in self._tvs:
            self._off["unsettled"] += await tv.settle()
        held: Sums = Counter()
        for shard in self._shards:
            parts, wholes = shard.sums()
            held += parts
            added: Sums = Counter()
            for (title, _, what), count in parts.items():
                added[title, ALL_SLOTS, what] += count
            self._off["all_contexts"] += sum(_apart(added, wholes).values())
        for (*_, what), count in _apart(held, self._truth()).items():
            self._off[what] += count
        self._checks += 1


def _apart(one: Sums, other: Sums) -> Sums:
    """Return the absolute differences."""
    return Counter({key: abs(one[key] - other[key]) for key in one.keys() | other.keys() if one[key] != other[key]})


def played(
    folder: Path,
    titles: Sequence[Title],
    *,
    steps: int,
    every: int,
    seed: int,
    chances: Chances | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Found:
    """Play so many random steps in a new folder. Raises OmegaError when something fails that must not."""
    folder.mkdir()
    with ExitStack() as stack:
        world = World(folder, titles, seed, stack, chances or Chances())
        return asyncio.run(world.play(steps, every, progress))
