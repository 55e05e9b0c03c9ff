"""The ledger against a shard that loses frames, hears them twice and is restored: each sample counts once."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from random import Random
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import InputError
from omega.core.records import LedgerCounts, Selection
from omega.core.testing.contracts import DIMENSIONS
from omega.core.testing.watching import CONTEXTS, DAY, SHARD, SPACE, a_watch, tell
from omega.core.types import shared_milli, title_key
from omega_storage.connection import connect
from omega_storage.device_memory import MemoryDeviceStore
from omega_storage.device_sqlite import SqliteDeviceStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.ports import DeviceStore
    from omega.core.records import Contribution


class Shard:
    """Counts a version's rows once, in the same step as the version."""

    def __init__(self) -> None:
        self.version = 0
        self.samples: Counter[tuple[int, int, int]] = Counter()

    def hear(self, version: int, rows: Sequence[Contribution]) -> int:
        if version == self.version + 1:
            self.version = version
            for row in rows:
                self.samples[row.title_key, row.slot, row.success_milli] += -1 if row.retracts else 1
        return self.version


class Household:
    """A device that shares over a line that loses two frames of five and as many answers."""

    def __init__(self, store: DeviceStore, seed: int) -> None:
        self.store, self.random = store, Random(seed)
        self.shard, self.backups = Shard(), [Shard()]
        self.known = 0  # what the device knows to be counted

    def sync(self, *, reliable: bool = False) -> None:
        if rows := self.store.ledger.assign(*SHARD, self.known + 1, 5):
            assert len(rows) <= 5
            assert self.store.ledger.assign(*SHARD, self.known + 1, 5) == rows
            for _ in range(self.random.randint(1, 2)):
                if reliable or self.random.random() < 0.6:
                    heard = self.shard.hear(self.known + 1, rows)
                    if reliable or self.random.random() < 0.6:
                        self.store.ledger.acknowledge(*SHARD, heard)
                        self.known = heard
                        return

    def restore(self) -> None:
        """Take the shard back to a backup; the device tells it what it lost."""
        self.shard = deepcopy(self.random.choice(self.backups))
        if self.shard.version < self.known:
            for version, rows in self.store.ledger.since(*SHARD, self.shard.version).items():
                self.shard.hear(version, rows)
            assert self.shard.version >= self.known
        self.known = max(self.known, self.shard.version)

    def live(self, steps: int, *, forgets: bool) -> None:
        start = self.store.event_count() * 10
        for step in range(start, start + steps):
            title, slot, day = f"t{self.random.randrange(12)}", self.random.randrange(3), DAY + step // 40
            tell(self.store, a_watch(title, at=step, slot=slot, milli=step % 1001), day=day)
            chance = self.random.random()
            if chance < 0.3:
                self.sync()
            elif chance < 0.35:
                self.backups.append(deepcopy(self.shard))
            elif chance < 0.38:
                self.restore()
            elif chance < 0.41 and forgets:
                since = self.random.randrange(step + 1)
                self.store.forget(Selection(content_id=title, since=since, until=since + 60))

    def settle(self) -> None:
        while self.store.ledger.assign(*SHARD, self.known + 1, 5):
            self.sync(reliable=True)

    def owed(self) -> Counter[tuple[int, int, int]]:
        """Return what the shard ought to hold: the samples of the events that are left."""
        return Counter(
            (title_key(event.content_id), event.slot, shared_milli(event.watched_milli))
            for event in self.store.events()
            if event.shared
        )


def a_store(kind: str, tmp_path: Path) -> DeviceStore:
    is_fake = kind == "memory"
    made = (
        MemoryDeviceStore(dimensions=DIMENSIONS)
        if is_fake
        else SqliteDeviceStore.open(tmp_path / "d.db", dimensions=DIMENSIONS)
    )
    made.bind(SPACE, CONTEXTS)
    return made


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("seed", range(3))
def test_a_shard_holds_what_the_household_has_not_forgotten(tmp_path: Path, kind: str, seed: int) -> None:
    store = a_store(kind, tmp_path)
    home = Household(store, seed)
    home.live(150, forgets=True)
    home.settle()
    assert +home.shard.samples == home.owed()
    assert min(home.shard.samples.values()) >= 0
    assert len(home.owed()) > 20
    assert store.ledger.counts().unacknowledged == store.ledger.counts().queued == 0
    assert store.ledger.counts().retractions == 0

    home.backups = [deepcopy(home.shard)]
    store.ledger.drop_before(*SHARD, home.known)
    assert store.ledger.since(*SHARD, 0) == {}
    assert store.ledger.counts() == LedgerCounts(0, 0, sum(home.owed().values()), 0)
    home.live(100, forgets=True)
    home.settle()
    assert +home.shard.samples == home.owed()
    store.close()


def test_a_version_is_bound_on_disk_before_its_rows_are_known(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    store = a_store("sqlite", tmp_path)
    tell(store, *(a_watch(f"t{i}") for i in range(4)), day=DAY)
    rows = store.ledger.assign(*SHARD, 1, 3)
    reader = connect(str(path))
    bound = reader.execute("SELECT id FROM contribution WHERE version = 1 ORDER BY id").fetchall()
    assert bound == [(row.id,) for row in rows]
    reader.close()
    store.close()


def test_an_event_and_its_line_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    store = a_store("sqlite", tmp_path)
    assert isinstance(store, SqliteDeviceStore)
    store._connection.execute("CREATE TRIGGER no BEFORE INSERT ON contribution BEGIN SELECT raise(FAIL, 'no'); END")
    with pytest.raises(InputError):
        tell(store, a_watch("t0"), day=DAY)
    assert (store.events(), store.titles(), store.ledger.counts()) == ([], {}, LedgerCounts(0, 0, 0, 0))
    tell(store, a_watch("t0"))
    assert [event.shared for event in store.events()] == [False]
    store.close()


def test_two_processes_bind_different_rows(tmp_path: Path) -> None:
    ours, theirs = a_store("sqlite", tmp_path), a_store("sqlite", tmp_path)
    tell(ours, *(a_watch(f"t{i}") for i in range(8)), day=DAY)
    mine, other = ours.ledger.assign("shard-a", 1, 1, 3), theirs.ledger.assign("shard-b", 1, 1, 3)
    assert not {row.id for row in mine} & {row.id for row in other}
    assert theirs.ledger.assign("shard-a", 1, 1, 3) == mine
    ours.forget(Selection())
    assert ours.ledger.assign("shard-b", 1, 2, 9) == [
        row for row in theirs.ledger.since("shard-b", 1, 1).get(2, []) if row.retracts
    ]
    assert [row.retracts for row in theirs.ledger.assign("shard-a", 1, 2, 9)] == [True] * 3
    for store in (ours, theirs):
        store.close()


def test_the_ledger_names_no_title(tmp_path: Path) -> None:
    store = a_store("sqlite", tmp_path)
    name = "a-title-that-is-easily-found"
    tell(store, a_watch(name), a_watch("t1"), day=DAY)
    store.ledger.assign(*SHARD, 1, 9)
    store.forget(Selection(content_id=name))
    assert store.ledger.counts().retractions == 1
    store.close()
    assert all(name.encode() not in file.read_bytes() for file in tmp_path.iterdir())
