"""The short way of a sync through uvicorn's protocol: no ASGI scope, no messages, no task, no timer.

Under ASGI half of a sync's CPU time in the server goes into what it never looks at. `whole` reads what TVs and
balancers send; whatever else a request may be is read by httptools, as all is that is no sync.
"""

from __future__ import annotations

from functools import lru_cache
from string import ascii_letters, digits
from typing import TYPE_CHECKING, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from omega_plugins.transports.http.door import SYNC

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega.core.ports import Reply

    RawHeaders = Iterable[tuple[bytes, bytes]]

_REQUEST_LINE, _END = f"POST {SYNC} HTTP/1.1\r\n".encode(), b"\r\n\r\n"
_PLAIN = {"host", "user-agent", "accept", "accept-encoding", "content-type"}
_PASSED_OVER = _PLAIN | {"via", "x-forwarded-for", "x-forwarded-proto", "x-request-id"}
"""Headers that say nothing to a shard, nor to how a request is read."""
_BEARER, _CUT = b"Bearer ", b"\0"
_TOKEN_CHARS = (ascii_letters + digits + "-_").encode()
_MOST_DIGITS = 9
_MOST_HEAD_BYTES = 1_024


class Whole(NamedTuple):
    """A sync as it came."""

    token: str
    body: bytes


def whole(data: bytes, head_bytes: int, body_bytes: int) -> Whole | None:
    """Return the sync that these bytes are, no more and no less, in the form that nearly all have; else None.

    That is: within the bounds, printable ASCII, known headers alone, none twice, one of them the length of the body and
    one a bearer token. So no two programs in a row can take it for different things.
    """
    end = data.find(_END, 0, min(head_bytes, _MOST_HEAD_BYTES))
    at = data.find(_BEARER, 0, max(end, 0)) + len(_BEARER)
    if at < len(_BEARER):
        return None
    token_end = data.find(b"\r", at, end + 1)
    token, begins = data[at:token_end], end + len(_END)
    if token.translate(None, _TOKEN_CHARS) or len(data) - begins > body_bytes:
        return None
    if _declared(data[:at] + _CUT + data[token_end:end]) != len(data) - begins:
        return None
    return Whole(token.decode("ascii"), data[begins:])


@lru_cache(1_024)
def _declared(head: bytes) -> int:
    """Return the length of the body that a head without its token declares, and -1 where anything is unusual.

    Heads of one balancer differ in little else than the token: most were seen before.
    """
    if not head.startswith(_REQUEST_LINE) or not head.isascii():
        return -1
    fields: dict[str, str] = {}
    for line in head[len(_REQUEST_LINE) :].decode("ascii").split("\r\n"):
        name, _, value = line.partition(":")
        name = name.lower()
        if name in fields or not (line.isprintable() or name == "authorization"):
            return -1
        fields[name] = value.strip(" ")
    declared, said = fields.pop("content-length", ""), fields.pop("authorization", "")
    usual = said == (_BEARER + _CUT).decode() and fields.keys() <= _PASSED_OVER
    return int(declared) if usual and declared.isdecimal() and len(declared) <= _MOST_DIGITS else -1


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
    return _head(reply.status, reply.headers, len(reply.body), tuple(default_headers), keep_alive)


@lru_cache(256)
def _head(
    status: int,
    told: tuple[tuple[str, str], ...],
    length: int,
    default_headers: tuple[tuple[bytes, bytes], ...],
    keep_alive: bool,  # noqa: FBT001  (a cache's key)
) -> bytes:
    """Make a head: answers of one tick mostly have the same."""
    lines = [STATUS_LINE[status]]
    for name, value in default_headers:
        lines += [name, b": ", value, b"\r\n"]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in told]
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % length)
    return b"".join(lines)
