"""How a TV becomes a shard's: by a code, by its maker's word; and how it is shut out. All beside a shard that runs."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omega.shard.upkeep import LOOK_S
from tests.shard.serving import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.cli.conftest import Omega

HEAT = '{"content_id":"heat-1995","watch_pct":0.95}'
STATIC = ("--embedder", "static")
DENIED = "doesn't admit this TV"


@contextmanager
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> Iterator[Served]:
    """A shard that admits whom somebody vouches for, and whose address the commands know."""
    with Served(tmp_path / "shard", *options, enrol="vouched") as shard:
        monkeypatch.setenv("OMEGA_SHARD_URL", shard.url)
        yield shard


def test_a_code_lets_as_many_tvs_in_as_it_says(omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path, monkeypatch) as shard:
        assert DENIED in omega("device", "enrol", code=7).complaint
        made = omega("shard", "enrol", "--store", f"sqlite:///{shard.database}", "--uses", "2", "--json").json
        assert made["code"].encode() not in shard.database.read_bytes()
        devices = [omega("device", "enrol", "--store", tv, "--code", made["code"], "--json").json for tv in "ab"]
        assert len({tv["device"] for tv in devices}) == 2
        assert [(tv["shard"], tv["url"]) for tv in devices] == [(0, shard.url)] * 2
        assert DENIED in omega("device", "enrol", "--store", "c", "--code", made["code"], code=7).complaint
        for tv in "ac":
            omega("device", "init", "--store", tv, *STATIC)
        assert DENIED in omega("device", "sync", "--store", "c", *STATIC, code=7).complaint
        omega("device", "observe", HEAT, "--store", "a", *STATIC)
        assert omega("device", "sync", "--store", "a", *STATIC, "--json").json["contributed"] == 1
        shard.begin_anew()
        assert omega("device", "enrol", "--store", "a").out.startswith(f"admitted: device {devices[0]['device']}")


def test_a_makers_word_lets_its_tvs_in_up_to_its_quota(
    omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("--name", "Acme", "--quota", "1")
    assert "Acme may vouch for 1 TVs" in omega("shard", "maker", "acme.key", "makers.json", *named).out
    with served(tmp_path, monkeypatch, "--makers", str(Path("makers.json").absolute())) as shard:
        assert "certified: device " in omega("device", "certify", "acme.key", "--store", "a").out
        omega("device", "certify", "stranger.key", "--store", "b", code=2)
        omega("shard", "maker", "stranger.key", "others.json", *named)
        omega("device", "certify", "stranger.key", "--store", "b")
        omega("device", "certify", "acme.key", "--store", "c")
        omega("device", "enrol", "--store", "a")
        assert DENIED in omega("device", "enrol", "--store", "b", code=7).complaint
        assert DENIED in omega("device", "enrol", "--store", "c", code=7).complaint
        shard.begin_anew()
        omega("device", "enrol", "--store", "a")
        assert DENIED in omega("device", "enrol", "--store", "c", code=7).complaint
        changed = omega("shard", "maker", "acme.key", "makers.json", "--name", "Acme", "--quota", "2", "--json").json
        assert (changed["quota"], len(json.loads(Path("makers.json").read_text()))) == (2, 1)
        shard.begin_anew()
        omega("device", "enrol", "--store", "c")


def test_who_is_revoked_is_shut_out_of_a_running_shard(
    omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(tmp_path / "shard") as shard:
        monkeypatch.setenv("OMEGA_SHARD_URL", shard.url)
        store = f"sqlite:///{shard.database}"
        one, other = (omega("device", "enrol", "--store", tv, "--json").json["device"] for tv in "ab")
        for tv in "ab":
            omega("device", "init", "--store", tv, *STATIC)
        assert omega("shard", "revoke", one, "--store", store).out == f"revoked: {one}\n"
        time.sleep(LOOK_S + 1)
        assert DENIED in omega("device", "sync", "--store", "a", *STATIC, code=7).complaint
        assert DENIED in omega("device", "enrol", "--store", "a", code=7).complaint
        omega("device", "sync", "--store", "b", *STATIC)
        assert "never enrolled here" in omega("shard", "revoke", "0" * 32, "--store", store, code=2).complaint
        assert "32 hex digits" in omega("shard", "revoke", other[1:], "--store", store, code=2).complaint
        for command in (("revoke", other), ("enrol",)):
            assert "holds no shard's store" in omega("shard", *command, code=3).complaint
        assert not Path("shard.db").exists()


def test_a_store_is_one_shards(omega: Omega, tmp_path: Path) -> None:
    with Served(tmp_path / "shard", "--shard-id", "3", "--region", "eu") as shard:
        store = f"sqlite:///{shard.database}"
    told = omega("shard", "serve", "--store", store, "--port", "0", "--keys", tmp_path / "shard/home/shard", code=3)
    assert "holds the sums of shard 3, not of 0" in told.complaint
    told = omega("shard", "serve", "--store", store, "--port", "0", "--shard-id", "3", code=3)
    assert "counts households by another tag key" in told.complaint


def test_makers_files_that_are_none_are_named(omega: Omega) -> None:
    Path("makers.json").write_text("[1]")
    assert "makers.json is refused" in omega("shard", "serve", "--makers", "makers.json", code=2).complaint
    said = omega("shard", "maker", "a.key", "makers.json", "--name", "", "--quota", "1", code=2).complaint
    assert "allowed: 1..64 letters" in said
    assert "can't be read" in omega("shard", "serve", "--makers", "nowhere.json", code=2).complaint
