"""How much one client, or all of them, may take of a server."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from omega.core.ports import MAX_FRAME_BYTES

Options: TypeAlias = "list[tuple[str, int]]"
ENVELOPE_BYTES = 16
"""What a frame's message adds to it at most."""


class Limits(msgspec.Struct, frozen=True):
    """Bounds of a server; what is beyond one is refused with the status that is named."""

    message_bytes: int = MAX_FRAME_BYTES + ENVELOPE_BYTES
    """RESOURCE_EXHAUSTED, before any of it is decoded."""
    head_bytes: int = 8_192
    """RESOURCE_EXHAUSTED: a call's metadata."""
    calls: int = 8_192
    """UNAVAILABLE with retry-after for those beyond: calls of all clients that wait for an answer."""
    calls_a_connection: int = 128
    """A client holds back those beyond."""
    connections: int = 16_384
    """Those beyond are closed unheard."""
    handshake_s: float = 5
    """A new connection that hasn't begun to speak HTTP/2 (and TLS) by then is closed."""
    idle_s: float = 600
    """How long a connection without a call is kept."""
    age_s: float = 3_600
    """A connection is to be made anew after so long, so that a balancer can spread clients again."""
    silence_s: float = 60
    """After so long without a byte a ping asks whether the client is there; `answer_s` later it is taken for gone."""
    answer_s: float = 20
    write_s: float = 20
    """How long a client may take nothing of a file that waits for it; DEADLINE_EXCEEDED."""
    retry_after_s: int = 30
    drain_s: float = 10
    """How long a stopping server goes on with what it has begun."""

    def options(self, *, shared: bool = False) -> Options:
        """Return what gRPC's core sees to."""
        return [
            ("grpc.so_reuseport", int(shared)),  # else a second server takes the same port without a word
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_metadata_size", self.head_bytes),
            ("grpc.absolute_max_metadata_size", self.head_bytes),
            ("grpc.max_concurrent_streams", self.calls_a_connection),
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.server_handshake_timeout_ms", _ms(self.handshake_s)),
            ("grpc.max_connection_idle_ms", _ms(self.idle_s)),
            ("grpc.max_connection_age_ms", _ms(self.age_s)),
            ("grpc.max_connection_age_grace_ms", _ms(self.drain_s)),
            ("grpc.keepalive_time_ms", _ms(self.silence_s)),
            ("grpc.keepalive_timeout_ms", _ms(self.answer_s)),
            ("grpc.http2.min_ping_interval_without_data_ms", _ms(self.silence_s)),
        ]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
