"""The key ring: made once, rotated with overlap, revoked at once; its file is its owner's alone."""

from __future__ import annotations

import io
import json
import stat
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from omega.core.errors import InputError
from omega.core.identity.keyring import (
    MAX_KEYS,
    ROTATION_LEAD_S,
    TOKEN_S,
    KeyRing,
    make_ring,
    open_ring,
    parse_key_id,
    revoke_key,
    rotate_ring,
)
from omega.core.identity.secret_file import replace_secret

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_790_000_000
DAY = 24 * 3600


def states(ring: KeyRing, now: float) -> list[str]:
    return [key.state for key in ring.summary(now)]


def test_a_ring_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "shard" / "keys.json"
    made = make_ring(path, NOW)
    assert KeyRing.read(path) == made == open_ring(path, NOW + 5)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(InputError, match=r"keys\.json is there already, allowed: a new file: use --rotate"):
        make_ring(path, NOW)
    assert KeyRing.read(path) == made


def test_a_ring_is_made_on_first_use(tmp_path: Path) -> None:
    assert open_ring(tmp_path / "k", NOW) == KeyRing.read(tmp_path / "k")
    assert states(KeyRing.read(tmp_path / "k"), NOW) == ["signing"]


def test_a_key_signs_until_its_successor_begins_and_counts_a_day_longer(tmp_path: Path) -> None:
    old = make_ring(tmp_path / "k", NOW).keys[0]
    ring = rotate_ring(tmp_path / "k", NOW + DAY)
    assert ring == KeyRing.read(tmp_path / "k")
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    begins = NOW + DAY + ROTATION_LEAD_S
    assert [(key.not_before, key.not_after) for key in ring.keys] == [(NOW, begins + TOKEN_S), (begins, None)]
    assert ring.signing(begins - 1) == msgspec.structs.replace(old, not_after=begins + TOKEN_S)
    assert states(ring, begins - 1) == ["signing", "waiting"]
    assert states(ring, begins) == ["retiring", "signing"]
    assert states(ring, begins + TOKEN_S) == ["ended", "signing"]


def test_what_has_ended_leaves_the_ring_with_the_next_rotation() -> None:
    ring = KeyRing.fresh(NOW).rotated(NOW + DAY)
    later = ring.rotated(NOW + 10 * DAY)
    assert [key.id for key in later.keys][:1] == [ring.keys[1].id]
    assert states(later, NOW + 10 * DAY) == ["signing", "waiting"]


def test_no_key_ends_before_it_began() -> None:
    ring = KeyRing.fresh(NOW).rotated(NOW)
    with pytest.raises(InputError, match=r"waits 200 s for its turn, allowed: one that waits: rotate when it signs"):
        ring.rotated(NOW + ROTATION_LEAD_S - 200)


def test_a_ring_does_not_grow_without_end() -> None:
    ring, now = KeyRing.fresh(NOW), NOW
    for _ in range(MAX_KEYS - 1):
        ring, now = ring.rotated(now), now + ROTATION_LEAD_S
    with pytest.raises(InputError, match="the ring holds 16 keys, allowed: 16: rotate when one has ended"):
        ring.rotated(now)


def test_the_only_key_is_replaced_when_it_is_revoked(tmp_path: Path) -> None:
    old = make_ring(tmp_path / "k", NOW).keys[0]
    ring = revoke_key(tmp_path / "k", old.id, NOW + 10)
    assert ring == KeyRing.read(tmp_path / "k")
    assert old.id not in {key.id for key in ring.keys}
    assert [(key.not_before, key.not_after) for key in ring.keys] == [(NOW + 10, None)]


def test_a_waiting_key_begins_when_the_signing_one_is_revoked() -> None:
    ring = KeyRing.fresh(NOW).rotated(NOW + 10)
    left = ring.without(ring.keys[0].id, NOW + 20)
    assert [(key.id, key.not_before) for key in left.keys] == [(ring.keys[1].id, NOW + 20)]


def test_a_revoked_successor_is_replaced_at_once() -> None:
    ring = KeyRing.fresh(NOW).rotated(NOW + 10)
    left = ring.without(ring.keys[1].id, NOW + 20)
    assert left.keys[0] == ring.keys[0]
    assert states(left, NOW + 20) == ["retiring", "signing"]
    assert left.keys[1].id not in {key.id for key in ring.keys}


def test_a_retiring_key_is_revoked_without_touching_the_others() -> None:
    ring = KeyRing.fresh(NOW).rotated(NOW)
    now = NOW + ROTATION_LEAD_S + 1
    assert ring.without(ring.keys[0].id, now).keys == ring.keys[1:]


