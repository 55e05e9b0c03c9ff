"""A SyncApp as gRPC's methods: bytes in, bytes out or a refusal. Sockets and bounds are `server`'s."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from omega.core.errors import InputError, OmegaError, WireError
from omega.core.identity import messages as identity
from omega.core.ports import MAX_FRAME_BYTES, Reply
from omega_plugins.transports.answers import OK, RETRY_AFTER, UNCHANGED, answer, refusal
from omega_plugins.transports.grpc.protos.omega_sync_v1 import sync_pb2
from omega_plugins.transports.grpc.statuses import code_of, reason_of, trailers_of
from omega_plugins.transports.grpc.structured import answer_of, frame_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from google.protobuf.message import Message

    from omega.core.ports import SyncApp
    from omega_plugins.transports.answers import Stretch
    from omega_plugins.transports.grpc.limits import Limits

    Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
    Unary: TypeAlias = Callable[[bytes, Context], Awaitable[Message | bytes | Reply]]

log = logging.getLogger(__name__)
SERVICE = "omega.sync.v1.Sync"
HEALTH_SERVICE = "grpc.health.v1.Health"
PART_BYTES = 65_536
_BEARER = "bearer "
_HEALTH_OF = {b"", b"\x0a" + bytes([len(SERVICE)]) + SERVICE.encode()}
"""Health/Check's questions that have an answer: for the server, and for the one service, its name in field 1."""
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"


