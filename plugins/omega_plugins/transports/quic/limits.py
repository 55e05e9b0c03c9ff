"""How much one client, or all of them, may take of a server."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one worker; what is beyond one is refused with what is named."""

    connections: int = 4_096
    """CONNECTION_REFUSED for those beyond; each takes about 72 KB."""
    streams: int = 128
    """Of a connection at once; a client holds back those beyond."""
    calls: int = 2_048
    """503 with retry-after for those beyond: questions of all clients that wait for an answer."""
    retry_after_s: int = 30
    handshake_s: float = 5
    """A connection whose handshake isn't done by then is closed."""
    question_s: float = 10
    """A connection with a question that has begun and not ended for so long is closed."""
    idle_s: float = 10
    """How long a connection is kept without a packet."""
    write_s: float = 20
    """How long a client may take nothing of a file that waits for it; then the stream is reset."""
    tickets: int = 262_144
    """How many used tickets are known; when there are more, the oldest are refused unseen."""
    drain_s: float = 10
    """How long a stopping server goes on with what it has begun."""
