"""The device's store: contracts, crashes in mid-write, foreign and newer files, what a failure leaves in memory."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np
import pytest

from omega.core.errors import InputError, StoreError
from omega.core.records import Selection
from omega.core.testing.contracts import DIMENSIONS, random_units
from omega.core.testing.device_contract import DurableDeviceStoreContract
from omega.core.testing.watching import CONTEXTS, DAY, OTHER, SPACE, a_household, a_title, a_vector, a_watch, tell
from omega_storage.connection import connect, pragma
from omega_storage.device_sqlite import APPLICATION_ID, SqliteDeviceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from omega.core.ports import DeviceStore, Floats


class TestInMemory(DurableDeviceStoreContract):
    def make(self, tmp_path: Path, *, dimensions: int = DIMENSIONS) -> DeviceStore:
        return SqliteDeviceStore.open(tmp_path / "d.db", dimensions=dimensions)


class TestVec0(DurableDeviceStoreContract):
    def make(self, tmp_path: Path, *, dimensions: int = DIMENSIONS) -> DeviceStore:
        return SqliteDeviceStore.open(tmp_path / "d.db", dimensions=dimensions, in_memory=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteDeviceStore]:
    store = SqliteDeviceStore.open(tmp_path / "d.db", dimensions=DIMENSIONS)
    store.bind(SPACE, CONTEXTS)
    yield store
    store.close()


@pytest.fixture
def query() -> Floats:
    vector: Floats = random_units(1, seed=77)[0]
    return vector


WRITER = """
import sys
from pathlib import Path
from omega.core.testing.watching import CONTEXTS, SPACE, a_watch, tell
from omega_storage.device_sqlite import SqliteDeviceStore
store = SqliteDeviceStore.open(Path(sys.argv[1]), dimensions=16)
store.bind(SPACE, CONTEXTS)
start = store.event_count()
print("ready", flush=True)
for i in range(start, 1_000_000):
    event = a_watch(f"t{i * 7 % 501}", at=i, slot=i % 8, milli=i % 1001, profile=i % 3)
    tell(store, event, day=i // 50, local=i % 5 == 0)
    print(i + 1, flush=True)
"""


def last_acknowledged(path: Path, events: int) -> int:
    """Let a process record at least so many events, kill it, and return how many it said are stored."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        seen = [writer.stdout.readline() for _ in range(events)]
        writer.kill()
        return int([*seen, *writer.stdout][-1])


def test_a_kill_loses_and_tears_nothing(tmp_path: Path, query: Floats) -> None:
    path = tmp_path / "d.db"
    for kill in range(3):
        acknowledged = last_acknowledged(path, 60 + 71 * kill)
        connection = connect(str(path))
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        stored = connection.execute("SELECT count(*) FROM event").get
        assert acknowledged <= stored <= acknowledged + 1
        assert connection.execute("SELECT sum(sample_count), sum(success_milli) FROM pattern").get == (
            stored,
            sum(i % 1001 for i in range(stored)),
        )
        titles = connection.execute("SELECT id FROM title ORDER BY id").fetchall()
        assert titles == connection.execute("SELECT id FROM title_vector ORDER BY id").fetchall()
        shared = "SELECT id FROM event WHERE shared EXCEPT SELECT event_id FROM contribution"
        assert connection.execute(shared).fetchall() == []
        assert connection.execute("SELECT count(*) FROM contribution").get == sum(i % 5 > 0 for i in range(stored))
        connection.close()
        store = SqliteDeviceStore.open(path, dimensions=DIMENSIONS)
        assert store.bind(SPACE, CONTEXTS)
        assert len(store.search(query, 10_000)) == store.pattern_count()
        assert [(event.at, event.watched_milli) for event in store.events()] == [(i, i % 1001) for i in range(stored)]
        store.close()


def test_what_is_acknowledged_is_on_the_disk(store: SqliteDeviceStore) -> None:
    assert pragma(store._connection, "synchronous") == 2  # FULL: each commit of the log waits for the disk


def test_a_new_file_is_marked_and_versioned(tmp_path: Path) -> None:
    SqliteDeviceStore.open(tmp_path / "d.db").close()
    connection = connect(str(tmp_path / "d.db"))
    assert (pragma(connection, "application_id"), pragma(connection, "user_version")) == (APPLICATION_ID, 3)


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "d.db").touch()
    connection = connect(str(tmp_path / "d.db"))
    assert pragma(connection, "user_version") == 0
    connection.close()
    assert SqliteDeviceStore.open(tmp_path / "d.db").pattern_count() == 0