def test_an_unknown_key_cant_be_revoked() -> None:
    ring = KeyRing.fresh(NOW)
    other = ring.keys[0].id ^ 1
    with pytest.raises(InputError, match=rf"key is {other:06x}, allowed: {ring.keys[0].id:06x}: list them with"):
        ring.without(other, NOW)


def test_a_clock_that_was_set_back_breaks_no_ring(tmp_path: Path) -> None:
    first = make_ring(tmp_path / "k", NOW).keys[0]
    ring = revoke_key(tmp_path / "k", first.id, NOW - DAY)
    assert KeyRing.read(tmp_path / "k") == ring
    assert ring.signing(NOW - DAY) == ring.keys[0]


@given(st.lists(st.tuples(st.sampled_from(["rotate", "revoke"]), st.integers(-DAY, 3 * DAY), st.integers(0, 99))))
def test_every_ring_that_can_come_about_can_be_written_and_read(steps: list[tuple[str, int, int]]) -> None:
    ring, now = KeyRing.fresh(NOW), NOW
    for step, seconds, pick in steps:
        now += seconds
        try:
            ring = ring.rotated(now) if step == "rotate" else ring.without(ring.keys[pick % len(ring.keys)].id, now)
        except InputError:
            continue
        assert [key.not_after is None for key in ring.keys] == [False] * (len(ring.keys) - 1) + [True]
        assert [key.not_before for key in ring.keys] == sorted(key.not_before for key in ring.keys)
        assert not ring.signing(now).ended(now)
        assert len({key.id for key in ring.keys}) == len(ring.keys) <= MAX_KEYS


@pytest.mark.parametrize("mode", [0o604, 0o640 | 0o020, 0o644, 0o606, 0o601])
def test_a_ring_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    make_ring(tmp_path / "k", NOW)
    (tmp_path / "k").chmod(mode)
    with pytest.raises(InputError, match=rf"k has mode {mode:04o}, allowed: 0600, .*: chmod 600 "):
        KeyRing.read(tmp_path / "k")


def test_a_ring_that_its_group_may_read_is_taken(tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "k", NOW)
    (tmp_path / "k").chmod(0o440)
    assert KeyRing.read(tmp_path / "k") == ring


def damaged(ring: KeyRing) -> list[bytes]:
    keys = msgspec.to_builtins(ring.rotated(NOW))["keys"]
    old, new = keys
    rings = [[], [old], [new, old], [new, new], [old, new | {"id": old["id"]}], [new | {"secret": "c2hvcnQ="}]]
    rings += [[new | {"id": 1 << 24}], [new | {"not_before": -1}], [new | {"not_after": 1 << 40}], [new | {"x": 1}]]
    rings += [[new] * 40]
    whole = [json.dumps({"keys": each}).encode() for each in rings]
    return [
        *whole,
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 9000,
        b'{"keys": null}',
        json.dumps({"keys": keys}).encode()[:-9],
    ]


def test_a_damaged_ring_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k"
    ring = make_ring(path, NOW)
    for raw in damaged(ring):
        path.write_bytes(raw)
        with pytest.raises(InputError, match=r"k is no key ring.*: restore it, or make a new one") as refused:
            KeyRing.read(path)
        assert json.loads(msgspec.json.encode(ring))["keys"][0]["secret"] not in str(refused.value)
    path.write_bytes(b" " * 20_000)
    with pytest.raises(InputError, match=r"k is 20,000 B, allowed: 16,384 B"):
        KeyRing.read(path)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    ring = KeyRing.fresh(NOW)
    (key,) = ring.keys
    drawn = io.StringIO()
    Console(file=drawn, width=500).print(ring, key)
    for shown in (repr(ring), str(key), drawn.getvalue(), str(ring.summary(NOW))):
        assert f"{key.id:06x}" in shown
        assert repr(key.secret) not in shown
        assert key.secret.hex() not in shown
        assert "secret" not in shown


@pytest.mark.parametrize("text", ["", "12345", "1234567", "0x1234", "12 456", "gggggg", "12345\n", "-12345", "١٢٣٤٥٦"])
def test_a_key_is_named_by_six_hexadecimal_digits(text: str) -> None:
    assert parse_key_id("00aBff") == 0x00ABFF
    with pytest.raises(InputError, match="allowed: six hexadecimal digits"):
        parse_key_id(text)


def test_a_ring_that_cant_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="can't be written"):
        make_ring(tmp_path / "file" / "k", NOW)
    with pytest.raises(InputError, match="folder can't be written: Is a directory"):
        replace_secret(tmp_path / "folder", b"x")
    with pytest.raises(InputError, match="folder is there already"):
        make_ring(tmp_path / "folder", NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
