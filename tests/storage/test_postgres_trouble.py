"""A shard on a Postgres in trouble: stopped, killed, locked, full of sessions, shared by several workers."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from omega.core.errors import InputError, StoreError
from omega.core.shard_records import ALL_SLOTS, Move, Sample, Tick, Verdict, unknown_title
from omega.core.testing.shard_contract import NOW, TODAY, a_move, a_sample, a_tag, an_id, sums_of, told
from omega.core.wire import Ack
from omega.shard.answers import Refusal, Refused
from tests.shard.playing import a_push, a_row, on_shard, summed_up

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'exogenesis-omega[postgres]'")

from omega_storage.postgres_dev import DevServer, binaries
from omega_storage.postgres_link import connect, parse
from omega_storage.shard_postgres import PostgresShardStore

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import ShardStore
    from omega.shard.shard import Shard
    from tests.postgres_server import Databases

DEVICES = 50


def opened(url: str) -> PostgresShardStore:
    """Return a store with 50 devices."""
    store = PostgresShardStore.open(url)
    store.enrol([an_id(slot) for slot in range(DEVICES)], NOW)
    return store


def samples_of(store: ShardStore) -> dict[tuple[int, int], int]:
    return {key: samples for key, (samples, _, _) in sums_of(store).items()}


def backend(store: PostgresShardStore) -> int:
    """Return the process that serves the store's session."""
    [(pid,)] = store._tables._session.usable().execute("SELECT pg_backend_pid()")  # type: ignore[attr-defined]
    return int(pid)


# --- the server goes and comes ---


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_devices_come_later_while_the_server_is_away(databases: Databases, tmp_path: Path, mode: str) -> None:
    store, server = opened(databases.url(tmp_path)), databases.server

    async def share(shard: Shard, version: int) -> list[Any]:
        pushes = [a_push(version, *(a_row((slot + i) % 40, slot=i) for i in range(8))) for slot in range(DEVICES)]
        answers = await asyncio.gather(*(shard.sync(slot, push) for slot, push in enumerate(pushes)))
        return [answer.receipt for answer in answers]

    async def play(shard: Shard) -> None:
        assert {type(receipt) for receipt in await share(shard, 1)} == {Ack}
        server.end(mode)
        for _ in range(3):
            receipts = await share(shard, 2)
            assert {type(receipt) for receipt in receipts} == {Refused}
            assert {receipt.reason for receipt in receipts} == {Refusal.STORE}
            assert min(receipt.retry_after_s for receipt in receipts) >= 15
        server.run()
        for version in (2, 3):
            assert {type(receipt) for receipt in await share(shard, version)} == {Ack}
        counted = await shard._ticks.call(summed_up)
        assert sum(count for (_, slot), (count, *_) in counted.items() if slot == ALL_SLOTS) == 3 * 8 * DEVICES

    on_shard(store, play)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_nobody_notices_a_server_that_was_away_while_nobody_came(
    databases: Databases, tmp_path: Path, mode: str
) -> None:
    store = opened(databases.url(tmp_path))
    databases.server.end(mode)
    databases.server.run()
    assert [s.verdict for s in told(store, a_move(2, 1, a_sample()))] == [Verdict.ACCEPTED]
    databases.run(f"SELECT pg_terminate_backend({backend(store)}, 30000)")
    assert samples_of(store) == {(7, 4): 1, (7, ALL_SLOTS): 1}
    store.close()


def test_what_was_killed_in_a_commit_is_counted_once(databases: Databases, tmp_path: Path) -> None:
    store, random = opened(databases.url(tmp_path)), Random(7)
    told(store, *(a_move(slot, 1) for slot in range(DEVICES)))
    outcomes: Counter[str] = Counter()
    for version in range(2, 22):
        tick = Tick(TODAY, [a_move(slot, version, *rows_of(slot, version)) for slot in range(DEVICES)])
        victim, delay_s = backend(store), random.uniform(0.0005, 0.02)
        killer = threading.Timer(delay_s, os.kill, (victim, signal.SIGKILL))
        killer.start()
        give_up_at_s = time.monotonic() + 30
        while True:
            try:
                verdicts = {standing.verdict for standing in store.commit(tick)}
                break
            except StoreError:
                outcomes["failed"] += 1
                assert time.monotonic() < give_up_at_s
                time.sleep(0.05)
        killer.join()
        assert len(verdicts) == 1, "a tick is stored whole or not at all"
        outcomes[verdicts.pop().name] += 1
        wait_for(store)
    assert outcomes["failed"] >= 5, outcomes
    assert outcomes["ACCEPTED"] + outcomes["DUPLICATE"] == 20
    truth: Counter[tuple[int, int]] = Counter()
    for version in range(2, 22):
        for slot in range(DEVICES):
            for row in rows_of(slot, version):
                truth.update([(row.title, row.slot), (row.title, ALL_SLOTS)])
    assert samples_of(store) == truth
    assert {device.version for slot in range(DEVICES) if (device := store.device(slot))} == {21}
    store.close()


