"""The short way of a sync through uvicorn's protocol: no ASGI scope, no messages, no task, no timer.

Under ASGI half of a sync's CPU time in the server goes into what it never looks at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega.core.ports import Reply

    RawHeaders = Iterable[tuple[bytes, bytes]]


class _Event:
    """What uvicorn's protocol sets when something has come; nobody waits for it here."""

    def set(self) -> None:
        """Do nothing."""


_EVENT = _Event()


class SyncCycle:
    """One sync in place of uvicorn's RequestResponseCycle, with what its protocol looks at."""

    __slots__ = ("body", "disconnected", "keep_alive", "more_body", "response_complete", "response_started", "token")
    message_event = _EVENT

    def __init__(self, token: str, *, keep_alive: bool) -> None:
        """Wait for the body."""
        self.token, self.keep_alive = token, keep_alive
        self.body = bytearray()
        self.more_body = True
        self.disconnected = self.response_started = self.response_complete = False


def head(reply: Reply, default_headers: RawHeaders, *, keep_alive: bool) -> bytes:
    """Return the head of an answer."""
    lines = [STATUS_LINE[reply.status]]
    for name, value in default_headers:
        lines += [name, b": ", value, b"\r\n"]
    for named, told in reply.headers:
        lines.append(f"{named}: {told}\r\n".encode("latin-1"))
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % len(reply.body))
    return b"".join(lines)
