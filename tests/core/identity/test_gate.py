"""Enrolment: who gets in, who doesn't, and that all who don't are told the same."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import DeniedError, InputError
from omega.core.identity.device_key import DeviceKey
from omega.core.identity.gate import CHALLENGE_S, Gate, Spent, answer, refuse_unless_loopback
from omega.core.identity.keyring import ROTATION_LEAD_S, SKEW_S, TOKEN_S, KeyRing
from omega.core.identity.messages import Admission, Answer, Certificate, Challenge, decode, encode
from omega.core.identity.tokens import FOR_GOOD, Tokens
from omega.core.identity.vouchers import Maker, certify, code_digest, new_code
from tests.core.identity.registers import Register

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_790_000_000
SHARD = 3
RING = KeyRing.fresh(NOW)
ACME = DeviceKey(bytes(31) + b"a")
KEY = DeviceKey(bytes(31) + b"k")
OTHER = DeviceKey(bytes(31) + b"o")


class Shard(NamedTuple):
    """A gate, what it gives tokens with, and the store behind it."""

    gate: Gate
    tokens: Tokens
    register: Register

    def enrol(self, given: Answer, now: float = NOW) -> Admission:
        """Do what a shard's endpoint does, JSON included."""
        candidate = self.gate.examine(decode(encode(given), Answer), now)
        return decode(encode(self.gate.admit(self.register.enrol(candidate, now), now)), Admission)

    def reason(self, given: Answer, now: float = NOW) -> str:
        """Why the answer is refused; the message is always the same, and nobody got a slot."""
        before = dict(self.register.slots)
        with pytest.raises(DeniedError) as refused:
            self.enrol(given, now)
        assert str(refused.value) == (
            "enrolment is refused, allowed: a fresh challenge signed by a device that this shard knows, or that brings "
            "a certificate or code that it takes: ask for a new challenge"
        )
        assert self.register.slots == before
        return refused.value.reason

    def ask(self, now: float = NOW) -> Challenge:
        """Return a challenge as a device decodes it."""
        return decode(encode(self.gate.challenge(now)), Challenge)

    def code(self, uses: int = 1) -> str:
        """Make a code that the store knows."""
        text, kept = new_code(NOW, uses=uses, lifetime_s=3600)
        self.register.codes[kept.digest] = kept
        return text


def shard(number: int = SHARD, ring: KeyRing = RING, quota: int = 2, *, everybody: bool = False) -> Shard:
    register = Register()
    tokens = Tokens(ring, number, register.since)
    return Shard(Gate(tokens, [Maker("Acme", ACME.public_key, quota)], everybody=everybody), tokens, register)


def acmes(key: DeviceKey, challenge: Challenge) -> Answer:
    return answer(challenge, key, shard=SHARD, certificate=certify(ACME, key.public_key))


def devices(count: int) -> list[DeviceKey]:
    return [DeviceKey(bytes(30) + b"d" + bytes([number])) for number in range(count)]


def test_a_certified_device_gets_a_slot_and_a_token_for_a_day() -> None:
    to = shard()
    admitted = to.enrol(acmes(KEY, to.ask()))
    assert admitted == Admission(admitted.token, SHARD, TOKEN_S)
    assert to.tokens.check(admitted.token, NOW + TOKEN_S - 1) == to.register.slots[KEY.id] == 0
    assert to.tokens.check(to.enrol(acmes(OTHER, to.ask())).token, NOW) == 1


def test_a_known_device_renews_with_its_key_alone() -> None:
    to = shard(quota=1)
    to.enrol(acmes(KEY, to.ask()))
    again = to.enrol(answer(to.ask(NOW + 9), KEY, shard=SHARD), NOW + 9)
    assert to.tokens.check(again.token, NOW + 9) == 0
    to.enrol(acmes(KEY, to.ask(NOW + 10)), NOW + 10)
    assert to.register.by_maker == {ACME.id: 1}
    code = to.code()
    to.enrol(answer(to.ask(), KEY, shard=SHARD, code=code))
    assert to.register.codes[code_digest(code)].uses == 1


def test_a_stranger_is_refused_unless_everybody_is_admitted() -> None:
    assert shard().reason(answer(shard().ask(), KEY, shard=SHARD)) == "unvouched"
    to = shard(everybody=True)
    assert to.tokens.check(to.enrol(answer(to.ask(), KEY, shard=None)).token, NOW) == 0
    code = to.code()
    to.enrol(answer(to.ask(), OTHER, shard=SHARD, code=code))
    assert to.register.codes[code_digest(code)].uses == 1


