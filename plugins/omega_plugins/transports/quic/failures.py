"""What is told of a connection that brought no answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aioquic.quic.packet import QuicErrorCode
from aioquic.tls import AlertDescription

from omega.core.errors import TransportError, on_one_line

if TYPE_CHECKING:
    from omega_plugins.transports.quic.line import EndedError

_FULL_S = 10
"""When a client of a server that is full may come again."""
_CERTIFICATE = frozenset(
    QuicErrorCode.CRYPTO_ERROR + alert
    for alert in (
        AlertDescription.bad_certificate,
        AlertDescription.certificate_expired,
        AlertDescription.certificate_unknown,
        AlertDescription.unknown_ca,
    )
)


class UnreachedError(TransportError):
    """Not a packet came back: nobody is there, or UDP doesn't get through."""


class FullError(TransportError):
    """The server takes no more connections; it may well take questions by a cheaper way."""


def unreached(where: str, error: Exception) -> UnreachedError:
    """Return what is told of a place from which nothing came."""
    if isinstance(error, OSError) and error.errno:
        return UnreachedError(f"{where} can't be reached ({os.strerror(error.errno)}): ask later")
    return UnreachedError(f"{where} gave no sign of life: ask later")


def told_of(where: str, host: str, error: EndedError) -> TransportError:
    """Return what is told of a connection that ended before the answer."""
    event = error.event
    if event is None or event.error_code in (QuicErrorCode.NO_ERROR, QuicErrorCode.INTERNAL_ERROR):
        return TransportError(f"{where} closed the connection without an answer: ask later")
    reason = on_one_line(event.reason_phrase[:200])
    if event.error_code in _CERTIFICATE:
        told = f"the certificate of {where} is refused ({reason}), allowed: a valid one for {host} of a trusted CA"
        return TransportError(f"{told}: renew it, or name its CA", permanent=True)
    if event.error_code == QuicErrorCode.CONNECTION_REFUSED:
        return FullError(f"{where} is full: ask later", retry_after_s=_FULL_S)
    return TransportError(f"{where} ended the connection ({event.error_code:#x} {reason}): ask later")
