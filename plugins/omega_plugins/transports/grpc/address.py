"""Where a shard is: a URL taken apart."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from omega.core.errors import InputError, shown

PORT = 50_051
_FORM = "grpcs://HOST[:PORT], or grpc:// for a shard that isn't reached over a network"


class Address(msgspec.Struct, frozen=True):
    """A URL's parts, fit to be connected to."""

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        """Whether the server must show a certificate."""
        return self.scheme == "grpcs"

    @property
    def authority(self) -> str:
        """Host and port as one."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """The URL."""
        return f"{self.scheme}://{self.authority}"


def parsed(url: str) -> Address:
    """Take a URL apart; raises InputError for one that is no address of a shard."""
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise InputError(f"URL is {shown(url)} ({error}), allowed: {_FORM}") from error
    plain = url.isascii() and url.isprintable() and " " not in url
    extra = parts.path not in ("", "/") or "@" in parts.netloc or "?" in url or "#" in url
    if not plain or extra or parts.scheme not in ("grpc", "grpcs") or not parts.hostname or port == 0:
        raise InputError(f"URL is {shown(url)}, allowed: {_FORM}")
    return Address(parts.scheme, parts.hostname, port or PORT)
