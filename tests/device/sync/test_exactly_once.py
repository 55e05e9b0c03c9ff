"""15,000 random steps of TVs and shards with every fault: what the shards hold equals the truth to the integer."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from omega.core.catalog import Catalog
from omega.core.records import Selection
from omega.core.testing.contracts import DIMENSIONS
from omega.core.testing.watching import CONTEXTS, DAY, a_title, a_watch, tell
from omega.core.types import shared_milli
from omega.device.sync.messages import WireCodec
from omega.device.sync.session import Outcome, Session
from omega_storage.device_sqlite import SqliteDeviceStore
from tests.device.sync.shards import KEPT_BACKUPS, SPACE, Key, Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from omega.core.wire import Push
    from omega.device.sync.messages import Reply

OLD, TITLES = 20, 30
STEPS = 5_000
SMALL = 8
"""How much longer than it is a real frame is taken to be, so that it holds few rows as well."""


def a_catalog() -> Catalog:
    """Two epochs, so that some titles are newer than a shard's catalog."""
    titles = [a_title(f"t{i}") for i in range(TITLES)]
    return Catalog.build(titles, Catalog.build(titles[:OLD]))


def size_of(push: Push) -> int:
    """A small frame holds few rows: many versions, and some that must wait."""
    rows = push.contributed + push.retracted
    return 100 + sum(200 if row.hashed else 80 for row in rows)


class Values:
    """A line that carries values as they are."""

    def size_of(self, push: Push) -> int:
        return size_of(push)

    def ask(self, shard: Shard, device: str, push: Push) -> Sequence[Reply]:
        return shard.sync(device, push)


class Frames(Values):
    """A line that carries the wire's bytes, both ways."""

    codec = WireCodec()

    def size_of(self, push: Push) -> int:
        return SMALL * len(self.codec.encode(push))

    def ask(self, shard: Shard, device: str, push: Push) -> Sequence[Reply]:
        return self.codec.decode(shard.answer(device, self.codec.encode(push)))