def rows_of(slot: int, version: int) -> list[Sample]:
    return [a_sample((slot * version + i) % 30, i, by=slot) for i in range(8)]


def wait_for(store: PostgresShardStore) -> None:
    """Return once the server has recovered."""
    give_up_at_s = time.monotonic() + 30
    while True:
        try:
            store.device_count()
        except StoreError:
            assert time.monotonic() < give_up_at_s
            time.sleep(0.05)
        else:
            return


# --- it is slow, locked or full ---


def test_a_row_that_another_session_holds_is_waited_for_and_then_named(databases: Databases, tmp_path: Path) -> None:
    store = opened(databases.url(tmp_path, "lock_timeout=200ms"))
    with closing(databases.connect(databases.url(tmp_path))) as other:
        with other.transaction():
            other.execute("UPDATE device SET seen_day = seen_day WHERE slot = 3")
            with pytest.raises(StoreError, match="another session holds the rows"):
                told(store, a_move(2, 1, a_sample()), a_move(3, 1, a_sample()))
        assert samples_of(store) == {}
        with other.transaction():
            other.execute("SELECT pg_advisory_xact_lock(1330464595, 1)")
            with pytest.raises(StoreError, match="another session holds the rows"):
                store.enrol([an_id(77)], NOW)
    assert [s.verdict for s in told(store, a_move(2, 1, a_sample()), a_move(3, 1, a_sample()))] == [
        Verdict.ACCEPTED
    ] * 2
    assert samples_of(store) == {(7, 4): 2, (7, ALL_SLOTS): 2}
    store.close()


def test_a_statement_that_takes_too_long_leaves_nothing(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path, "statement_timeout=200ms")
    store = opened(url)
    slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(9); RETURN NEW; END'"
    databases.run(slow, url)
    databases.run("CREATE TRIGGER slow BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION slow()", url)
    began_s = time.monotonic()
    with pytest.raises(StoreError, match="longer than statement_timeout"):
        told(store, a_move(2, 1, a_sample()))
    assert time.monotonic() - began_s < 5
    assert samples_of(store) == {}
    row = store.device(2)
    assert row
    assert (row.version, row.contributed) == (0, 0)
    databases.run("DROP TRIGGER slow ON journal", url)
    assert [s.verdict for s in told(store, a_move(2, 1, a_sample()))] == [Verdict.ACCEPTED]
    store.close()


def test_too_many_sessions_are_named(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path, user="few")
    databases.run("CREATE ROLE few LOGIN CONNECTION LIMIT 1")
    schema = databases.run("SELECT current_schema()", databases.url(tmp_path))[0][0]
    databases.run(f"GRANT ALL ON SCHEMA {schema} TO few")
    try:
        store = opened(url)
        with pytest.raises(StoreError, match="takes no more connections: raise max_connections"):
            PostgresShardStore.open(url)
        assert [s.verdict for s in told(store, a_move(2, 1, a_sample()))] == [Verdict.ACCEPTED]
        store.rest()
        assert samples_of(store) == {(7, 4): 1, (7, ALL_SLOTS): 1}, "it rests without the right to empty the log"
        store.close()
    finally:
        databases.run("DROP OWNED BY few; DROP ROLE few")


def test_what_cannot_be_reached_is_named_without_its_password(databases: Databases) -> None:
    for url in ("postgresql://me:secret@127.0.0.1:1/omega", databases.server.url("nowhere")):
        with pytest.raises(StoreError, match="postgres") as caught:
            PostgresShardStore.open(url)
        assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="allowed: postgresql://"):
        PostgresShardStore.open("postgresql://x?no_such_thing=1")


def test_a_closed_store_stays_closed(databases: Databases, tmp_path: Path) -> None:
    store = opened(databases.url(tmp_path))
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.device_count()


