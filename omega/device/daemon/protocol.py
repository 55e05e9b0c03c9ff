"""What is said on the daemon's socket: a line of JSON in, a line of JSON out; no socket, no clock, no waiting.

    {"id": 1, "method": "recommend", "params": {"context": {"time": "evening"}, "k": 5}}
    {"id": 1, "ok": true, "result": [...]}
    {"id": 2, "ok": false, "error": {"code": "input", "exit_code": 2, "message": "k is 0, allowed: 1 and more"}}

A further method is one entry in METHODS.
"""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec

from omega import __version__
from omega.core.errors import (
    DaemonError,
    DamagedStoreError,
    InputError,
    OmegaError,
    PluginError,
    StoreError,
    on_one_line,
    shown,
)
from omega.core.parsing import MAX_JSON_BYTES, parse_context, parse_event
from omega.core.records import Selection
from omega.device import backup
from omega.device.brain import LIST_LENGTH, Brain
from omega.device.results import Mode

if TYPE_CHECKING:
    from omega.core.types import ViewContext

log = logging.getLogger(__name__)

PROTOCOL = 1
"""Grows when a request that was good is no longer understood, or an answer changes its shape."""
MAX_IMPORT_BYTES = 64 * 2**20
"""The bound of a line that brings a whole export; every other method's is MAX_JSON_BYTES."""
INTERNAL_EXIT_CODE = 70
"""A bug, as in sysexits.h."""

Code: TypeAlias = Literal["input", "store", "plugin", "busy", "denied", "deadline", "internal"]
Id: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | str | None
_NONE = msgspec.Raw(b"null")
_CODES: tuple[tuple[type[OmegaError], Code], ...] = (
    (InputError, "input"),
    (StoreError, "store"),
    (PluginError, "plugin"),
)
_HEAD_BYTES = 256
_METHOD = re.compile(rb'\s*\{\s*(?:"id"\s*:\s*(?:-?\d{1,19}|"[^"\\]{0,128}")\s*,\s*)?"method"\s*:\s*"(\w{1,32})"')


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line from a client."""

    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: Id = None


class Fault(msgspec.Struct, frozen=True):
    """Why a request wasn't done."""

    code: Code
    exit_code: int
    message: str


class Done(msgspec.Struct, frozen=True):
    """The line that answers a request that was done."""

    id: Id
    ok: Literal[True]
    result: Any


class Failed(msgspec.Struct, frozen=True):
    """The line that answers any other."""

    id: Id
    ok: Literal[False]
    error: Fault


class Caller(msgspec.Struct, frozen=True):
    """Who is at the other end of a connection, as the kernel says."""

    uid: int
    pid: int
    owner: bool
    """The daemon's own user, or root."""


class Answer(msgspec.Struct, frozen=True):
    """What goes back, newline included; and whether the daemon stops then."""

    line: bytes
    stops: bool = False
    damaged: bool = False
    """The store's file is damaged: the daemon stops, and the next start rebuilds it."""


class Handshake(msgspec.Struct, frozen=True):
    """Who answers: the first thing that a client asks."""

    version: str
    protocol: int
    space: str
    mode: Mode
    """Whether the TV learns."""
    pid: int


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Observe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    event: msgspec.Raw


class _Recommend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    context: msgspec.Raw = _NONE
    k: int = LIST_LENGTH


class _Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content_id: str
    context: msgspec.Raw = _NONE


