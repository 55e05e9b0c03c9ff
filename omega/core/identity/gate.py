"""Enrolment by challenge and response: the shard's side, and `answer`, the device's.

For strangers the shard keeps nothing: a challenge is sealed with the shard's own key and comes back with the answer.
Only of challenges that were answered well it remembers, until they end, that they were.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from typing import TYPE_CHECKING

from omega.core.errors import InputError, shown
from omega.core.identity import ed25519
from omega.core.identity.admission import Candidate, deny
from omega.core.identity.device_key import id_of
from omega.core.identity.keyring import SKEW_S, TOKEN_S
from omega.core.identity.messages import HEAD, Admission, Answer, Certificate, Challenge
from omega.core.identity.vouchers import code_digest, is_certified

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega.core.identity.device_key import DeviceKey
    from omega.core.identity.keyring import SigningKey
    from omega.core.identity.tokens import Tokens
    from omega.core.identity.vouchers import Maker

CHALLENGE_S = 60
"""Time to answer."""
MOST_SPENT = 65_536
"""Answers in the time of a challenge; beyond, nobody is admitted for a minute: 1,000 enrolments a second."""
_VERSION = 1
_PURPOSE = b"omega challenge 1"


class Gate:
    """Decides who may become a device of one shard, up to the question whether its store knows them."""

    def __init__(self, tokens: Tokens, makers: Iterable[Maker] = (), *, everybody: bool = False) -> None:
        """`everybody` admits whoever has a key: `refuse_unless_loopback` belongs beside it."""
        self._tokens = tokens
        self._everybody = everybody
        self._spent = Spent(MOST_SPENT)
        self.use(makers)

    def use(self, makers: Iterable[Maker]) -> None:
        """Take the makers as they are now."""
        self._makers = {maker.id: maker for maker in makers}

    def challenge(self, now: float) -> Challenge:
        """Return a challenge that can be answered for CHALLENGE_S; nothing is kept of it."""
        key = self._tokens.ring.signing(now)
        head = HEAD.pack(_VERSION << 24 | key.id, self._tokens.shard, int(now) + CHALLENGE_S, secrets.token_bytes(16))
        return Challenge(head + _seal(key, head))

    def examine(self, answer: Answer, now: float) -> Candidate:
        """Return who answered, with all that can be known without the store. Raises DeniedError."""
        nonce, end = self._opened(answer.challenge, now)
        if not ed25519.is_signed(answer.public_key, answer.signature, answer.signed_part()):
            deny("signature")
        maker = self._maker(answer.certificate, answer.public_key)
        self._spent.spend(nonce, end, now)
        code = None if answer.code is None else code_digest(answer.code)
        return Candidate(id_of(answer.public_key), maker, code, self._everybody)

    def admit(self, slot: int, now: float) -> Admission:
        """Return what the device is sent once the store gave it this slot."""
        return Admission(self._tokens.give(slot, now), self._tokens.shard, TOKEN_S)

    def _opened(self, challenge: bytes, now: float) -> tuple[bytes, int]:
        """Return the nonce and the end of a challenge that this shard gave and that can still be answered."""
        word, shard, end, nonce = HEAD.unpack_from(challenge)
        known = (key for key in self._tokens.ring.keys if word == _VERSION << 24 | key.id)
        key = next(known, None)
        if key is None or not hmac.compare_digest(_seal(key, challenge[: HEAD.size]), challenge[HEAD.size :]):
            deny("forged")
        if shard != self._tokens.shard:
            deny("shard")
        if end <= now:
            deny("expired")
        if end > now + CHALLENGE_S + SKEW_S:
            deny("early")
        return nonce, end

    def _maker(self, certificate: Certificate | None, public_key: bytes) -> Maker | None:
        if certificate is None:
            return None
        maker = self._makers.get(certificate.maker)
        if maker is None or not is_certified(certificate, maker, public_key):
            deny("certificate")
        return maker


class Spent:
    """Which challenges were answered: at most so many, each at least until it ends."""

    def __init__(self, most: int) -> None:
        """Start empty."""
        self._most = most
        self._ends: dict[bytes, int] = {}
        self._cleared_at = 0

    def spend(self, nonce: bytes, end: int, now: float) -> None:
        """Take note of it. Raises DeniedError when it was there, and when there is no room.

        What has ended goes only when room is needed, so that a clock that jumps ahead and back brings nothing back.
        """
        if nonce in self._ends:
            deny("replayed")
        if len(self._ends) >= self._most and int(now) != self._cleared_at:
            self._cleared_at = int(now)  # once a second, for it takes milliseconds
            self._ends = {spent: until for spent, until in self._ends.items() if until > now}
        if len(self._ends) >= self._most:
            deny("busy")
        self._ends[nonce] = end


def answer(
    given: Challenge,
    key: DeviceKey,
    *,
    shard: int | None,
    certificate: Certificate | None = None,
    code: str | None = None,
) -> Answer:
    """Return a device's answer to a challenge of its shard; None where it never met one.

    Raises InputError when another shard asks: what this device signs could else be carried to it.
    """
    if shard not in (None, given.shard):
        raise InputError(f"challenge is shard {given.shard}'s, allowed: shard {shard}'s: check the shard's address")
    unsigned = Answer(given.challenge, key.public_key, bytes(ed25519.SIGNATURE_BYTES), certificate, code)
    return Answer(given.challenge, key.public_key, key.sign(unsigned.signed_part()), certificate, code)


def refuse_unless_loopback(host: str) -> None:
    """Raise InputError unless a server on this address can be reached from its own machine alone."""
    try:
        within = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        within = False
    if not within:
        raise InputError(
            f"enrolment is open to everybody on {shown(host)}, allowed: on 127.0.0.1, ::1 or localhost: listen there, "
            "or admit devices by code or certificate"
        )


def _seal(key: SigningKey, head: bytes) -> bytes:
    purpose = hmac.digest(key.secret, _PURPOSE, "sha256")
    return hmac.digest(purpose, head, "sha256")[:16]