def test_a_challenge_is_answered_once() -> None:
    to = shard()
    given = acmes(KEY, to.ask())
    to.enrol(given)
    assert to.reason(given) == "replayed"
    assert to.reason(given, NOW + CHALLENGE_S - 1) == "replayed"
    assert to.reason(given, NOW + CHALLENGE_S) == "expired"
    assert to.reason(acmes(OTHER, Challenge(given.challenge))) == "replayed"


def test_a_bad_answer_spoils_no_challenge() -> None:
    to = shard()
    challenge = to.ask()
    good = acmes(KEY, challenge)
    assert to.reason(msgspec.structs.replace(good, signature=bytes(64))) == "signature"
    to.enrol(good)


def test_a_challenge_can_be_answered_for_a_minute() -> None:
    to = shard()
    given = acmes(KEY, to.ask())
    assert to.reason(given, NOW + CHALLENGE_S) == "expired"
    to.enrol(given, NOW + CHALLENGE_S - 1)
    late = acmes(KEY, to.ask(NOW + SKEW_S + 1))
    assert to.reason(late) == "early"


def test_a_challenge_of_another_shard_is_refused_by_both_sides() -> None:
    to = shard()
    other = shard(4)
    assert to.reason(answer(other.ask(), KEY, shard=None)) == "shard"
    with pytest.raises(InputError, match=r"challenge is shard 4's, allowed: shard 3's: check the shard's address"):
        answer(other.ask(), KEY, shard=SHARD)


def test_a_forged_challenge_is_refused() -> None:
    to = shard()
    assert to.reason(acmes(KEY, shard(ring=KeyRing.fresh(NOW)).ask())) == "forged"
    (key,) = RING.keys
    sealed_with_the_secret_itself = to.ask().challenge[:26]
    tag = hmac.digest(key.secret, sealed_with_the_secret_itself, "sha256")[:16]
    assert to.reason(acmes(KEY, Challenge(sealed_with_the_secret_itself + tag))) == "forged"


