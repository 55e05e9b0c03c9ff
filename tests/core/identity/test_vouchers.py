"""Makers' files and one-time codes."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from omega.core.errors import InputError
from omega.core.identity.device_key import DeviceKey
from omega.core.identity.vouchers import Maker, code_digest, new_code, read_makers

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_790_000_000
ACME, OTHER = DeviceKey(bytes(31) + b"a"), DeviceKey(bytes(31) + b"o")


def row(key: DeviceKey, name: str = "Acme", quota: int = 5) -> dict[str, Any]:
    return {"name": name, "public_key": base64.b64encode(key.public_key).decode(), "quota": quota}


def test_makers_are_read(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(json.dumps([row(ACME), row(OTHER, "Other", 0)]))
    found = read_makers(tmp_path / "m")
    assert found == (Maker("Acme", ACME.public_key, 5), Maker("Other", OTHER.public_key, 0))
    assert [maker.id for maker in found] == [ACME.id, OTHER.id]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ({}, r"m is refused, .*Expected `array`.*, allowed: a JSON list of objects with name, public_key, quota"),
        ([row(ACME) | {"quota": -1}], "m is refused, .*>= 0"),
        ([row(ACME) | {"public_key": "AAAA"}], r"m is refused, .*length >= 32"),
        ([row(ACME) | {"name": ""}], r"m is refused, .*length >= 1"),
        ([row(ACME) | {"quotas": 1}], r"m is refused, .*unknown field"),
        ([row(ACME), row(ACME, "Twin")], "m names a public key twice, allowed: once: leave one of the two out"),
    ],
)
def test_a_makers_file_is_refused_in_words(tmp_path: Path, rows: object, complaint: str) -> None:
    (tmp_path / "m").write_text(json.dumps(rows))
    with pytest.raises(InputError, match=complaint):
        read_makers(tmp_path / "m")


def test_a_code_is_for_people_and_the_store_keeps_its_hash() -> None:
    text, kept = new_code(NOW, uses=3, lifetime_s=60)
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", text)
    assert (kept.digest, kept.uses, kept.ends_at) == (code_digest(text), 3, NOW + 60)
    assert text.replace("-", "").encode() not in kept.digest
    assert len({new_code(NOW, uses=1, lifetime_s=60)[0] for _ in range(1000)}) == 1000


def test_a_code_may_be_spelled_as_a_person_would() -> None:
    assert code_digest("0123-45ab") == code_digest("O l 2 3 4 5 A B") == code_digest("oi2345AB")
    assert code_digest("0123") != code_digest("0124")
    code_digest("\ud800")


def test_a_code_lives_until_it_is_used_up_or_ends() -> None:
    code = new_code(NOW, uses=1, lifetime_s=60)[1]
    assert code.live(NOW + 59)
    assert not code.live(NOW + 60)
    assert not type(code)(code.digest, 0, code.ends_at).live(NOW)


@pytest.mark.parametrize("given", [{"uses": 0, "lifetime_s": 1}, {"uses": 1, "lifetime_s": 0}])
def test_a_code_has_a_use_and_a_time(given: dict[str, int]) -> None:
    with pytest.raises(InputError, match="is 0, allowed: 1 or more"):
        new_code(NOW, **given)
