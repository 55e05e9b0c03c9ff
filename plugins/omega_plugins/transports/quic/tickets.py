"""Session tickets that any worker opens and that each opens once: 0-RTT without a store, and without replays.

A ticket is the session's secret, sealed by AES-GCM under a key that all workers derive from one secret, another every
day. aioquic's own is 64 random bytes that lead back into the memory of the process that gave them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from aioquic import tls
from aioquic.quic.connection import MAX_EARLY_DATA
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from omega.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioquic.buffer import Buffer  # type: ignore[attr-defined]

KEY_BYTES = 32
LIFETIME_S = 86_400
_NONCE_BYTES = 12
_PLAIN = struct.Struct(">HQ")
_EPOCH = struct.Struct(">B")
_LONGEST_BYTES = 128
_BUCKET_MS = 60_000


class Tickets:
    """Seals and opens tickets for one worker."""

    def __init__(self, key: bytes, *, limit: int, now: Callable[[], float] = time.time) -> None:
        """`key` is every worker's; `limit` is how many used tickets are remembered. Raises InputError.

        What was given before this worker began is refused, since it can't know whether it was used.
        """
        if len(key) < KEY_BYTES:
            raise InputError(f"ticket_key is {len(key)} B, allowed: {KEY_BYTES} B or more")
        self._key, self._limit, self._now = key, limit, now
        self._ciphers: dict[int, AESGCM] = {}
        self._used: dict[int, set[int]] = {}  # by the minute in which they were given
        self._count = 0
        self._floor_ms = round(now() * 1000)

    def seal(self, suite: tls.CipherSuite, secret: bytes) -> bytes:
        """Return a ticket for a session that begins now."""
        now_s = self._now()
        epoch = int(now_s // LIFETIME_S)
        head, nonce = _EPOCH.pack(epoch % 256), os.urandom(_NONCE_BYTES)
        plain = _PLAIN.pack(suite, round(now_s * 1000)) + secret
        return head + nonce + self._cipher(epoch).encrypt(nonce, plain, head)

    def take(self, ticket: bytes) -> tls.SessionTicket | None:
        """Return the session of a ticket, the first time that it is shown here; None: a full handshake."""
        plain = self._opened(ticket)
        if plain is None:
            return None
        suite, given_ms = _PLAIN.unpack_from(plain)
        age_ms = self._now() * 1000 - given_ms
        if not 0 <= age_ms + 1 <= LIFETIME_S * 1000 or not self._is_first(given_ms, ticket):
            return None
        begun = datetime.fromtimestamp(given_ms / 1000, UTC)
        return tls.SessionTicket(
            age_add=0,
            cipher_suite=tls.CipherSuite(suite),
            not_valid_before=begun - timedelta(seconds=1),
            not_valid_after=begun + timedelta(seconds=LIFETIME_S),
            resumption_secret=plain[_PLAIN.size :],
            server_name="",
            ticket=ticket,
            max_early_data_size=MAX_EARLY_DATA,
        )

    def _opened(self, ticket: bytes) -> bytes | None:
        if not _EPOCH.size + _NONCE_BYTES + _PLAIN.size < len(ticket) <= _LONGEST_BYTES:
            return None
        today = int(self._now() // LIFETIME_S)
        epoch = next((day for day in (today, today - 1) if day % 256 == ticket[0]), None)
        if epoch is None:
            return None
        head, nonce, sealed = ticket[:1], ticket[1 : 1 + _NONCE_BYTES], ticket[1 + _NONCE_BYTES :]
        try:
            return self._cipher(epoch).decrypt(nonce, sealed, head)
        except InvalidTag:
            return None

    def _cipher(self, epoch: int) -> AESGCM:
        """Return the cipher of a day; today's and yesterday's are held."""
        if epoch not in self._ciphers:
            key = hmac.digest(self._key, b"omega quic tickets" + epoch.to_bytes(8), hashlib.sha256)
            self._ciphers = {day: held for day, held in self._ciphers.items() if day >= epoch - 1}
            self._ciphers[epoch] = AESGCM(key)
        return self._ciphers[epoch]

    def _is_first(self, given_ms: int, ticket: bytes) -> bool:
        """Note that a ticket is used, unless it was; where room is short, all of the oldest minute count as used."""
        mark, minute = int.from_bytes(ticket[1:9]), given_ms // _BUCKET_MS
        if given_ms < self._floor_ms or mark in self._used.get(minute, ()):
            return False
        self._used.setdefault(minute, set()).add(mark)
        self._count += 1
        while self._count > self._limit:
            oldest = min(self._used)
            self._count -= len(self._used.pop(oldest))
            self._floor_ms = max(self._floor_ms, (oldest + 1) * _BUCKET_MS)
        return True


class SealingContext(tls.Context):
    """aioquic's TLS, which gives sealed tickets; `aioquic.quic.connection` makes a plain one that becomes this."""

    tickets: Tickets

    def _server_handle_finished(self, input_buf: Buffer, output_buf: Buffer) -> None:
        """End the handshake, and give a ticket for the next; without a callback the base gives none of its own."""
        super()._server_handle_finished(input_buf, output_buf)
        if self._psk_key_exchange_mode is None or self.key_schedule is None:
            return
        given = tls.NewSessionTicket(
            ticket_lifetime=LIFETIME_S,
            ticket_age_add=int.from_bytes(os.urandom(4)),
            max_early_data_size=self._max_early_data,
        )
        secret = self._build_session_ticket(given, []).resumption_secret
        given.ticket = self.tickets.seal(self.key_schedule.cipher_suite, secret)
        tls.push_new_session_ticket(output_buf, given)
