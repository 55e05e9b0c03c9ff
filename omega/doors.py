"""What a shard speaks beside HTTP, at ports of its own."""

from __future__ import annotations

import secrets
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from omega.compose import extra_module
from omega.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    Certificate: TypeAlias = tuple[Path, Path]
    Doors: TypeAlias = dict[str, Callable[[Any], Any]]
    """By name, what serves an app inside an `async with` and knows its `port`."""

_TICKET_KEY_BYTES = 32


def doors(
    held: ExitStack,
    host: str,
    grpc_port: int | None,
    quic_port: int | None,
    certificate: Certificate | None,
    ticket_file: Path,
) -> Doors:
    """Return what serves an app at these ports, where one is given; addresses and certificate are checked now.

    `held` closes what is opened. Raises InputError, TransportError, MissingExtraError.
    """
    found: Doors = {}
    if grpc_port is not None:
        found["grpc"] = _grpc(host, grpc_port, certificate)
    if quic_port is not None:
        found["quic"] = _quic(held, host, quic_port, certificate, ticket_file)
    return found


def _grpc(host: str, port: int, certificate: Certificate | None) -> Callable[[Any], Any]:
    grpc = extra_module("omega_plugins.transports.grpc.server", "grpc")
    credentials = grpc.tls(*certificate) if certificate else None
    return partial(grpc.GrpcServer, address=grpc.address_of(host, port), credentials=credentials)


def _quic(
    held: ExitStack, host: str, port: int, certificate: Certificate | None, ticket_file: Path
) -> Callable[[Any], Any]:
    if certificate is None:
        raise InputError(
            f"quic_port is {port}, without a certificate, allowed: with one: make it with omega shard cert"
        )
    quic, routing = (extra_module(f"omega_plugins.transports.quic.{name}", "quic") for name in ("server", "routing"))
    quic.configured(*certificate)
    (bound,) = routing.bind(host, port)
    held.enter_context(closing(bound))
    key = kept_secret(ticket_file, _TICKET_KEY_BYTES)
    return partial(quic.QuicServer, bound=bound, certificate=certificate, ticket_key=key)


def kept_secret(path: Path, size_bytes: int) -> bytes:
    """Return a shard's secret, made on first use, so that all its workers have the same. Raises InputError."""
    secret_file = extra_module("omega.core.identity.secret_file", "shard")
    secret_file.make_secret(path, secrets.token_bytes(size_bytes))
    secret: bytes = secret_file.read_secret(path, size_bytes)
    return secret