def test_every_flipped_bit_of_a_challenge_is_noticed() -> None:
    to = shard()
    raw = to.ask().challenge
    for bit in range(8 * len(raw)):
        flipped = Challenge((int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(len(raw), "big"))
        assert to.reason(answer(flipped, KEY, shard=None, certificate=certify(ACME, KEY.public_key))) == "forged"


def test_every_flipped_bit_of_an_answer_is_noticed() -> None:
    to = shard()
    good = answer(to.ask(), KEY, shard=SHARD, certificate=certify(ACME, KEY.public_key), code="ABC")
    for name in ("public_key", "signature"):
        raw = getattr(good, name)
        for bit in range(8 * len(raw)):
            flipped = (int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(len(raw), "big")
            assert to.reason(msgspec.structs.replace(good, **{name: flipped})) == "signature"
    to.enrol(good)


def test_another_keys_signature_is_refused() -> None:
    to = shard()
    good = acmes(KEY, to.ask())
    assert to.reason(msgspec.structs.replace(good, public_key=OTHER.public_key)) == "signature"
    assert to.reason(msgspec.structs.replace(good, signature=OTHER.sign(good.signed_part()))) == "signature"


@pytest.mark.parametrize(
    "exchange",
    [
        lambda good: msgspec.structs.replace(good, certificate=None),
        lambda good: msgspec.structs.replace(good, certificate=certify(OTHER, KEY.public_key)),
        lambda good: msgspec.structs.replace(good, code=None),
        lambda good: msgspec.structs.replace(good, code="ABD"),
    ],
)
def test_nobody_on_the_way_can_exchange_a_voucher(exchange: Callable[[Answer], Answer]) -> None:
    to = shard()
    good = answer(to.ask(), KEY, shard=SHARD, certificate=certify(ACME, KEY.public_key), code="ABC")
    assert to.reason(exchange(good)) == "signature"


def test_certificates_of_strangers_and_for_others_are_refused() -> None:
    to = shard()
    unknown = certify(OTHER, KEY.public_key)
    borrowed = certify(ACME, OTHER.public_key)
    posing = Certificate(ACME.id, unknown.signature)
    for certificate in (unknown, borrowed, posing):
        code = to.code()
        given = answer(to.ask(), KEY, shard=SHARD, certificate=certificate, code=code)
        assert to.reason(given) == "certificate"
        assert to.register.codes[code_digest(code)].uses == 1


def test_what_is_signed_is_what_other_languages_can_rebuild() -> None:
    certificate = certify(ACME, KEY.public_key)
    maker = Ed25519PublicKey.from_public_bytes(ACME.public_key)
    maker.verify(certificate.signature, b"omega maker 1\0" + KEY.public_key)
    given = answer(shard().ask(), KEY, shard=SHARD, certificate=certificate, code="ABC")
    hashes = [hashlib.sha256(part).digest() for part in (certificate.maker + certificate.signature, b"ABC")]
    signed = b"omega enrolment 1\0" + given.challenge + KEY.public_key + b"".join(hashes)
    Ed25519PublicKey.from_public_bytes(KEY.public_key).verify(given.signature, signed)


def test_a_device_signature_is_no_certificate() -> None:
    """A maker's key that also enrols as a device can't be led to certify, nor the other way round."""
    to = shard()
    tricked = Certificate(ACME.id, acmes(ACME, to.ask()).signature)
    assert to.reason(answer(to.ask(), KEY, shard=SHARD, certificate=tricked)) == "certificate"


def test_a_maker_brings_no_more_devices_than_its_quota() -> None:
    to = shard(quota=2)
    first, second, third = devices(3)
    to.enrol(acmes(first, to.ask()))
    to.enrol(acmes(second, to.ask()))
    assert to.reason(acmes(third, to.ask())) == "quota"
    to.enrol(acmes(first, to.ask()))
    to.enrol(answer(to.ask(), third, shard=SHARD, certificate=certify(ACME, third.public_key), code=to.code()))
    assert shard(quota=0).reason(acmes(first, shard(quota=0).ask())) == "quota"


def test_a_code_admits_as_many_devices_as_it_has_uses() -> None:
    to = shard()
    once, twice = to.code(), to.code(uses=2)
    first, second, third, fourth = devices(4)
    to.enrol(answer(to.ask(), first, shard=SHARD, code=once))
    assert to.reason(answer(to.ask(), second, shard=SHARD, code=once)) == "unvouched"
    to.enrol(answer(to.ask(), second, shard=SHARD, code=twice.lower().replace("-", " ")))
    to.enrol(answer(to.ask(), third, shard=SHARD, code=twice.replace("-", "")))
    assert to.reason(answer(to.ask(), fourth, shard=SHARD, code=twice)) == "unvouched"


def test_a_code_ends_and_a_wrong_one_admits_nobody() -> None:
    to = shard()
    code = to.code()
    assert to.reason(answer(to.ask(NOW + 3600), KEY, shard=SHARD, code=code), NOW + 3600) == "unvouched"
    for wrong in ("", "0000-0000-0000-0000", code[:-1], code + "0", "\0", "é" * 32):
        assert to.reason(answer(to.ask(), KEY, shard=SHARD, code=wrong)) == "unvouched"
    to.enrol(answer(to.ask(NOW + 3599), KEY, shard=SHARD, code=code), NOW + 3599)


def test_a_revoked_device_is_never_admitted_and_one_that_came_before_the_clock_was_set_back_is() -> None:
    to = shard()
    admitted = to.enrol(acmes(KEY, to.ask()))
    to.register.counts_from[0] = NOW + 5
    with pytest.raises(DeniedError):
        to.tokens.check(admitted.token, NOW + 5)
    again = to.enrol(acmes(KEY, to.ask(NOW + 4)), NOW + 4)
    assert to.tokens.check(again.token, NOW + 4) == 0
    to.register.counts_from[0] = FOR_GOOD
    assert to.reason(acmes(KEY, to.ask(NOW + 900)), NOW + 900) == "revoked"


def test_a_challenge_outlives_a_rotation_but_no_revocation() -> None:
    to = shard()
    given = acmes(KEY, to.ask(NOW + ROTATION_LEAD_S - 1))
    to.tokens.use(RING.rotated(NOW))
    to.enrol(given, NOW + ROTATION_LEAD_S + 1)
    revoked = acmes(KEY, to.ask(NOW))
    to.tokens.use(to.tokens.ring.without(RING.keys[0].id, NOW))
    assert to.reason(revoked) == "forged"


def test_a_token_is_no_challenge_and_the_other_way_round() -> None:
    """Both are sealed with one key of the ring, each for its purpose."""
    (key,) = RING.keys
    to = shard()
    head = to.ask().challenge[:26]
    tag = hmac.digest(hmac.digest(key.secret, b"omega token 1", "sha256"), head, "sha256")[:16]
    assert to.reason(acmes(KEY, Challenge(head + tag))) == "forged"


def unspent(spent: Spent, nonce: bytes, now: int) -> str:
    """Why a challenge of `now` can't be spent."""
    with pytest.raises(DeniedError) as refused:
        spent.spend(nonce, now + CHALLENGE_S, now)
    return refused.value.reason


def test_the_memory_of_spent_challenges_is_bounded() -> None:
    spent = Spent(3)
    nonces = [secrets.token_bytes(16) for _ in range(5)]
    for second, nonce in enumerate(nonces[:3]):
        spent.spend(nonce, NOW + second + CHALLENGE_S, NOW + second)
    assert unspent(spent, nonces[3], NOW + 3) == "busy"
    assert unspent(spent, nonces[3], NOW + CHALLENGE_S - 1) == "busy"
    spent.spend(nonces[3], NOW + 2 * CHALLENGE_S, NOW + CHALLENGE_S)
    assert unspent(spent, nonces[1], NOW + CHALLENGE_S) == "replayed"
    assert unspent(spent, nonces[4], NOW + CHALLENGE_S) == "busy"


def test_no_challenge_is_spent_twice_in_its_time() -> None:
    """Over 5 minutes, 20 a second, with room for hardly more than are alive, tried again while they last."""
    spent = Spent(20 * CHALLENGE_S + 20)
    alive: list[tuple[bytes, int]] = []
    for now in range(NOW, NOW + 300):
        alive = [(nonce, end) for nonce, end in alive if end > now]
        assert {unspent(spent, nonce, now) for nonce, _ in alive[::17]} <= {"replayed"}
        for _ in range(20):
            alive.append((secrets.token_bytes(16), now + CHALLENGE_S))
            spent.spend(*alive[-1], now)


def test_a_clock_that_jumps_ahead_and_back_brings_no_challenge_back_and_keeps_nobody_out() -> None:
    to = shard()
    given = acmes(KEY, to.ask())
    to.enrol(given)
    to.enrol(acmes(OTHER, to.ask(NOW + 10 * TOKEN_S)), NOW + 10 * TOKEN_S)
    assert to.reason(given) == "replayed"
    to.enrol(acmes(KEY, to.ask()))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_everybody_is_admitted_on_loopback(host: str) -> None:
    refuse_unless_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",  # noqa: S104  (what is refused)
        "::",
        "",
        "::ffff:0.0.0.0",
        "192.168.1.5",
        "10.0.0.1",
        "8.8.8.8",
        "example.org",
        "localhost.example.org",
        "x\n",
    ],
)
def test_everybody_is_admitted_nowhere_else(host: str) -> None:
    with pytest.raises(InputError, match=r"allowed: on 127\.0\.0\.1, ::1 or localhost: listen there"):
        refuse_unless_loopback(host)


