"""Visits over the transport plugins' own clients: gRPC on a few kept channels, QUIC on a new connection each."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeAlias

from omega.core.errors import OmegaError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.ports import TransportClient
    from omega.fleet.load.carrying import Ends, Visit

    OpenClient: TypeAlias = Callable[[Callable[[], str]], TransportClient]
    """Makes a client of what gives the token."""

_OK, _DENIED, _TOO_OFTEN, _LATER = 200, 401, 429, 503


class Met(Protocol):
    """What a QUIC client counts of its connections."""

    connections: int
    resumed: int
    early: int


class ClientCarrier:
    """A pool of a transport's clients."""

    def __init__(self, open_client: OpenClient, ends: Ends, *, clients: int, at_once: int, fresh: bool = False) -> None:
        """Use `clients` of them, each for up to `at_once` visits; with `fresh` a client hangs up after each answer.

        A QUIC client that hung up begins its next connection with the ticket that it got, as one TV does: 0-RTT.
        """
        self._ends, self._fresh, self._at_once = ends, fresh, at_once
        self._users = [_User(open_client) for _ in range(clients)]
        self._free = deque(user for user in self._users for _ in range(at_once))
        self._queue: deque[Visit] = deque()
        self._tasks: dict[asyncio.Task[None], Visit] = {}

    @property
    def waiting(self) -> int:
        """How many wait for a client."""
        return len(self._queue)

    @property
    def figures(self) -> dict[str, int]:
        """How many clients there are, and what those count that count."""
        met: list[Met] = [found for user in self._users if (found := getattr(user.client, "met", None))]
        names = ("connections", "resumed", "early") if met else ()
        return {"clients": len(self._users), **{name: sum(getattr(one, name) for one in met) for name in names}}

    def send(self, visit: Visit) -> bool:
        """Send it by a client that is free, or as soon as one is."""
        if self._free:
            self._begin(visit, self._free.pop())  # the last one to be free has the newest ticket
            return True
        self._queue.append(visit)
        return False

    async def close(self) -> None:
        """Close every client; who waits for an answer has none."""
        self._queue.clear()
        tasks = dict(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for visit in tasks.values():
            if not visit.over:
                self._lost(visit, "no answer by the end")
        await asyncio.gather(*(user.client.close() for user in self._users), return_exceptions=True)

    def _begin(self, visit: Visit, user: _User) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(visit, user))
        self._tasks[task] = visit
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)

    async def _carry(self, visit: Visit, user: _User) -> None:
        visit.sent_s = time.perf_counter()
        try:
            body = await user.exchange(visit)
        except TransportError as error:
            self._refused(visit, error)
        except OmegaError as error:
            self._lost(visit, type(error).__name__)
        else:
            self._answered(visit, _OK, body, 0.0)
        if self._fresh:
            await user.client.close()
        if self._queue:
            self._begin(self._queue.popleft(), user)
        else:
            self._free.append(user)

    def _answered(self, visit: Visit, status: int, body: bytes, retry_after_s: float) -> None:
        visit.over = True
        self._ends.answered(visit, status, body, retry_after_s)

    def _lost(self, visit: Visit, reason: str) -> None:
        visit.over = True
        self._ends.lost(visit, reason)

    def _refused(self, visit: Visit, error: TransportError) -> None:
        """Tell of a refusal as of its status; of anything else, that no answer came."""
        if error.token_refused:
            self._answered(visit, _DENIED, b"denied", 0.0)
        elif error.retry_after_s is not None:
            status = _TOO_OFTEN if "too-often" in str(error) else _LATER
            self._answered(visit, status, b"later", error.retry_after_s)
        else:
            self._lost(visit, str(error).rpartition(": ")[0][:80] or "no answer")


class _User:
    """One client, and the token that speaks for whoever uses it."""

    def __init__(self, open_client: OpenClient) -> None:
        self._token = ""
        self.client = open_client(lambda: self._token)

    async def exchange(self, visit: Visit) -> bytes:
        self._token = visit.token  # which a client reads before it first waits
        return await self.client.exchange(visit.told.frame)
