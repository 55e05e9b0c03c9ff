"""The loopback transport keeps the contract, and its faults come in the order in which they were ordered."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import InputError, TransportError
from omega.core.testing.transport_contract import TOKEN, Place, ScriptedApp, TransportContract
from omega_plugins.transports.loopback import (
    DUPLICATE,
    LOSE_REPLY,
    LOSE_REQUEST,
    NO_FAULT,
    Fault,
    LoopbackTransport,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from omega.core.ports import SyncApp


class TestLoopback(TransportContract):
    transport = LoopbackTransport

    @asynccontextmanager
    async def served(self, app: SyncApp) -> AsyncIterator[Place]:
        with serving(app) as wire:
            yield Place(wire.url)


async def asked(url: str, frame: bytes) -> bytes | None:
    """Return the answer, None when there was none."""
    async with LoopbackTransport.connect(url, token=lambda: TOKEN, timeout_s=5) as client:
        try:
            return await client.exchange(frame)
        except TransportError as error:
            return b"permanent" if error.permanent else None


def test_faults_befall_the_next_questions_one_each() -> None:
    app = ScriptedApp()
    with serving(app) as wire:
        wire.order(LOSE_REQUEST, NO_FAULT, LOSE_REPLY)
        wire.order(DUPLICATE, Fault(duplicates=2, lose_reply=True))
        answers = [asyncio.run(asked(wire.url, b"a%d" % turn)) for turn in range(6)]
    assert answers == [None, b"1a", None, b"3a", None, b"5a"]
    assert [frame for _, frame in app.seen] == [b"a1", b"a2", b"a3", b"a3", b"a4", b"a4", b"a4", b"a5"]
    assert wire.questions == 6
    assert wire.sent[:2] == [(b"a1", b"1a"), (b"a2", None)]


def test_a_delay_waits_on_the_clock_that_the_test_turns() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    with serving(ScriptedApp(), sleep=sleep) as wire:
        wire.order(Fault(delay_s=86_400))
        assert asyncio.run(asked(wire.url, b"ab")) == b"ba"
    assert waited == [86_400]


def test_a_delay_beyond_the_timeout_loses_the_question_as_a_network_would() -> None:
    app = ScriptedApp()

    async def late(url: str) -> None:
        async with LoopbackTransport.connect(url, token=lambda: TOKEN, timeout_s=0.05) as client:
            with pytest.raises(TransportError, match=r"0\.05 s"):
                await client.exchange(b"x")

    with serving(app) as wire:
        wire.order(Fault(delay_s=60))
        asyncio.run(late(wire.url))
    assert app.seen == []


def test_two_wires_are_two_shards() -> None:
    one, two = ScriptedApp(), ScriptedApp()
    with serving(one) as first, serving(two) as second:
        first.order(LOSE_REQUEST)
        assert asyncio.run(asked(second.url, b"x")) == b"x"
        assert asyncio.run(asked(first.url, b"y")) is None
    assert (one.seen, two.seen) == ([], [(TOKEN, b"x")])


def test_a_ca_is_refused_where_nobody_is_checked(tmp_path: Path) -> None:
    with serving(ScriptedApp()) as wire, pytest.raises(InputError, match="without a ca"):
        LoopbackTransport.connect(wire.url, token=str, ca=tmp_path)