class Door:
    """Answers omega.sync.v1.Sync, and grpc.health.v1.Health/Check for balancers and probes."""

    def __init__(self, app: SyncApp, limits: Limits) -> None:
        """Refuse what is beyond the limits."""
        self._app, self._limits = app, limits
        self._calls = 0

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Return what a server dispatches to."""
        methods = {
            "GetChallenge": self._unary(self._challenge),
            "Enrol": self._unary(self._enrol),
            "Exchange": self._unary(self._exchange),
            "Fetch": grpc.unary_stream_rpc_method_handler(self._fetch),
        }
        health = {"Check": self._unary(self._check)}
        found = [grpc.method_handlers_generic_handler(SERVICE, methods)]
        return [*found, grpc.method_handlers_generic_handler(HEALTH_SERVICE, health)]

    def _unary(self, method: Unary) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def answered(data: bytes, context: Context) -> bytes:
            found = await self._bounded(method, data, context)
            if isinstance(found, Reply):
                await _refuse(context, found)
            return found if isinstance(found, bytes) else found.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answered)

    async def _bounded(self, method: Unary, data: bytes, context: Context) -> Message | bytes | Reply:
        """Return the answer, or the refusal that what goes wrong is told as."""
        if self._calls >= self._limits.calls:
            return refusal(503, "there are too many calls", ((RETRY_AFTER, str(self._limits.retry_after_s)),))
        self._calls += 1
        try:
            return await method(data, context)
        except DecodeError:
            return refusal(400, "the message is none of this method, allowed: as in sync.proto")
        except (WireError, InputError) as error:
            return refusal(400, str(error))
        except Exception:
            log.exception("a call failed")
            return refusal(500, "the shard failed")
        finally:
            self._calls -= 1

    async def _exchange(self, data: bytes, context: Context) -> Message | Reply:
        request = sync_pb2.SyncRequest.FromString(data)
        question, token = request.WhichOneof("question"), _token(context)
        if question is None:
            return refusal(400, "the request holds no question, allowed: frame or push: set one of them")
        if question == "push" and not token:
            return refusal(401, "a push came without a token: enrol, and send it as authorization: Bearer TOKEN")
        frame = request.frame if question == "frame" else frame_of(request.push)
        if len(frame) > MAX_FRAME_BYTES:
            return refusal(413, f"frame is {len(frame):,} B, allowed: {MAX_FRAME_BYTES:,} B: send less")
        reply = await self._app.sync(token, frame)
        if reply.status != OK:
            return reply
        if question == "frame":
            return sync_pb2.SyncResponse(reply=reply.body)
        return sync_pb2.SyncResponse(answer=answer_of(reply.body))

    async def _challenge(self, data: bytes, _context: Context) -> Message | Reply:
        sync_pb2.GetChallengeRequest.FromString(data)
        reply = await self._app.sync("", b"")
        if reply.status != OK:
            return reply
        return sync_pb2.Challenge(challenge=identity.decode(reply.body, identity.Challenge).challenge)

    async def _enrol(self, data: bytes, _context: Context) -> Message | Reply:
        request = sync_pb2.EnrolRequest.FromString(data)
        given = request.certificate if request.HasField("certificate") else None
        certificate = identity.Certificate(given.maker, given.signature) if given else None
        code = request.code if request.HasField("code") else None
        told = identity.Answer(request.challenge, request.public_key, request.signature, certificate, code)
        reply = await self._app.sync("", identity.encode(told))
        if reply.status != OK:
            return reply
        admission = identity.decode(reply.body, identity.Admission)
        return sync_pb2.Admission(token=admission.token, shard=admission.shard, lifetime_s=admission.lifetime_s)

    async def _check(self, data: bytes, _context: Context) -> bytes | Reply:
        if data not in _HEALTH_OF:
            return refusal(404, f"the service is another, allowed: none or {SERVICE}")
        return _SERVING if self._app.health().status == OK else _NOT_SERVING

    async def _fetch(self, data: bytes, context: Context) -> None:
        found = await self._bounded(self._found, data, context)
        if isinstance(found, Reply):
            await _refuse(context, found)

    async def _found(self, data: bytes, context: Context) -> bytes | Reply:
        """Send what is asked for in parts, and return nothing, or a refusal."""
        request = sync_pb2.FetchRequest.FromString(data)
        if request.HasField("range") and request.range.stop <= request.range.start:
            return refusal(
                400, f"range ends at {request.range.stop}, allowed: beyond its start: ask for a byte or more"
            )
        asked = f"bytes={request.range.start}-{request.range.stop - 1}" if request.HasField("range") else ""
        found = answer(self._app, request.path, if_none_match=request.etag, asked=asked)
        reply = found if isinstance(found, Reply) else found.reply
        if reply.status >= 300 and reply.status != UNCHANGED:
            return reply
        try:
            async for part in _parts(found):
                async with asyncio.timeout(self._limits.write_s):
                    await context.write(part.SerializeToString())
        except TimeoutError:
            return refusal(408, "the file was not taken in time: ask for a part of it")
        return b""


async def _parts(found: Reply | Stretch) -> AsyncIterator[sync_pb2.FetchResponse]:
    """Yield what is told of a file, then its bytes; raises OmegaError when the file has lost some meanwhile."""
    if isinstance(found, Reply):
        etag = dict(found.headers).get("etag", "")
        size_bytes, unchanged = len(found.body), found.status == UNCHANGED
        info = sync_pb2.FileInfo(etag=etag, size_bytes=size_bytes, coming_bytes=size_bytes, unchanged=unchanged)
        yield sync_pb2.FetchResponse(info=info)
        if found.body:
            yield sync_pb2.FetchResponse(data=found.body)
        return
    left = found.stop - found.start
    with found.file.open("rb") as file:
        size_bytes = file.seek(0, 2)
        etag = dict(found.reply.headers)["etag"]
        yield sync_pb2.FetchResponse(info=sync_pb2.FileInfo(etag=etag, size_bytes=size_bytes, coming_bytes=left))
        file.seek(found.start)
        while left:
            part = await asyncio.to_thread(file.read, min(left, PART_BYTES))
            if not part:
                raise OmegaError(f"{found.file} became shorter while it was sent: artifacts must not change")
            left -= len(part)
            yield sync_pb2.FetchResponse(data=part)


def _token(context: Context) -> str:
    metadata: Iterable[tuple[str, str | bytes]] = context.invocation_metadata() or ()
    for name, value in metadata:
        if name == "authorization" and isinstance(value, str):
            return value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else ""
    return ""


async def _refuse(context: Context, reply: Reply) -> NoReturn:
    await context.abort(code_of(reply), reason_of(reply), trailers_of(reply))
