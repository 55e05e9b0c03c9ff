"""gRPC on one kept channel: `client` for the TV, `server` for the shard, `protos` for everybody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from omega.core.errors import MissingExtraError
from omega.core.hooks import hookimpl
from omega.core.ports import Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.ports import TransportClient

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when grpc is first imported; else its core writes to stderr


class GrpcTransport(Transport):
    """gRPC on one kept channel, grpcs with the system's authorities or one's own."""

    NAME = "grpc"
    SCHEMES: ClassVar[tuple[str, ...]] = ("grpcs", "grpc")

    @classmethod
    def connect(
        cls, url: str, *, token: Callable[[], str], ca: Path | None = None, timeout_s: float = 10
    ) -> TransportClient:
        """Return a client of the shard at `grpcs://host[:port]`, or at grpc, where nothing is secret."""
        from omega_plugins.transports.grpc.address import parsed  # noqa: PLC0415  (urllib: a listing needs none)

        address = parsed(url)
        try:
            from omega_plugins.transports.grpc.client import GrpcClient  # noqa: PLC0415  (grpc: 120 ms)
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "grpcio", "grpc") from error
        return GrpcClient(address, token=token, ca=ca, timeout_s=timeout_s)


@hookimpl
def omega_transports() -> list[type[Transport]]:
    """Offer GrpcTransport."""
    return [GrpcTransport]
