"""A brain that another process holds: the facade's methods over the daemon's socket, same values, same errors."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from omega.core.errors import DaemonError, InputError, OmegaError, PluginError, StoreError
from omega.core.records import Forgotten, Profile, Selection
from omega.core.types import Recommendation, ViewContext, ViewingEvent
from omega.device.backup import Document, Restored
from omega.device.brain import LIST_LENGTH
from omega.device.daemon.place import MAX_PATH_BYTES, holder, socket_path
from omega.device.daemon.protocol import PROTOCOL, Code, Fault, Handshake, Id
from omega.device.memory.skill_library import Progress
from omega.device.privacy import Privacy
from omega.device.results import Explanation, Memories, Mode, Observed, Status
from omega.device.sync.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

T = TypeVar("T")

MAX_REPLY_BYTES = 256 * 2**20
"""A longer answer is refused; an export is the longest there is."""
_ERRORS: dict[Code, type[OmegaError]] = {"input": InputError, "store": StoreError, "plugin": PluginError}
_READ_BYTES = 65_536
_SYNC_LOOK_S = 0.02
_NOBODY = (ConnectionRefusedError, FileNotFoundError, NotADirectoryError)
"""What connecting raises where no daemon is, or was killed."""


class _Call(msgspec.Struct, frozen=True):
    id: int
    method: str
    params: dict[str, Any]


class _Reply(msgspec.Struct, frozen=True):
    id: Id
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Fault | None = None


class Client:
    """Speaks to the daemon of one TV; for one thread at a time. Close it, or use it as a context manager.

    Raises what the brain itself would raise: InputError, StoreError, PluginError; and DaemonError when the daemon can't
    be reached, is busy, denies, has a bug, or doesn't answer within `timeout_s`; the connection is closed then.

    Nothing is ever asked twice by itself. When an answer is lost, an event may have been stored or not; who gave it its
    `at` can see that in `why`, and decides; a second try from here would make two watches out of one.
    """

    def __init__(self, address: Path, *, timeout_s: float = 30, max_reply_bytes: int = MAX_REPLY_BYTES) -> None:
        """Connect to a daemon's socket and shake hands; `timeout_s` is for each call as a whole."""
        self.address = address
        self._timeout_s = timeout_s
        self._max_reply_bytes = max_reply_bytes
        self._number = 0
        self._received = bytearray()
        self._socket: socket.socket | None = _connected(address, timeout_s)
        try:
            self.daemon = self.greet()
            _check_protocol(self.daemon, address)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the daemon goes on."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def greet(self) -> Handshake:
        """Ask who answers, as every client does first."""
        return self._asked("init", Handshake)

    def observe(self, event: ViewingEvent) -> Observed:
        """Learn from an event and return what it became, once it is written; never repeated, see the class."""
        return self._asked("observe", Observed, event=event)

    def recommend(self, context: ViewContext | None = None, k: int = LIST_LENGTH) -> list[Recommendation]:
        """Return up to `k` titles for the context (by default: now), best first, each with its reasons."""
        return self._asked("recommend", list[Recommendation], context=context, k=k)

    def why(self, content_id: str, context: ViewContext | None = None) -> Explanation:
        """Explain one title of the catalog in the context (by default: now), recommended or not."""
        return self._asked("why", Explanation, content_id=content_id, context=context)

    def status(self) -> Status:
        """Return the brain in figures, and what it learned in words."""
        return self._asked("status", Status)

    def memories(self, profile: str | None = None) -> Memories:
        """Return the memories in words and figures, of one profile or of everybody."""
        return self._asked("memories", Memories, profile=profile)

    def profiles(self) -> tuple[Profile, ...]:
        """Return the named profiles, in order of their making."""
        return self._asked("profiles", tuple[Profile, ...])

    def set_profile(self, name: str, age: int | None = None) -> Profile:
        """Make a profile, or change its age limit, and return it; for the daemon's owner."""
        return self._asked("set_profile", Profile, name=name, age=age)

    def set_mode(self, mode: Mode) -> None:
        """Pause learning, let a guest watch, or learn again."""
        self._asked("mode", type(None), mode=mode)

    def privacy(self) -> Privacy:
        """Return what is held and what would be shared, in plain words."""
        return self._asked("privacy", Privacy)

    def consolidate(
        self, budget_ms: float | None = None, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Progress:
        """Do all idle work, or what fits the budget; `progress` is told of the end only. For the daemon's owner."""
        found = self._asked("consolidate", Progress, budget_ms=budget_ms)
        progress(found.episodes, found.episodes + found.remaining)
        return found

    def sync(self) -> Report:
        """Let the daemon sync with its shard now, and return what came of it; for the daemon's owner."""
        before = self._asked("sync", Report)
        until_s = time.monotonic() + self._timeout_s
        while (found := self._asked("sync", Report, begin=False)).number == before.number:
            if time.monotonic() >= until_s:
                found_s = f"the daemon at {self.address} has not synced within {self._timeout_s:g} s"
                raise DaemonError(f"{found_s}: look into its log, or ask again")
            time.sleep(_SYNC_LOOK_S)
        return found

    def forget(self, selection: Selection, profile: str | None = None) -> Forgotten:
        """Delete what is selected, by name a profile's, and all that followed from it; for the daemon's owner."""
        return self._asked("forget", Forgotten, selection=selection, profile=profile)

    def export(self) -> Document:
        """Return everything that is held; for the daemon's owner."""
        return self._asked("export", Document)

    def restore(self, document: Document) -> Restored:
        """Take in what another TV exported; for the daemon's owner."""
        return self._asked("import", Restored, document=document)

    def shutdown(self) -> None:
        """Stop the daemon, which answers what it has received first; for its owner."""
        self._asked("shutdown", type(None))

    def _asked(self, method: str, kind: type[T], **params: object) -> T:
        """Ask for one thing and return the result as `kind`."""
        self._number += 1
        try:
            line = msgspec.json.encode(_Call(self._number, method, params)) + b"\n"
        except (UnicodeEncodeError, OverflowError) as error:
            raise InputError(f"{method}: {error}, allowed: what JSON in UTF-8 can say") from error
        try:
            self._send(line)
            return self._result(self._line(), kind)
        except (OSError, _BrokenError) as error:
            self.close()
            reason = "it took too long" if isinstance(error, TimeoutError) else str(error)
            found = f"the daemon at {self.address} didn't answer {method}: {reason}"
            raise DaemonError(f"{found}: look into its log, see omega device status, then ask again") from error

    def _result(self, line: bytes, kind: type[T]) -> T:
        reply = _decoded(line, _Reply)
        if reply.error:
            raise _ERRORS.get(reply.error.code, DaemonError)(reply.error.message)
        if reply.id != self._number:
            raise _BrokenError(f"it answered request {reply.id} instead of {self._number}")
        return _decoded(reply.result, kind)

    def _send(self, line: bytes) -> None:
        if self._socket is None:
            raise _BrokenError("this client was closed")
        self._until_s = time.monotonic() + self._timeout_s
        self._socket.settimeout(self._timeout_s)
        with suppress(BrokenPipeError, ConnectionResetError):  # its last words, on why it left, can still be read
            self._socket.sendall(line)

    def _line(self) -> bytes:
        """Return the next line, newline left out."""
        assert self._socket  # noqa: S101  (it was just sent on)
        while (end := self._received.find(b"\n", max(0, len(self._received) - _READ_BYTES))) < 0:
            if len(self._received) > self._max_reply_bytes:
                raise _BrokenError(f"its answer is longer than {self._max_reply_bytes:,} B")
            self._socket.settimeout(max(self._until_s - time.monotonic(), 0.001))
            if not (part := self._socket.recv(_READ_BYTES)):
                raise _BrokenError("it closed the connection")
            self._received += part
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line


def find(store: Path, *, timeout_s: float = 30) -> Client | None:
    """Return a client of the daemon that serves this TV's folder, None when none does.

    Raises DaemonError for one that is there but doesn't answer, or not to this user.
    """
    known = holder(store)
    address = type(store)(known.socket) if known else socket_path(store)
    if len(os.fsencode(address)) > MAX_PATH_BYTES:  # where no daemon can be
        return None
    try:
        client = Client(address, timeout_s=timeout_s)
    except DaemonError as error:
        if isinstance(error.__cause__, _NOBODY):
            return None
        raise
    if known and client.daemon.pid != known.pid:  # the lock is a killed daemon's, its socket another TV's by now
        client.close()
        return None
    return client


def _connected(address: Path, timeout_s: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout_s)
    try:
        made.connect(str(address))
    except OSError as error:
        made.close()
        found = f"no daemon answers at {address} ({error.strerror or error})"
        raise DaemonError(f"{found}: start one with omega device daemon, or name its socket") from error
    return made


def _check_protocol(daemon: Handshake, address: Path) -> None:
    if daemon.protocol != PROTOCOL:
        found = f"the daemon at {address} speaks protocol {daemon.protocol}, this is {PROTOCOL}"
        raise DaemonError(f"{found}: start it again with this release ({daemon.version} runs)")


class _BrokenError(Exception):
    """The conversation can't go on."""


def _decoded(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _BrokenError(f"its answer isn't understood ({error})") from error
