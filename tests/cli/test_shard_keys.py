"""`omega shard keygen`: made, rotated, listed, revoked; no secret is ever printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Omega


def test_a_ring_is_made_rotated_listed_and_revoked(omega: Omega, home: Path) -> None:
    made = omega("shard", "keygen", "--json").json
    assert made["keys"] == str(home / "shard" / "keys.json")
    (old,) = made["ring"]
    assert old["state"] == "signing"
    rotated = omega("shard", "keygen", "--rotate", "--json").json["ring"]
    assert [key["state"] for key in rotated] == ["signing", "waiting"]
    listed = omega("shard", "keygen", "--list")
    assert [line.split()[:2] for line in listed.out.splitlines()[2:]] == [[k["id"], k["state"]] for k in rotated]
    left = omega("shard", "keygen", "--revoke", old["id"], "--json").json["ring"]
    assert [(key["id"], key["state"]) for key in left] == [(rotated[1]["id"], "signing")]
    secret = json.loads(Path(made["keys"]).read_text())["keys"][0]["secret"]
    assert secret not in listed.out + omega("shard", "keygen", "--list", "--json").out


def test_a_ring_may_stand_elsewhere_and_is_not_made_twice(omega: Omega) -> None:
    omega("shard", "keygen", "--keys", "here.json")
    before = Path("here.json").read_bytes()
    refused = omega("shard", "keygen", "--keys", "here.json", code=2)
    assert "here.json is there already, allowed: a new file: use --rotate or --list" in refused.complaint
    assert Path("here.json").read_bytes() == before


def test_refusals(omega: Omega) -> None:
    assert "can't be read: No such file" in omega("shard", "keygen", "--rotate", code=2).complaint
    assert "one at a time" in omega("shard", "keygen", "--rotate", "--list", code=2).complaint
    omega("shard", "keygen")
    assert "six hexadecimal digits" in omega("shard", "keygen", "--revoke", "x", code=2).complaint
    assert "waits" in [omega("shard", "keygen", "--rotate"), omega("shard", "keygen", "--rotate", code=2)][1].complaint
