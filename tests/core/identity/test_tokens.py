"""Tokens: one spelling, one shard, one day; whatever is wrong with one is told in the same words."""

from __future__ import annotations

import base64
import hashlib
import hmac
import string
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import DeniedError, InputError
from omega.core.identity.keyring import SKEW_S, TOKEN_S, KeyRing
from omega.core.identity.tokens import FOR_GOOD, MAX_SHARD, MAX_SLOT, TOKEN_CHARS, Tokens

if TYPE_CHECKING:
    from types import FrameType

NOW = 1_790_000_000
RING = KeyRing.fresh(NOW)
URL = string.ascii_letters + string.digits + "-_"


def tokens(shard: int = 3, ring: KeyRing = RING, counts_from: dict[int, int] | None = None) -> Tokens:
    since = {} if counts_from is None else counts_from
    return Tokens(ring, shard, lambda slot: since.get(slot, 0))


def reason(of: Tokens, token: str, now: float = NOW) -> str:
    """Why it is refused; the message is always the same."""
    with pytest.raises(DeniedError) as refused:
        of.check(token, now)
    assert str(refused.value) == (
        "token is refused, allowed: one that this shard gave in the last 24 hours: enrol again"
    )
    return refused.value.reason


@pytest.mark.parametrize("shard", [0, 3, MAX_SHARD])
@pytest.mark.parametrize("slot", [0, 7, MAX_SLOT])
def test_a_token_says_its_slot_until_its_day_is_over(shard: int, slot: int) -> None:
    token = tokens(shard).give(slot, NOW)
    assert len(token) == TOKEN_CHARS
    assert set(token) <= set(URL)
    for now in (NOW, NOW + 3600, NOW + TOKEN_S - 1):
        assert tokens(shard).check(token, now) == slot
    assert reason(tokens(shard), token, NOW + TOKEN_S) == "expired"


def test_the_bytes_are_those_of_the_page() -> None:
    """The layout in the module's first lines, made by hand."""
    (key,) = RING.keys
    head = b"\1" + key.id.to_bytes(3, "big") + b"\0\3" + b"\0\0\0\7" + (NOW + TOKEN_S).to_bytes(4, "big")
    derived = hmac.new(key.secret, b"omega token 1", hashlib.sha256).digest()
    tag = hmac.new(derived, head + bytes(4), hashlib.sha256).digest()[:16]
    assert tokens().give(7, NOW) == base64.urlsafe_b64encode(head + tag).decode()


def test_a_token_of_tomorrow_is_refused_but_for_the_clocks_difference() -> None:
    token = tokens().give(7, NOW + SKEW_S)
    assert tokens().check(token, NOW) == 7
    assert reason(tokens(), tokens().give(7, NOW + SKEW_S + 1), NOW) == "early"


def test_a_token_of_another_shard_is_refused() -> None:
    assert reason(tokens(4), tokens(3).give(7, NOW)) == "shard"


def test_a_token_of_another_key_is_refused() -> None:
    (key,) = RING.keys
    stranger = KeyRing.fresh(NOW)
    assert reason(tokens(), tokens(ring=stranger).give(7, NOW)) == "forged"
    same_id = KeyRing((msgspec.structs.replace(stranger.keys[0], id=key.id),))
    assert reason(tokens(), tokens(ring=same_id).give(7, NOW)) == "forged"
    same_secret = KeyRing((msgspec.structs.replace(key, id=key.id ^ 1),))
    assert reason(tokens(), tokens(ring=same_secret).give(7, NOW)) == "forged"


