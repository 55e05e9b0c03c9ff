"""SQLite connections: opened with sqlite-vec, private to their user; errors in Omega's words.

What was committed outlives a crash of the program and a power cut: a TV is switched off at the wall, so each commit
waits for the disk (synchronous=FULL). That takes .3 ms on an SSD; `transaction` makes many changes one commit.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from omega.core.errors import DamagedStoreError, StoreError
from omega_storage import reading
from omega_storage.engine import apsw, sqlite_vec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "apsw",
    "connect",
    "inode_of",
    "is_read_only",
    "migrate",
    "pragma",
    "size_bytes",
    "snapshot",
    "store_errors",
    "suspect",
    "suspected",
    "sync_folder",
    "transaction",
]

IN_MEMORY = ":memory:"
BUSY_TIMEOUT_MS = 5_000
_RETRY_S = 0.005
_LOG_PAGES = 250
_LOG_BYTES = 2**20

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",  # a temporary file would keep bytes of rows that are deleted later
    f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}",
    f"PRAGMA journal_size_limit = {_LOG_BYTES}",  # what one large transaction made longer is cut again
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)
_DAMAGED = "the file is damaged, restore a backup or move it away to start afresh"
_ADVICE: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.FullError, "free some disk space and try again, this was not stored"),
    (apsw.NotADBError, "this is no SQLite database, name another file"),
    (apsw.CorruptError, _DAMAGED),
    (apsw.ReadOnlyError, "it is read-only here, make the file and its folder writable, or free disk space"),
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
    """Turn what apsw raises in the block into StoreError that says what to do; the cause is kept.

    It is DamagedStoreError for a file that `recovery.rebuild` can help.
    """
    try:
        yield
    except apsw.Error as error:
        advice = next((text for kind, text in _ADVICE if isinstance(error, kind)), "report this with the message")
        damaged = isinstance(error, (apsw.CorruptError, apsw.NotADBError))
        if isinstance(error, apsw.CorruptError):
            suspect(location)
        raise (DamagedStoreError if damaged else StoreError)(f"{location}: {error}: {advice}") from error
    except UnicodeDecodeError as error:  # SQLite takes any bytes for text
        suspect(location)
        raise DamagedStoreError(f"{location}: a text is damaged ({error}): {_DAMAGED}") from error


def suspected(location: str | Path) -> Path:
    """Return the file whose presence says that damage was met: the next start looks at every row and index."""
    return Path(f"{location}.suspect")


def suspect(location: str | Path) -> None:
    """Have the store looked at thoroughly when it is next opened; where that can't be written, it is not."""
    with suppress(OSError):
        if location and Path(location).is_file():
            suspected(location).touch(mode=0o600)


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
    """Open or create the database with sqlite-vec loaded; WAL, synchronous=FULL, deleted bytes overwritten.

    A new file has mode 0600, its folder, when new, 0700. A file that can't be written, nor its folder, or that stands
    on a full disk, is opened for reading; writing then raises StoreError. A log that was left behind by a crash has the
    file checked, 1 ms a MB. Raises StoreError, DamagedStoreError. One thread at a time may use it.
    """
    if location == IN_MEMORY:
        with store_errors(location):
            return _prepared(apsw.Connection(location), write=True)
    path = Path(location)
    writable = _create_private(path)
    crashed = _size(f"{location}-wal") > 0
    if crashed and not _size(location):
        raise DamagedStoreError(f"{location} is empty and its log is not: {_DAMAGED}")  # SQLite would delete that
    with store_errors(location):
        connection = _opened(path) if writable else reading.opened(path, _prepared)
        if crashed:
            _check(connection, location)
    return connection


def is_read_only(connection: apsw.Connection) -> bool:
    """Say whether `connect` could open the file for reading only."""
    return bool(pragma(connection, "query_only"))


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


def inode_of(location: str) -> int | None:
    """Return which file stands there now; None for none, as for a database in memory."""
    try:
        return os.stat(location).st_ino  # noqa: PTH116  (1 us; with a Path 4)
    except OSError:
        return None


def sync_folder(folder: Path) -> None:
    """Wait until the disk holds the folder's entries. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _size(location: str) -> int:
    path = Path(location)
    return path.stat().st_size if path.exists() else 0


def _create_private(path: Path) -> bool:
    """Create the file unless it is there; return whether it can be written."""
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not path.exists()
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if new:
            sync_folder(path.parent)  # SQLite does so for its log alone
    except OSError as error:
        if path.is_file() and os.access(path, os.R_OK):
            return False
        raise StoreError(
            f"{path} can't be opened: {error.strerror}: name a file in a folder that can be written"
        ) from error
    return True


def _opened(path: Path) -> apsw.Connection:
    """Open for writing, or for reading where SQLite can't make the files that it needs beside this one."""
    try:
        return _prepared(apsw.Connection(str(path)), write=True)
    except (apsw.CantOpenError, apsw.FullError, apsw.IOError, apsw.ReadOnlyError):
        if not _size(str(path)):
            raise
        return reading.opened(path, _prepared)


def _prepared(connection: apsw.Connection, *, write: bool) -> apsw.Connection:
    """Set the connection up and read its schema once; closes it on failure."""
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.enable_load_extension(True)  # noqa: FBT003
        connection.load_extension(sqlite_vec.loadable_path())
        connection.enable_load_extension(False)  # noqa: FBT003
        if write:
            _write_ahead(connection)
        for statement in _PRAGMAS:
            connection.execute(statement)
        if not write:
            connection.execute("PRAGMA query_only = ON")
        pragma(connection, "schema_version")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: apsw.Connection, location: str) -> None:
    """Raise DamagedStoreError, and close, when the file's structure isn't sound."""
    try:
        found = connection.execute("PRAGMA quick_check(1)").get
    except BaseException:
        connection.close()
        raise
    if found != "ok":
        connection.close()
        raise DamagedStoreError(f"{location}: {found}: {_DAMAGED}")


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
