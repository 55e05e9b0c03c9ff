"""Networks to break: namespaces on virtual cables, for root, and a relay that delays and loses, for everybody."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Self

_NEW_NETWORK, _READ_BYTES = 0x40000000, 65_536


def ip(*words: str) -> str:
    """Run ip, and return what it said in error."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr or "it failed"


class Place:
    """A network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ip(self, *words: str) -> None:
        """Change something there."""
        if error := ip("-n", self.name, *words):
            raise OSError(error)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be there within the block: sockets of this thread, and processes and threads that it starts."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(here)
            os.close(here)
            os.close(there)


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns failed")


@contextmanager
def places(*names: str) -> Iterator[list[Place]]:
    """Make namespaces within the block; skips the test where that can't be."""
    with ExitStack() as made:
        found = []
        for name in names:
            place = Place(f"omega-{name}-{os.getpid()}")
            made.callback(ip, "netns", "del", place.name)
            if error := ip("netns", "add", place.name) if os.geteuid() == 0 else "this isn't root":
                pytest.skip(f"no network namespaces can be made here: {error.strip()}")
            place.ip("link", "set", "lo", "up")
            found.append(place)
        yield found


class Cable:
    """Two places on one cable, 10.213.NUMBER.1 and .2."""

    def __init__(self, number: int, one: Place, other: Place) -> None:
        self._ends = one, other
        self._plug = f"cable{number}"
        self.addresses = [f"10.213.{number}.{end}" for end in (1, 2)]
        one.ip("link", "add", self._plug, "type", "veth", "peer", "name", self._plug, "netns", other.name)
        for place, address in zip(self._ends, self.addresses, strict=True):
            place.ip("address", "add", f"{address}/24", "dev", self._plug)
            place.ip("link", "set", self._plug, "up")

    def pull(self) -> None:
        """Take it out, at the first place: who is there knows that he has no network."""
        self._ends[0].ip("link", "set", self._plug, "down")

    def plug(self) -> None:
        """Put it in again."""
        self._ends[0].ip("link", "set", self._plug, "up")

    def lose_answers(self) -> None:
        """Let what the second place sends come nowhere; it hears all the same."""
        self._ends[1].ip("route", "add", "blackhole", self.addresses[0])

    def bring_answers(self) -> None:
        """Undo that."""
        self._ends[1].ip("route", "del", "blackhole", self.addresses[0])

    def block_udp(self) -> str:
        """Send no UDP from either place; return why not, where the kernel can't."""
        return "".join(ip("-n", place.name, "rule", "add", "ipproto", "udp", "blackhole") for place in self._ends)


class Relay:
    """Carries TCP to a server, late, and now and then not: then the connection ends, as nobody sends again for it.

    It stands in for netem, which few kernels of test machines have.
    """

    def __init__(
        self,
        to: tuple[str, int] | str,
        *,
        at: str = "127.0.0.1",
        within: Callable[[], AbstractContextManager[object]] = ExitStack,
        delay_s: float = 0.0,
        loss: float = 0.0,
    ) -> None:
        """`to` is an address or the path of a socket; `within` is entered by the relay's thread."""
        self._to, self._at, self._within = to, at, within
        self._delay_s, self._loss, self._random = delay_s, loss, Random(11)
        self.port = self.lost = 0
        self._listens, self._thread = Event(), Thread(target=self._work)
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        assert self._listens.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _work(self) -> None:
        with self._within():
            asyncio.run(self._relay())

    async def _relay(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        carrying: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            carrying.add(task := asyncio.create_task(self._carry(reader, writer)))
            task.add_done_callback(carrying.discard)

        server = await asyncio.start_server(accept, self._at, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._ended.wait()
        server.close()
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            opened = (
                asyncio.open_unix_connection(self._to)
                if isinstance(self._to, str)
                else asyncio.open_connection(*self._to)
            )
            there, back = await opened
            writers.append(back)
            ways = [asyncio.create_task(self._pass_on(*way)) for way in ((reader, back), (there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the server isn't there: who asked sees the end
        finally:
            for each in writers:
                each.transport.abort()
            for each in writers:
                with suppress(OSError):
                    await each.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_BYTES):
            await asyncio.sleep(self._delay_s)
            if self._random.random() < self._loss:
                self.lost += 1
                return
            writer.write(data)
            await writer.drain()
