"""What stands beside a shard for those who run it: REST and metrics at ports of their own, and who may ask."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from omega.compose import extra_module

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Self

    from omega.core.catalog import Catalog
    from omega.core.identity.admins import Admin
    from omega.shard.app import ShardApp
    from omega.shard.inquiry import Search
    from omega.shard.shard import Shard
    from omega.shard.shelves import Published

ADMINS_FILE = "admins.json"
LOOK_S = 1.0
"""How often that file is looked at: whoever was revoked is out that soon."""
_LIMITS = {"connections": 256, "idle_s": 75, "drain_s": 2}
"""Few ask, and whoever scrapes every few seconds keeps his connection."""


class Management:
    """Binds the ports of what was asked for, within a `with`, and serves there `beside` a shard."""

    def __init__(
        self,
        host: str,
        rest_port: int | None,
        metrics_port: int | None,
        keys: Path,
        context: ssl.SSLContext | None,
        *,
        worker: int = 0,
        shared: bool = False,
    ) -> None:
        """Take no port that is None; admins are in the folder `keys`; with a `context` REST speaks https.

        Workers count from 0: with `shared` they share the port of REST, and each has one for metrics, the first plus
        its number, which it shares with its successor alone. Raises InputError for admins that can't be read.
        """
        self._host, self._rest_port, self._worker = host, rest_port, worker
        self._metrics_port = metrics_port + worker if metrics_port else metrics_port  # 0 takes a free one
        self._admins, self._context, self._shared = keys / ADMINS_FILE, context, shared
        self._bound: dict[str, socket.socket] = {}
        self._held = ExitStack()
        if rest_port is not None:
            self._read()

    def __enter__(self) -> Self:
        """Bind. Raises InputError, TransportError."""
        with ExitStack() as held:
            for name, port in (("rest", self._rest_port), ("metrics", self._metrics_port)):
                if port is not None:
                    bound = _server().bind(self._host, port, shared=self._shared)
                    self._bound[name] = held.enter_context(closing(bound))
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the ports."""
        self._held.close()

    @asynccontextmanager
    async def beside(
        self, app: ShardApp, shard: Shard, catalog: Catalog, files: Published | None, schema: int, search: Search
    ) -> AsyncIterator[dict[str, int]]:
        """Serve within the block, and give the ports by name; admins are read anew like all else in `keys`.

        `schema` is the number of the store's; `search` finds titles by words.
        """
        async with AsyncExitStack() as serving:
            if bound := self._bound.get("rest"):
                inquiry = extra_module("omega.shard.inquiry", "shard").Inquiry(app, shard, catalog, files, search)
                told = extra_module("omega.shard.rest.answers", "shard").Facts(*app.who, schema, self._worker)
                rest = extra_module("omega.shard.rest.service", "shard").Service(inquiry, told, self._read())

                async def look() -> None:
                    rest.use(self._read())

                await serving.enter_async_context(extra_module("omega.shard.upkeep", "shard").kept_up(look, LOOK_S))
                await serving.enter_async_context(_served(rest.asgi, bound, self._context))
            if bound := self._bound.get("metrics"):
                metrics = extra_module("omega.shard.exposition", "shard").exposition(shard, self._worker)
                await serving.enter_async_context(_served(metrics, bound, None))
            yield {name: bound.getsockname()[1] for name, bound in self._bound.items()}

    def _read(self) -> tuple[Admin, ...]:
        found: tuple[Admin, ...] = _identity().read_admins(self._admins)
        return found


def add_admin(keys: Path, name: str, role: str) -> str:
    """Let somebody manage the shard with this folder of secrets; return the token, which nobody can tell again.

    A shard that runs takes it within 2 seconds. Raises InputError.
    """
    identity = _identity()
    token: str = identity.add_admin(keys / ADMINS_FILE, name, identity.role_of(role))
    return token


def revoke_admin(keys: Path, name: str) -> Admin:
    """Let somebody manage it no more, within 2 seconds; return who it was. Raises InputError."""
    found: Admin = _identity().revoke_admin(keys / ADMINS_FILE, name)
    return found


def admins(keys: Path) -> tuple[Admin, ...]:
    """Return who may. Raises InputError."""
    found: tuple[Admin, ...] = _identity().read_admins(keys / ADMINS_FILE)
    return found


def _served(app: Any, bound: socket.socket, context: ssl.SSLContext | None) -> Any:
    server = _server()
    limits = extra_module("omega_plugins.transports.http.limits", "shard").Limits(**_LIMITS)
    return server.serving(server.HttpServer(app, limits=limits, context=context), bound)


def _server() -> Any:
    return extra_module("omega_plugins.transports.http.server", "shard")


def _identity() -> Any:
    return extra_module("omega.core.identity.admins", "shard")
