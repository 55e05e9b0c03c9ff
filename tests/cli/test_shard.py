"""`omega shard`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Omega


def test_certificates_are_made_once(omega: Omega) -> None:
    told = omega("shard", "cert", "pki", "--host", "shard.example.org", "--host", "10.0.0.7").out
    assert "for shard.example.org, 10.0.0.7" in told
    before = Path("pki/ca.key").read_bytes()
    refused = omega("shard", "cert", "pki", code=2)
    assert "ca.pem is there already" in refused.complaint
    assert Path("pki/ca.key").read_bytes() == before
    found = omega("shard", "cert", "pki", "--force", "--days", "7", "--json").json
    assert found["hosts"] == ["localhost", "127.0.0.1", "::1"]
    assert Path(found["ca_key"]).read_bytes() != before


def test_a_bad_host_is_one_line(omega: Omega) -> None:
    assert "host is 'a b'" in omega("shard", "cert", "pki", "--host", "a b", code=2).complaint
    assert not Path("pki").exists()