def test_refuses_a_newer_schema(tmp_path: Path) -> None:
    SqliteDeviceStore.open(tmp_path / "d.db").close()
    connection = connect(str(tmp_path / "d.db"))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=r"schema 99, .*update omega"):
        SqliteDeviceStore.open(tmp_path / "d.db")


def test_refuses_what_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a database, but long enough to look at" * 50)
    with pytest.raises(StoreError, match="no SQLite database"):
        SqliteDeviceStore.open(tmp_path / "file")
    with pytest.raises(StoreError, match="can't be opened"):
        SqliteDeviceStore.open(tmp_path / "file" / "d.db")
    foreign = connect(str(tmp_path / "foreign.db"))
    foreign.execute("CREATE TABLE song (id INTEGER PRIMARY KEY)")
    foreign.close()
    with pytest.raises(StoreError, match="another program"):
        SqliteDeviceStore.open(tmp_path / "foreign.db")


def test_says_which_dimensions_it_was_made_with(tmp_path: Path) -> None:
    SqliteDeviceStore.open(tmp_path / "d.db", dimensions=128).close()
    advice = "use the embedder that it was made with, or another folder"
    with pytest.raises(StoreError) as raised:
        SqliteDeviceStore.open(tmp_path / "d.db")
    assert str(raised.value) == f"{tmp_path}/d.db holds vectors of 128 dimensions, asked for 384: {advice}"


