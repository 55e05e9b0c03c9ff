"""What a TV keeps from one connection to the next: tickets, and where UDP doesn't get through."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from aioquic.tls import CipherSuite, SessionTicket

from omega.core.errors import InputError
from omega.core.identity.secret_file import read_secret, replace_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST = 8
"""Shards that are remembered; with more, the one that was met longest ago is forgotten."""
_MAX_FILE_BYTES = 65_536


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket, as it stands in the file."""

    ticket: bytes
    secret: bytes
    suite: int
    age_add: int
    name: str
    begun: float
    ends: float
    early_bytes: int | None
    extensions: tuple[tuple[int, bytes], ...]
    host: str
    """The address of the server that gave it."""

    def session(self) -> SessionTicket:
        """Return it as aioquic takes it."""
        return SessionTicket(
            age_add=self.age_add,
            cipher_suite=CipherSuite(self.suite),
            not_valid_after=datetime.fromtimestamp(self.ends, UTC),
            not_valid_before=datetime.fromtimestamp(self.begun, UTC),
            resumption_secret=self.secret,
            server_name=self.name,
            ticket=self.ticket,
            max_early_data_size=self.early_bytes,
            other_extensions=list(self.extensions),
        )


def kept_of(session: SessionTicket, host: str) -> Kept:
    """Return a ticket as it is kept."""
    return Kept(
        ticket=session.ticket,
        secret=session.resumption_secret,
        suite=session.cipher_suite,
        age_add=session.age_add,
        name=session.server_name,
        begun=session.not_valid_before.timestamp(),
        ends=session.not_valid_after.timestamp(),
        early_bytes=session.max_early_data_size,
        extensions=tuple(session.other_extensions),
        host=host,
    )


class Page(msgspec.Struct, frozen=True):
    """What is known of one shard."""

    tickets: tuple[Kept, ...] = ()
    blocked_until: float = 0
    """Unix seconds; UDP isn't tried before."""
    met: float = 0


class Book:
    """Pages by shard: in memory, and in a file, if there is one, where another process finds them."""

    def __init__(self, path: Path | None = None, now: Callable[[], float] = time.time) -> None:
        """`path` is made with the first ticket."""
        self._path, self._now = path, now
        self._pages: dict[str, Page] = {}
        self._read_s = -1

    def take(self, key: str) -> Kept | None:
        """Return a ticket, once; None without one that lasts.

        The file still holds it until the next one replaces it: who dies meanwhile shows it again, and it is refused.
        """
        self._read()
        page = self._pages.get(key, Page())
        lasting = [kept for kept in page.tickets if kept.ends > self._now()]
        if not lasting:
            return None
        self._pages[key] = msgspec.structs.replace(page, tickets=tuple(lasting[:-1]))
        return lasting[-1]

    def keep(self, key: str, kept: Kept) -> None:
        """Keep the newest ticket in place of those before."""
        self._turn(key, tickets=(kept,))

    def is_blocked(self, key: str) -> bool:
        """Whether UDP isn't worth trying now."""
        self._read()
        return self._now() < self._pages.get(key, Page()).blocked_until

    def block(self, key: str, seconds: float) -> None:
        """Note that UDP doesn't get through."""
        self._turn(key, blocked_until=self._now() + seconds)

    def _turn(self, key: str, **changed: object) -> None:
        self._read()
        page = msgspec.structs.replace(self._pages.get(key, Page()), met=self._now(), **changed)
        pages = self._pages | {key: page}
        self._pages = dict(sorted(pages.items(), key=lambda item: item[1].met)[-MOST:])
        if self._path:
            with suppress(InputError):  # a full disk costs a round trip
                replace_secret(self._path, msgspec.json.encode(self._pages))
                self._read_s = self._path.stat().st_mtime_ns

    def _read(self) -> None:
        """Read the file again, if another process wrote it; a damaged one is as good as none."""
        with suppress(InputError, OSError, msgspec.MsgspecError, UnicodeDecodeError):
            if self._path and (written := self._path.stat().st_mtime_ns) != self._read_s:
                self._read_s = written
                self._pages = msgspec.json.decode(read_secret(self._path, _MAX_FILE_BYTES), type=dict[str, Page])


_books: dict[Path | None, Book] = {}


def book_of(path: Path | None) -> Book:
    """Return the process's one book of a file, or its one in memory."""
    return _books.setdefault(path, Book(path))
