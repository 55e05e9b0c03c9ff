"""Damaged files: whatever is done to one, its whole pages are saved, nothing is invented, a store opens again."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import stat
import threading
import zlib
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import DamagedStoreError, StoreError
from omega.core.testing.contracts import DIMENSIONS, random_units
from omega.core.testing.watching import CONTEXTS, DAY, SPACE, a_title, a_watch, tell
from omega_storage.connection import apsw, connect, migrate, transaction
from omega_storage.device_sqlite import APPLICATION_ID, SqliteDeviceStore
from omega_storage.pages import Pages
from omega_storage.recovery import damaged_files, examine, rebuild, remove_damaged, row_checksum
from omega_storage.sql import migrations

if TYPE_CHECKING:
    from omega_storage.recovery import Rescue

NOW = datetime(2026, 3, 1, 20, 15, tzinfo=UTC)
DAMAGES = 60
ROWS = 2_000
KINDS = ("flip", "sector", "zero", "garbage", "truncate")
DIARY = """
CREATE TABLE diary (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, number INTEGER NOT NULL, share REAL, raw BLOB, checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX diary_by_name ON diary (name);
CREATE TABLE word (language TEXT, meaning TEXT, PRIMARY KEY (meaning)) STRICT, WITHOUT ROWID;
CREATE TABLE noise (id INTEGER PRIMARY KEY, name TEXT, number INTEGER, share REAL, raw BLOB, checksum INTEGER NOT NULL);
"""


def nothing(connection: apsw.Connection) -> None:
    """Derive nothing."""


def diary_row(number: int) -> tuple[str, int, float, bytes | None]:
    """Return a row; each hundredth is longer than a page."""
    return (
        f"name-{number % 97}-\N{SNOWMAN}",
        number * 31 - 5_000,
        number / 7,
        b"%d" % number * (2_000 * (number % 100 == 0)),
    )


def fresh_diary(path: Path) -> apsw.Connection:
    connection = connect(str(path))
    migrate(connection, [DIARY], 0, str(path))
    return connection


@pytest.fixture(scope="module")
def diary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with three tables, two of them of the same shape."""
    path = tmp_path_factory.mktemp("diary") / "store.db"
    with closing(fresh_diary(path)) as connection, transaction(connection):
        for number in range(ROWS):
            for table, row in (("diary", diary_row(number)), ("noise", diary_row(ROWS + number))):
                values = (*row, row_checksum(table, row))
                connection.execute(f"INSERT INTO {table} VALUES (NULL, ?, ?, ?, ?, ?)", values)  # noqa: S608
        connection.executemany("INSERT INTO word VALUES (?, ?)", ((f"l{i}" * 9, f"meaning {i}") for i in range(900)))
    return path


@pytest.fixture(scope="module")
def tv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TV's store with a log beside it, as its killed process left it."""
    path, copy = tmp_path_factory.mktemp("tv") / "store.db", tmp_path_factory.mktemp("copy") / "store.db"
    vectors = random_units(64)
    with closing(SqliteDeviceStore.open(path, dimensions=DIMENSIONS)) as store:
        store._connection.execute("PRAGMA synchronous = OFF")
        store.bind(SPACE, CONTEXTS)
        for i in range(ROWS // 2):
            name = f"t{i * 7 % 501}"
            watch = a_watch(name, at=i, slot=i % 8, milli=i % 1001, profile=i % 3)
            store.record(watch, a_title(name), vectors[i % 64], local=i % 5 == 0, day=DAY)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    return copy


def put(source: Path, folder: Path, *, log: bool = True) -> Path:
    path = folder / "store.db"
    shutil.copy(source, path)
    if log and Path(f"{source}-wal").exists():
        shutil.copy(f"{source}-wal", f"{path}-wal")
    return path


def damage(path: Path, kind: str, draw: random.Random) -> set[int]:
    """Spoil 1 to 10 places of a file, or its end; return the pages that are touched."""
    content = bytearray(path.read_bytes())
    if kind == "truncate":
        size = draw.randrange(len(content))
        path.write_bytes(content[:size])
        return set(range(size // 4096 + 1, len(content) // 4096 + 1))
    touched = set()
    for _ in range(draw.choice((1, 1, 3, 10))):
        at, size = draw.randrange(len(content)), {"flip": 1, "sector": 512}.get(kind, 4096)
        at -= at % size
        old = content[at : at + size]
        new = {"flip": bytes([old[0] ^ 1 << draw.randrange(8)]), "garbage": draw.randbytes(len(old))}
        content[at : at + size] = new.get(kind, bytes(len(old)))
        touched.add(at // 4096 + 1)
    path.write_bytes(content)
    return touched


def rescued(path: Path) -> Rescue:
    found = rebuild(path, ["title", "event"], fresh_tv, nothing, NOW)
    assert found
    return found


def fresh_tv(path: Path) -> apsw.Connection:
    connection = connect(str(path))
    migrate(connection, migrations("device"), APPLICATION_ID, str(path))
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


def events_of(path: Path) -> Counter[tuple[str, int, int, int]]:
    with closing(SqliteDeviceStore.open(path, dimensions=DIMENSIONS)) as store:
        return Counter((e.content_id, e.at, e.slot, e.watched_milli) for e in store.events())


RECORDED = Counter((f"t{i * 7 % 501}", i, i % 8, i % 1001) for i in range(ROWS // 2))


def test_a_whole_file_is_read_as_sqlite_reads_it(tv: Path, tmp_path: Path) -> None:
    path = put(tv, tmp_path)
    pages = Pages(path)
    with closing(connect(str(path))) as connection:
        for name in ("title", "event", "pattern", "watched", "contribution"):
            root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).get
            read = [cell for page in pages.walk(root) for cell in pages.cells(page)]
            rows = connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
            if name != "watched":
                assert [(cell.rowid, *cell.values[1:]) for cell in read] == rows
            else:  # the rows of inner pages come first
                assert Counter(tuple(cell.values) for cell in read) == Counter(rows)


def test_the_image_of_a_file_and_its_log_is_a_database(tv: Path) -> None:
    with closing(apsw.Connection(":memory:")) as copy:
        copy.deserialize("main", Pages(tv).image())
        assert copy.execute("PRAGMA quick_check").get == "ok"
        assert copy.execute("SELECT count(*) FROM event").get == ROWS // 2


@pytest.mark.parametrize("number", range(DAMAGES))
def test_whole_pages_are_saved_and_nothing_is_invented(diary: Path, tmp_path: Path, number: int) -> None:
    path = put(diary, tmp_path)
    kind = KINDS[number % len(KINDS)]
    touched = damage(path, kind, random.Random(number))
    found = rebuild(path, ["diary", "word"], fresh_diary, nothing, NOW)
    assert found
    assert found.damaged == tmp_path / "store.db.damaged-20260301T201500Z"
    with closing(connect(str(path))) as connection:
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        rows = connection.execute("SELECT name, number, share, raw FROM diary").fetchall()
        assert connection.execute("SELECT count(*) FROM word").get == found.saved["word"]
    assert len(rows) == len(set(rows)) == found.saved["diary"]
    assert set(rows) <= set(map(diary_row, range(ROWS)))
    assert rows_on_whole_pages(Pages(diary), touched) <= set(rows)
    if kind in {"zero", "truncate"}:  # what else is spoiled in an index may name rows that never were
        assert found.lost["diary"] <= ROWS - len(rows)
    assert examine(path, thorough=True) is None


def rows_on_whole_pages(intact: Pages, touched: set[int]) -> set[object]:
    """Return the diary's rows that no damage touched; the long ones, which go on elsewhere, are left out."""
    [root] = [cell.values[3] for cell in intact.cells(1) if cell.values[:2] == ["table", "diary"]]
    assert isinstance(root, int)
    whole = (cell for page in intact.walk(root) if page not in touched for cell in intact.cells(page))
    return {tuple(cell.values[1:5]) for cell in whole if len(str(cell.values[4])) < 1_000}


@pytest.mark.parametrize("number", range(DAMAGES // 2))
def test_a_damaged_tv_opens_again(tv: Path, tmp_path: Path, number: int) -> None:
    path, draw = put(tv, tmp_path, log=number % 3 > 0), random.Random(1000 + number)
    target = Path(f"{path}-wal") if number % 3 == 2 else path
    kind = KINDS[number % len(KINDS)]
    damage(target, kind, draw)
    try:
        with closing(SqliteDeviceStore.open(path, dimensions=DIMENSIONS)) as store:
            store.events()
            store.patterns()
    except StoreError:
        assert path.exists()
    examine(path, thorough=True)
    found = rescued(path)
    saved = events_of(path)
    assert saved.total() <= found.saved["event"]  # one whose title is lost is nobody's
    assert saved <= RECORDED
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lost_root_loses_no_row_that_has_a_checksum(diary: Path, tmp_path: Path) -> None:
    path = put(diary, tmp_path)
    with closing(connect(str(path))) as connection:
        roots = [root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'diary'")]
        connection.execute("DROP TABLE noise")
    content = bytearray(path.read_bytes())
    for page in (1, *roots):
        content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(content)
    assert "no SQLite database" in (examine(path) or "")
    found = rebuild(path, ["diary"], fresh_diary, nothing, NOW)
    assert found
    assert found.saved == {"diary": ROWS}


def test_rows_that_only_an_index_names_are_counted_as_lost(tv: Path, tmp_path: Path) -> None:
    path = put(tv, tmp_path)
    with closing(connect(str(path))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        leaf = int(
            connection.execute(
                "SELECT pageno FROM dbstat WHERE name = 'event' AND pagetype = 'leaf' LIMIT 1 OFFSET 3"
            ).get
        )
    content = bytearray(path.read_bytes())
    content[(leaf - 1) * 4096 : leaf * 4096] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError), closing(SqliteDeviceStore.open(path, dimensions=DIMENSIONS)) as store:
        store.events()
    found = rescued(path)
    assert found.lost["event"] == ROWS // 2 - found.saved["event"] > 50


def test_what_is_derived_is_made_in_the_same_transaction(tv: Path, tmp_path: Path) -> None:
    path = put(tv, tmp_path)

    def derive(connection: apsw.Connection) -> None:
        assert connection.in_transaction
        connection.execute("INSERT INTO meta SELECT 'events', count(*) FROM event")

    rebuild(path, ["title", "event"], fresh_tv, derive, NOW)
    with closing(connect(str(path))) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'events'").get == str(ROWS // 2)


def test_the_damaged_file_stays_whole_and_only_the_last_one(tv: Path, tmp_path: Path) -> None:
    path = put(tv, tmp_path)
    before = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    first = rescued(path).damaged
    assert (first.read_bytes(), Path(f"{first}-wal").read_bytes()) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["store.db", first.name, f"{first.name}-wal"]
    second = rescued(path).damaged
    assert damaged_files(path) == [second]
    assert second.name == "store.db.damaged-20260301T201500Z.2"
    remove_damaged(path)
    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]
    assert events_of(path) == RECORDED


def test_a_rebuild_that_fails_leaves_the_damaged_store(tv: Path, tmp_path: Path) -> None:
    path = put(tv, tmp_path)
    before = path.read_bytes(), Path(f"{path}-wal").read_bytes()

    def fail(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(StoreError, match="no such table"):
        rebuild(path, ["event"], fresh_tv, fail, NOW)
    assert (path.read_bytes(), Path(f"{path}-wal").read_bytes()) == before
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]
    assert rescued(path).saved["event"] == ROWS // 2


def test_a_rebuild_that_was_cut_short_finds_the_log_again(tv: Path, tmp_path: Path) -> None:
    path = put(tv, tmp_path)
    kept = path.with_name("store.db.damaged-20260228T000000Z")
    kept.hardlink_to(path)
    Path(f"{path}-wal").rename(f"{kept}-wal")  # the power went before the new store took its place
    found = rescued(path)
    assert found.damaged == kept
    assert events_of(path) == RECORDED


def test_two_processes_rebuild_once(tv: Path, tmp_path: Path) -> None:
    path, results = put(tv, tmp_path), list[object]()
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    waiting = threading.Thread(target=lambda: results.append(rebuild(path, ["event"], fresh_tv, nothing, NOW)))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    other = tmp_path / "other"
    shutil.copy(path, other)
    other.replace(path)
    os.close(folder)
    waiting.join()
    assert results == [None]
    assert damaged_files(path) == []


def test_a_file_that_is_no_database_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"a holiday in Sicily, day one\n" * 4_000)
    assert "no SQLite database" in (examine(path) or "")
    found = rescued(path)
    assert found.saved == found.lost == {"title": 0, "event": 0}
    assert found.damaged.read_bytes().startswith(b"a holiday")
    assert events_of(path) == Counter()


def test_an_empty_file_with_a_log_is_rescued_before_sqlite_deletes_the_log(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "store.db"
    with closing(SqliteDeviceStore.open(path, dimensions=DIMENSIONS)) as store:
        store.bind(SPACE, CONTEXTS)
        tell(store, *(a_watch("t", at=i) for i in range(20)))
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    copy.touch()
    with pytest.raises(DamagedStoreError, match="is empty and its log is not"):
        connect(str(copy))
    assert rescued(copy).saved["event"] == 20


def test_a_missing_log_costs_only_what_it_held(tv: Path, tmp_path: Path) -> None:
    path = put(tv, tmp_path, log=False)
    if examine(path, thorough=True) is not None:
        rescued(path)
    assert events_of(path) <= RECORDED


def test_a_crash_has_the_file_checked_when_it_is_opened(tv: Path, tmp_path: Path) -> None:
    path = put(tv, tmp_path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    log = Path(f"{path}-wal").read_bytes()
    Path(f"{path}-wal").unlink()
    content[middle : middle + 40_960] = bytes(40_960)
    path.write_bytes(content)
    connect(str(path)).close()  # a log of its own that was closed well says nothing
    Path(f"{path}-wal").write_bytes(log[:32])
    with pytest.raises(DamagedStoreError, match="restore a backup"):
        connect(str(path))


def test_a_thorough_look_finds_what_the_structure_hides(diary: Path, tmp_path: Path) -> None:
    path = put(diary, tmp_path)
    assert examine(path, thorough=True) is None
    with closing(connect(str(path))) as connection:
        connection.execute("UPDATE diary SET share = share + 1 WHERE id = 77")
        connection.execute("DROP TABLE noise")
    assert examine(path) is None
    assert examine(path, thorough=True) == "a row of diary is damaged"
    found = rebuild(path, ["diary"], fresh_diary, nothing, NOW)
    assert found
    assert (found.saved, found.lost) == ({"diary": ROWS - 1}, {"diary": 1})


def test_rows_older_than_a_column_get_its_default_and_misfits_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name, age); CREATE TABLE k (a, b, PRIMARY KEY (b))")
        connection.execute(
            "INSERT INTO t VALUES (1, 'a', 7), (2, 'b', 'seven'), (3, NULL, 7), (4, 'd', 200), (-5, 'e', 0)"
        )
        connection.execute("ALTER TABLE t ADD COLUMN mood DEFAULT 'calm'")
        connection.execute("INSERT INTO t VALUES (9, 'f', 8, 'wild')")

    def fresh(path: Path) -> apsw.Connection:
        connection = connect(str(path))
        columns = (
            "name TEXT NOT NULL, age INTEGER CHECK (age < 150), mood TEXT DEFAULT 'calm', since INTEGER DEFAULT (6 * 7)"
        )
        connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns}) STRICT")
        return connection

    found = rebuild(path, ["t"], fresh, nothing, NOW)
    assert found
    assert (found.saved, found.lost) == ({"t": 3}, {"t": 3})
    with closing(connect(str(path))) as connection:
        rows = connection.execute("SELECT * FROM t ORDER BY name").fetchall()
    assert rows == [(1, "a", 7, "calm", 42), (-5, "e", 0, "calm", 42), (9, "f", 8, "wild", 42)]


def test_a_checksum_depends_on_table_order_and_type() -> None:
    sums = {
        row_checksum("a", (1, "x")),
        row_checksum("b", (1, "x")),
        row_checksum("a", ("x", 1)),
        row_checksum("a", ("1", "x")),
        row_checksum("a", (1.0, "x")),
        row_checksum("a", (1, b"x")),
        row_checksum("a", (1, None)),
    }
    assert len(sums) == 7
    assert row_checksum("a", (1, "x")) == zlib.crc32(b"\x93\xa1a\x01\xa1x")