GOOD = encode(answer(shard().ask(), KEY, shard=SHARD, certificate=certify(ACME, KEY.public_key), code="ABC"))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "answer is refused, "),
        (b"{}", "missing required field `challenge`"),
        (b"[" * 4000, "answer is refused, "),
        (b"\xff\xfe", "answer is refused, "),
        (b" " * 4097, "answer is 4,097 B, allowed 4,096 B: send one JSON object"),
        (GOOD + b"x", "answer is refused, "),
        (GOOD[:-1] + b',"more":1}', "unknown field `more`"),
        (GOOD.replace(b'"signature":"', b'"signature":"AAAA'), "length == 64|length <= 64"),
        (GOOD.replace(b'"challenge":"', b'"challenge":"!'), "Invalid base64"),
        (GOOD.replace(b'"ABC"', b'"' + b"A" * 33 + b'"'), "length <= 32"),
        (GOOD.replace(b'"ABC"', b"7"), "Expected `str"),
    ],
)
def test_a_malformed_answer_is_refused_in_words(data: bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as refused:
        decode(data, Answer)
    assert len(str(refused.value)) < 250


@given(st.binary(max_size=200) | st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)))
def test_garbage_is_refused(garbage: bytes | tuple[int, int]) -> None:
    if isinstance(garbage, tuple):
        place, byte = garbage
        garbage = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    to = shard()
    try:
        given_answer = decode(garbage, Answer)
    except InputError:
        return
    if given_answer != decode(GOOD, Answer):
        to.reason(given_answer)
