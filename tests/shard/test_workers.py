"""Workers that are kept up: what can't begin, what dies, what is replaced. The shard's own: tests/integration."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omega.core.child import Child
from omega.core.errors import OmegaError, StoreError
from omega.shard.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WAIT_S = 60


def serve_unless(forbidden: Path, *, ready: Callable[[int], None]) -> None:
    """Serve nothing until SIGTERM; refuse where a file forbids it."""
    if forbidden.exists():
        raise StoreError("x is full, allowed: room: make some")
    ready(os.getpid())
    signal.pause()


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def kept_up(forbidden: Path, play: Callable[[Workers, list[int]], Awaitable[None]]) -> None:
    """Let two workers be kept up while a coroutine plays with them."""

    async def kept() -> None:
        workers = Workers(lambda number: Child(partial(serve_unless, forbidden)), 2)
        ready: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(workers.run(lambda told: ready.set_result(list(told))))
        try:
            async with asyncio.timeout(WAIT_S):
                pids = await ready
                assert pids == workers.pids
                await play(workers, pids)
        finally:
            workers.stop()
            await running
        assert not any(exists(pid) for pid in (*pids, *workers.pids))

    asyncio.run(kept())


def test_what_cannot_begin_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    forbidden = tmp_path / "no"
    forbidden.touch()
    workers = Workers(lambda number: Child(partial(serve_unless, forbidden if number else tmp_path / "yes")), 2)
    with pytest.raises(OmegaError, match="x is full, allowed: room: make some"):
        asyncio.run(workers.run(lambda told: pytest.fail("it is not ready")))
    assert not any(exists(pid) for pid in workers.pids)


def test_all_are_replaced_one_by_one(tmp_path: Path) -> None:
    async def play(workers: Workers, pids: list[int]) -> None:
        await asyncio.gather(workers.roll(), workers.roll())  # who asks twice gets both, in turn
        assert len({*pids, *workers.pids}) == 4
        assert not any(exists(pid) for pid in pids)

    kept_up(tmp_path / "no", play)


def test_who_has_no_successor_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play(workers: Workers, pids: list[int]) -> None:
        (tmp_path / "no").touch()
        await workers.roll()
        assert workers.pids == pids
        assert all(exists(pid) for pid in pids)
        assert "worker 0 goes on, another can't begin: x is full" in caplog.text

    kept_up(tmp_path / "no", play)


def test_who_died_is_replaced_as_soon_as_one_can_begin(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play(workers: Workers, pids: list[int]) -> None:
        (tmp_path / "no").touch()
        os.kill(pids[1], signal.SIGKILL)
        while "worker 1 can't begin: x is full" not in caplog.text:  # noqa: ASYNC110  (another process says it)
            await asyncio.sleep(0.05)
        assert "worker 1 died (exit -9)" in caplog.text
        (tmp_path / "no").unlink()
        while workers.pids[1] == pids[1]:  # noqa: ASYNC110  (the same)
            await asyncio.sleep(0.05)
        assert workers.pids[0] == pids[0]
        assert exists(workers.pids[1])

    kept_up(tmp_path / "no", play)
