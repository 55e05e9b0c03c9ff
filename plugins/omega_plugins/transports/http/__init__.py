"""HTTP/1.1 on kept connections, with TLS: `client` for the TV, `server` for the shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from omega.core.errors import MissingExtraError
from omega.core.hooks import hookimpl
from omega.core.ports import Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.ports import TransportClient


class HttpTransport(Transport):
    """HTTP/1.1 on kept connections, https with the system's authorities or one's own."""

    NAME = "http"
    SCHEMES: ClassVar[tuple[str, ...]] = ("https", "http")

    @classmethod
    def connect(
        cls, url: str, *, token: Callable[[], str], ca: Path | None = None, timeout_s: float = 10
    ) -> TransportClient:
        """Return a client of the shard at `https://host[:port][/prefix]`, or at http, where nothing is secret."""
        try:
            from omega_plugins.transports.http.client import HttpClient  # noqa: PLC0415  (ssl: 3 MB and 30 ms)
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "httptools", "device") from error
        return HttpClient(url, token=token, ca=ca, timeout_s=timeout_s)


@hookimpl
def omega_transports() -> list[type[Transport]]:
    """Offer HttpTransport."""
    return [HttpTransport]
