"""The seam between a sync and the bytes that it travels as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from omega.core.wire import NEWEST, REPLY_LIMIT, Ack, Pull, Push, Resync, decode, encode, split

if TYPE_CHECKING:
    from collections.abc import Sequence

Reply: TypeAlias = Ack | Resync | Pull


class Codec(Protocol):
    """Turns a push into a frame and a shard's answer into replies."""

    def encode(self, push: Push, *, plain: bool = False) -> bytes:
        """Return the frame; a `plain` one needs no dictionary to be read."""

    def decode(self, data: bytes) -> Sequence[Reply]:
        """Return what the answer holds: an Ack or a Resync, then perhaps a Pull. Raises OmegaError for any other."""


class WireCodec:
    """The frames of `omega.core.wire`."""

    def encode(self, push: Push, *, plain: bool = False) -> bytes:
        """Return the frame; a `plain` one needs no dictionary to be read."""
        return encode(push, 0 if plain else NEWEST)

    def decode(self, data: bytes) -> Sequence[Reply]:
        """Return what the answer holds. Raises WireError."""
        replies = [decode(frame, max_bytes=REPLY_LIMIT) for frame in split(data, max_bytes=REPLY_LIMIT)]
        return [reply for reply in replies if not isinstance(reply, Push)]
