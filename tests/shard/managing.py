"""A shard with its doors and its management on real sockets, and what asks them."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, NamedTuple

from omega.core.identity.admins import Role, add_admin, read_admins
from omega.core.identity.device_key import DeviceKey
from omega.core.identity.gate import answer
from omega.core.identity.keyring import KeyRing
from omega.core.identity.messages import Admission, Challenge
from omega.core.identity.messages import decode as parsed
from omega.core.identity.messages import encode as worded
from omega.core.settings import Settings
from omega.shard.app import ShardApp
from omega.shard.exposition import exposition
from omega.shard.inquiry import Inquiry
from omega.shard.metered import Metered
from omega.shard.rest.answers import Facts
from omega.shard.rest.service import Service
from omega.shard.shard import Shard
from omega.title_search import TitleSearch
from omega_plugins.transports.http.client import HttpClient
from omega_plugins.transports.http.server import HttpServer, bind, serving
from tests.shard.playing import CATALOG, EAGER, KEY, SPACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from omega.core.ports import ShardStore
    from omega.shard.shelves import Published

SHARD_ID = 7


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Managed:
    """One worker of a shard; three listeners in the test's loop."""

    def __init__(
        self,
        store: ShardStore,
        folder: Path,
        files: Published | None = None,
        service: Any = EAGER,
        embedder: str = "static",
    ) -> None:
        self.shard = Shard(store, CATALOG, KEY, space=SPACE, service=service)
        self.app = ShardApp(self.shard, SHARD_ID, KeyRing.fresh(time.time() - 10), region="eu", everybody=True)
        self.admins = folder / "admins.json"
        self.tokens = {role: add_admin(self.admins, f"a-{role}", role) for role in Role}
        self.search = TitleSearch(Settings(home=folder / "home", store=folder / "tv", embedder=embedder))
        inquiry = Inquiry(self.app, self.shard, CATALOG, files, self.search)
        self.rest = Service(inquiry, Facts(SHARD_ID, "eu", 3, 1), read_admins(self.admins))
        self.ports: dict[str, int] = {}

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        doors: dict[str, Any] = {
            "http": Metered(self.app, self.shard.recorder, "http"),
            "rest": self.rest.asgi,
            "metrics": exposition(self.shard, 1),
        }
        await self.app.start()
        try:
            async with AsyncExitStack() as stack:
                stack.enter_context(self.search)
                for name, app in doors.items():
                    bound = bind("127.0.0.1", 0)
                    self.ports[name] = bound.getsockname()[1]
                    await stack.enter_async_context(serving(HttpServer(app), bound))
                yield
        finally:
            await self.shard.close()

    async def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        of: Role | None = Role.VIEWER,
        port: str = "rest",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Ask, over a connection of its own."""
        told = {"authorization": f"Bearer {self.tokens[of]}"} if of else {}
        return await asyncio.to_thread(_asked, self.ports[port], method, path, told | dict(headers or {}), body)

    def client(self, token: str) -> HttpClient:
        """Return a TV's client."""
        return HttpClient(f"http://127.0.0.1:{self.ports['http']}", token=lambda: token, ca=None, timeout_s=30)

    async def admitted(self, number: int) -> str:
        """Let a TV with this number as its key enrol over HTTP; return its token."""
        async with self.client("") as client:
            challenge = parsed(await client.exchange(b""), Challenge)
            told = worded(answer(challenge, a_key(number), shard=SHARD_ID))
            return parsed(await client.exchange(told), Admission).token


def a_key(number: int) -> DeviceKey:
    return DeviceKey(number.to_bytes(32, "big"))


def on_managed(managed: Managed, play: Callable[[Managed], Awaitable[None]]) -> None:
    async def played() -> None:
        async with managed.served():
            await play(managed)

    asyncio.run(played())


def _asked(port: int, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()
