"""`omega device daemon`, and the other device commands while one runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Omega

HEAT = '{"content_id":"heat-1995","watch_pct":0.95}'
ALIEN = '{"content_id":"alien-1979","watch_pct":0.2}'
SPEED = '{"content_id":"speed-1994","watch_pct":0.95}'
EVENING = '{"time":"evening","day":"weekday"}'


@contextmanager
def serving(*arguments: str) -> Iterator[Any]:
    """Run the command until the block ends and give what it printed; it must end cleanly."""
    command = [sys.executable, "-m", "omega_cli", *arguments, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            yield json.loads(line) if line else pytest.fail(process.communicate()[1])
        finally:
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in errors


def test_the_other_commands_ask_a_daemon_that_runs_and_open_the_store_when_none_does(omega: Omega, home: Path) -> None:
    with serving("device", "daemon", "--embedder", "static") as ready:
        assert ready["socket"] == str(home / "tv" / "daemon.sock")
        assert f"; process {ready['pid']} serves it" in omega("device", "init").out
        assert omega("device", "observe", HEAT, "--json").json["observed"][0]["content_id"] == "heat-1995"
        batch = omega("device", "observe", "-", stdin=f'{{"content_id":"heat-1995"}}\n{ALIEN}', code=2)
        assert "watch_pct is missing" in batch.complaint
        found = omega("device", "status", "--json").json
        assert (found["events"], found["embedder"]) == (2, "static"), "the daemon's own, not the default"
        listed = omega("device", "recommend", "--context", EVENING, "--k", "4", "--json").json
        assert len(listed) == 4
        best = omega("device", "why", listed[0]["content_id"], "--context", EVENING, "--json").json
        assert (best["rank"], best["recommendation"]) == (1, listed[0])
        assert "content_id is 'heat-1996'" in omega("device", "why", "heat-1996", code=2).complaint
    assert not (home / "tv" / "daemon.sock").exists()
    assert "serves it" not in omega("device", "init").out
    assert omega("device", "status", "--json").json["events"] == 2


def test_a_running_daemon_is_not_told_what_to_open(omega: Omega) -> None:
    with serving("device", "daemon", "--embedder", "static") as ready:
        told = omega("device", "status", "--embedder", "onnx", code=2).complaint
        assert (
            f"--embedder was given, but process {ready['pid']} serves this store with its own, allowed: --store" in told
        )
        told = omega("device", "daemon", code=3).complaint
        assert f"is served by process {ready['pid']}" in told


def test_a_daemon_without_room_is_an_error_and_the_store_stays_shut(omega: Omega, tmp_path: Path) -> None:
    address = tmp_path / "tv.sock"
    flags = ("--embedder", "static", "--max-clients", "1", "--socket", str(address))
    with serving("device", "daemon", *flags), closing(socket.socket(socket.AF_UNIX)) as guest:
        guest.connect(str(address))
        guest.sendall(b'{"method": "status"}\n')
        assert guest.recv(65_536)
        assert "there are 1 clients, allowed: no more" in omega("device", "status", code=5).complaint


def test_what_is_in_the_way_of_a_daemon_is_named(omega: Omega, tmp_path: Path) -> None:
    missing = tmp_path / "livin-room"
    assert "holds no TV's store" in omega("device", "daemon", "--store", missing, code=3).complaint
    assert not missing.exists()
    static = ("--embedder", "static")
    told = omega("device", "daemon", *static, "--socket", tmp_path / ("x" * 100), code=2).complaint
    assert "allowed: 107 B: name another by --socket" in told
    assert "group is 'nobodys'" in omega("device", "daemon", *static, "--group", "nobodys", code=2).complaint
    reachable = str(os.getegid())
    told = omega("device", "daemon", *static, "--group", reachable, code=2).complaint
    assert f"{Path('home') / 'tv'} has mode 700, which keeps group {reachable} out" in told
