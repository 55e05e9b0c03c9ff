"""The generator's HTTP client against a server that answers as it is told, well and badly."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from omega.fleet.load.carrying import Visit
from omega.fleet.load.devices import Told
from omega.fleet.load.http import HttpCarrier
from omega_plugins.transports.http.address import parsed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FRAME = b"x" * 40


class Heard:
    """What became of visits."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, int, bytes, float]] = []
        self.losses: list[tuple[int, str]] = []
        self.more = asyncio.Event()

    def answered(self, visit: Visit, status: int, body: bytes, retry_after_s: float) -> None:
        self.answers.append((visit.device, status, body, retry_after_s))
        self.more.set()

    def lost(self, visit: Visit, reason: str) -> None:
        self.losses.append((visit.device, reason))
        self.more.set()

    async def all(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.answers) + len(self.losses) < count:
                self.more.clear()
                await self.more.wait()


class Server:
    """Answers each request with the next of its replies, the last one for ever; b"" closes instead."""

    def __init__(self, *replies: bytes, slow_s: float = 0) -> None:
        self.replies, self.slow_s = list(replies), slow_s
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""
        self.tasks: set[asyncio.Task[None]] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head + await reader.readexactly(len(FRAME)))
            except asyncio.IncompleteReadError:
                break
            await asyncio.sleep(self.slow_s)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            if not reply:
                break
            for part in (reply[:9], reply[9:]):
                writer.write(part)
                await asyncio.sleep(0)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self.talk, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/at"
            yield
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)


def reply(status: int = 200, body: bytes = b"body", more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Word\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def a_visit(device: int, pause_s: float = 0.0) -> Visit:
    return Visit(device, 0.0, Told(FRAME, 1, 1, 1, 0), f"token-{device}", pause_s)


async def asked(server: Server, visits: int, *, most: int = 4, fresh: bool = False, pause_s: float = 0.0) -> Heard:
    """Send one visit after the other."""
    heard = Heard()
    async with server.serving():
        carrier = HttpCarrier(parsed(server.url), None, heard, most=most, fresh=fresh, timeout_s=0.3)
        for device in range(visits):
            carrier.send(a_visit(device, pause_s))
            await heard.all(device + 1)
        await carrier.close()
    return heard


def test_a_request_is_what_the_shard_takes_and_connections_are_kept() -> None:
    server = Server(reply())
    heard = asyncio.run(asked(server, 3))
    assert heard.answers == [(device, 200, b"body", 0.0) for device in range(3)]
    assert server.connections == 1
    assert server.requests[1] == (
        b"POST /at/v1/sync HTTP/1.1\r\nHost: " + server.url[7:-3].encode() + b"\r\n"
        b"Authorization: Bearer token-1\r\nContent-Length: 40\r\n\r\n" + FRAME
    )


def test_a_fresh_connection_for_each() -> None:
    server = Server(reply())
    heard = asyncio.run(asked(server, 3, fresh=True))
    assert len(heard.answers) == server.connections == 3


def test_many_at_once_share_what_connections_there_are() -> None:
    async def burst() -> tuple[Heard, int]:
        server, heard = Server(reply(), slow_s=0.01), Heard()
        async with server.serving():
            carrier = HttpCarrier(parsed(server.url), None, heard, most=4, timeout_s=5)
            for device in range(40):
                carrier.send(a_visit(device))
            assert carrier.waiting == 40
            await heard.all(40)
            assert carrier.figures["most_at_once"] == 4
            await carrier.close()
        return heard, server.connections

    heard, connections = asyncio.run(burst())
    assert sorted(answer[0] for answer in heard.answers) == list(range(40))
    assert connections == 4


def test_refusals_bring_their_wish() -> None:
    heard = asyncio.run(asked(Server(reply(503, b"busy", "Retry-After: 17\r\n")), 1))
    assert heard.answers == [(0, 503, b"busy", 17.0)]


def test_a_kept_connection_that_was_closed_is_asked_again_over_a_new_one() -> None:
    server = Server(reply(), b"", reply())
    heard = asyncio.run(asked(server, 2))
    assert [answer[:2] for answer in heard.answers] == [(0, 200), (1, 200)]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "connection closed without an answer"),
        (b"SSH-2.0-x\r\n\r\n", "broken answer (no HTTP)"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "broken answer (no HTTP)"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "broken answer (no HTTP)"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", "broken answer (no HTTP)"),
        (b"x" * 20_000, "broken answer (no HTTP)"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "no answer within 0.3 s"),
    ],
)
def test_what_is_no_answer_is_told_once(answer: bytes, reason: str) -> None:
    heard = asyncio.run(asked(Server(answer), 1))
    assert heard.answers == []
    assert heard.losses == [(0, reason)]


def test_nobody_listens() -> None:
    async def alone() -> Heard:
        server, heard = Server(reply()), Heard()
        async with server.serving():
            pass
        carrier = HttpCarrier(parsed(server.url), None, heard, most=4)
        carrier.send(a_visit(0))
        await heard.all(1)
        await carrier.close()
        return heard

    assert asyncio.run(alone()).losses == [(0, "no connection (Connection refused)")]


def test_a_slow_client_stops_in_the_middle_and_is_answered() -> None:
    server = Server(reply())
    heard = asyncio.run(asked(server, 1, pause_s=0.05))
    assert [answer[:2] for answer in heard.answers] == [(0, 200)]
    assert server.requests[0].endswith(FRAME)


def test_who_waits_at_the_end_is_lost() -> None:
    async def cut() -> Heard:
        server, heard = Server(reply(), slow_s=1), Heard()
        async with server.serving():
            carrier = HttpCarrier(parsed(server.url), None, heard, most=1)
            for device in range(3):
                carrier.send(a_visit(device))
            await asyncio.sleep(0.05)
            await carrier.close()
        return heard

    assert sorted(asyncio.run(cut()).losses) == [(device, "no answer by the end") for device in range(3)]
