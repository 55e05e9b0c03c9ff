"""Claims about the HTTP transport: what its bounds and deadlines cost a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.compose import extra_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.claims.bench import Bench

claims = Claims()
_ROUNDS = 7
_REQUESTS = 4000
_CONNECTIONS = 32
_REPLY_BYTES = 450
_FRAME = bytes(195)
_TOKEN = "t" * 68
_REQUEST = (
    f"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(_FRAME)}\r\n"
    f"Authorization: Bearer {_TOKEN}\r\n\r\n"
).encode() + _FRAME
_STOP_S = 20


@claims.add(
    "http-door",
    what="server CPU of a 195 B question and its 450 B answer at the HTTP door, nothing behind it, over a bare "
    "uvicorn echo of the same bytes",
    target=1.5,
    unit="times",
    bound="at most",
    oracle="uvicorn's own echo on uvloop and httptools, round by round in turn; every answer whole",
)
def door(bench: Bench) -> Measured:
    """Ask both servers in turn over kept connections, and take the median of the rounds' ratios of CPU time."""
    spent: dict[str, list[float]] = {"door": [], "bare": []}
    whole = True
    with ExitStack() as running:
        servers = {which: running.enter_context(echo_server(which, _REPLY_BYTES)) for which in spent}
        for turn in range(_ROUNDS + 1):
            for which, (pid, port) in servers.items():
                before_s = cpu_s(pid)
                whole = asyncio.run(_ask(port)) and whole
                if turn:  # the first warms up
                    spent[which].append((cpu_s(pid) - before_s) / _REQUESTS * 1e6)
            bench.progress(turn, _ROUNDS, "asking two servers")
    door_us, bare_us = (float(np.median(spent[which])) for which in ("door", "bare"))
    details = {"door_us": door_us, "bare_us": bare_us, "requests": _ROUNDS * _REQUESTS, "connections": _CONNECTIONS}
    paired = np.array(spent["door"]) / np.array(spent["bare"])
    return Measured(float(np.median(paired)), details, agrees=whole)


@contextmanager
def echo_server(which: str, reply_bytes: int) -> Iterator[tuple[int, int]]:
    """Let a process of its own answer with so many bytes, behind our `door` or `bare`, and give its id and port."""
    bound = extra_module("omega_plugins.transports.http.server", "shard").bind("127.0.0.1", 0)
    command = [sys.executable, "-m", "omega.claims.http_echo", which, str(bound.fileno()), str(reply_bytes)]
    port: int = bound.getsockname()[1]
    with bound, subprocess.Popen(command, pass_fds=[bound.fileno()]) as process:
        try:
            yield process.pid, port
        finally:
            process.terminate()
            process.wait(_STOP_S)


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process: what clock_getcpuclockid(3) names so, which Python has for threads alone."""
    return time.clock_gettime((~pid << 3) | 2)


async def _ask(port: int) -> bool:
    """Ask over kept connections, as many at once, and say whether every answer was whole."""
    share = _REQUESTS // _CONNECTIONS
    return all(await asyncio.gather(*(_ask_on_one(port, share) for _ in range(_CONNECTIONS))))


async def _ask_on_one(port: int, requests: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    whole = True
    for _ in range(requests):
        writer.write(_REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_REPLY_BYTES)
        whole = whole and head.startswith(b"HTTP/1.1 200") and not any(body)
    writer.close()
    return whole
