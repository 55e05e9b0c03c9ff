"""Claims about the QUIC transport: what its bounds cost, and that neither replays nor new addresses do harm."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.claims.http import cpu_s
from omega.compose import extra_module
from omega.shards import make_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omega.claims.bench import Bench

claims = Claims()
_PAIRS = 3
_ROUNDS = 3
_CLIENTS = 4
_SYNCS = 8
"""Of each client in a round."""
_REPLY_BYTES = 450
_FRAME = bytes(195)
TOKEN = "t" * 68
_DELAY_S = 0.06
_TRIPS = 11
_MOST_TRIPS = 1.3
_LEAST_EARLY = 0.99
_CONNECTIONS = 24
_DEAD_S = 5
_STOP_S = 20
HOST = "127.0.0.1"


@claims.add(
    "quic-overhead",
    what="server CPU of a new QUIC connection with a 195 B question in its first flight and its 450 B answer, nothing "
    "behind the door, over a bare aioquic echo of the same bytes",
    target=1.25,
    unit="times",
    bound="at most",
    oracle="aioquic's own server on uvloop with single-use tickets, round by round in turn; every answer whole, early "
    "data taken in 99 of 100, answers after at most 1.3 round trips of 120 ms",
)
def overhead(bench: Bench) -> Measured:
    """Sync with three pairs of servers: which of two equal processes is dearer stays so for their lives."""
    return measured(bench, _PAIRS)


def measured(bench: Bench, pairs: int) -> Measured:
    """Sync with pairs of servers in turn, each time by a new connection, and take the median of the rounds' ratios."""
    spent: dict[str, list[float]] = {"door": [], "bare": []}
    begun = {"connections": 0, "early": 0}
    folder = certified(bench)
    whole, trips = True, []
    for pair in range(pairs):
        with ExitStack() as running:
            servers = {which: running.enter_context(_server(which, folder)) for which in spent}
            books = {which: [module("book").Book() for _ in range(_CLIENTS)] for which in spent}
            for turn in range(_ROUNDS + 1):
                for which, (pid, port) in sorted(servers.items(), reverse=bool(turn % 2)):
                    before_s = cpu_s(pid)
                    found, well = asyncio.run(_synced(port, folder, books[which]))
                    whole = whole and well
                    if turn:  # the first brings tickets
                        spent[which].append((cpu_s(pid) - before_s) / (_CLIENTS * _SYNCS) * 1e6)
                        begun = {name: count + getattr(found, name) for name, count in begun.items()}
                bench.progress(pair * _ROUNDS + turn, pairs * _ROUNDS, "syncing with two servers")
            if not pair:
                trips = asyncio.run(_timed(servers["door"][1], folder, books["door"][0]))
    door_us, bare_us = (float(np.median(spent[which])) for which in ("door", "bare"))
    early, round_trips = begun["early"] / begun["connections"], float(np.median(trips))
    details = {"door_us": door_us, "bare_us": bare_us, "early_share": early, "round_trips": round_trips, **begun}
    paired = np.array(spent["door"]) / np.array(spent["bare"])
    agrees = whole and early >= _LEAST_EARLY and round_trips <= _MOST_TRIPS
    return Measured(float(np.median(paired)), details, agrees=agrees)


@claims.add(
    "quic-rebind",
    what="of 24 QUIC connections to two worker processes at one port, those that survive a change of the client's port",
    target=_CONNECTIONS,
    unit="connections",
    bound="at least",
    oracle="the same two processes without the program that routes by connection id: some connections must die",
)
def rebind(bench: Bench) -> Measured:
    """Ask over each connection, move all clients to other ports, and ask again."""
    folder = certified(bench)
    survived = {}
    for number, routed in enumerate((True, False)):
        with _workers(folder, routed=routed) as port:
            survived[routed] = asyncio.run(_moved(port, folder))
        bench.progress(number + 1, 2, "moving clients")
    details = {"connections": _CONNECTIONS, "survived_without_routing": survived[False]}
    return Measured(survived[True], details, agrees=survived[False] < _CONNECTIONS)


