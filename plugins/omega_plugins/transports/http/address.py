"""Where a shard is: a URL taken apart, and the trust that goes with it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

import msgspec

from omega.core.errors import InputError, shown

if TYPE_CHECKING:
    from pathlib import Path

_PORTS = {"https": 443, "http": 80}
_FORM = "https://HOST[:PORT][/PREFIX], or http:// for a shard that isn't reached over a network"


class Address(msgspec.Struct, frozen=True):
    """A URL's parts, fit to be sent."""

    scheme: Literal["https", "http"]
    host: str
    port: int
    prefix: str

    @property
    def origin(self) -> str:
        """The URL without its prefix, and without the port that goes without saying."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parsed(url: str) -> Address:
    """Take a URL apart; raises InputError for one that is no address of a shard."""
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise InputError(f"URL is {shown(url)} ({error}), allowed: {_FORM}") from error
    plain = url.isascii() and url.isprintable() and " " not in url
    extra = parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url
    if not plain or extra or parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise InputError(f"URL is {shown(url)}, allowed: {_FORM}")
    scheme = cast("Literal['https', 'http']", parts.scheme)
    return Address(scheme, parts.hostname, port or _PORTS[scheme], parts.path.rstrip("/"))


def trust(address: Address, ca: Path | None) -> ssl.SSLContext | None:
    """Return what checks the server's name and certificate, None for http; raises InputError for a bad `ca`."""
    if address.scheme == "http":
        if ca:
            raise InputError(f"ca is {ca}, allowed: none with http, which checks nobody: write https")
        return None
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError, too
        reason = error.strerror or "it holds no certificate" if isinstance(error, OSError) else error
        raise InputError(f"ca is {ca} ({reason}), allowed: a PEM file of certificates") from error
