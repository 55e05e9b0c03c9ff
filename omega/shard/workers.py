"""Several processes that serve one shard: who dies is replaced, and all are, one by one, when they are to begin anew.

Their parent holds what they listen on. What arrives while a worker is away waits for the next one in its place.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from omega.core.errors import OmegaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.core.child import Child

END_S = 30.0
"""Longer than any drain."""
_QUICK_S, _LONGEST_PAUSE_S = 10.0, 30.0
_LOG = logging.getLogger("omega.shard")


class Workers:
    """So many workers, in the running loop."""

    def __init__(self, start: Callable[[int], Child], count: int) -> None:
        """`start` starts the worker of a number."""
        self._start, self._count = start, count
        self._workers: list[_Worker] = []
        self._stopped = asyncio.Event()
        self._rolling = asyncio.Lock()

    @property
    def pids(self) -> list[int]:
        """Their processes."""
        return [worker.child.pid for worker in self._workers]

    def stop(self) -> None:
        """Let `run` end."""
        self._stopped.set()

    async def run(self, ready: Callable[[Sequence[Any]], None]) -> None:
        """Start all, tell `ready` what each of them told, and keep them up until `stop`. Raises OmegaError."""
        keeping: list[asyncio.Task[NoReturn]] = []
        try:
            self._workers = [_Worker(self._start(number)) for number in range(self._count)]
            ready([await worker.told() for worker in self._workers])
            keeping = [asyncio.create_task(self._keep(number)) for number in range(self._count)]
            await self._stopped.wait()
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*(worker.end() for worker in self._workers))

    async def roll(self) -> None:
        """Replace one after the other; each goes when its successor is there, and stays when that can't be."""
        async with self._rolling:
            for number, old in enumerate(list(self._workers)):
                try:
                    new = await self._started(number)
                except OmegaError as error:
                    _LOG.error("worker %d goes on, another can't begin: %s", number, error)
                    return
                self._workers[number] = new
                await old.end()
                _LOG.info("worker %d began anew, process %d", number, new.child.pid)

    async def _started(self, number: int) -> _Worker:
        worker = _Worker(self._start(number))
        try:
            await worker.told()
        except BaseException:
            await worker.end()
            raise
        return worker

    async def _keep(self, number: int) -> NoReturn:
        """Put another one in the place of who dies; who dies young is waited for longer each time."""
        pause_s = 0.0
        while True:
            worker = self._workers[number]
            await worker.gone.wait()
            if self._workers[number] is not worker:  # it was replaced
                continue
            pause_s = _longer(pause_s) if time.monotonic() - worker.began_s < _QUICK_S else 0.0
            await worker.end()
            _LOG.error("worker %d died (exit %s): another one begins", number, worker.child.exit_code)
            while self._workers[number] is worker:
                await asyncio.sleep(pause_s)
                pause_s = await self._replaced(number, pause_s)

    async def _replaced(self, number: int, pause_s: float) -> float:
        """Put another worker in the place of a dead one, and return how long to wait for the next if need be."""
        async with self._rolling:
            try:
                self._workers[number] = await self._started(number)
            except OmegaError as error:
                _LOG.error("worker %d can't begin: %s", number, error)
                return _longer(pause_s)
        return pause_s


def _longer(pause_s: float) -> float:
    return min(2 * pause_s + 1, _LONGEST_PAUSE_S)


class _Worker:
    """A child whose descriptors the loop looks at."""

    def __init__(self, child: Child) -> None:
        self.child, self.began_s, self.gone, self._ended = child, time.monotonic(), asyncio.Event(), False
        asyncio.get_running_loop().add_reader(child.ended, self._note_end)

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self.child.ended)
        self.gone.set()

    async def told(self) -> Any:
        """Return what it tells when it is ready. Raises OmegaError."""
        return await asyncio.to_thread(self.child.told)

    async def end(self) -> None:
        """Let it drain, or kill it."""
        if self._ended:
            return
        self._ended = True
        self.child.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), END_S)
        asyncio.get_running_loop().remove_reader(self.child.ended)
        self.child.end(0)