def test_every_flipped_bit_is_noticed() -> None:
    token = tokens().give(7, NOW)
    raw = base64.urlsafe_b64decode(token)
    for bit in range(8 * len(raw)):
        flipped = (int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(len(raw), "big")
        assert reason(tokens(), base64.urlsafe_b64encode(flipped).decode()) == "forged"


def test_every_other_character_is_noticed() -> None:
    token = tokens().give(7, NOW)
    for place in range(TOKEN_CHARS):
        for char in [*URL, "+", "/", "=", " ", "\n", "\0", "é", "\ud800"]:
            if char != token[place]:
                assert reason(tokens(), token[:place] + char + token[place + 1 :]) in ("forged", "malformed")


def test_the_other_alphabet_of_base64_is_no_second_spelling() -> None:
    made = (tokens().give(slot, NOW) for slot in range(10_000))
    token = next(token for token in made if "-" in token and "_" in token)
    assert reason(tokens(), token.replace("-", "+")) == "malformed"
    assert reason(tokens(), token.replace("_", "/")) == "malformed"


@pytest.mark.parametrize("length", range(TOKEN_CHARS))
def test_a_truncated_token_is_refused(length: int) -> None:
    assert reason(tokens(), tokens().give(7, NOW)[:length]) == "malformed"


def test_a_longer_token_is_refused() -> None:
    token = tokens().give(7, NOW)
    for longer in (token + "A", token + "=", token + "\n", " " + token, token * 2, "A" * 10_000_000):
        assert reason(tokens(), longer) == "malformed"


def test_future_versions_are_refused() -> None:
    (key,) = RING.keys
    derived = hmac.new(key.secret, b"omega token 1", hashlib.sha256).digest()
    for version in (0, 2, 255):
        head = bytes([version]) + base64.urlsafe_b64decode(tokens().give(7, NOW))[1:14]
        tag = hmac.new(derived, head + bytes(4), hashlib.sha256).digest()[:16]
        assert reason(tokens(), base64.urlsafe_b64encode(head + tag).decode()) == "forged"


def test_a_revoked_device_needs_a_newer_token() -> None:
    since: dict[int, int] = {}
    of = tokens(counts_from=since)
    old, other = of.give(7, NOW), of.give(8, NOW)
    since[7] = NOW + 1
    assert reason(of, old, NOW + 1) == "forged"
    assert of.check(other, NOW + 1) == 8
    assert of.check(of.give(7, NOW + 1), NOW + 1) == 7
    since[7] = FOR_GOOD
    assert reason(of, of.give(7, NOW + 2), NOW + 2) == "revoked"


def test_a_clock_that_was_set_back_for_days_shuts_nobody_out() -> None:
    """The key and the device are both of a time that is still to come."""
    ahead = NOW + 10 * TOKEN_S
    of = tokens(ring=KeyRing.fresh(ahead), counts_from={7: ahead})
    before = of.give(7, ahead)
    assert reason(of, before, NOW) == "early"
    assert of.check(of.give(7, NOW), NOW) == 7
    rotated = of.ring.rotated(ahead)
    of.use(rotated)
    assert of.check(of.give(7, NOW), NOW) == 7
    assert reason(tokens(ring=rotated), tokens(ring=KeyRing(rotated.keys[1:])).give(7, NOW), NOW) == "early"


def test_rotation_keeps_old_tokens_and_signs_new_ones_with_the_new_key() -> None:
    of = tokens()
    before = of.give(7, NOW)
    of.use(RING.rotated(NOW))
    old, new = of.ring.keys
    last = of.give(7, new.not_before - 1)
    assert key_id(last) == old.id
    assert key_id(of.give(7, new.not_before)) == new.id
    assert of.check(before, NOW + TOKEN_S - 1) == 7
    assert of.check(last, new.not_before + TOKEN_S - 2) == 7
    assert reason(of, last, new.not_before + TOKEN_S - 1) == "expired"
    assert of.check(of.give(7, new.not_before), new.not_before + TOKEN_S - 1) == 7


def test_a_worker_that_read_the_new_ring_takes_what_one_with_the_old_ring_gave() -> None:
    late, early = tokens(), tokens(ring=RING.rotated(NOW))
    assert early.check(late.give(7, NOW + 100), NOW + 100) == 7
    assert late.check(early.give(7, NOW + 100), NOW + 100) == 7


def test_a_key_that_waits_or_has_ended_signs_nothing_that_counts() -> None:
    ring = RING.rotated(NOW)
    old, new = ring.keys
    waiting = tokens(ring=KeyRing((new,))).give(7, NOW)
    assert reason(tokens(ring=ring), waiting) == "early"
    ended = old.not_after or 0
    assert reason(tokens(ring=ring), tokens().give(7, ended - 10), ended) == "expired"


def test_a_slot_that_was_given_to_another_device_takes_no_token_of_the_first() -> None:
    """Neither of before, nor of later: a backup that is put back may bring either."""
    since = {7: NOW}
    of = tokens(counts_from=since)
    token = of.give(7, NOW)
    for other in (NOW - 5, NOW + 5):
        since[7] = other
        assert reason(of, token, NOW + 9) == "forged"
    since[7] = NOW
    assert of.check(token, NOW + 9) == 7


def test_a_revoked_key_signs_nothing_that_counts() -> None:
    of = tokens()
    old = of.give(7, NOW)
    of.use(RING.without(RING.keys[0].id, NOW))
    assert reason(of, old) == "forged"
    assert of.check(of.give(7, NOW), NOW) == 7


def test_a_shard_has_an_id_of_two_bytes() -> None:
    for shard in (-1, MAX_SHARD + 1):
        with pytest.raises(InputError, match=rf"shard id is {shard}, allowed: 0..65535"):
            tokens(shard)


def test_tags_are_compared_in_constant_time() -> None:
    """Seen by the interpreter's own profiler: good, forged and of an unknown key, each is compared once, by hmac's."""
    of, called = tokens(), list[str]()

    def heard(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call" and arg is hmac.compare_digest:
            called.append(arg.__name__)

    token = of.give(7, NOW)
    asked = [token, token[:-1] + ("A" if token[-1] != "A" else "B"), tokens(ring=KeyRing.fresh(NOW)).give(7, NOW)]
    for turn, each in enumerate(asked, 1):
        sys.setprofile(heard)
        try:
            of.check(each, NOW)
        except DeniedError:
            pass
        finally:
            sys.setprofile(None)
        assert len(called) == turn


@given(st.text(max_size=60) | st.text(URL, min_size=TOKEN_CHARS, max_size=TOKEN_CHARS))
def test_garbage_is_refused(text: str) -> None:
    assert reason(tokens(), text) in ("malformed", "forged")


@given(st.binary(min_size=30, max_size=30), st.booleans())
def test_random_bytes_are_refused_also_with_a_known_key(raw: bytes, known: bool) -> None:  # noqa: FBT001
    raw = base64.urlsafe_b64decode(tokens().give(7, NOW))[:4] + raw[4:] if known else raw
    assert reason(tokens(), base64.urlsafe_b64encode(raw).decode()) == "forged"


def key_id(token: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(token)[1:4], "big")
