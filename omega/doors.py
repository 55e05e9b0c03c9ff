"""What a shard speaks beside HTTP, at ports of its own."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from omega.compose import extra_module
from omega.core.errors import InputError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    Certificate: TypeAlias = tuple[Path, Path]
    Door: TypeAlias = Callable[[Any], Any]
    """Returns what serves an app inside an `async with` and knows its `port`."""

TICKETS_FILE = "tickets.key"
_TICKET_KEY_BYTES = 32


def grpc_door(host: str, port: int, certificate: Certificate | None, *, shared: bool) -> Door:
    """Return what speaks gRPC at this port, if `shared` beside other workers. Raises InputError, TransportError."""
    grpc = extra_module("omega_plugins.transports.grpc.server", "grpc")
    credentials = grpc.tls(*certificate) if certificate else None
    return partial(
        grpc.GrpcServer, address=grpc.address_of(host, port, shared=shared), credentials=credentials, shared=shared
    )


def quic_sockets(host: str, port: int, certificate: Certificate | None, workers: int) -> list[socket.socket]:
    """Return the socket of each worker at this UDP port, the certificate checked. Raises InputError, TransportError."""
    if certificate is None:
        raise InputError(
            f"quic_port is {port}, without a certificate, allowed: with one: make it with omega shard cert"
        )
    quic, routing = (extra_module(f"omega_plugins.transports.quic.{name}", "quic") for name in ("server", "routing"))
    quic.configured(*certificate)
    bound: list[socket.socket] = routing.bind(host, port, workers)
    return bound


def quic_door(bound: socket.socket, certificate: Certificate, keys: Path, *, worker: int, workers: int) -> Door:
    """Return what speaks QUIC at a worker's socket; all workers open each other's tickets, by a key in `keys`."""
    quic = extra_module("omega_plugins.transports.quic.server", "quic")
    key, route = kept_secret(keys / TICKETS_FILE, _TICKET_KEY_BYTES), {"worker": worker, "workers": workers}
    return partial(quic.QuicServer, bound=bound, certificate=certificate, ticket_key=key, **route)


def kept_secret(path: Path, size_bytes: int) -> bytes:
    """Return a shard's secret, made on first use, so that all its workers have the same. Raises InputError."""
    secret_file = extra_module("omega.core.identity.secret_file", "shard")
    secret_file.make_secret(path, secrets.token_bytes(size_bytes))
    secret: bytes = secret_file.read_secret(path, size_bytes)
    return secret
