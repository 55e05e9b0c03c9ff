"""The device's store: contracts, crashes in mid-write, foreign and newer files, what a failure leaves in memory."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import apsw
import numpy as np
import pytest

from omega.core.errors import InputError, StoreError
from omega.core.ports import WatchRecord
from omega.core.testing.contracts import DIMENSIONS, DurableDeviceStoreContract, a_title, a_watch, random_units
from omega_storage.connection import connect, pragma
from omega_storage.device_sqlite import APPLICATION_ID, VECTOR_TABLE, SqliteDeviceStore

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import DeviceStore


class TestInMemory(DurableDeviceStoreContract):
    def make(self, tmp_path: Path, *, dimensions: int = DIMENSIONS) -> DeviceStore:
        return SqliteDeviceStore.open(tmp_path / "d.db", dimensions=dimensions)


class TestVec0(DurableDeviceStoreContract):
    def make(self, tmp_path: Path, *, dimensions: int = DIMENSIONS) -> DeviceStore:
        return SqliteDeviceStore.open(tmp_path / "d.db", dimensions=dimensions, in_memory=False)


@pytest.fixture
def store(tmp_path: Path) -> SqliteDeviceStore:
    return SqliteDeviceStore.open(tmp_path / "d.db", dimensions=DIMENSIONS)


WRITER = """
import sys
from pathlib import Path
from omega.core.testing.contracts import a_title, a_watch, random_units
from omega_storage.device_sqlite import SqliteDeviceStore
store = SqliteDeviceStore.open(Path(sys.argv[1]))
start = len(store.events())
vectors = random_units(64, 384)
print("ready", flush=True)
for i in range(start, 1_000_000):
    name = f"t{i * 7 % 501}"
    store.record(a_watch(name, at=i, slot=i % 8, milli=i % 1001), a_title(name), vectors[i % 64], "s", local=i % 5 == 0)
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