class _Memories(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: str | None = None


class _Mode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: Mode


class _SetProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    age: int | None = None


class _Consolidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    budget_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None


class _Sync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    begin: bool = True


class _Forget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    selection: Selection
    profile: str | None = None


class _Import(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    document: msgspec.Raw


class Method(msgspec.Struct, frozen=True):
    """One thing that can be asked: what it takes, what it does on the brain, who may, and how long its line may be."""

    params: type[msgspec.Struct]
    call: Callable[[Brain, Any], object]
    owner_only: bool = False
    max_bytes: int = MAX_JSON_BYTES
    stops: bool = False
    """The daemon stops once this is answered."""


Methods: TypeAlias = Mapping[str, Method]

METHODS: Methods = {
    "init": Method(_Nothing, lambda brain, asked: _handshake(brain)),
    "observe": Method(_Observe, lambda brain, asked: brain.observe(parse_event(bytes(asked.event)))),
    "recommend": Method(_Recommend, lambda brain, asked: brain.recommend(_context(asked.context), asked.k)),
    "why": Method(_Why, lambda brain, asked: brain.why(asked.content_id, _context(asked.context))),
    "status": Method(_Nothing, lambda brain, asked: brain.status()),
    "memories": Method(_Memories, lambda brain, asked: brain.memories(asked.profile)),
    "profiles": Method(_Nothing, lambda brain, asked: brain.profiles()),
    "privacy": Method(_Nothing, lambda brain, asked: brain.privacy()),
    "mode": Method(_Mode, lambda brain, asked: brain.set_mode(asked.mode)),
    "set_profile": Method(_SetProfile, lambda brain, asked: brain.set_profile(asked.name, asked.age), owner_only=True),
    "consolidate": Method(_Consolidate, lambda brain, asked: brain.consolidate(asked.budget_ms), owner_only=True),
    "sync": Method(_Sync, lambda brain, asked: brain.sync(begin=asked.begin), owner_only=True),
    "forget": Method(_Forget, lambda brain, asked: brain.forget(asked.selection, asked.profile), owner_only=True),
    "export": Method(_Nothing, lambda brain, asked: brain.export(), owner_only=True),
    "import": Method(
        _Import,
        lambda brain, asked: brain.restore(backup.parse(bytes(asked.document))),
        owner_only=True,
        max_bytes=MAX_IMPORT_BYTES,
    ),
    "shutdown": Method(_Nothing, lambda brain, asked: None, owner_only=True, stops=True),
}


def answer(line: bytes, brain: Brain, caller: Caller, methods: Methods = METHODS) -> Answer:
    """Do what one line asks and return what goes back; raises nothing, whatever the line or the brain.

    A fault of ours is logged, and told without its traceback.
    """
    request = None
    try:
        request = _decoded(line, Request, "a request", ("id", "method", "params"))
        method = _method(request.method, methods)
        if method.owner_only and not caller.owner:
            return _denied(request, caller)
        asked = _decoded(request.params, method.params, f"params of {request.method}", method.params.__struct_fields__)
        result = method.call(brain, asked)
        return Answer(_encoded(Done(request.id, ok=True, result=result)), stops=method.stops)
    except OmegaError as error:
        told = refusal(_code_of(error), error.exit_code, str(error), request.id if request else _id_of(line))
        return msgspec.structs.replace(told, damaged=isinstance(error, DamagedStoreError))
    except Exception as error:  # noqa: BLE001  (a client must get its answer, and no other client may suffer)
        log_bug(request.method if request else "a request", error)
        found = f"internal error, {type(error).__name__}: look into the daemon's log and report it"
        return refusal("internal", INTERNAL_EXIT_CODE, found, request.id if request else None)


def log_bug(what: str, error: Exception) -> None:
    """Log where an error came from, without its message, which may name a title."""
    places = " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(traceback.extract_tb(error.__traceback__)))
    log.error("bug in %s: %s at %s", what, type(error).__name__, places)


def refusal(code: Code, exit_code: int, message: str, request_id: Id = None) -> Answer:
    """Return the answer that tells a fault."""
    return Answer(_encoded(Failed(request_id, ok=False, error=Fault(code, exit_code, message))))


def fault(code: Literal["busy", "deadline"], message: str) -> Answer:
    """Return the last line that a client gets before the daemon drops it."""
    return refusal(code, DaemonError.exit_code, message)


def too_long(limit_bytes: int) -> Answer:
    """Return the answer to a line that was thrown away before its end, its id with it."""
    found = f"the line is longer than {limit_bytes:,} B, allowed: {limit_bytes:,} B: send one request a line"
    return refusal("input", InputError.exit_code, found)


def line_limit(head: bytes, methods: Methods = METHODS, *, owner: bool = True) -> int:
    """Return how long a line may be that begins so.

    Only a line that names its method first, or right after its id, can be longer than MAX_JSON_BYTES; and what is the
    owner's only that of an `owner`, so that nobody else makes the daemon hold so much.
    """
    named = _METHOD.match(head[:_HEAD_BYTES])
    method = methods.get(named[1].decode()) if named else None
    return method.max_bytes if method and (owner or not method.owner_only) else MAX_JSON_BYTES


class Lines:
    """Cuts bytes, in whatever pieces they come, into lines; one that is too long is thrown away as it comes in."""

    def __init__(self, limit: Callable[[bytes], int]) -> None:
        """`limit` gets the first bytes of a long line and returns how many are allowed, MAX_JSON_BYTES at least."""
        self._limit = limit
        self._buffer = bytearray()
        self._skipped_limit = 0

    @property
    def begun(self) -> bool:
        """Whether a line has begun that hasn't ended."""
        return bool(self._buffer or self._skipped_limit)

    def feed(self, data: bytes) -> list[bytes | int]:
        """Return the lines that end in `data`, newline left out; for one that was too long, the limit it broke."""
        *ends, rest = data.split(b"\n")
        lines = []
        for end in ends:
            self._add(end)
            lines.append(self._skipped_limit or bytes(self._buffer))
            self._buffer.clear()
            self._skipped_limit = 0
        self._add(rest)
        return lines

    def _add(self, data: bytes) -> None:
        if self._skipped_limit:
            return
        self._buffer += data
        if len(self._buffer) > MAX_JSON_BYTES:
            limit = self._limit(bytes(self._buffer[:_HEAD_BYTES]))
            if len(self._buffer) > limit:
                self._skipped_limit = limit
                self._buffer.clear()


def _method(name: str, methods: Methods) -> Method:
    if name not in methods:
        raise InputError(f"method is {shown(name)}, allowed: {', '.join(methods)}")
    return methods[name]


def _code_of(error: OmegaError) -> Code:
    return next((code for kind, code in _CODES if isinstance(error, kind)), "internal")


def _handshake(brain: Brain) -> Handshake:
    return Handshake(__version__, PROTOCOL, brain.space, brain.mode, os.getpid())


def _context(raw: msgspec.Raw) -> ViewContext | None:
    return None if bytes(raw) == b"null" else parse_context(bytes(raw))


def _denied(request: Request, caller: Caller) -> Answer:
    log.warning("denied %s to uid %d", request.method, caller.uid)
    found = f"{request.method} was asked by uid {caller.uid}, allowed: the daemon's own user and root: run it as those"
    return refusal("denied", DaemonError.exit_code, found, request.id)


def _decoded(data: bytes | msgspec.Raw, kind: type[Any], what: str, fields: tuple[str, ...]) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        allowed = f"a JSON object with {', '.join(fields)}" if fields else "an empty JSON object"
        raise InputError(f"{what}: {on_one_line(str(error)[:160])}, allowed: {allowed}") from error


def _id_of(line: bytes) -> Id:
    """Return the id of a request that is otherwise wrong; None where it has none that can be read."""
    try:
        return msgspec.json.decode(line, type=_Numbered).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _Numbered(msgspec.Struct, frozen=True):
    id: Id = None


def _encoded(reply: Done | Failed) -> bytes:
    return msgspec.json.encode(reply) + b"\n"
