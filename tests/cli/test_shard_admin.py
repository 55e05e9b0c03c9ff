"""`omega shard admin`, and a running shard that takes it over."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.shard.serving import Served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Omega


def test_admins_are_added_listed_and_revoked(omega: Omega, home: Path) -> None:
    token = omega("shard", "admin", "ana", "--role", "operator").out.strip()
    assert token.startswith("omega-admin-")
    told = omega("shard", "admin", "vic", "--json").json
    assert (told["admin"], told["role"]) == ("vic", "viewer")
    listed = omega("shard", "admin", "--list", "--json")
    rows = [{"name": "ana", "role": "operator"}, {"name": "vic", "role": "viewer"}]
    assert listed.json == {"admins": rows}
    shown = omega("shard", "admin", "--list").out
    for secret in (token, told["token"]):
        assert secret not in shown + listed.out + (home / "shard" / "admins.json").read_text()
    assert omega("shard", "admin", "vic", "--revoke").out == "revoked: vic\n"
    assert omega("shard", "admin", "--list", "--json").json == {"admins": rows[:1]}


def test_refusals(omega: Omega) -> None:
    assert "exclude each other, allowed: one of them" in omega("shard", "admin", code=2).complaint
    assert "exclude each other" in omega("shard", "admin", "ana", "--list", code=2).complaint
    assert (
        "role is 'root', allowed: viewer, operator" in omega("shard", "admin", "a", "--role", "root", code=2).complaint
    )
    assert "admin is 'ana', allowed: one of" in omega("shard", "admin", "ana", "--revoke", code=2).complaint
    assert "log-level is 'all', allowed: debug" in omega("shard", "serve", "--log-level", "all", code=2).complaint


def test_admins_that_cannot_be_read_are_refused_before_anything_is_made(omega: Omega, home: Path) -> None:
    omega("shard", "admin", "ana")
    (home / "shard" / "admins.json").chmod(0o644)
    told = omega("shard", "serve", "--port", "0", "--rest-port", "0", code=2).complaint
    assert "admins.json has mode 0644, allowed: 0600" in told


def test_a_running_shard_takes_admins_over(tmp_path: Path, omega: Omega) -> None:
    keys = tmp_path / "home" / "shard"
    with Served(tmp_path, "--rest-port", "0", "--metrics-port", "0") as shard:
        assert shard.urls["metrics_url"] != shard.urls["rest_url"] != shard.url
        token = omega("shard", "admin", "ana", "--keys", keys).out.strip()
        taken = _until(shard, token, 200)
        assert taken["shard"] == 0
        with urllib.request.urlopen(shard.urls["metrics_url"] + "/metrics", timeout=30) as scraped:  # noqa: S310
            assert b'omega_syncs_total{outcome="answered",transport="http",worker="0"} 0.0' in scraped.read()
        omega("shard", "admin", "ana", "--keys", keys, "--revoke")
        _until(shard, token, 401)


def _until(shard: Served, token: str, status: int) -> Any:
    """Ask until it is answered so, for half a minute."""
    request = urllib.request.Request(  # noqa: S310  (http to ourselves)
        shard.urls["rest_url"] + "/api/v1/stats", headers={"Authorization": f"Bearer {token}"}
    )
    ends_s = time.monotonic() + 30
    while time.monotonic() < ends_s:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  (the same)
                found, body = answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                found, body = error.code, None
        if found == status:
            return body
        time.sleep(0.2)
    return pytest.fail(f"it is never answered {status}")
