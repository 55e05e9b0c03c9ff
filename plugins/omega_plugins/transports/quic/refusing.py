"""The packets of a server that takes nobody in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.connection import TRANSPORT_CLOSE_FRAME_CAPACITY
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicPacketType, encode_quic_version_negotiation
from aioquic.quic.packet_builder import QuicPacketBuilder

if TYPE_CHECKING:
    from aioquic.quic.packet import QuicHeader


def other_version(header: QuicHeader, versions: list[int]) -> bytes:
    """Return the packet that tells a client which versions there are."""
    return encode_quic_version_negotiation(
        source_cid=header.destination_cid, destination_cid=header.source_cid, supported_versions=versions
    )


def full(header: QuicHeader, version: int) -> bytes:
    """Return the packet that tells a client of a server that is full to go elsewhere, at once."""
    crypto = CryptoPair()
    crypto.setup_initial(cid=header.destination_cid, is_client=False, version=version)
    builder = QuicPacketBuilder(
        host_cid=header.destination_cid,
        is_client=False,
        max_datagram_size=SMALLEST_MAX_DATAGRAM_SIZE,
        peer_cid=header.source_cid,
        version=version,
    )
    builder.start_packet(QuicPacketType.INITIAL, crypto)
    frame = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE, capacity=TRANSPORT_CLOSE_FRAME_CAPACITY)
    for value in (QuicErrorCode.CONNECTION_REFUSED, QuicFrameType.PADDING, 0):
        frame.push_uint_var(value)
    return builder.flush()[0][0]
