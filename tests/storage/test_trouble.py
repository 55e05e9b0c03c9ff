"""Disks that are full or can't be written, for real: a small tmpfs in a mount namespace of its own, for any user."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from omega.core.testing.contracts import DIMENSIONS
from omega.core.testing.watching import CONTEXTS, SPACE, a_watch, tell
from omega_storage import reading
from omega_storage.connection import connect, pragma
from omega_storage.device_sqlite import SqliteDeviceStore

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
COMMON = """
import subprocess, sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from omega.core.errors import StoreError
from omega.core.testing.contracts import DIMENSIONS, random_units
from omega.core.testing.watching import CONTEXTS, SPACE, a_watch, tell
from omega_storage.connection import connect, migrate
from omega_storage.device_sqlite import APPLICATION_ID, SqliteDeviceStore
from omega_storage.recovery import damaged_files, rebuild
from omega_storage.sql import migrations

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)

def remount(option):
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)

def opened():
    store = SqliteDeviceStore.open(path, dimensions=DIMENSIONS)
    store.bind(SPACE, CONTEXTS)
    return store

def watch(store, i):
    tell(store, a_watch(f"t{i}", at=i), local=i % 2 == 0)

def refused(call, *words):
    try:
        call()
    except StoreError as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError("nothing was refused")

def holds(store, events):
    assert store.event_count() == store.pattern_count() == len(store.events()) == events
    assert len(store.search(query, 9999)) == events

def fill(file):
    try:
        with file.open("wb", buffering=0) as out:
            while True:
                out.write(bytes(512))
    except OSError:
        pass

folder = Path(sys.argv[1])
path, query = folder / "d.db", random_units(1)[0]
"""
FULL = """
mount("size=2m")
ballast = folder / "film"
ballast.write_bytes(bytes(500_000))
store = opened()
recorded = 0
try:
    while True:
        watch(store, recorded)
        recorded += 1
except StoreError as error:
    assert "free some disk space" in str(error), error
assert recorded > 5
for _ in range(3):
    holds(store, recorded)
    refused(lambda: watch(store, recorded), "full", "free some disk space and try again, this was not stored")
with closing(opened()) as second:
    holds(second, recorded)
ballast.unlink()
watch(store, recorded)
holds(store, recorded + 1)
store.close()

store = opened()
fill(folder / "more")
holds(store, recorded + 1)
store.close()
fill(folder / "still more")
with closing(opened()) as store:  # no room even for the index of the log
    holds(store, recorded + 1)
    assert store.is_read_only
    refused(lambda: watch(store, recorded + 1), "read-only", "free disk space")
(folder / "more").unlink()
with closing(opened()) as store:
    watch(store, recorded + 1)
    holds(store, recorded + 2)
    assert store._connection.execute("PRAGMA integrity_check").get == "ok"
"""
READ_ONLY = """
mount("size=20m")
with closing(opened()) as store:
    for i in range(5):
        watch(store, i)

def look(events):
    with closing(opened()) as store:
        holds(store, events)
        assert store.is_read_only
        assert sum(title is not None for title in store.titles().values()) == (events + 1) // 2
        for write in (lambda: watch(store, events), store.compact):
            refused(write, str(path), "read-only", "make the file and its folder writable")
        holds(store, events)

remount("ro")
look(5)
remount("rw")
with closing(opened()) as store:
    watch(store, 5)
    files = {file: file.read_bytes() for file in folder.iterdir()}
assert len(files) == 3
for left in (files, {file: data for file, data in files.items() if not file.name.endswith("-shm")}):
    for file in folder.iterdir():
        file.unlink()
    for file, data in left.items():
        file.write_bytes(data)
    remount("ro")
    look(6)
    remount("rw")
with closing(opened()) as store:
    holds(store, 6)
    watch(store, 6)
remount("ro")
for new in (folder / "new.db", folder / "new" / "d.db"):
    refused(lambda: connect(str(new)), "can't be opened", "name a file in a folder that can be written")
"""
NO_ROOM_TO_REBUILD = """
mount("size=3m")
with closing(opened()) as store:
    for i in range(40):
        watch(store, i)

def fresh(path):
    connection = connect(str(path))
    migrate(connection, migrations("device"), APPLICATION_ID, str(path))
    return connection

def rebuilt():
    return rebuild(path, ["event"], fresh, lambda connection: None, datetime(2026, 3, 1, tzinfo=UTC))

content = bytearray(path.read_bytes())
content[:4096] = bytes(4096)
path.write_bytes(content)
fill(folder / "film")
refused(rebuilt)
assert path.read_bytes() == content
assert not list(folder.glob(".*")), list(folder.iterdir())
(folder / "film").unlink()
assert rebuilt().damaged == damaged_files(path)[0]
opened().close()
"""

READER = """
for _ in sys.stdin:
    with closing(opened()) as store:
        assert store.is_read_only
        refused(lambda: watch(store, 99), "read-only", "make the file and its folder writable")
        print(store.event_count(), flush=True)
"""


def in_a_namespace(script: str, folder: Path) -> None:
    """Run the script where it may mount something on `folder`, as root of a user namespace."""
    probe = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", str(folder)], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"no mount namespace for this user ({probe.stderr.decode().strip()}), the tests below need none")
    command = [*NAMESPACE, sys.executable, "-c", COMMON + script, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_refuses_writing_and_goes_on_reading(tmp_path: Path) -> None:
    in_a_namespace(FULL, tmp_path)


def test_a_read_only_disk_is_read_with_and_without_a_log(tmp_path: Path) -> None:
    in_a_namespace(READ_ONLY, tmp_path)


def test_a_rebuild_without_room_changes_nothing(tmp_path: Path) -> None:
    in_a_namespace(NO_ROOM_TO_REBUILD, tmp_path)


def recorded(path: Path, events: int, first: int = 0) -> SqliteDeviceStore:
    store = SqliteDeviceStore.open(path, dimensions=DIMENSIONS)
    store.bind(SPACE, CONTEXTS)
    tell(store, *(a_watch(f"t{first + i}", at=i) for i in range(events)))
    return store


def test_a_copy_in_memory_is_the_file_and_its_log(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    with closing(recorded(path, 20)), closing(reading.Copy.of(path)) as copy:
        assert copy.filename == str(path)
        assert copy.execute("SELECT count(*) FROM event").get == 20
        assert copy.execute("PRAGMA integrity_check").get == "ok"


def test_a_file_that_cannot_be_written_is_read_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    recorded(path, 3).close()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*plain, sys.executable, "-c", COMMON + READER, str(tmp_path)]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
            assert asked(reader) == "3"
            if plain:  # the writer is root, whom no mode stops
                with closing(recorded(path, 9, first=3)):
                    assert asked(reader) == "12"
                assert asked(reader) == "12"
    finally:
        tmp_path.chmod(0o700)


def asked(reader: subprocess.Popen[str]) -> str:
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.write("\n")
    reader.stdin.flush()
    return reader.stdout.readline().strip()


def test_the_log_is_cut_after_a_large_transaction(tmp_path: Path) -> None:
    path = tmp_path / "d.db"
    with closing(connect(str(path))) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (zeroblob(20000000))")
        connection.execute("COMMIT")
        for _ in range(3):
            connection.execute("INSERT INTO t VALUES (1)")
        assert pragma(connection, "journal_size_limit") >= Path(f"{path}-wal").stat().st_size
