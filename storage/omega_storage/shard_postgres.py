"""A shard's store in a Postgres database, which several workers may share; a tick is one durable transaction.

Everybody takes devices by number, then the lock of all sums: workers wait for each other, never in a ring. A lock a row
of sums gains nothing, since every tick has the titles that everybody watches, and costs an eighth of it.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from omega.core.errors import StoreError
from omega_storage.postgres_arrays import column
from omega_storage.postgres_link import connect, parse, store_errors, was_left
from omega_storage.postgres_schema import migrate
from omega_storage.shard_sql import SqlShardStore
from omega_storage.shard_tables import Tables
from omega_storage.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from omega.core.shard_records import Standing, Tick
    from omega_storage.postgres_link import Connection
    from omega_storage.shard_tables import Column

_SQL = queries("postgres")
CROWD = 1_000
"""Devices among which one isn't told from others."""


class PostgresTables(Tables):
    """Tables in one database, through one connection, which is made anew after it was lost."""

    def __init__(self, url: str) -> None:
        """Connect, and bring the schema up to date. Raises InputError, StoreError."""
        self._conninfo, self.location = parse(url)
        self._connection: Connection | None = connect(self._conninfo, self.location)
        self._depth, self._closed = 0, False
        try:
            migrate(self._connection, self.location)
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block whole or not at all; when its commit is cut off nobody knows which, and a repeat tells."""
        connection = self._usable()
        self._depth += 1
        try:
            with store_errors(self.location), connection.transaction():
                yield
        finally:
            self._depth -= 1

    def lock(self, what: str) -> None:
        """Take an advisory lock."""
        self.read(f"lock_{what}")

    def read(self, name: str, *values: Any) -> list[Any]:
        """Run a named statement and return its rows."""
        with store_errors(self.location):
            cursor = self._usable().execute(_SQL[name], values or None, binary=True)
            return cursor.fetchall() if cursor.description else []

    def write(self, name: str, *columns: Column) -> None:
        """Run a named statement on m rows, in one round trip."""
        with store_errors(self.location):
            self._usable().execute(_SQL[name], [column(values) for values in columns])

    def held(self, name: str, keys: Sequence[int]) -> list[Any]:
        """Return rows by key, each locked in its turn."""
        return self.read(f"held_{name}", column(keys))

    def among(self, values: Sequence[int] | Sequence[bytes]) -> bytes:
        """Return an array."""
        return column(values)

    def close(self) -> None:
        """End the session."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()

    def _usable(self) -> Connection:
        """Return the connection; a new one when it was lost, but never in the midst of a transaction."""
        held = self._connection
        if held is not None and not (held.closed if self._depth else was_left(held)):
            return held
        if self._closed:
            raise StoreError(f"{self.location}: the store is closed: open it again")
        if self._depth:
            raise StoreError(f"{self.location}: the connection was lost in the midst of a transaction: try again")
        self._connection = connect(self._conninfo, self.location)
        return self._connection


class PostgresShardStore(SqlShardStore):
    """Devices and sums in one database; use it from one thread at a time."""

    NAME: ClassVar[str] = "postgres"
    MOST_WAITING: ClassVar[int] = 1 << 20
    """Another session adds them up beside the ticks, which would wait for it."""

    def __init__(
        self, url: str, *, max_devices: int = 4_000_000, backup_days: int = 7, closed: Callable[[], None] = lambda: None
    ) -> None:
        """Connect; `closed` is called after `close`. Raises as `open` does."""
        tables = PostgresTables(url)
        super().__init__(tables, max_devices=max_devices, backup_days=backup_days)
        self._open_another = partial(PostgresShardStore, url, max_devices=max_devices, backup_days=backup_days)
        self._lately: set[int] = set()
        self._last_day, self._after = 0, closed

    @classmethod
    def open(cls, url: str, *, max_devices: int = 4_000_000, backup_days: int = 7) -> Self:
        """Connect to postgresql://user@host/database, and make the tables on first use.

        `max_devices` may enrol, a backup older than `backup_days` is never restored. Raises InputError, StoreError.
        """
        return cls(url, max_devices=max_devices, backup_days=backup_days)

    @property
    def schema(self) -> int:
        """The number of the schema that the database has."""
        [(number,)] = self._tables.read("schema_version")
        return int(number)

    def another(self) -> PostgresShardStore:
        """Return another session; both use one database as two workers would."""
        other = self._open_another()
        other._lags = True  # noqa: SLF001  (one of its own kind)
        return other

    def commit(self, tick: Tick) -> list[Standing]:
        """Judge the moves in order, and make versions and sums durable together."""
        standings = super().commit(tick)
        self._lately.update(move.slot for move in tick.moves)
        self._last_day = tick.day
        return standings

    def rest(self) -> None:
        """Have nobody's last commit tell him from CROWD others of the day, in tables and, if allowed, in the log.

        Where a crowd came since the last rest that is so already.
        """
        came, self._lately = self._lately, set()
        if not 0 < len(came) < CROWD:
            return
        self._settled()
        self._tables.read("empty_journal")
        self._tables.read("mix_devices", self._tables.among(sorted(came)), self._last_day, CROWD)
        self._tables.read("drop_versions")
        [(may,)] = self._tables.read("may_empty_log")
        for name in ("end_segment", "checkpoint") if may else ():
            self._tables.read(name)

    def close(self) -> None:
        """End the session."""
        super().close()
        self._after()
