"""Where a shard is: a URL taken apart."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from omega.core.errors import InputError, shown

PORT = 4433
ALPN = "omega/1"
_FORM = "quic://HOST[:PORT], or quic://HOST[:PORT],https://HOST[:PORT] for networks that block UDP"


class Address(msgspec.Struct, frozen=True):
    """A URL's parts, fit to be connected to."""

    host: str
    port: int
    fallback: str = ""
    """The HTTPS URL of the same shard, empty for none."""

    @property
    def origin(self) -> str:
        """The URL without its fallback."""
        return f"quic://[{self.host}]:{self.port}" if ":" in self.host else f"quic://{self.host}:{self.port}"


def parsed(url: str) -> Address:
    """Take a URL apart; raises InputError for one that is no address of a shard."""
    own, comma, fallback = url.partition(",")
    try:
        parts = urlsplit(own)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise InputError(f"URL is {shown(url)} ({error}), allowed: {_FORM}") from error
    plain = own.isascii() and own.isprintable() and " " not in own
    extra = parts.path not in ("", "/") or "@" in parts.netloc or "?" in own or "#" in own
    if not plain or extra or parts.scheme != "quic" or not parts.hostname or port == 0:
        raise InputError(f"URL is {shown(url)}, allowed: {_FORM}")
    if comma and not fallback.startswith("https://"):
        raise InputError(f"URL is {shown(url)}, allowed: {_FORM}")
    return Address(parts.hostname, port or PORT, fallback)