def module(name: str) -> Any:
    """Return a module of the transport. Raises MissingExtraError."""
    return extra_module(f"omega_plugins.transports.quic.{name}", "quic")


def certified(bench: Bench) -> Path:
    """Return a folder with a certificate."""
    folder = Path(tempfile.mkdtemp(prefix="quic", dir=bench.folder))
    make_certificates(folder)
    return folder


def client(port: int, folder: Path, book: Any, token: str = TOKEN) -> Any:
    """Return a client of a port of this machine, with the tickets of a book."""
    address = module("address").Address(HOST, port)
    return module("client").QuicClient(
        address, token=lambda: token, ca=folder / "ca.pem", timeout_s=30, patience_s=30, book=book
    )


@contextmanager
def _server(
    which: str, folder: Path, bound: Any = None, worker: int = 0, workers: int = 1
) -> Iterator[tuple[int, int]]:
    """Let a process of its own serve, and give its id and port."""
    bound = bound or module("routing").bind(HOST, 0)[0]
    given = [which, str(folder), str(bound.fileno()), str(worker), str(workers)]
    command = [sys.executable, "-m", "omega.claims.quic_echo", *given]
    with bound, subprocess.Popen(command, pass_fds=[bound.fileno()]) as process:
        try:
            yield process.pid, bound.getsockname()[1]
        finally:
            process.terminate()
            process.wait(_STOP_S)


@contextmanager
def _workers(folder: Path, *, routed: bool) -> Iterator[int]:
    """Let two processes serve one port, and give it."""
    routing = module("routing")
    sockets: Sequence[Any] = routing.bind(HOST, 0, 2, routed=routed)
    with ExitStack() as running:
        for worker, bound in enumerate(sockets):
            running.enter_context(_server("door", folder, bound, worker, len(sockets)))
        yield sockets[0].getsockname()[1]


async def _synced(port: int, folder: Path, books: Sequence[Any]) -> tuple[Any, bool]:
    """Sync by new connections, some at once; return how they began, and whether every answer was whole."""
    total, well = module("client").Met(), True

    async def one(book: Any) -> None:
        nonlocal well
        for _ in range(_SYNCS):
            async with client(port, folder, book) as asking:
                well = await asking.exchange(_FRAME) == bytes(_REPLY_BYTES) and well
            total.connections += asking.met.connections
            total.early += asking.met.early

    await asyncio.gather(*map(one, books))
    return total, well


async def _timed(port: int, folder: Path, book: Any) -> list[float]:
    """Return how many round trips answers took, over a way of 60 ms."""
    relays = extra_module("omega.claims.udp_relay", "quic")
    found = []
    async with relays.UdpRelay(port, _DELAY_S) as relay:
        for _ in range(_TRIPS + 1):
            async with client(relay.port, folder, book) as asking:
                began_s = time.perf_counter()
                await asking.exchange(_FRAME)
                found.append((time.perf_counter() - began_s) / (2 * _DELAY_S))
    return found[1:]  # the first has no ticket for the relay's port


async def _moved(port: int, folder: Path) -> int:
    """Return how many connections answer before and after a change of the client's port."""
    peers = extra_module("omega.claims.quic_peer", "quic")
    envelope = module("envelope")
    question = envelope.sealed(envelope.Sync(TOKEN, _FRAME))

    async def survives() -> bool:
        async with peers.met(port, folder / "ca.pem") as peer:
            async with asyncio.timeout(_STOP_S):
                before = await peer.ask(question)
            await peer.open()
            try:
                async with asyncio.timeout(_DEAD_S):
                    return bool(before == await peer.ask(question))
            except TimeoutError:
                return False

    return sum(await asyncio.gather(*(survives() for _ in range(_CONNECTIONS))))
