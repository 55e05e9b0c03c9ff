"""SQLite connections: opened with sqlite-vec, private to their user; errors in Omega's words.

What was committed outlives a crash of the program. A power cut may take the last commits, whole ones, since only a
checkpoint waits for the disk (synchronous=NORMAL); the file stays sound.

apsw brings its own SQLite, because many Python builds can't load extensions into theirs.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omega.core.errors import MissingExtraError, StoreError

try:
    import apsw
    import sqlite_vec  # type: ignore[import-untyped]
except ImportError as missing:
    raise MissingExtraError(missing.name or "apsw", "device") from missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["apsw", "connect", "migrate", "pragma", "size_bytes", "snapshot", "store_errors", "transaction"]

IN_MEMORY = ":memory:"
BUSY_TIMEOUT_MS = 5_000
_RETRY_S = 0.005

_PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)
_ADVICE: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.FullError, "free some disk space and try again, this was not stored"),
    (apsw.NotADBError, "this is no SQLite database, name another file"),
    (apsw.CorruptError, "the file is damaged, restore a backup or move it away to start afresh"),
    (apsw.ReadOnlyError, "make the file and its folder writable"),
    (apsw.CantOpenError, "name a file in a folder that can be written"),
    (apsw.PermissionsError, "make the file and its folder readable and writable"),
    (apsw.BusyError, "another process is writing to it, stop that one or try again"),
    (apsw.LockedError, "another process is writing to it, stop that one or try again"),
    (apsw.IOError, "the disk failed, look at its health and try again"),
    (apsw.ConnectionClosedError, "open it again, a closed store can't be used"),
    (apsw.ThreadingViolationError, "use a store from one thread at a time"),
    (apsw.ExtensionLoadingError, "install sqlite-vec again, its library can't be loaded"),
)


@contextmanager
def store_errors(location: str) -> Iterator[None]:
    """Turn what apsw raises in the block into StoreError that says what to do; the cause is kept."""
    try:
        yield
    except apsw.Error as error:
        advice = next((text for kind, text in _ADVICE if isinstance(error, kind)), "report this with the message")
        raise StoreError(f"{location}: {error}: {advice}") from error


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Run the block whole or not at all; within another transaction it is a savepoint.

    The outermost one takes the write lock at once: a reader that turns writer can't wait for another writer.
    """
    nested = connection.in_transaction
    connection.execute("SAVEPOINT omega" if nested else "BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("RELEASE omega" if nested else "COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk makes SQLite roll back by itself
            connection.execute("ROLLBACK TO omega; RELEASE omega" if nested else "ROLLBACK")
        raise


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Let the block read the file as it is at one moment, whatever other processes commit meanwhile; takes 3 us."""
    with connection:  # a savepoint
        yield


def connect(location: str) -> apsw.Connection:
    """Open or create the database with sqlite-vec loaded; WAL, synchronous=NORMAL, deleted bytes overwritten.

    A new file has mode 0600, its folder, when new, 0700. Raises StoreError. One thread at a time may use it.
    """
    if location != IN_MEMORY:
        _create_private(Path(location))
    with store_errors(location):
        connection = apsw.Connection(location)
        try:
            _prepare(connection)
        except apsw.Error:
            connection.close()
            raise
    return connection


def migrate(connection: apsw.Connection, migrations: Sequence[str], application_id: int, location: str) -> None:
    """Bring the schema up to date, each step in one transaction; the first one sets `application_id`.

    Raises StoreError for a database of another program, or of a newer release.
    """
    tables = connection.execute("SELECT count(*) FROM sqlite_master").get
    if tables and pragma(connection, "application_id") != application_id:
        raise StoreError(f"{location} is the database of another program: name another file")
    version = pragma(connection, "user_version")
    if version > len(migrations):
        raise StoreError(f"{location} has schema {version}, this release knows up to {len(migrations)}: update omega")
    for number, script in enumerate(migrations[version:], version + 1):
        with transaction(connection):
            if pragma(connection, "user_version") < number:
                connection.execute(script)
                connection.execute(f"PRAGMA user_version = {number}")


def pragma(connection: apsw.Connection, name: str) -> int:
    """Return the value of a pragma that is one integer."""
    return int(connection.execute(f"PRAGMA {name}").get)


def size_bytes(location: str) -> int:
    """Return what a database takes on disk, its log included."""
    files = (Path(f"{location}{suffix}") for suffix in ("", "-wal", "-shm"))
    return sum(file.stat().st_size for file in files if file.exists())


def _create_private(path: Path) -> None:
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"{path} can't be opened: {error.strerror}: name a file in a folder that can be written"
        ) from error


def _prepare(connection: apsw.Connection) -> None:
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.enable_load_extension(True)  # noqa: FBT003
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)  # noqa: FBT003
    _write_ahead(connection)
    for statement in _PRAGMAS:
        connection.execute(statement)


def _write_ahead(connection: apsw.Connection) -> None:
    """Switch to WAL; while another process writes to a new file, SQLite refuses that at once, without its timeout."""
    give_up_at_s = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except apsw.BusyError:
            if time.monotonic() > give_up_at_s:
                raise
            time.sleep(_RETRY_S)
        else:
            return
