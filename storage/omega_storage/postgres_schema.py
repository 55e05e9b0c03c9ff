"""The schema of a shard's Postgres database: numbered scripts forwards, and back by one where no row is lost by it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from psycopg.errors import InsufficientPrivilege

from omega.core.errors import StoreError
from omega_storage.postgres_link import connect, parse, store_errors
from omega_storage.postgres_vectors import make, tuned
from omega_storage.sql import migrations, queries, way_back

if TYPE_CHECKING:
    from omega_storage.postgres_link import Connection

_SQL = queries("postgres")
NEWEST = len(migrations("postgres"))


def migrate(connection: Connection, location: str) -> int:
    """Bring the schema up to date, all or nothing, one session at a time; return its number.

    Raises StoreError for a database of another program, or of a newer release.
    """
    with store_errors(location), connection.transaction():
        version = _begin(connection, location)
        if version > NEWEST:
            raise StoreError(f"{location} has schema {version}, this release knows up to {NEWEST}: update omega")
        for number, script in enumerate(migrations("postgres")[version:], version + 1):
            connection.execute(script)
            connection.execute(_SQL["note_migration"], (number,))
    return NEWEST


def search(connection: Connection, location: str) -> bool:
    """Have the index of audiences made if pgvector is there, or may be added, and say whether the database has it.

    It is no part of the numbered schema, which needs no extension: it follows from a table. Raises StoreError.
    """
    with store_errors(location), connection.transaction():
        connection.execute(_SQL["patience"])
        connection.execute(_SQL["lock_migrations"])
        try:
            make(connection, location)
            with connection.transaction():
                [(there,)] = connection.execute(_SQL["has_nearest_index"])
                if tuned(connection) and not there:
                    connection.execute(_SQL["make_nearest_index"])
                return tuned(connection)
        except (StoreError, InsufficientPrivilege):  # the shard serves without
            return False


def migrate_back(url: str) -> int:
    """Undo the newest script of the database at this address, and return the number that it has then.

    For the release before this one; whatever opens it with this release does it again. Raises InputError, StoreError.
    """
    conninfo, location = parse(url)
    with closing(connect(conninfo, location)) as connection, store_errors(location), connection.transaction():
        version = _begin(connection, location)
        script = way_back("postgres", version)
        if script is None:
            raise StoreError(f"{location} has schema {version}, from which no way leads back: restore a backup instead")
        connection.execute(script)
        connection.execute(_SQL["forget_migration"], (version,))
    return version - 1


def _begin(connection: Connection, location: str) -> int:
    """Wait for other sessions that migrate, and return the schema's number; 0 for an empty database."""
    connection.execute(_SQL["patience"])
    connection.execute(_SQL["lock_migrations"])
    tables = {name for (name,) in connection.execute(_SQL["tables"])}
    if tables and "migration" not in tables:
        raise StoreError(f"{location} is the database of another program: name another one, or a schema of its own")
    connection.execute(_SQL["make_migration_table"])
    [(version,)] = connection.execute(_SQL["schema_version"])
    return int(version)
