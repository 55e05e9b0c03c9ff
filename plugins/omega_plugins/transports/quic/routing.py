"""Several workers at one UDP port: the kernel hands each packet to the worker that its connection id names.

Without this it goes by the client's address and port, and a connection dies when a home router changes these.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import InputError, TransportError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_WORKERS = 64
_ATTACH_REUSEPORT_CBPF = 51
_RECEIVE_BYTES = 4 * 2**20
_BYTE, _IF_BITS, _JUMP, _MODULO, _RETURN = 0x30, 0x45, 0x05, 0x94, 0x16
"""Classic BPF: load a byte, branch on bits, jump, divide and keep the rest, return what is left."""


class Route(msgspec.Struct, frozen=True):
    """Which worker this is, of how many."""

    worker: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Refuse a worker that there is not."""
        if not 0 <= self.worker < self.workers <= MAX_WORKERS:
            raise InputError(f"worker is {self.worker} of {self.workers}, allowed: 0..{MAX_WORKERS - 1} of as many")

    def mint(self, length: int) -> bytes:
        """Return a new connection id that leads to this worker."""
        drawn = os.urandom(length)
        return bytes([self.steered(drawn[0])]) + drawn[1:]

    def steered(self, first: int) -> int:
        """Return the byte next to `first` that leads to this worker."""
        near = first - first % self.workers + self.worker
        return near if near < 256 else near - self.workers


def bind(host: str, port: int, workers: int = 1, *, routed: bool = True) -> list[socket.socket]:
    """Return a UDP socket for each worker, all at one port, in the order in which the kernel counts them.

    One process binds them all and hands them on, so that the order stays whoever dies. Port 0 takes a free one; unless
    `routed` the kernel goes by addresses. Raises InputError, TransportError.
    """
    if not 0 <= port <= 65_535:
        raise InputError(f"port is {port}, allowed: 0..65,535")
    Route(0, workers)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, OverflowError) as error:
        raise TransportError(f"{host}:{port} is no address to serve at ({error})", permanent=True) from error
    family, kind, protocol, _, address = found[0]
    bound: list[socket.socket] = []
    try:
        for _ in range(workers):
            bound.append(socket.socket(family, kind, protocol))
            if workers > 1:
                bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with suppress(OSError):  # a burst of handshakes is 1,200 B each; the kernel allows what it allows
                bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
            bound[-1].bind(address)
            address = bound[0].getsockname()
        if workers > 1 and routed:
            _steer(bound)
    except OSError as error:
        for one in bound:
            one.close()
        told = f"{host}:{port} can't be served at by UDP ({error}): end what holds it, or choose another port"
        raise TransportError(told, permanent=True) from error
    return bound


def _steer(bound: Sequence[socket.socket]) -> None:
    """Let the kernel choose among these sockets by the first byte of the connection id. Raises OSError."""
    code = [
        (_BYTE, 0, 0, 0),
        (_IF_BITS, 0, 2, 0x80),  # a long header has the id behind flags, version and its length
        (_BYTE, 0, 0, 6),
        (_JUMP, 0, 0, 1),
        (_BYTE, 0, 0, 1),
        (_MODULO, 0, 0, len(bound)),
        (_RETURN, 0, 0, 0),
    ]
    held = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    program = struct.pack("HP", len(code), ctypes.addressof(held))
    bound[0].setsockopt(socket.SOL_SOCKET, _ATTACH_REUSEPORT_CBPF, program)
