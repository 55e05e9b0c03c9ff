"""QUIC with requests in the first flight: `client` for the TV, `server` for the shard."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from omega.core.errors import MissingExtraError
from omega.core.hooks import hookimpl
from omega.core.ports import ResumingTransport, Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.ports import TransportClient

logging.getLogger("quic").setLevel(logging.ERROR)  # aioquic tells of every connection, and warns of every peer's fault


class QuicTransport(ResumingTransport):
    """QUIC with TLS and 0-RTT, the system's authorities or one's own; HTTPS where UDP is blocked."""

    NAME = "quic"
    SCHEMES: ClassVar[tuple[str, ...]] = ("quic",)

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        token: Callable[[], str],
        ca: Path | None = None,
        timeout_s: float = 10,
        kept: Path | None = None,
    ) -> TransportClient:
        """Return a client of the shard at `quic://host[:port]`, or of both at `quic://host[:port],https://host[:port]`."""
        from omega_plugins.transports.quic.address import parsed  # noqa: PLC0415  (urllib: a listing needs none)

        address = parsed(url)
        try:
            from omega_plugins.transports.quic.fallback import opened  # noqa: PLC0415  (aioquic: 150 ms)
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "aioquic", "quic") from error
        return opened(address, token=token, ca=ca, timeout_s=timeout_s, kept=kept)


@hookimpl
def omega_transports() -> list[type[Transport]]:
    """Offer QuicTransport."""
    return [QuicTransport]