class TV:
    """A device with a store on disk; a reset makes it another life of the same device."""

    def __init__(
        self, name: str, folder: Path, catalog: Catalog, shards: dict[str, Shard], random: Random, line: Values
    ) -> None:
        self.name, self.folder, self.catalog, self.shards, self.random = name, folder, catalog, shards, random
        self.line = line
        self.at = 0
        self.shard = random.choice(list(shards))
        self.life = 0
        self.open()
        self.seen: list[Counter[Key]] = [Counter()]  # by life: all that it ever shared
        self.lives: dict[int, int] = {}  # by incarnation
        self.flying: list[tuple[str, Push]] = []
        self.heard: dict[str, list[Sequence[Reply]]] = {shard: [] for shard in shards}
        self.outcomes: Counter[str] = Counter()

    def open(self) -> None:
        self.store = SqliteDeviceStore.open(self.folder / f"{self.name}-{self.life}.db", dimensions=DIMENSIONS)
        self.store._connection.execute("PRAGMA synchronous = OFF")  # nobody pulls a plug here
        self.store.bind("s", CONTEXTS)
        self.sessions = {
            shard: Session(
                self.store,
                self.catalog,
                shard,
                space=SPACE,
                size_of=self.line.size_of,
                now_s=lambda: 1_000 + self.at,
                random=self.random,
                settles=shard != self.shard,
            )
            for shard in self.shards
        }

    def watch(self) -> None:
        self.at += self.random.randrange(1, 9)
        title, milli = f"t{self.random.randrange(TITLES)}", self.random.randrange(1001)
        event = a_watch(title, at=self.at, slot=self.random.randrange(3), milli=milli)
        before = self.store.ledger.counts().queued
        tell(self.store, event, day=DAY + self.at // 100)
        if self.store.ledger.counts().queued > before:
            self.seen[-1][title, event.slot, shared_milli(milli)] += 1

    def forget(self) -> None:
        since = self.random.randrange(self.at + 1)
        whole = self.random.random() < 0.1
        title = f"t{self.random.randrange(TITLES)}" if self.random.random() < 0.7 else None
        until = None if whole else since + self.random.randrange(200)
        self.store.forget(Selection(content_id=title, since=None if whole else since, until=until))

    def begin(self, shard: str) -> Push:
        push = self.sessions[shard].begin()
        assert self.lives.setdefault(push.incarnation, self.life) == self.life
        return push

    def ask(self, shard: str, push: Push) -> Sequence[Reply]:
        return self.line.ask(self.shards[shard], self.name, push)

    def sync(self, shard: str, *, reliable: bool = False) -> bool:
        """One exchange over a bad line; say whether there is more."""
        push, chance = self.begin(shard), self.random.random()
        if not reliable and chance < 0.1:
            self.die()
            return True
        if not reliable and chance < 0.3:
            self.flying.append((shard, push))  # late, or never
            return True
        replies = self.ask(shard, push)
        if not reliable and chance < 0.4:
            replies = self.ask(shard, push)
        if not reliable and chance < 0.5:
            self.flying.append((shard, push))  # heard twice, the second time late
        if not reliable and chance < 0.6:
            self.heard[shard].append(replies)
            return True
        if not reliable and chance < 0.65 and self.heard[shard]:
            replies = self.random.choice(self.heard[shard])  # the answer to another question
        synced = self.sessions[shard].receive(replies)
        self.outcomes[synced.outcome] += 1
        return synced.again

    def late(self) -> None:
        if self.flying:
            at = self.random.randrange(len(self.flying))
            shard, push = self.flying.pop(at) if self.random.random() < 0.7 else self.flying[at]
            self.heard[shard] = [*self.heard[shard], self.ask(shard, push)][-20:]

    def die(self) -> None:
        self.store.close()
        self.open()

    def reset(self) -> None:
        self.store.close()
        self.life, self.at = self.life + 1, self.at + 1
        self.seen.append(Counter())
        self.heard = {shard: [] for shard in self.shards}  # frames outlive their sender, answers do not
        self.open()

    def move(self) -> None:
        self.shard = self.random.choice(list(self.shards))
        self.die()

    def debts(self) -> list[str]:
        return [held.shard for held in self.store.ledger.shards() if held.owes and held.shard != self.shard]

    def settle(self) -> None:
        for shard in [*self.debts(), self.shard]:
            for _ in range(200):
                if not self.sync(shard, reliable=True):
                    break
            else:
                pytest.fail(f"{self.name} and {shard} don't come to an end")
        counts = self.store.ledger.counts()
        assert (counts.queued, counts.unacknowledged, counts.retractions) == (0, 0, 0)

    def counted(self, life: int) -> Counter[Key]:
        """What the shards hold of a life."""
        found: Counter[Key] = Counter()
        for shard in self.shards.values():
            for (device, incarnation, key), count in shard.state.sums.items():
                if device == self.name and self.lives[incarnation] == life:
                    found[key] += count
        return found

    def owed(self) -> Counter[Key]:
        events = self.store.events()
        return Counter((e.content_id, e.slot, shared_milli(e.watched_milli)) for e in events if e.shared)


class World:
    """Three TVs, two shards, one thing at a time."""

    def __init__(self, folder: Path, seed: int, line: Values) -> None:
        self.random = Random(seed)
        catalog = a_catalog()
        self.shards = {name: Shard(catalog) for name in ("shard-a", "shard-b")}
        self.tvs = [TV(f"tv{i}", folder, catalog, self.shards, self.random, line) for i in range(3)]

    def step(self) -> None:
        tv, shard = self.random.choice(self.tvs), self.random.choice([*self.shards.values()])
        steps: list[tuple[int, Callable[[], object]]] = [
            (350, tv.watch),
            (380, lambda: tv.sync(tv.shard)),
            (70, lambda: [tv.sync(debt) for debt in tv.debts()]),
            (70, tv.late),
            (50, tv.forget),
            (20, shard.back_up),
            (15, lambda: shard.restore(self.random.randrange(9))),
            (10, tv.die),
            (10, tv.move),
            (5, lambda: setattr(shard.state, "epoch", 2)),
            (3, tv.reset),
        ]
        weights, acts = zip(*steps, strict=True)
        self.random.choices(acts, weights)[0]()

    def check(self) -> None:
        for _ in range(2):
            for tv in self.tvs:
                tv.settle()
            for shard in self.shards.values():
                for _ in range(KEPT_BACKUPS):
                    shard.back_up()
        for tv in self.tvs:
            assert tv.debts() == []
            assert +tv.counted(tv.life) == tv.owed()
            assert min(tv.counted(tv.life).values(), default=0) >= 0
            for life in range(tv.life):  # the ledger is gone: what was counted stays so, and nothing twice
                counted = tv.counted(life)
                assert min(counted.values(), default=0) >= 0
                assert counted <= tv.seen[life]


@pytest.mark.parametrize(
    ("line", "seed"), [(Values(), 0), (Values(), 1), (Frames(), 2)], ids=["values-0", "values-1", "frames-2"]
)
def test_what_the_shards_hold_equals_the_truth_after_every_fault(tmp_path: Path, line: Values, seed: int) -> None:
    world = World(tmp_path, seed, line)
    for step in range(STEPS):
        world.step()
        if step % 500 == 499:
            world.check()
    world.check()
    outcomes = sum((tv.outcomes for tv in world.tvs), Counter[str]())
    assert outcomes[Outcome.REWOUND] == 0, outcomes
    assert outcomes[Outcome.REFUSED] == 0, outcomes
    assert min(outcomes[o] for o in (Outcome.COUNTED, Outcome.RESENT, Outcome.IGNORED)) > 50
    assert sum(tv.life for tv in world.tvs) > 3
    assert sum(len(tv.owed()) for tv in world.tvs) > 20
    for tv in world.tvs:
        tv.store.close()
