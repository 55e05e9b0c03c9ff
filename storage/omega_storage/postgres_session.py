"""One session with Postgres, which is made anew after it was lost."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

import psycopg

from omega.core.errors import StoreError
from omega_storage.postgres_link import connect, parse, store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omega_storage.postgres_link import Connection

T = TypeVar("T")


class Session:
    """A connection that is there whenever it is asked for; use it from one thread at a time."""

    def __init__(self, url: str, ready: Callable[[Connection], object]) -> None:
        """Connect; `ready` prepares each connection that is made. Raises InputError, StoreError."""
        self._conninfo, self.location = parse(url)
        self._ready, self._depth, self._closed = ready, 0, False
        self._connection = self._connected()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run the block whole or not at all; when its commit is cut off nobody knows which, and a repeat tells."""
        with store_errors(self.location), ExitStack() as ends:
            self.begun(lambda connection: ends.enter_context(connection.transaction()))
            self._depth += 1
            try:
                yield self._connection
            finally:
                self._depth -= 1

    def begun(self, begin: Callable[[Connection], T]) -> T:
        """Begin a transaction, or run one statement; once more when it turns out that the session was lost before.

        Without a transaction the statement must come to the same when it is run twice.
        """
        connection = self.usable()
        try:
            return begin(connection)
        except psycopg.OperationalError:
            if self._depth or not connection.closed:
                raise
        return begin(self.usable())

    def usable(self) -> Connection:
        """Return the connection; a new one when it was lost, but never in the midst of a transaction."""
        if not self._connection.closed:
            return self._connection
        if self._closed:
            raise StoreError(f"{self.location}: the store is closed: open it again")
        if self._depth:
            raise StoreError(f"{self.location}: the connection was lost in the midst of a transaction: try again")
        self._connection = self._connected()
        return self._connection

    def close(self) -> None:
        """End the session."""
        self._closed = True
        self._connection.close()

    def _connected(self) -> Connection:
        connection = connect(self._conninfo, self.location)
        try:
            with store_errors(self.location):
                self._ready(connection)
        except BaseException:
            connection.close()
            raise
        return connection
