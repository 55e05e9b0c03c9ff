"""Opening files: private, refused when foreign, transactions whole or not at all."""

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import apsw
import pytest

from omega.core.errors import StoreError
from omega_storage.connection import connect, migrate, pragma, size_bytes, snapshot, store_errors, transaction

if TYPE_CHECKING:
    from pathlib import Path

OURS = 0x1234
STEPS = (
    f"PRAGMA application_id = {OURS}; CREATE TABLE a (x)",
    "ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2)",
)


def test_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "d.db"
    connection = connect(str(path))
    connection.execute("CREATE TABLE t (x)")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert size_bytes(str(path)) == sum(file.stat().st_size for file in path.parent.iterdir()) > 0


def test_pragmas_hold(tmp_path: Path) -> None:
    connection = connect(str(tmp_path / "d.db"))
    assert connection.execute("PRAGMA journal_mode").get == "wal"
    assert [pragma(connection, name) for name in ("synchronous", "secure_delete", "foreign_keys", "temp_store")] == [
        2,
        1,
        1,
        2,
    ]
    with pytest.raises(apsw.SQLError):
        connection.execute("SELECT load_extension('x')")


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\x07" * 5000])
def test_refuses_garbage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "d.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=str(path)):
        connect(str(path))
    assert path.read_bytes() == content


def test_refuses_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "d.db", tmp_path / "file" / "deeper" / "d.db", tmp_path):
        with pytest.raises(StoreError, match="can't be opened"):
            connect(str(path))


def test_migrates_step_by_step(tmp_path: Path) -> None:
    path = str(tmp_path / "d.db")
    migrate(connect(path), STEPS[:1], OURS, path)
    connection = connect(path)
    assert (pragma(connection, "user_version"), pragma(connection, "application_id")) == (1, OURS)
    migrate(connection, STEPS, OURS, path)
    migrate(connection, STEPS, OURS, path)
    assert connection.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
    with pytest.raises(StoreError, match="schema 2, this release knows up to 1: update omega"):
        migrate(connection, STEPS[:1], OURS, path)


def test_a_failed_step_leaves_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "d.db")
    connection = connect(path)
    with pytest.raises(apsw.SQLError):
        migrate(connection, [STEPS[0], "CREATE TABLE b (x); CREATE TABLE a (x)"], OURS, path)
    assert pragma(connection, "user_version") == 1
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]


def test_refuses_the_database_of_another_program(tmp_path: Path) -> None:
    path = str(tmp_path / "d.db")
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(StoreError, match="another program"):
        migrate(connect(path), STEPS, OURS, path)


def insert(connection: apsw.Connection, value: int, *, then_fail: bool = False) -> None:
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        if then_fail:
            raise ValueError(value)


def test_transactions_nest(tmp_path: Path) -> None:
    connection = connect(str(tmp_path / "d.db"))
    connection.execute("CREATE TABLE t (x)")
    with transaction(connection):
        insert(connection, 1)
        with pytest.raises(ValueError, match="2"):
            insert(connection, 2, then_fail=True)
        insert(connection, 3)
    assert not connection.in_transaction
    assert connection.execute("SELECT x FROM t").fetchall() == [(1,), (3,)]


def test_an_outer_failure_takes_inner_ones_along(tmp_path: Path) -> None:
    connection = connect(str(tmp_path / "d.db"))
    connection.execute("CREATE TABLE t (x)")

    def outer() -> None:
        with transaction(connection):
            insert(connection, 4)
            raise KeyError

    with pytest.raises(KeyError):
        outer()
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM t").get == 0


def test_a_snapshot_is_one_moment(tmp_path: Path) -> None:
    path = str(tmp_path / "d.db")
    one, two = connect(path), connect(path)
    one.execute("CREATE TABLE t (x)")
    with snapshot(one):
        before = one.execute("SELECT count(*) FROM t").get
        insert(two, 1)
        assert one.execute("SELECT count(*) FROM t").get == before == 0
    assert one.execute("SELECT count(*) FROM t").get == 1


def test_a_second_writer_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "d.db")
    one, two = connect(path), connect(path)
    two.set_busy_timeout(10)
    two.execute("CREATE TABLE t (x)")
    with transaction(one), pytest.raises(StoreError, match="another process is writing"), store_errors(path):
        insert(two, 1)


def test_waits_for_a_writer_before_it_switches_to_wal(tmp_path: Path) -> None:
    path = str(tmp_path / "d.db")
    other, refused = apsw.Connection(path), apsw.Connection(path)
    other.execute("CREATE TABLE t (x); BEGIN IMMEDIATE")
    refused.set_busy_timeout(60_000)
    with pytest.raises(apsw.BusyError):
        refused.execute("PRAGMA journal_mode = WAL")
    release = threading.Timer(0.2, other.execute, ["COMMIT"])
    release.start()
    assert connect(path).execute("PRAGMA journal_mode").get == "wal"
    release.join()


def test_a_full_database_is_told_and_nothing_stored(tmp_path: Path) -> None:
    path = str(tmp_path / "d.db")
    connection = connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.execute(f"PRAGMA max_page_count = {pragma(connection, 'page_count') + 3}")

    def fill() -> None:
        with store_errors(path), transaction(connection):
            for _ in range(10):
                connection.execute("INSERT INTO t VALUES (zeroblob(4000))")

    with pytest.raises(StoreError, match="free some disk space"):
        fill()
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM t").get == 0
