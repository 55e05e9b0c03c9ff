"""A server process of the claim about gRPC: `python -m omega.claims.grpc_echo door|bare`, which prints its port.

Both take a message of 198 B and give one of 454 B on grpc.aio and uvloop: `door` as a shard's transport does, `bare` as
the shortest handler of bytes.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import grpc
import uvloop

from omega.claims.http_echo import Echo
from omega_plugins.transports.grpc.limits import Limits
from omega_plugins.transports.grpc.protos.omega_sync_v1 import sync_pb2
from omega_plugins.transports.grpc.server import GrpcServer

SERVICE, METHOD = "omega.sync.v1.Sync", "Exchange"
REPLY_BYTES = 450
ANSWER = sync_pb2.SyncResponse(reply=bytes(REPLY_BYTES)).SerializeToString()


async def echo(_data: bytes, _context: object) -> bytes:
    """Return 454 B."""
    return ANSWER


async def serve(which: str) -> None:
    """Serve until SIGTERM."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    if which == "door":
        async with GrpcServer(Echo(REPLY_BYTES), "127.0.0.1:0") as server:
            sys.stdout.write(f"{server.port}\n")
            sys.stdout.flush()
            await told.wait()
        return
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo)
    handlers = [grpc.method_handlers_generic_handler(SERVICE, {METHOD: method})]
    bare = grpc.aio.server(handlers=handlers, options=Limits().options())
    sys.stdout.write(f"{bare.add_insecure_port('127.0.0.1:0')}\n")
    sys.stdout.flush()
    await bare.start()
    await told.wait()
    await bare.stop(1)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
