"""A server's QUIC connection: aioquic's, with ids that lead to its worker, sealed tickets and bounds that stay.

aioquic has no arguments for these; what is overridden here is not of its public API, so its major version is pinned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aioquic.quic.connection import QuicConnection

from omega_plugins.transports.quic.envelope import MAX_QUESTION_BYTES
from omega_plugins.transports.quic.tickets import SealingContext

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.recovery import QuicPacketSpace
    from aioquic.quic.stream import QuicStream

    from omega_plugins.transports.quic.routing import Route
    from omega_plugins.transports.quic.tickets import Tickets

STREAM_BYTES = MAX_QUESTION_BYTES + 512
"""What a stream may carry before more is refused by QUIC itself: enough to tell who sends too much that he does."""


class Connection(QuicConnection):
    """One client's."""

    def __init__(
        self, configuration: QuicConfiguration, first_id: bytes, route: Route, tickets: Tickets, streams: int
    ) -> None:
        """`first_id` is the one that the client made up for the server; `streams` may be open at once."""
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=first_id,
            session_ticket_fetcher=tickets.take,
        )
        self._route, self._tickets = route, tickets
        own = self._host_cids[0]
        own.cid = self.host_cid = self._local_initial_source_connection_id = self._minted()
        for limit, value in ((self._local_max_streams_bidi, streams), (self._local_max_streams_uni, 0)):
            limit.value = limit.sent = value

    def _minted(self) -> bytes:
        return self._route.mint(self._configuration.connection_id_length)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls.__class__ = SealingContext
        cast("SealingContext", self.tls).tickets = self._tickets

    def _replenish_connection_ids(self) -> None:
        known = {held.cid for held in self._host_cids}
        super()._replenish_connection_ids()
        for held in self._host_cids:
            if held.cid not in known:
                held.cid = self._minted()

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        """Raise no limit: aioquic doubles a stream's as fast as its client fills it, answered or not."""
