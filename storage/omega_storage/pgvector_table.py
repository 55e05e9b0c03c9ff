"""A table of vectors in Postgres: its statements, through psycopg and the package `pgvector`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from pgvector import Vector
from pgvector.psycopg import register_vector

from omega.core.errors import StoreError
from omega_storage.postgres_arrays import column
from omega_storage.postgres_link import STATEMENT_TIMEOUT_S, store_errors
from omega_storage.postgres_session import Session
from omega_storage.postgres_vectors import make, reach
from omega_storage.sql import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg.errors import Diagnostic

    from omega.core.ports import Floats, Integers
    from omega_storage.postgres_link import Connection

    Bounds = Sequence[tuple[str, int, int]]

_STILL_SEEN = re.compile(r"\b([1-9]\d*) dead row versions cannot be removed yet")
_MOST_ROWS = 2**62


class PgvectorTable:
    """One table, made on first use; arguments are taken as checked. All methods raise StoreError."""

    def __init__(self, url: str, table: str, dimensions: int, attributes: Sequence[str]) -> None:
        """Connect, and make the table unless it is there as asked for. Raises InputError, StoreError."""
        self._dimensions, self._attributes = dimensions, tuple(attributes)
        self._sql = _statements(table, dimensions, attributes)
        self._session = Session(url, self._ready)
        self.location = self._session.location
        try:
            with self._session.transaction() as connection:
                make(connection, self.location)
                connection.execute(self._sql["lock"])
                connection.execute(self._sql["create"])
                self._compare(list(connection.execute(self._sql["definition"], (table,))))
                register_vector(connection)
        except BaseException:
            self._session.close()
            raise

    def upsert(self, rows: Iterable[tuple[int, Floats, tuple[int, ...]]]) -> None:
        """Insert or replace rows, all or none, in one round trip."""
        with self._session.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(self._sql["upsert"], [(row_id, Vector(vector), *rest) for row_id, vector, rest in rows])

    def nearest(self, query: Floats, most: int, bounds: Bounds) -> tuple[Integers, Floats]:
        """Return (n,) ids and (n, dimensions) vectors, nearest first as far as float32 tells."""
        condition, values = _condition(bounds, 3)
        found = self._rows("nearest", condition, Vector(query), min(most, _MOST_ROWS), *values)
        vectors = np.asarray([vector.to_numpy() for _, vector in found], np.float32).reshape(-1, self._dimensions)
        return np.asarray([row_id for row_id, _ in found], np.int64), vectors

    def count(self, bounds: Bounds) -> int:
        """Return how many rows are within the bounds."""
        condition, values = _condition(bounds, 1)
        [(count,)] = self._rows("count", condition, *values)
        return int(count)

    def remove(self, ids: Sequence[int]) -> int:
        """Delete rows and return how many there were."""
        with store_errors(self.location):
            return self._session.usable().execute(self._sql["delete"], (column(ids),)).rowcount

    def rewrite(self) -> None:
        """Write the table anew, without what was removed; waits for other sessions to let go of it."""
        said: list[str] = []

        def heard(notice: Diagnostic) -> None:
            said.append(notice.message_detail or "")

        with store_errors(self.location):
            connection = self._session.usable()
            connection.add_notice_handler(heard)
            connection.execute(self._sql["patience"], ("0",))
            try:
                connection.execute(self._sql["rewrite"])
            finally:
                connection.remove_notice_handler(heard)
                if not connection.closed:
                    connection.execute(self._sql["patience"], (f"{STATEMENT_TIMEOUT_S}s",))
        if _STILL_SEEN.search("\n".join(said)):
            raise StoreError(f"{self.location} is read by another session: end that one and compact again")

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def _ready(self, connection: Connection) -> None:
        """Prepare a connection; the first one, which may find no extension yet, is prepared once it was made."""
        if reach(connection):
            register_vector(connection)

    def _rows(self, name: str, condition: str, *values: Any) -> list[Any]:
        with store_errors(self.location):
            statement = self._sql[name].replace("{where}", condition)
            return self._session.usable().execute(statement, values or None, binary=True).fetchall()

    def _compare(self, found: Sequence[tuple[str, str]]) -> None:
        """Raise StoreError unless the table is as asked for."""
        held = dict(found)
        if held.get("vector") != f"vector({self._dimensions})":
            advice = "use the embedder that it was made with, or another schema"
            raise StoreError(
                f"{self.location} holds a column vector of {held.get('vector', 'nothing')}, "
                f"asked for vector({self._dimensions}): {advice}"
            )
        if found != [("id", "bigint"), ("vector", held["vector"]), *((name, "bigint") for name in self._attributes)]:
            names, asked = (", ".join(some) or "none" for some in (list(held)[2:], self._attributes))
            advice = "it was made by another release, use that one, or another schema"
            raise StoreError(f"{self.location} holds vectors with the attributes {names}, asked for {asked}: {advice}")


def _condition(bounds: Bounds, first: int) -> tuple[str, list[int]]:
    """Return what a filter adds to a statement whose parameters from `first` on are free, and their values."""
    places = range(first, first + 2 * len(bounds), 2)
    condition = "".join(
        f' AND "{name}" BETWEEN ${at} AND ${at + 1}' for at, (name, *_) in zip(places, bounds, strict=True)
    )
    return condition, [value for _, *pair in bounds for value in pair]


def _statements(table: str, dimensions: int, attributes: Sequence[str]) -> Mapping[str, str]:
    names = {
        "{table}": table,
        "{dimensions}": str(dimensions),
        "{typed_columns}": "".join(f', "{name}" bigint NOT NULL' for name in attributes),
        "{columns}": "".join(f', "{name}"' for name in attributes),
        "{marks}": "".join(f", ${place}" for place in range(3, 3 + len(attributes))),
        "{assignments}": "".join(f', "{name}" = excluded."{name}"' for name in attributes),
    }
    filled = dict(queries("pgvector"))
    for mark, text in names.items():
        filled = {name: statement.replace(mark, text) for name, statement in filled.items()}
    return filled
