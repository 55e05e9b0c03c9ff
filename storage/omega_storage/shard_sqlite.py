"""A shard's store in one SQLite file, for one machine; a tick is one transaction that waits for the disk."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from omega.core.errors import StoreError
from omega_storage.connection import apsw, connect, is_read_only, migrate, pragma, size_bytes, store_errors, transaction
from omega_storage.shard_likeness import MOVED_AT_REST
from omega_storage.shard_sql import SqlShardStore
from omega_storage.shard_tables import Tables
from omega_storage.sql import migrations, queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Self

    from omega.core.ports import Floats
    from omega_storage.shard_tables import Column

APPLICATION_ID = 0x4F4D4753
"""Marks the file as a shard's store of Omega: "OMGS"."""
_SQL = queries("shard")
_LOG_PAGES = 8_000
"""A checkpoint waits for the disk once more: with 1,000 pages every other full tick would."""


class SqliteTables(Tables):
    """Tables in one file, which SQLite lets one at a time write."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Take over an open connection, which `close` closes."""
        self._connection, self.location = connection, connection.filename

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block whole or not at all."""
        with store_errors(self.location), transaction(self._connection):
            yield

    def lock(self, what: str) -> None:
        """Do nothing: whoever is in a transaction is the only writer."""

    def read(self, name: str, *values: Any) -> list[Any]:
        """Run a named statement and return its rows."""
        with store_errors(self.location):
            return self._connection.execute(_SQL[name], values).fetchall()

    def write(self, name: str, *columns: Column) -> None:
        """Run a named statement on m rows; SQLite takes NaN for NULL by itself."""
        lists = [_values(column) for column in columns]
        with store_errors(self.location):
            self._connection.executemany(_SQL[name], zip(*lists, strict=True))

    def held(self, name: str, keys: Sequence[int]) -> list[Any]:
        """Return rows by key."""
        return self.read(name, self.among(keys))

    def among(self, values: Sequence[int] | Sequence[bytes]) -> str:
        """Return a JSON array; bytes are in hex."""
        return json.dumps([value.hex() if isinstance(value, bytes) else value for value in values])

    def floats(self, values: Sequence[Any]) -> Floats:
        """Return (m, k) float32 of blobs."""
        return np.frombuffer(b"".join(values), np.float32).reshape(len(values), -1)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class SqliteShardStore(SqlShardStore):
    """Devices and sums in one file; use it from one thread at a time."""

    NAME: ClassVar[str] = "sqlite"

    def __init__(self, connection: apsw.Connection, *, max_devices: int, backup_days: int) -> None:
        """Take over an open connection, which `close` closes; raises as `open` does."""
        location = connection.filename
        if is_read_only(connection):
            raise StoreError(f"{location} can't be written, a shard must: make it and its folder writable")
        with store_errors(location):
            migrate(connection, migrations("shard"), APPLICATION_ID, location)
            connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        self._connection, self._location = connection, location
        super().__init__(SqliteTables(connection), max_devices=max_devices, backup_days=backup_days)

    @classmethod
    def open(cls, location: Path | str, *, max_devices: int = 4_000_000, backup_days: int = 7) -> Self:
        """Open or create the file; `max_devices` may enrol, a backup older than `backup_days` is never restored.

        Raises StoreError, for a file that can't be written too, and DamagedStoreError.
        """
        connection = connect(str(location))
        try:
            return cls(connection, max_devices=max_devices, backup_days=backup_days)
        except BaseException:
            connection.close()
            raise

    @property
    def schema(self) -> int:
        """The number of the schema that the file has."""
        return pragma(self._connection, "user_version")

    def rest(self) -> None:
        """Write the log into the file and empty it: it shows which sums moved together with which device."""
        self._settled()
        self._move(MOVED_AT_REST)
        self._tables.read("empty_log")

    def backup(self, to: Path) -> None:
        """Copy the database as it is now into a new file. Raises StoreError.

        Whoever puts it back throws away those that were made after it: what a device was told of the horizon since
        then, and the slots and tokens that were given, wouldn't hold there.
        """
        with store_errors(str(to)):
            target = apsw.Connection(str(to))
            try:
                with target.backup("main", self._connection, "main") as copying:
                    copying.step()
            finally:
                target.close()

    def size_bytes(self) -> int:
        """Return what the file takes on disk, its log included."""
        return size_bytes(self._location)


def _values(column: Column) -> Sequence[Any]:
    """Return a column's values as SQLite takes them."""
    if not isinstance(column, np.ndarray):
        return column
    return [row.tobytes() for row in column] if column.ndim > 1 else column.tolist()
