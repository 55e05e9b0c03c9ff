"""Connections to Postgres: with time limits, durable commits, and errors in Omega's words."""

from __future__ import annotations

import re
import select
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg import RawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from omega.core.errors import InputError, StoreError
from omega_storage.postgres_arrays import register

if TYPE_CHECKING:
    from collections.abc import Iterator

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_S, STATEMENT_TIMEOUT_S, LOCK_TIMEOUT_S = 5, 15, 5
OLDEST = 15
"""The first that has MERGE."""
# Rows are held and then read: a read must see what the last holder wrote, as it does in a snapshot of its own.
_BEFORE = (
    rf"-c default_transaction_isolation=read\ committed -c statement_timeout={STATEMENT_TIMEOUT_S}s"
    f" -c lock_timeout={LOCK_TIMEOUT_S}s -c idle_in_transaction_session_timeout=30s -c jit=off"
    " -c client_min_messages=error"
)
_AFTER = "-c synchronous_commit=on"
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 1000 * STATEMENT_TIMEOUT_S,
    "application_name": "omega-shard",
}
_AGAIN = "try again"
_FULL = "it takes no more connections: raise max_connections, or stop other clients"
_ADVICE = (
    ("53300", _FULL),
    ("53100", "free some disk space there and try again, this was not stored"),
    ("53", "it lacks memory or room, look at the machine and try again"),
    ("55P03", f"another session holds the rows for longer than lock_timeout allows: end that one, or {_AGAIN}"),
    ("57014", f"it took longer than statement_timeout allows, look at what keeps the server busy and {_AGAIN}"),
    ("57P", f"the server stops or starts, {_AGAIN} in a moment"),
    ("40", f"another session was in the way, {_AGAIN}"),
    ("25P03", f"this process was stopped in the midst of a transaction, {_AGAIN}"),
    ("25006", "it is read-only here, a standby perhaps: name the primary"),
    ("28", "check user and password, and the server's pg_hba.conf"),
    ("3D000", "create the database, or name another"),
    ("42501", "let the user own the database, or grant what is missing"),
    ("42P01", "a table is missing: restore a backup"),
    ("08", f"the connection is lost, {_AGAIN}"),
    ("", "check the address, and whether the server runs"),
)
_TOO_MANY = re.compile(r"too many (clients|connections)|remaining connection slots", re.IGNORECASE)


def parse(url: str) -> tuple[str, str]:
    """Return what libpq needs to connect, and where that is in words without a password. Raises InputError."""
    try:
        parts: dict[str, Any] = dict(conninfo_to_dict(url))
    except psycopg.Error as error:
        raise InputError(
            f"store is no address of Postgres ({_line(error)}), allowed: postgresql://user@host/db"
        ) from None
    place = f"postgres {parts.get('dbname', '')} at {parts.get('host', 'localhost')}"
    options = f"{_BEFORE} {parts.pop('options', '')} {_AFTER}"
    return make_conninfo("", **(_DEFAULTS | parts | {"options": options})), place


def connect(conninfo: str, location: str) -> Connection:
    """Open a connection whose commits are durable. Raises StoreError."""
    with store_errors(location):
        connection: Connection = psycopg.connect(conninfo, autocommit=True, cursor_factory=RawCursor)
    if (found := connection.info.server_version // 10_000) < OLDEST:
        connection.close()
        raise StoreError(f"{location} is PostgreSQL {found}, allowed {OLDEST} or newer: update the server")
    register(connection)
    return connection


def was_left(connection: Connection) -> bool:
    """Return whether the server ended an idle session meanwhile, which else its next statement would find out."""
    unheard = select.poll()
    while not connection.closed:
        unheard.register(connection.fileno(), select.POLLIN)
        if not unheard.poll(0):
            return False
        with suppress(psycopg.Error):  # it notes in the connection what it meets
            connection.pgconn.consume_input()
    return True


@contextmanager
def store_errors(location: str) -> Iterator[None]:
    """Turn what psycopg raises in the block into StoreError that says what to do; the cause is kept."""
    try:
        yield
    except psycopg.Error as error:
        advice = next(text for state, text in _ADVICE if (error.sqlstate or "").startswith(state))
        if _TOO_MANY.search(str(error)):  # libpq gives no state with a refused connection
            advice = _FULL
        raise StoreError(f"{location}: {_line(error)}: {advice}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
