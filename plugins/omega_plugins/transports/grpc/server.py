"""The shard's side: grpc.aio in the running loop, beside whatever else is served there."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import grpc

from omega.core.errors import TransportError
from omega_plugins.transports.grpc.door import Door
from omega_plugins.transports.grpc.limits import Limits
from omega_plugins.transports.http.server import bind
from omega_plugins.transports.http.server import tls as checked_tls

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from omega.core.ports import SyncApp


def address_of(host: str, port: int, *, shared: bool = False) -> str:
    """Return host and port as gRPC takes them, once it is clear that they can be served at.

    gRPC binds its port itself and says little of what is in the way. With `shared` other processes may serve there too.
    Raises InputError, TransportError.
    """
    with closing(bind(host, port, shared=shared, listening=False)) as tried:
        name = tried.getsockname()[0]
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def tls(certificate: Path, key: Path) -> grpc.ServerCredentials:
    """Return what makes a server's connections grpcs, from PEM files; raises InputError."""
    checked_tls(certificate, key)
    return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])


class GrpcServer:
    """Serves one app at one address inside an `async with`, whose end drains it."""

    def __init__(
        self,
        app: SyncApp,
        address: str,
        *,
        limits: Limits | None = None,
        credentials: grpc.ServerCredentials | None = None,
        shared: bool = False,
    ) -> None:
        """Serve at an `address_of`, if `shared` beside others; with `credentials` (see `tls`) it speaks grpcs."""
        self._app, self._address, self._credentials, self._shared = app, address, credentials, shared
        self._limits = limits or Limits()
        self._server: grpc.aio.Server | None = None
        self.port = 0
        """Where it listens, once it does."""

    async def __aenter__(self) -> Self:
        """Begin. Raises TransportError when the address can't be served at any more."""
        self._server = grpc.aio.server(
            handlers=Door(self._app, self._limits).handlers(), options=self._limits.options(shared=self._shared)
        )
        try:
            if self._credentials:
                self.port = self._server.add_secure_port(self._address, self._credentials)
            else:
                self.port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            told = f"{self._address} can't be served at: end what holds it, or choose another port"
            raise TransportError(told, permanent=True) from error
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take nobody any more, answer what has begun, and close every connection."""
        if self._server:
            await self._server.stop(self._limits.drain_s)
