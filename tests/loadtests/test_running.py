"""A load meets a real shard, in a process of its own: what both count is the same, and the database has it all."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")

from omega.core.errors import InputError, StoreError, TransportError
from omega.core.settings import resolve
from omega.fleet.load.scenarios import planned
from omega.fleet.process import served
from omega.loadtests.asked import Asked
from omega.loadtests.page import page, save
from omega.loadtests.running import run
from omega.loadtests.shards import enrolled, stored_rows
from omega.serving import Serving, serve_shard
from omega.shards import open_shard_store

if TYPE_CHECKING:
    from omega.loadtests.asked import Result
    from omega.loadtests.running import Moment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def an_asked(home: Path, *, load: dict[str, Any] | None = None, **more: Any) -> Asked:
    small = {"scenario": "light", "devices": 300, "interval_s": 1.1, "duration_s": 1.1}
    plan = planned(**{**small, **(load or {})})
    # A machine that is busy with other tests keeps no latency: what is judged here is what is counted.
    plan = msgspec.structs.replace(plan, thresholds=msgspec.structs.replace(plan.thresholds, p99_ms=30_000))
    return Asked(settings=resolve({"home": home}, {}).settings, load=plan, **more)


def checked(result: Result) -> Result:
    assert result.due == result.sent
    assert result.failed == 0, result.reasons
    assert result.stored_rows == result.acknowledged_rows > 0
    assert result.behind == 0
    assert result.shard_answered == result.answered
    assert result.unserved == 0
    assert not result.saturated
    assert result.verdict == "passed"
    return result


def test_all_that_was_acknowledged_is_in_the_database_and_both_sides_count_alike(home: Path) -> None:
    moments: list[Moment] = []
    result = checked(run(an_asked(home), on_second=moments.append))
    assert result.ok == result.due >= 300
    assert (result.store, result.transport, result.refused) == ("sqlite", "http", 0)
    assert result.latency_ms.p50 >= result.service_ms.p50 > 0
    assert 0 < result.connections["connections"] < result.due, "connections are kept"
    assert result.bytes_per_device <= 64 + 1_100  # of the wheel's spokes, which so few devices share
    assert sum(second.ok for second in result.seconds) == result.ok
    assert moments
    assert moments[-1].shard_cpu is not None
    html = page(result)
    assert html.startswith("<!doctype html>")
    assert html.count("<svg") == 3
    assert not re.search(r"nan|inf\b|src=|href=", html)
    save(result, home / "load.html")
    assert (home / "load.html").read_text(encoding="utf-8") == html
    (home / "taken").mkdir()
    with pytest.raises(InputError, match="can't be written"):
        save(result, home / "taken")


@pytest.mark.parametrize("transport", ["grpc", "quic"])
def test_other_transports(home: Path, transport: str) -> None:
    result = checked(run(an_asked(home, load={"devices": 60}, transport=transport)))
    assert result.transport == transport
    if transport == "quic":
        assert result.connections["connections"] == result.sent, "each sync makes its own connection"
        assert result.connections["early"] > 0, "and some are 0-RTT"


def test_tls_for_each_sync_that_is_resumed(home: Path) -> None:
    result = checked(run(an_asked(home, load={"devices": 60}, tls="resume")))
    assert result.connections["connections"] == result.sent
    assert result.connections["resumed"] > result.sent / 2


def test_a_mix_is_refused_where_it_should_be(home: Path) -> None:
    result = run(an_asked(home, load={"scenario": "mix", "devices": 600, "interval_s": 1.0, "duration_s": 1.6}))
    assert result.failed == 0, result.reasons
    assert result.stored_rows == result.acknowledged_rows
    assert result.reasons["old token"] > 0
    assert result.reasons["resync (gap)"] > 0
    assert result.shard_answered == result.answered


def test_a_shard_that_dies_in_the_middle_is_told_and_loses_nothing_that_it_acknowledged(home: Path) -> None:
    killed: list[int] = []

    def kill(moment: Moment) -> None:
        if not killed:
            (pid,) = shards_of(os.getpid())
            os.kill(pid, signal.SIGKILL)
            killed.append(moment.totals.ok)

    result = run(an_asked(home, load={"duration_s": 1.6, "interval_s": 1.6}), on_second=kill)
    assert result.verdict in ("failed", "void")
    assert result.failed > 0
    assert "the shard ended in the middle of the run, with -9" in result.notes
    assert any("no connection" in reason or "closed" in reason for reason in result.reasons)
    assert result.stored_rows is not None
    assert result.stored_rows >= result.acknowledged_rows > 0
    assert next(check for check in result.checks if "aren't stored" in check.name).held
    assert result.behind == 0


def test_a_row_that_lost_what_its_tv_was_acknowledged_is_found_though_the_sums_are_right(home: Path) -> None:
    taken: list[int] = []

    def take_back(moment: Moment) -> None:
        if moment.passed_s > moment.duration_s and not moment.in_flight and not taken:
            (pid,) = shards_of(os.getpid())
            files = {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir() if one.exists()}
            (file,) = (one for one in files if one.endswith("shard.db"))
            with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as bystander:
                bystander.execute("UPDATE device SET version = version - 1 WHERE slot = 7")
                taken.append(7)

    result = run(an_asked(home), on_second=take_back)
    assert taken
    assert result.stored_rows == result.acknowledged_rows
    assert result.behind == 1
    assert [check.name for check in result.checks if not check.held] == ["acknowledged TVs whose row is behind"]
    assert result.verdict == "failed"


def shards_of(pid: int) -> list[int]:
    """The children of this process that serve: multiprocessing's own helper isn't one."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_shard_that_runs_already(home: Path) -> None:
    settings = resolve({"home": home}, {}).settings
    store, keys = f"sqlite:///{home / 'shard.db'}", home / "keys"
    with closing(open_shard_store(store)) as opened:
        enrolled(opened, 20, int(time.time()) - 5)
    serving = Serving(settings=settings, store=store, port=0, keys=keys, shard_id=7)
    with served(partial(serve_shard, serving)) as ports:
        target = f"http://127.0.0.1:{ports['http']}"
        small = {"devices": 50, "duration_s": 0.5, "interval_s": 0.5}
        asked = an_asked(home, load=small, target=target, keys=keys, store=store)
        result = run(asked)
        time.sleep(1)  # a life of a TV is known by the second in which it began
        again = run(asked)
    for found in (result, again):
        assert (found.verdict, found.failed, found.store, found.stored_rows) == ("passed", 0, "target", None)
        assert found.behind == 0
    assert stored_rows(store) == result.acknowledged_rows + again.acknowledged_rows
    with pytest.raises(TransportError, match=r"can't be reached \(Connection refused\)"):
        run(asked)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"transport": "smtp"}, "transport is 'smtp', allowed: http, grpc, quic"),
        ({"tls": "some"}, "tls is 'some', allowed: none, resume, full"),
        ({"tls": "full", "transport": "quic"}, "tls is full with quic"),
        ({"target": "http://127.0.0.1:1"}, "target comes without keys and store"),
        ({"keys": Path("k")}, "keys or store come without a target"),
        ({"target": "ftp://x", "keys": Path("k"), "store": "s"}, "target is 'ftp://x', allowed with http"),
        ({"target": "http://x", "keys": Path("k"), "store": "s", "postgres": True}, "target comes with postgres"),
        ({"target": "http://x", "keys": Path("k"), "store": "s", "tls": "full"}, "allowed: an https URL"),
    ],
)
def test_what_does_not_go_together_is_refused(home: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        an_asked(home, **more)


def test_more_connections_than_files(home: Path) -> None:
    with pytest.raises(InputError, match=r"connections is 1,000,000,000, allowed here: 1\.\."):
        run(an_asked(home, connections=1_000_000_000))


def test_a_shard_without_room(home: Path) -> None:
    with (
        closing(open_shard_store(f"sqlite:///{home / 'full.db'}", max_devices=10)) as store,
        pytest.raises(StoreError, match=r"room for 10 of 11 TVs"),
    ):
        enrolled(store, 11, 1_800_000_000)