def test_a_kill_loses_and_tears_nothing(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    for kill in range(3):
        acknowledged = last_acknowledged(path, 200 + 171 * kill)
        connection = connect(str(path))
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        stored = connection.execute("SELECT count(*) FROM event").get
        assert acknowledged <= stored <= acknowledged + 1
        assert connection.execute("SELECT sum(sample_count) FROM pattern").get == stored
        assert connection.execute("SELECT sum(success_milli) FROM pattern").get == sum(i % 1001 for i in range(stored))
        rows = "SELECT id, slot, kind, sample_count, success_milli FROM"
        patterns = connection.execute(f"{rows} pattern ORDER BY id").fetchall()
        assert patterns == sorted(connection.execute(f"{rows} {VECTOR_TABLE}").fetchall())
        connection.close()
        store = SqliteDeviceStore.open(path)
        assert len(store.search(random_units(1, 384)[0], 10_000, "s")) == store.pattern_count() == len(patterns)
        store.close()


def test_a_new_file_is_marked_and_versioned(tmp_path: Path) -> None:
    SqliteDeviceStore.open(tmp_path / "d.db").close()
    connection = connect(str(tmp_path / "d.db"))
    assert (pragma(connection, "application_id"), pragma(connection, "user_version")) == (APPLICATION_ID, 1)


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


def test_says_which_dimensions_it_was_made_with(tmp_path: Path) -> None:
    SqliteDeviceStore.open(tmp_path / "d.db", dimensions=128).close()
    advice = "use the embedder that it was made with, or another folder"
    with pytest.raises(StoreError) as raised:
        SqliteDeviceStore.open(tmp_path / "d.db")
    assert str(raised.value) == f"{tmp_path}/d.db holds vectors of 128 dimensions, asked for 384: {advice}"


def test_reads_events_by_index(store: SqliteDeviceStore) -> None:
    statements: list[str] = []
    store._connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: statements.append(event["sql"]))
    store.events(400)
    store.events(400, slot=3)
    store.events(content_id="t")
    store._connection.trace_v2(0, None)
    plans = [
        [row[3] for row in store._connection.execute(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?"))]
        for sql in statements
    ]
    by_slot, by_title = "USING INDEX event_by_slot (slot=?)", "USING INDEX event_by_title (content_id=?)"
    assert plans == [["SCAN event"], [f"SEARCH event {by_slot}"], [f"SEARCH event {by_title}"]]


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
        for number in range(100):
            for opener in openers:
                assert opener.stdin is not None
                opener.stdin.write(f"{tmp_path}/{number}.db\n")
                opener.stdin.flush()
            assert [said(opener) for opener in openers] == ["ok"] * 4


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_known_patterns_keep_their_vector(store: SqliteDeviceStore) -> None:
    first, second = random_units(2)
    pattern = store.record(a_watch(), a_title(), first, "s", local=False)
    store.record(a_watch(), a_title(), second, "s", local=False)
    assert np.allclose(store.vectors([pattern.id])[0], first, atol=1e-6)


def test_a_full_disk_leaves_file_and_memory_as_they_were(store: SqliteDeviceStore) -> None:
    vectors = random_units(3000)
    store.record(a_watch("t0"), a_title("t0"), vectors[0], "s", local=False)
    store._connection.execute(f"PRAGMA max_page_count = {pragma(store._connection, 'page_count') + 12}")
    recorded = 1

    def fill() -> None:
        nonlocal recorded
        for i in range(1, 2999):
            store.record(a_watch(f"t{i}" * 20), a_title(), vectors[i], "s", local=False)
            recorded += 1

    with pytest.raises(StoreError, match="free some disk space"):
        fill()
    assert 1 < recorded < 2999
    assert len(store.events()) == store.pattern_count() == recorded
    assert len(store.search(vectors[5], 5000, "s")) == recorded
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.record(a_watch("last"), a_title("last"), vectors[2999], "s", local=False)
    assert store.search(vectors[2999], 1, "s")[0].similarity == pytest.approx(1, abs=1e-5)


def test_memory_follows_when_the_commit_fails(store: SqliteDeviceStore) -> None:
    vectors = random_units(3)
    store.record(a_watch("t0", milli=100), a_title("t0"), vectors[0], "s", local=False)

    def refuse() -> bool:
        return True

    store._connection.set_commit_hook(refuse)
    with pytest.raises(InputError):
        store.record(a_watch("t1"), a_title("t1"), vectors[1], "s", local=False)
    with pytest.raises(InputError):
        store.record(a_watch("t0"), a_title("t0"), vectors[0], "s", local=False)
    store._connection.set_commit_hook(None)
    assert len(store.search(vectors[1], 5, "s")) == store.pattern_count() == len(store.events()) == 1
    assert len(store.search(vectors[1], 5, "s", {"success_milli": (100, 100)})) == 1


def test_a_failed_reembed_keeps_the_old_vectors_in_memory_too(store: SqliteDeviceStore) -> None:
    vectors = random_units(4)
    ids = [store.record(a_watch(f"t{i}"), a_title(f"t{i}"), vectors[i], "s", local=False).id for i in range(2)]
    store._connection.execute("CREATE TRIGGER no BEFORE UPDATE ON meta BEGIN SELECT raise(ABORT, 'no'); END")
    with pytest.raises(InputError):
        store.reembed("other", ids, vectors[2:])
    assert np.allclose(store.vectors(ids), vectors[:2], atol=1e-6)
    assert store.space() == "s"


def test_a_damaged_local_title_is_told(store: SqliteDeviceStore) -> None:
    store._connection.execute("INSERT INTO local_title VALUES ('x', CAST('{' AS BLOB))")
    with pytest.raises(StoreError, match="damaged"):
        store.local_titles()


def test_the_cause_is_kept(store: SqliteDeviceStore) -> None:
    with pytest.raises(InputError, match="slot BETWEEN 0 AND 7") as raised:
        store.record(WatchRecord("t", 1, 9, 5), a_title("t"), random_units(1)[0], "s", local=False)
    assert isinstance(raised.value.__cause__, apsw.ConstraintError)


def test_patterns_that_another_process_changed_are_read_again(tmp_path: Path) -> None:
    ours, theirs = (SqliteDeviceStore.open(tmp_path / "d.db") for _ in range(2))
    vector = random_units(1, 384)[0]
    first = ours.record(a_watch("heat"), a_title("heat"), vector, "s", local=False)
    assert ours.patterns([first.id]) == theirs.patterns([first.id]) == [first]
    second = theirs.record(a_watch("heat"), a_title("heat"), vector, "s", local=False)
    assert second.sample_count == 2
    assert ours.patterns([first.id]) == theirs.patterns([first.id]) == [second]
    third = ours.record(a_watch("heat"), a_title("heat"), vector, "s", local=False)
    assert ours.patterns([first.id, 7]) == theirs.patterns([first.id, 7]) == [third]