def test_every_commit_waits_for_the_disk(databases: Databases, tmp_path: Path) -> None:
    store = opened(databases.url(tmp_path, "synchronous_commit=off"))
    rows = store._tables._session.usable().execute("SHOW synchronous_commit").fetchall()  # type: ignore[attr-defined]
    assert rows == [("on",)]
    assert databases.run("SHOW fsync") == [("on",)]
    store.close()


# --- several workers ---


class Worker:
    """One of several at a database; most of its devices are its own, all of its titles are everybody's."""

    def __init__(self, number: int, url: str) -> None:
        self.store, self.random = opened(url), Random(number)
        self.devices = [*range(number * 15, number * 15 + 15)]
        self.versions: Counter[int] = Counter()
        self.counted: Counter[tuple[int, int]] = Counter()

    def work(self) -> None:
        for _ in range(60):
            shared = range(DEVICES - 5, DEVICES) if self.random.random() < 0.5 else ()
            self.commit([self.move(slot) for slot in self.random.choices([*self.devices, *shared], k=12)])
            if self.random.random() < 0.1:
                self.store.rest()
            if self.random.random() < 0.1:
                self.store.fold({9: 5})

    def move(self, slot: int) -> Move:
        titles = [self.random.choice((*range(12), unknown_title(9))) for _ in range(5)]
        rows = [Sample(title, self.random.randrange(4), TODAY, 500, a_tag(slot, title)) for title in titles]
        return Move(slot, 1, self.versions[slot], self.versions[slot] + 1, tuple(rows))

    def commit(self, moves: list[Move]) -> None:
        standings = self.store.commit(Tick(TODAY + self.random.randrange(2), moves))
        for move, standing in zip(moves, standings, strict=True):
            self.versions[move.slot] = standing.version
            if standing.verdict is Verdict.ACCEPTED:
                for row in move.contributed:
                    title = 5 if row.title < 0 else row.title
                    self.counted.update([(title, row.slot), (title, ALL_SLOTS)])


def test_workers_on_the_same_titles_never_deadlock_and_lose_nothing(databases: Databases, tmp_path: Path) -> None:
    workers = [Worker(number, databases.url(tmp_path)) for number in range(3)]
    with ThreadPoolExecutor(len(workers)) as pool:
        for done in [pool.submit(worker.work) for worker in workers]:
            done.result()
    store = workers[0].store
    store.fold({9: 5})
    truth = sum((worker.counted for worker in workers), Counter[tuple[int, int]]())
    assert samples_of(store) == truth
    contributed = [row.contributed for slot in range(DEVICES) if (row := store.device(slot))]
    assert sum(contributed) == sum(count for (_, slot), count in truth.items() if slot == ALL_SLOTS)
    by_day = {key: sum(count for count, _ in store.buckets(*key).values()) for key in truth if key[1] != ALL_SLOTS}
    assert by_day == {key: count for key, count in truth.items() if key[1] != ALL_SLOTS}
    for worker in workers:
        worker.store.close()


def test_workers_give_every_device_a_number_of_its_own(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: PostgresShardStore.open(url), range(4)))  # all of them migrate
        given = list(
            pool.map(lambda n: [stores[n].enrol([an_id(100 * (n // 2) + i)], NOW)[0] for i in range(40)], range(4))
        )
    assert given[0] == given[1]
    assert given[2] == given[3]
    assert sorted(slot for slots in given[::2] for slot in slots if slot is not None) == list(range(80))
    assert stores[0].device_count() == 80
    for store in stores:
        store.close()


def test_processes_share_a_server_and_the_last_one_stops_it() -> None:
    from tests.postgres_server import a_server  # noqa: PLC0415  (as in conftest)

    with a_server() as first:
        pid = first.pid
        second = DevServer(first.folder)
        second.start()
        assert second.pid == pid
        first.stop()
        assert second.runs()
        with closing(connect(*parse(second.url()))) as connection:
            assert connection.info.server_version >= 150_000
        second.stop()
        assert not second.runs()
        first.start()
        assert first.pid != pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's Postgres runs as somebody else")
def test_programs_in_a_folder_of_roots_own_are_copied(tmp_path: Path) -> None:
    from tests.postgres_server import Databases, a_server  # noqa: PLC0415  (as in conftest)

    found, own = binaries(), tmp_path / "own"
    own.mkdir(mode=0o700)
    (own / "packages").symlink_to(found.parents[2])
    with a_server(own / "packages" / found.relative_to(found.parents[2])) as server:
        assert Databases(server).run("SELECT 1") == [(1,)]
        assert list((server.folder / "programs").rglob("bin/postgres"))
