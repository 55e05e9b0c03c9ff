"""The loop beside the protocol: accepts clients, lets the brain answer, does idle work, stops cleanly.

The brain is for one thread, so every request and all idle work run on the loop's own; they wait for each other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import DamagedStoreError, OmegaError
from omega.device.daemon import systemd
from omega.device.daemon.connection import Connection
from omega.device.daemon.protocol import METHODS, Answer, answer, log_bug

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from omega.device.brain import Brain
    from omega.device.daemon.protocol import Caller, Methods

log = logging.getLogger(__name__)
_BACKLOG = 128
_LOOK_S = 0.01
_REST_S = 60.0


class Limits(msgspec.Struct, frozen=True):
    """How much of the daemon one client, or all of them, may take."""

    clients: int = 64
    line_s: float = 10
    """From a line's first byte to its newline."""
    write_s: float = 10
    """How long a client may take nothing while more than 256 KiB wait for it."""
    drain_s: float = 5
    """How long a stopping daemon waits for clients to take their answers."""
    idle_s: float = 1
    """Without a request for so long, idle work is done, and again after as long."""
    tend_ms: float = 20
    """How long a request may have to wait for idle work."""


class Server:
    """Serves a brain on a bound socket until it is stopped; closes neither."""

    def __init__(
        self,
        brain: Brain,
        limits: Limits | None = None,
        *,
        tend: Callable[[float], object] | None = None,
        owner_uid: int | None = None,
        methods: Methods = METHODS,
        chores: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        """`tend` gets a budget in ms; `owner_uid`, by default this process's own, may do what is for the owner.

        `chores` run beside the service, on its thread, until it stops; then they are cancelled.
        """
        self._brain = brain
        self._limits = limits or Limits()
        self._tend = tend
        self._owner_uid = os.geteuid() if owner_uid is None else owner_uid
        self._methods = methods
        self._chores = chores
        self._clients: set[Connection] = set()
        self._asked_s = time.monotonic()
        self._stopped = asyncio.Event()
        self.damaged = False
        """Whether the service ends because the store's file was found to be damaged."""

    def stop(self) -> None:
        """Let `serve` end once what was received is answered; for the loop's own thread, and for signals."""
        self._stopped.set()

    async def serve(self, bound: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
        """Listen on a bound socket until `stop` or a shutdown request; `ready` is called when clients can come."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_unix_server(self._connection, sock=bound, backlog=_BACKLOG)
        own = self._idle_work(), self._report_alive()
        chores = [asyncio.create_task(chore) for chore in (*own, *map(_kept_up, self._chores))]
        systemd.notify(systemd.READY)
        ready()
        await self._stopped.wait()
        systemd.notify(systemd.STOPPING)
        log.info("stopping, %d clients", len(self._clients))
        listener.close()
        for chore in chores:
            chore.cancel()
        await self._drain()

    def _connection(self) -> Connection:
        return Connection(
            self._limits, self._methods, self._owner_uid, self._admit, self._answer, self._clients.discard
        )

    def _admit(self, client: Connection) -> bool:
        if len(self._clients) >= self._limits.clients:
            log.warning("turned a client away: there are %d", len(self._clients))
            return False
        self._clients.add(client)
        return True

    def _answer(self, line: bytes, caller: Caller) -> Answer:
        reply = answer(line, self._brain, caller, self._methods)
        self._asked_s = time.monotonic()
        self.damaged |= reply.damaged
        if reply.stops or reply.damaged:
            self.stop()
        return reply

    async def _idle_work(self) -> None:
        while self._tend:
            await asyncio.sleep(self._limits.idle_s)
            if time.monotonic() - self._asked_s < self._limits.idle_s:
                continue
            try:
                self._tend(self._limits.tend_ms)
            except OmegaError as error:
                log.warning("idle work failed: %s", error)
            except Exception as error:  # noqa: BLE001  (a fault in idle work must not end the service)
                log_bug("idle work", error)

    async def _report_alive(self) -> None:
        """Feed systemd's watchdog from the thread that serves: when that hangs, systemd starts another."""
        period_s = systemd.watchdog_s()
        while period_s:
            systemd.notify(systemd.ALIVE)
            await asyncio.sleep(period_s)

    async def _drain(self) -> None:
        """Answer what had come in, also what the kernel still holds, and close every connection."""
        until_s = time.monotonic() + self._limits.drain_s
        for _ in range(3):  # accepting, reading and answering take a turn of the loop each
            await asyncio.sleep(0)
        await _until(self._all_left, until_s)
        for client in list(self._clients):
            client.abort()
        await asyncio.sleep(0)

    def _all_left(self) -> bool:
        """Close what has nothing more to say, each as soon as that is so."""
        for client in [client for client in self._clients if not client.busy]:
            client.stop()
        return not self._clients


async def _kept_up(chore: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a chore, and once more if a bug ends it: it must end neither the service nor itself."""
    while True:
        try:
            return await chore()
        except Exception as error:  # noqa: BLE001  (see above)
            log_bug("a chore", error)
            await asyncio.sleep(_REST_S)


async def _until(done: Callable[[], bool], until_s: float) -> None:
    while not done() and time.monotonic() < until_s:  # noqa: ASYNC110  (it waits once, at the end)
        await asyncio.sleep(_LOOK_S)


def run(
    brain: Brain,
    bound: socket.socket,
    limits: Limits,
    *,
    tend: Callable[[float], object] | None = None,
    ready: Callable[[], None] = lambda: None,
    chores: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
) -> None:
    """Serve until SIGTERM, SIGINT or a shutdown request, then return; for a process's main thread.

    Raises DamagedStoreError when the store's file turned out to be damaged: whoever starts it again has it rebuilt.
    """

    async def served() -> None:
        server = Server(brain, limits, tend=tend, chores=chores)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        await server.serve(bound, ready)
        if server.damaged:
            raise DamagedStoreError("the store's file is damaged: start the daemon again, it rebuilds what can be read")

    asyncio.run(served())
