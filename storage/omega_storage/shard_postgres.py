"""A shard's store in a Postgres database, which several workers may share; a tick is one durable transaction.

Everybody takes the devices of plain moves by number, then those of others, then the lock of all sums: workers wait for
each other, and in a ring only for two TVs that speak to two workers at once, each in another kind of move. Postgres
ends that, and both come again. A lock a row of sums gains nothing, since every tick has the titles that everybody
watches, and costs an eighth of it.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from omega_storage.postgres_arrays import column
from omega_storage.postgres_link import store_errors
from omega_storage.postgres_schema import migrate, search
from omega_storage.postgres_session import Session
from omega_storage.postgres_vectors import tuned
from omega_storage.shard_likeness import MOVED_AT_REST
from omega_storage.shard_moves import Usual
from omega_storage.shard_sql import SqlShardStore
from omega_storage.shard_tables import Tables
from omega_storage.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from omega.core.ports import Floats
    from omega.core.shard_records import PlainMoves, Standing, Tick
    from omega_storage.shard_tables import Column

_SQL = queries("postgres")
CROWD = 1_000
"""Devices among which one isn't told from others."""


class PostgresTables(Tables):
    """Tables in one database, through one session."""

    def __init__(self, url: str) -> None:
        """Connect, and bring the schema up to date. Raises InputError, StoreError."""
        self._session = Session(url, tuned)
        self.location = self._session.location
        try:
            connection = self._session.usable()
            migrate(connection, self.location)
            self.searches = search(connection, self.location)
        except BaseException:
            self._session.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block whole or not at all; when its commit is cut off nobody knows which, and a repeat tells."""
        with self._session.transaction():
            yield

    def lock(self, what: str) -> None:
        """Take an advisory lock."""
        self.read(f"lock_{what}")

    def read(self, name: str, *values: Any) -> list[Any]:
        """Run a named statement and return its rows."""
        with store_errors(self.location):
            cursor = self._session.begun(lambda connection: connection.execute(_SQL[name], values or None, binary=True))
            return cursor.fetchall() if cursor.description else []

    def write(self, name: str, *columns: Column) -> None:
        """Run a named statement on m rows, in one round trip."""
        with store_errors(self.location):
            self._session.usable().execute(_SQL[name], [column(values) for values in columns])

    def held(self, name: str, keys: Sequence[int]) -> list[Any]:
        """Return rows by key, each locked in its turn."""
        return self.read(f"held_{name}", column(keys))

    def among(self, values: Sequence[int] | Sequence[bytes]) -> bytes:
        """Return an array."""
        return column(values)

    def floats(self, values: Sequence[Any]) -> Floats:
        """Return (m, k) float32 of arrays."""
        return np.asarray(values, np.float32)

    def close(self) -> None:
        """End the session."""
        self._session.close()


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
        self._searches, self._lately = tables.searches, set[int]()
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
        self._lately.update(tick.slots())
        self._last_day = tick.day
        return standings

    def _take(self, plain: PlainMoves, day: int) -> Usual:
        """Do so by comparing and setting in one statement: half of the time of holding the rows first."""
        order = np.argsort(plain.slot)
        slots = plain.slot[order]
        facts = (slots, *(of[order] for of in (plain.incarnation, plain.base, plain.version, plain.count)))
        rows = self._tables.read("take", *map(column, facts), day, self._backup_days)
        taken, horizon = np.asarray(rows, np.int64).reshape(-1, 2).T
        which = np.zeros(len(plain), np.bool_)
        places = order[np.searchsorted(slots, taken)]
        which[places] = True
        return Usual(which, horizon[np.argsort(places)])

    def rest(self) -> None:
        """Have nobody's last commit tell him from CROWD others of the day, in tables and, if allowed, in the log.

        Where a crowd came since the last rest that is so already.
        """
        came, self._lately = self._lately, set()
        if not 0 < len(came) < CROWD:
            return
        self._settled()
        self._move(MOVED_AT_REST)
        self._tables.read("empty_journal")
        self._tables.read("mix_devices", self._tables.among(sorted(came)), self._last_day, CROWD)
        self._tables.read("drop_versions")
        [(may,)] = self._tables.read("may_empty_log")
        for name in ("end_segment", "checkpoint") if may else ():
            self._tables.read(name)

    def _near(self, direction: Floats, most: int) -> list[Any]:
        """Return the nearest rows of figures, down the index where there is one."""
        if not self._searches:
            return super()._near(direction, most)
        return self._tables.read("nearest", column(direction), most)

    def close(self) -> None:
        """End the session."""
        super().close()
        self._after()
