"""The extension `vector` of a database, pgvector: within reach in whatever schema it is, and made where that may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors

from omega.core.errors import StoreError
from omega_storage.sql import queries

if TYPE_CHECKING:
    from omega_storage.postgres_link import Connection

OLDEST = (0, 8)
"""The first whose index goes on until it has as many rows as were asked for."""
_IN_VIEW = 200
"""Rows that a search down the index holds in view: of the nearest 100 of 15,000 it misses 2, with 100 in view 5."""
_SQL = queries("pgvector")


def reach(connection: Connection) -> tuple[int, ...]:
    """Let a session find the extension's types and operators; return its version, () where it isn't."""
    found = connection.execute(_SQL["reach"]).fetchone()
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def tuned(connection: Connection) -> bool:
    """Reach the extension, prepare a session for searches down an index, and say whether it knows such."""
    if reach(connection) < OLDEST:
        return False
    connection.execute(_SQL["tune"], (str(_IN_VIEW),))
    return True


def make(connection: Connection, location: str) -> None:
    """Add the extension, unless it is there, and reach it. Raises StoreError where the server or its rights forbid it.

    It goes into `public`, which outlives a schema of one shard or store. One session at a time adds it.
    """
    try:
        with connection.transaction():
            connection.execute(_SQL["lock"])
            if not reach(connection):
                [(home,)] = connection.execute(_SQL["home"])
                connection.execute(_SQL["make"].replace("{home}", home))
    except errors.InsufficientPrivilege as error:
        raise StoreError(
            f"{location} lacks the extension vector, and this user may not add it: let an administrator run "
            "CREATE EXTENSION vector in that database, once"
        ) from error
    except (errors.FeatureNotSupported, errors.UndefinedFile) as error:
        raise StoreError(f"{location} is on a server without pgvector: install it there, 0.8 or newer") from error
    reach(connection)
