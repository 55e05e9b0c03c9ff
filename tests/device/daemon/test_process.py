"""Whole daemons in processes of their own: killed, stopped, started twice, with many clients at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest

from omega.compose import EXAMPLE_CATALOG_PATH, find_daemon
from omega.core.catalog import Catalog
from omega.core.errors import DaemonError
from omega.core.settings import resolve
from omega.core.types import ViewingEvent
from omega.device.daemon.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.device.daemon.conftest import Start


def titles() -> list[str]:
    return [title.id for title in Catalog.read(EXAMPLE_CATALOG_PATH)]


def watch_on(client: Client, events: Iterator[ViewingEvent], acknowledged: list[ViewingEvent]) -> None:
    """Watch title after title, each at a minute of its own, until the daemon is gone."""
    for event in events:
        client.observe(event)
        acknowledged.append(event)


def test_every_acknowledged_event_outlives_kill_9(start: Start, folder: Path) -> None:
    names, first = titles(), datetime(2026, 1, 5, tzinfo=UTC)
    events = (
        ViewingEvent(content_id=names[number % len(names)], watch_pct=1, at=first + timedelta(minutes=number))
        for number in count()
    )
    acknowledged: list[ViewingEvent] = []
    for kills in range(2):
        daemon = start()
        with Client(daemon.address) as client:
            assert 0 <= client.status().events - len(acknowledged) <= kills
            timer = threading.Timer(0.3, daemon.kill)
            timer.start()
            with pytest.raises(DaemonError):
                watch_on(client, events, acknowledged)
            timer.join()
        assert daemon.address.is_socket(), "a killed daemon can't tidy up"
    assert len(acknowledged) > 10
    with Client(start().address) as client:
        assert len(acknowledged) <= client.status().events <= len(acknowledged) + 2
        found = {(name, event.at) for name in names for event in client.why(name).watched}
        assert {(event.content_id, int(event.at.timestamp())) for event in acknowledged if event.at} <= found


def test_sigterm_stops_it_cleanly(start: Start) -> None:
    daemon = start()
    with Client(daemon.address) as client:
        client.observe(ViewingEvent(content_id="heat-1995", watch_pct=1))
        code, errors = daemon.stop()
    assert code == 0
    assert "stopping, 1 clients" in errors
    assert "heat" not in errors.lower(), "no title is logged"
    assert not daemon.address.exists()
    assert {file.name for file in daemon.store.iterdir()} == {"daemon.lock", "store.db"}, "its WAL is folded in"


def test_the_owner_can_stop_it_through_its_socket(start: Start) -> None:
    daemon = start()
    with Client(daemon.address) as client:
        client.shutdown()
    assert daemon.process.wait(20) == 0
    assert not daemon.address.exists()


def test_a_second_daemon_is_refused_and_harms_nothing(start: Start, tmp_path: Path) -> None:
    daemon = start()
    command = [sys.executable, "-m", "omega_cli", "device", "daemon", "--store", str(daemon.store)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "OMEGA_HOME": str(tmp_path), "OMEGA_EMBEDDER": "static"},
    )
    assert done.returncode == 3
    assert f"is served by process {daemon.process.pid} at {daemon.address}" in done.stderr
    with Client(daemon.address) as client:
        assert client.daemon.pid == daemon.process.pid


def test_fifty_clients_at_once_each_get_their_own_answers(start: Start) -> None:
    daemon, names = start(), titles()[:50]
    meet = threading.Barrier(len(names))

    def one(name: str) -> str:
        with Client(daemon.address) as client:
            meet.wait(20)
            client.observe(ViewingEvent(content_id=name, watch_pct=1))
            assert len(client.recommend(k=5)) == 5
            return client.why(name).recommendation.content_id

    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(one, names)) == names
    with Client(daemon.address) as client:
        assert client.status().events == len(names)


def test_a_client_that_leaves_in_the_middle_of_a_line_is_forgotten(start: Start) -> None:
    daemon = start()
    for piece in (b"", b'{"method": "obs', b'{"method": "status"}\n{"', b"\x00" * 100_000):
        with closing(socket.socket(socket.AF_UNIX)) as leaver:
            leaver.connect(str(daemon.address))
            leaver.sendall(piece)
    with Client(daemon.address) as client:
        assert client.status().events == 0
    code, errors = daemon.stop(signal.SIGINT)
    assert code == 0
    assert len(errors.splitlines()) == 1


def test_it_is_found_by_its_store_wherever_its_socket_is(start: Start, folder: Path) -> None:
    daemon = start(folder / "tv", "--socket", str(folder / "elsewhere.sock"))
    settings = resolve({"home": folder, "store": folder / "tv"}, {}).settings
    client = find_daemon(settings)
    assert client
    with client:
        assert client.daemon.pid == daemon.process.pid
        assert client.status().embedder == "static"
    daemon.kill()
    assert find_daemon(settings) is None


def test_systemd_is_told_when_it_is_ready_alive_and_stopping(start: Start, folder: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(20)
        daemon = start(env={"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "200000"})
        told = [systemd.recv(100) for _ in range(5)]
        began = time.monotonic()
        assert daemon.stop()[0] == 0
        while (last := systemd.recv(100)) != b"STOPPING=1":
            told.append(last)
    assert told[0] == b"READY=1"
    assert set(told[1:]) == {b"WATCHDOG=1"}
    assert time.monotonic() - began < 10
