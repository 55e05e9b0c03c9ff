"""The TV's side: asks over one kept channel, and says of every failure what it is worth to ask again."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode

from omega.core.errors import InputError, TransportError, on_one_line
from omega.core.ports import MAX_FRAME_BYTES, MAX_REPLY_BYTES, Fetched, TransportClient
from omega_plugins.transports.answers import refused, too_long
from omega_plugins.transports.grpc.protos.omega_sync_v1 import sync_pb2
from omega_plugins.transports.grpc.statuses import STATUS, status_of
from omega_plugins.transports.grpc.trust import trust

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from omega_plugins.transports.grpc.address import Address

    UnaryUnary: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    UnaryStream: TypeAlias = grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
    Stream: TypeAlias = grpc.aio.UnaryStreamCall[bytes, bytes]

T = TypeVar("T")
M = TypeVar("M", bound=Message)
QUESTIONS = 64
"""How many of one client are on their way at once, half of what a server takes; more wait for their turn."""
SLOWEST_BYTES_S = 16_384
"""A file that comes slower than this is given up, and asked for again in parts."""
_MESSAGE_BYTES = MAX_REPLY_BYTES + 4_096
_TOO_LONG = re.compile(r"larger than max \((\d{1,18}) vs")
_VERDICT = re.compile(r"CERTIFICATE_VERIFY_FAILED: ([\w ]{1,80})")
_OPTIONS = [
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.use_local_subchannel_pool", 1),  # else clients share connections, and none can let go of its own
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),  # whoever answers for the name could order retries
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),  # by default 2 minutes, in which the channel doesn't even try
]
_SERVICE = "/omega.sync.v1.Sync/"


class BrokenAnswerError(Exception):
    """What came is no answer of this protocol."""


class Line:
    """A channel that is closed when nobody uses it any more: gRPC's own close ends what is on its way."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self._users = 0
        self._free = asyncio.Event()
        self._free.set()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep it open inside the block."""
        self._users += 1
        self._free.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._free.set()

    async def close(self) -> None:
        """Close it, in time."""
        await self._free.wait()
        await self.channel.close()


class GrpcClient(TransportClient):
    """A shard behind gRPC."""

    def __init__(self, address: Address, *, token: Callable[[], str], ca: Path | None, timeout_s: float) -> None:
        """Load the authorities; connect later. Raises InputError."""
        self._address = address
        self._credentials = trust(address, ca)
        self._token = token
        if not 0 < timeout_s <= 3600:
            raise InputError(f"timeout_s is {timeout_s}, allowed: more than 0, up to 3,600")
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(QUESTIONS)
        self._line: Line | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def exchange(self, frame: bytes) -> bytes:
        """Carry a frame there and its answer back; raises TransportError."""
        if len(frame) > MAX_FRAME_BYTES:
            raise too_long("frame", len(frame), MAX_FRAME_BYTES)
        metadata: tuple[tuple[str, str], ...] = ()
        if token := self._token():
            if not (token.isascii() and token.isprintable() and " " not in token):
                raise TransportError("the token has other characters than a token may: enrol again", permanent=True)
            metadata = (("authorization", f"Bearer {token}"),)
        request = sync_pb2.SyncRequest(frame=frame).SerializeToString()

        async def ask(channel: grpc.aio.Channel) -> sync_pb2.SyncResponse:
            method: UnaryUnary = channel.unary_unary(f"{_SERVICE}Exchange")
            return _parsed(sync_pb2.SyncResponse, await method(request, timeout=self._timeout_s, metadata=metadata))

        answer = await self._asked(ask, MAX_REPLY_BYTES, self._timeout_s)
        if answer.WhichOneof("outcome") != "reply":
            raise self._broken("it holds no reply")
        if len(answer.reply) > MAX_REPLY_BYTES:
            raise too_long(f"the answer of {self._address.origin}", len(answer.reply), MAX_REPLY_BYTES)
        return answer.reply

    async def get(self, path: str, *, max_bytes: int, etag: str | None = None, part: range | None = None) -> Fetched:
        """Fetch what stands at a path; slower than 16 KB/s it is given up. Raises TransportError."""
        if not (path.startswith("/") and path.isascii() and path.isprintable() and " " not in path):
            raise InputError(f"path is {path[:100]!r}, allowed: printable ASCII that begins with /")
        asked = sync_pb2.Range(start=part.start, stop=part.stop) if part is not None else None
        request = sync_pb2.FetchRequest(path=path, etag=etag or "", range=asked).SerializeToString()
        timeout_s = self._timeout_s + max_bytes / SLOWEST_BYTES_S

        async def ask(channel: grpc.aio.Channel) -> Fetched:
            method: UnaryStream = channel.unary_stream(f"{_SERVICE}Fetch")
            call = method(request, timeout=timeout_s)
            try:
                info = await _info(call)
                if info.unchanged and etag:
                    return Fetched(None, None, etag)
                if info.coming_bytes > max_bytes:
                    raise too_long(f"the answer of {self._address.origin}", info.coming_bytes, max_bytes)
                return Fetched(await _data(call, info.coming_bytes), info.size_bytes, info.etag or None)
            finally:
                call.cancel()

        return await self._asked(ask, max_bytes, timeout_s, path)

    async def close(self) -> None:
        """Close the channel once what is on its way is answered."""
        self._leave()
        await asyncio.gather(*self._closing)

    async def _asked(
        self, ask: Callable[[grpc.aio.Channel], Awaitable[T]], limit: int, timeout_s: float, path: str = ""
    ) -> T:
        """Ask when it is the question's turn, all within the timeout; raises TransportError."""
        try:
            async with asyncio.timeout(timeout_s), self._turns:
                line = self._open()
                with line.used():
                    return await ask(line.channel)
        except TimeoutError as error:
            raise self._late(timeout_s) from error
        except BrokenAnswerError as error:
            raise self._broken(str(error)) from error
        except grpc.aio.AioRpcError as error:
            raise self._told(error, limit, timeout_s, path) from error

    def _open(self) -> Line:
        """Return the one channel, made when it is first asked for, in the running loop."""
        if self._line is None:
            target = f"dns:///{self._address.authority}"
            if self._credentials:
                channel = grpc.aio.secure_channel(target, self._credentials, options=_OPTIONS)
            else:
                channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
            self._line = Line(channel)
        return self._line

    def _leave(self) -> None:
        """Let the next question make a new channel; other questions on this one may still be answered."""
        line, self._line = self._line, None
        if line:
            closing = asyncio.create_task(line.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _late(self, timeout_s: float) -> TransportError:
        self._leave()  # a connection that died in silence would hold up the next question as well
        return TransportError(f"{self._address.origin} gave no answer within {timeout_s:g} s: ask later")

    def _told(self, error: grpc.aio.AioRpcError, limit: int, timeout_s: float, path: str = "") -> TransportError:
        """Return what is told of a call that failed."""
        where, details = self._address.origin, on_one_line(error.details() or "")
        status, headers = status_of(error.code(), error.trailing_metadata() or ())
        if STATUS in headers:
            return refused(where + path, status, headers, (error.details() or "").encode())
        if error.code() is StatusCode.DEADLINE_EXCEEDED:
            return self._late(timeout_s)
        if error.code() is StatusCode.CANCELLED:
            return TransportError(f"{where} closed the connection without an answer: ask later")
        if error.code() is StatusCode.UNAVAILABLE:
            return _unreachable(self._address, details)
        longer = _TOO_LONG.search(details)
        if error.code() is StatusCode.RESOURCE_EXHAUSTED and longer:
            return too_long(f"the answer of {where}", int(longer[1]), limit)
        return refused(where + path, status, headers, details.encode())

    def _broken(self, reason: str) -> TransportError:
        return TransportError(f"the answer of {self._address.origin} is broken, {reason}: ask again")


def _parsed(kind: type[M], data: bytes) -> M:
    """Return a message of this kind; raises BrokenAnswerError."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise BrokenAnswerError("it is no message of this method") from error


async def _info(call: Stream) -> sync_pb2.FileInfo:
    first = await call.read()
    part = _parsed(sync_pb2.FetchResponse, first) if isinstance(first, bytes) else None
    if part is None or part.WhichOneof("part") != "info":
        raise BrokenAnswerError("it doesn't begin with what is coming")
    return part.info


async def _data(call: Stream, size_bytes: int) -> bytes:
    """Return the bytes that were announced, and hold hardly more than these."""
    data = bytearray()
    while isinstance(part := await call.read(), bytes) and len(data) <= size_bytes:
        data += _parsed(sync_pb2.FetchResponse, part).data
    if len(data) != size_bytes:
        raise BrokenAnswerError(f"{len(data):,} B of {size_bytes:,} B came")
    return bytes(data)


def _unreachable(address: Address, details: str) -> TransportError:
    """Return what is told of a connection that didn't come about, or broke; why, gRPC says in words alone."""
    where = address.origin
    verdict = _VERDICT.search(details)
    if verdict or "Hostname Verification" in details:
        reason = verdict[1] if verdict else "it is another host's"
        told = f"the certificate of {where} is refused ({reason}), allowed: a valid one for {address.host} of a trusted"
        return TransportError(f"{told} CA: renew it, or name its CA", permanent=True)
    if "handshake failed" in details:
        return TransportError(f"{where} speaks no TLS that is taken: check its port")
    if "errors resolving" in details or "DNS resolution" in details:
        return TransportError(f"{where} has no address: check the name and the network")
    return TransportError(f"{where} can't be reached ({details.rpartition(': ')[2][:100]}): ask later")
