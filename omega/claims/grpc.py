"""The claim about the gRPC transport: what the contract and its bounds cost a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.claims.http import cpu_s
from omega.compose import extra_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.claims.bench import Bench

claims = Claims()
_PAIRS = 3
_ROUNDS = 4
_REQUESTS = 640
_AT_ONCE = 32
_REPLY_BYTES = 450
_FRAME = bytes(195)
_METADATA = (("authorization", f"Bearer {'t' * 68}"),)
_STOP_S = 20


@claims.add(
    "grpc-overhead",
    what="server CPU of a 195 B question and its 450 B answer at the gRPC door, nothing behind it, over a bare "
    "grpc.aio echo of the same bytes",
    target=1.43,
    unit="times",
    bound="at most",
    oracle="grpc.aio's own handler of bytes on uvloop, same options, round by round in turn; every answer whole",
)
def overhead(bench: Bench) -> Measured:
    """Ask both servers in turn over a kept channel, and take the median of the rounds' ratios of CPU time.

    Which of two equal processes is dearer stays so for their lives, by up to a fifth: three pairs of them.
    """
    spent: dict[str, list[float]] = {"door": [], "bare": []}
    whole = True
    for pair in range(_PAIRS):
        with ExitStack() as running:
            servers = {which: running.enter_context(_server(which)) for which in spent}
            for turn in range(_ROUNDS + 1):
                for which, (pid, port) in sorted(servers.items(), reverse=bool(turn % 2)):
                    before_s = cpu_s(pid)
                    whole = asyncio.run(_ask(port)) and whole
                    if turn:  # the first warms up
                        spent[which].append((cpu_s(pid) - before_s) / _REQUESTS * 1e6)
                bench.progress(pair * _ROUNDS + turn, _PAIRS * _ROUNDS, "asking two servers")
    door_us, bare_us = (float(np.median(spent[which])) for which in ("door", "bare"))
    requests = _PAIRS * _ROUNDS * _REQUESTS
    details = {"door_us": door_us, "bare_us": bare_us, "requests": requests, "at_once": _AT_ONCE}
    paired = np.array(spent["door"]) / np.array(spent["bare"])
    return Measured(float(np.median(paired)), details, agrees=whole)


@contextmanager
def _server(which: str) -> Iterator[tuple[int, int]]:
    """Let a process of its own serve, and give its id and port."""
    extra_module("grpc", "grpc")
    command = [sys.executable, "-m", "omega.claims.grpc_echo", which]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.pid, int(process.stdout.readline() if process.stdout else 0)
        finally:
            process.terminate()
            process.wait(_STOP_S)


async def _ask(port: int) -> bool:
    """Ask over one channel, so many at once, and say whether every answer was whole."""
    messages = extra_module("omega_plugins.transports.grpc.protos.omega_sync_v1.sync_pb2", "grpc")
    question = messages.SyncRequest(frame=_FRAME).SerializeToString()
    wanted = messages.SyncResponse(reply=bytes(_REPLY_BYTES)).SerializeToString()
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with extra_module("grpc.aio", "grpc").insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        exchange = channel.unary_unary("/omega.sync.v1.Sync/Exchange")
        share = _REQUESTS // _AT_ONCE
        return all(await asyncio.gather(*(_ask_in_turn(exchange, question, wanted, share) for _ in range(_AT_ONCE))))


async def _ask_in_turn(exchange: Any, question: bytes, wanted: bytes, requests: int) -> bool:
    whole = True
    for _ in range(requests):
        whole = await exchange(question, metadata=_METADATA, timeout=30) == wanted and whole
    return whole