def test_reads_events_by_index(store: SqliteDeviceStore) -> None:
    def plans(*calls: Callable[[], object]) -> list[list[str]]:
        statements: list[str] = []
        store._connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: statements.append(event["sql"]))
        for call in calls:
            call()
        store._connection.trace_v2(0, None)
        explained: list[list[Any]] = [
            store._connection.execute(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?")).fetchall()
            for sql in statements
        ]
        return [[row[3] for row in rows] for rows in explained]

    titles = (
        "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH d USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN",
    )
    assert plans(
        lambda: store.events(400),
        lambda: store.events(400, slot=3),
        lambda: store.events(400, profile=1),
        lambda: store.events_after(5, 10),
    ) == [
        ["SCAN e", *titles],
        ["SEARCH e USING INDEX event_by_slot (slot=?)", *titles],
        ["SEARCH e USING INDEX event_by_profile (profile_id=?)", *titles],
        ["SEARCH e USING INTEGER PRIMARY KEY (rowid>?)", *titles],
    ]
    [by_title, *_] = plans(lambda: store.events(content_id="t"))
    assert by_title[0].startswith("SEARCH t USING COVERING INDEX sqlite_autoindex_title_1 (content_id=?)")
    assert by_title[1] == "SEARCH e USING INDEX event_once (title_id=?)"


OPENER = """
import sys
from pathlib import Path
from omega.core.errors import StoreError
from omega_storage.device_sqlite import SqliteDeviceStore
print("ready", flush=True)
for line in sys.stdin:
    try:
        SqliteDeviceStore.open(Path(line.strip())).close()
        print("ok", flush=True)
    except StoreError as error:
        print(error, flush=True)
"""


def test_several_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    with ExitStack() as closing:
        command = [sys.executable, "-c", OPENER]
        openers = [
            closing.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(4)
        ]
        assert [said(opener) for opener in openers] == ["ready"] * 4
        for number in range(40):
            for opener in openers:
                assert opener.stdin is not None
                opener.stdin.write(f"{tmp_path}/{number}.db\n")
                opener.stdin.flush()
            assert [said(opener) for opener in openers] == ["ok"] * 4


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_full_disk_leaves_file_and_memory_as_they_were(store: SqliteDeviceStore, query: Floats) -> None:
    tell(store, a_watch("t0"), day=DAY)
    assert len(store.search(query, 5)) == 1
    store._connection.execute(f"PRAGMA max_page_count = {pragma(store._connection, 'page_count') + 24}")
    recorded = 1

    def fill() -> None:
        nonlocal recorded
        for i in range(1, 2999):
            tell(store, a_watch(f"t{i}" * 20), day=DAY)
            recorded += 1

    with pytest.raises(StoreError, match="free some disk space"):
        fill()
    assert 1 < recorded < 2999
    assert store.event_count() == store.pattern_count() == store.ledger.counts().queued == recorded
    assert len(store.search(query, 5000)) == len(store.watched()) == len(store.titles()) == recorded
    store._connection.execute("PRAGMA max_page_count = 100000")
    tell(store, a_watch("last"))
    assert store.search(a_vector("last"), 1)[0].pattern.content_id == "last"


@pytest.mark.parametrize("title", ["t0", "t1"])
def test_memory_follows_when_the_commit_fails(store: SqliteDeviceStore, query: Floats, title: str) -> None:
    tell(store, a_watch("t0", milli=100))
    before = TestInMemory.everything(store, query)
    store._connection.set_commit_hook(lambda: True)
    with pytest.raises(InputError):
        tell(store, a_watch(title, at=5), day=DAY)
    for act in (
        lambda: store.set_profile("Ada", 5),
        lambda: store.forget(Selection(content_id="t0")),
        lambda: store.prune(0, 0),
        lambda: store.ledger.assign("shard", 1, 1, 5),
        lambda: store.reembed(["t0"], random_units(1)),
    ):
        with pytest.raises((InputError, StoreError)):
            act()
    store._connection.set_commit_hook(None)
    assert TestInMemory.everything(store, query) == before
    assert store.forget(Selection()).events == 1


def test_a_failed_reembed_keeps_the_old_vectors_in_memory_too(store: SqliteDeviceStore) -> None:
    tell(store, a_watch("t0"), a_watch("t1"))
    store._connection.execute("CREATE TRIGGER no BEFORE UPDATE ON meta BEGIN SELECT raise(ABORT, 'no'); END")
    store.bind(OTHER, CONTEXTS)
    with pytest.raises(InputError):
        store.reembed(["t0", "t1"], random_units(2))
    assert np.allclose(store.vectors(["t0", "t1"]), [a_vector("t0"), a_vector("t1")], atol=1e-6)
    assert store.space() == SPACE


def test_what_many_refused_keeps_its_words(store: SqliteDeviceStore) -> None:
    def refused() -> None:
        with store.many():
            tell(store, a_watch("t0"), a_watch("t1", slot=9))

    with pytest.raises(InputError, match=r"content_id='t1'.*slot BETWEEN 0 AND 7"):
        refused()
    with pytest.raises(InputError, match="a number is refused"):
        store.set_profile("Ada", 2**64)


def test_a_damaged_local_title_loses_its_name_alone(store: SqliteDeviceStore) -> None:
    tell(store, a_watch("t0"), local=True)
    store._connection.execute("INSERT INTO title (content_id, kind, local) VALUES ('x', 0, CAST('{' AS BLOB))")
    assert store.titles() == {"t0": a_title("t0"), "x": None}


def test_the_cause_is_kept(store: SqliteDeviceStore) -> None:
    with pytest.raises(InputError, match="slot BETWEEN 0 AND 7") as raised:
        tell(store, a_watch(slot=9))
    assert isinstance(raised.value.__cause__, apsw.ConstraintError)


def test_forgetting_while_another_process_reads_forgets_and_says_so(
    store: SqliteDeviceStore, tmp_path: Path, query: Floats
) -> None:
    tell(store, *a_household())
    reader = connect(str(tmp_path / "d.db"))
    reader.set_busy_timeout(0)
    store._connection.set_busy_timeout(50)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM event").get == 60
    with pytest.raises(StoreError, match="another process"):
        store.forget(Selection(content_id="t1"))
    assert "t1" not in store.titles()
    assert all(near.pattern.content_id != "t1" for near in store.search(query, 500))
    reader.execute("COMMIT")
    reader.close()
    store.compact()


def test_a_store_without_patterns_opens_again(tmp_path: Path) -> None:
    store = SqliteDeviceStore.open(tmp_path / "d.db", dimensions=DIMENSIONS)
    store.bind(SPACE, CONTEXTS)
    tell(store, a_watch("t0"), a_watch("t0", at=5))
    store.prune(9, 0)
    store.close()
    again = SqliteDeviceStore.open(tmp_path / "d.db", dimensions=DIMENSIONS)
    assert (again.event_count(), again.pattern_count(), len(again.watched())) == (2, 0, 1)
    again.close()


def test_a_known_title_is_told_again_under_a_kind_of_its_own(store: SqliteDeviceStore) -> None:
    tell(store, a_watch("t0"))
    with pytest.raises(InputError):
        store.vectors(["t1"])
    assert store.titles() == {"t0": None}
    store.record(a_watch("t0", at=7), a_title("t0"), a_vector("t0"), local=True, day=DAY)
    assert store.titles() == {"t0": a_title("t0")}
    assert store.ledger.counts().queued == 0
