"""`omega shard serve` and `omega device sync`: what is in their way is named, and they find each other."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import msgspec
import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from tests.shard.serving import Served

if TYPE_CHECKING:
    from tests.cli.conftest import Omega

HEAT = '{"content_id":"heat-1995","watch_pct":0.95}'
STATIC = ("--embedder", "static")


def test_help_names_every_option(omega: Omega) -> None:
    told = omega("shard", "serve", "--help").out
    options = "store catalog shard-id region max-devices host port grpc-port cert enrol makers keys artifacts trust "
    options += "quic-port rest-port metrics-port workers log-json log-level"
    for option in options.split():
        assert f"--{option}" in told
    assert "serve" in omega("shard", "--help").out


@pytest.mark.parametrize("store", ["shard.db", "postgres://db/omega", "sqlite:", "sqlite:///", ""])
def test_a_store_that_is_no_url_is_refused_and_none_is_made(omega: Omega, store: str) -> None:
    told = omega("shard", "serve", "--store", store, "--port", "0", code=2).complaint
    assert f"store is {store!r}, allowed: sqlite:///" in told
    assert not Path("shard.db").exists()


def test_a_store_that_cannot_be_opened_is_one_line(omega: Omega) -> None:
    Path("taken").write_text("a file")
    for store in ("sqlite:///taken", "sqlite:///taken/shard.db", "sqlite:///."):
        told = omega("shard", "serve", "--store", store, "--port", "0", "--enrol", "open", code=3).complaint
        assert len(told) < 300


def test_enrolment_is_open_on_this_machine_alone(omega: Omega) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):  # noqa: S104  (that is what is refused)
        told = omega("shard", "serve", "--host", host, "--port", "0", "--enrol", "open", code=2).complaint
        assert f"enrolment is open to everybody on '{host}', allowed: on 127.0.0.1" in told
    assert "enrol is 'all', allowed: vouched, open" in omega("shard", "serve", "--enrol", "all", code=2).complaint
    assert not Path("shard.db").exists()


def test_a_port_in_use_is_named(omega: Omega) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        told = omega("shard", "serve", "--port", str(port), code=7).complaint
        assert f"127.0.0.1:{port} can't be served at" in told
        assert "choose another port" in told


@pytest.mark.parametrize("option", ["--grpc-port", "--rest-port", "--metrics-port"])
def test_a_port_beside_that_is_in_use_is_named(omega: Omega, option: str) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        told = omega("shard", "serve", "--port", "0", option, str(port), code=7).complaint
        assert f"127.0.0.1:{port} can't be served at" in told
        assert not Path("shard.db").exists()


def test_both_addresses_are_told_and_a_client_that_stays_holds_up_no_end(tmp_path: Path) -> None:
    flags = ["--store", f"sqlite:///{tmp_path / 'shard.db'}", "--port", "0", "--grpc-port", "0"]
    command = [sys.executable, "-m", "omega_cli", "shard", "serve", *flags]
    environment = os.environ | {"OMEGA_HOME": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as served:
        assert served.stdout
        found = re.fullmatch(
            r"ready: process \d+ serves http://127\.0\.0\.1:\d+ and grpc://(127\.0\.0\.1:\d+)\n",
            served.stdout.readline(),
        )
        assert found
        with grpc.insecure_channel(found[1]) as channel:
            check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert check(b"", timeout=5) == b"\x08\x01"
            served.terminate()
            assert served.wait(5) == 0


def test_quic_needs_a_certificate_and_a_free_port(omega: Omega) -> None:
    told = omega("shard", "serve", "--port", "0", "--quic-port", "0", code=2).complaint
    assert "--quic-port comes without --cert" in told
    assert "omega shard cert" in told
    told = omega("shard", "serve", "--port", "0", "--quic-port", "0", "--cert", "pki", code=2).complaint
    assert "omega shard cert" in told
    omega("shard", "cert", "pki")
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        told = omega("shard", "serve", "--port", "0", "--quic-port", str(port), "--cert", "pki", code=7).complaint
        assert f"127.0.0.1:{port} can't be served at by UDP" in told
    assert not Path("shard.db").exists()


def test_a_tv_syncs_by_quic_and_the_next_one_resumes_where_another_process_left_off(
    omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    omega("shard", "cert", "pki")
    omega("device", "observe", HEAT, *STATIC)
    with Served(tmp_path / "shard", "--cert", "pki", "--quic-port", "0") as shard:
        assert re.fullmatch(r"quic://127\.0\.0\.1:\d+", shard.quic_url)
        monkeypatch.setenv("OMEGA_SHARD_URL", shard.quic_url)
        monkeypatch.setenv("OMEGA_CA", "pki/ca.pem")
        assert omega("device", "sync", *STATIC).out.startswith("counted: 1 row told")
        kept = next(tmp_path.rglob("tickets.json"))
        assert kept.stat().st_mode & 0o777 == 0o600
        first = kept.read_bytes()
        assert omega("device", "sync", *STATIC, "--json").json["outcome"] == "counted"
        assert kept.read_bytes() != first, "a ticket serves once"
        assert (tmp_path / "shard" / "home" / "shard" / "tickets.key").stat().st_mode & 0o777 == 0o600


def test_a_tv_whose_network_blocks_udp_syncs_by_https(
    omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    omega("shard", "cert", "pki")
    omega("device", "observe", HEAT, *STATIC)
    with Served(tmp_path / "shard", "--cert", "pki") as shard, closing(socket.socket(type=socket.SOCK_DGRAM)) as hole:
        hole.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OMEGA_SHARD_URL", f"quic://127.0.0.1:{hole.getsockname()[1]},{shard.url}")
        monkeypatch.setenv("OMEGA_CA", "pki/ca.pem")
        assert omega("device", "sync", *STATIC).out.startswith("counted: 1 row told")
        hole.recv(2048)
        hole.settimeout(0)
        while True:
            try:
                hole.recv(2048)
            except BlockingIOError:
                break
        assert omega("device", "sync", *STATIC, "--json").json["outcome"] == "counted"
        with pytest.raises(BlockingIOError):
            hole.recv(2048)


def test_a_certificate_that_is_not_there_is_refused(omega: Omega) -> None:
    told = omega("shard", "serve", "--port", "0", "--cert", "pki", code=2).complaint
    assert "omega shard cert" in told


def test_artifacts_without_a_key_or_a_folder_are_refused(omega: Omega) -> None:
    omega("artifact", "keygen", "operator.key")
    serve = ("shard", "serve", "--port", "0", "--artifacts")
    told = omega(*serve, "shelf", code=2).complaint
    assert "artifacts is shelf, without a key: name the operator's public key with --trust" in told
    told = omega(*serve, "shelf", "--trust", "operator.key.pub", code=2).complaint
    assert "shelf is no folder of artifacts: publish one there" in told
    told = omega("shard", "serve", "--port", "0", "--trust", "operator.key.pub", code=2).complaint
    assert "trust is operator.key.pub, without artifacts" in told
    Path("shelf").mkdir()
    told = omega(*serve, "shelf", "--trust", "operator.key", code=2).complaint
    assert "allowed: public keys of 64 hex digits" in told
    assert not Path("shard.db").exists()


def test_a_published_catalog_is_fetched_and_told(omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = Catalog.read(EXAMPLE_CATALOG_PATH)
    added = msgspec.structs.replace(example.titles[0], id="new-1", title="Brand New")
    Catalog.build((*example.titles, added), example).write(Path("second.jsonl"))
    omega("artifact", "keygen", "operator.key")
    publish = ("shelf", "--kind", "catalog", "--key", "operator.key")
    omega("artifact", "publish", str(EXAMPLE_CATALOG_PATH), *publish)
    omega("artifact", "publish", "second.jsonl", *publish)
    with Served(tmp_path / "shard", "--artifacts", "shelf", "--trust", "operator.key.pub") as shard:
        monkeypatch.setenv("OMEGA_SHARD_URL", shard.url)
        monkeypatch.setenv("OMEGA_TRUST", "none.pub")
        assert "none.pub can't be read" in omega("device", "sync", *STATIC, code=2).complaint
        monkeypatch.setenv("OMEGA_TRUST", "operator.key.pub")
        lines = omega("device", "sync", *STATIC).out.splitlines()
        assert re.fullmatch(r"[67]\d\d B of published files; the catalog is at epoch 2", lines[1])
        assert len(omega("device", "sync", *STATIC).out.splitlines()) == 2
    assert "Brand New" in omega("device", "why", "new-1", *STATIC).out
    assert omega("device", "status", *STATIC, "--json").json["catalog_epoch"] == 2


def test_a_tv_without_a_shard_is_told_to_name_one(omega: Omega) -> None:
    omega("device", "observe", HEAT, *STATIC)
    told = omega("device", "sync", *STATIC, code=2).complaint
    assert "shard_url is not set, allowed: a URL like https://" in told
    assert "OMEGA_SHARD_URL" in omega("device", "sync", "--help").out


@pytest.mark.parametrize("url", ["ftp://x", "shard.example", "https://", "https://x:99999"])
def test_an_address_that_is_none_is_refused(omega: Omega, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OMEGA_SHARD_URL", url)
    done = omega("device", "sync", *STATIC, code=4 if "https" not in url else 2)
    assert (
        "allowed: grpc, grpcs, http, https, loopback, quic" if "https" not in url else "allowed: https://"
    ) in done.complaint


def test_a_shard_that_is_gone_is_told_and_what_waits_is_told_later(
    omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    omega("device", "observe", HEAT, *STATIC)
    with Served(tmp_path / "shard") as shard:
        monkeypatch.setenv("OMEGA_SHARD_URL", shard.url)
        shard.kill()
        told = omega("device", "sync", *STATIC, code=7).complaint
        assert told == f"error: {shard.url} can't be reached (Connection refused): ask later", "and not said twice"
        failed = omega("device", "sync", *STATIC, "--json", code=7).json
        assert (failed["outcome"], failed["contributed"]) == (None, 0)
        assert "can't be reached" in failed["error"]
        shard.start()
        lines = omega("device", "sync", *STATIC).out.splitlines()
        assert lines[0].startswith("counted: 1 row told, 0 taken back")
        assert " B up, " in lines[1]
        assert ", 1 round trip, " in lines[1]
        done = omega("device", "sync", *STATIC, "--json").json
        assert (done["outcome"], done["contributed"], done["round_trips"]) == ("counted", 0, 1)


def test_each_transport_has_figures_of_its_own(omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    omega("device", "observe", HEAT, *STATIC)
    with Served(tmp_path / "shard", "--grpc-port", "0", "--metrics-port", "0") as shard:
        for url in (shard.grpc_url, shard.url, shard.url):
            monkeypatch.setenv("OMEGA_SHARD_URL", url)
            omega("device", "sync", *STATIC)
        with urllib.request.urlopen(shard.urls["metrics_url"] + "/metrics", timeout=30) as scraped:  # noqa: S310
            lines = scraped.read().decode().splitlines()
        for transport, syncs, enrolled in (("grpc", 1, 1), ("http", 2, 1)):
            labels = f'transport="{transport}",worker="0"}}'
            assert f'omega_syncs_total{{outcome="answered",{labels} {syncs}.0' in lines
            assert f'omega_enrolments_total{{outcome="admitted",{labels} {enrolled}.0' in lines
        assert 'omega_contributed_rows_total{worker="0"} 1.0' in lines
