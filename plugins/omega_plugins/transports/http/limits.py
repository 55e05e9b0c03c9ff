"""How much one client, or all of them, may take of a server."""

from __future__ import annotations

import msgspec

from omega.core.ports import MAX_FRAME_BYTES


class Limits(msgspec.Struct, frozen=True):
    """Bounds of a server; what is beyond one is refused with the status that is named."""

    body_bytes: int = MAX_FRAME_BYTES
    """413, before any of it is decoded."""
    head_bytes: int = 8_192
    """431: request line and headers."""
    head_s: float = 5
    """408: from a head's first byte to its last; a new connection that says nothing for so long is closed."""
    body_s: float = 10
    """408: from the head's end to the body's."""
    write_s: float = 20
    """How long a client may take nothing of an answer that waits for it; then its connection is closed."""
    idle_s: int = 75
    """How long a connection is kept between two questions."""
    connections: int = 16_384
    """503 with retry-after for those beyond; beyond twice as many they are closed unheard."""
    retry_after_s: int = 30
    last_s: float = 1
    """How long a new connection that a stopping server has accepted may take to ask."""
    drain_s: float = 10
    """How long a stopping server goes on with what it has begun."""
