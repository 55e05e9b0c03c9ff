"""Several workers on one Postgres and one port: TVs are counted once whoever dies, and notice no rolling restart."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.errors import TransportError
from omega.core.identity.device_key import DeviceKey
from omega.core.identity.gate import answer
from omega.core.identity.messages import Admission, Challenge
from omega.core.identity.messages import decode as parsed
from omega.core.identity.messages import encode as worded
from omega.core.shard_records import ALL_SLOTS
from omega.core.wire import Ack, Header, Push, Row, encode, lineage_code, space_code
from omega.device.sync.messages import WireCodec
from omega.shards import SHARD_SPACE, open_shard_store
from omega_plugins.transports.http.client import HttpClient

if TYPE_CHECKING:
    from typing import Self

    from tests.postgres_server import Databases

CATALOG = Catalog.read(EXAMPLE_CATALOG_PATH)
HEADER = Header(space=space_code(SHARD_SPACE), lineage=lineage_code(CATALOG.lineage), epoch=CATALOG.epoch)
TITLES, WAIT_S = 20, 60


class Workers:
    """`omega shard serve --workers`, and what it says."""

    def __init__(self, store: str, home: Path, *options: str) -> None:
        command = [sys.executable, "-m", "omega_cli", "shard", "serve", "--store", store, "--workers", "2", "--json"]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--enrol", "open", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMEGA_HOME": str(home)},
        )
        self._lines: list[str] = []
        self._came = Condition()
        self._listening = Thread(target=self._listen)
        self._listening.start()
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self._lines
        self.url: str = json.loads(line)["url"]

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            with self._came:
                self._lines.append(line)
                self._came.notify_all()

    def said(self, words: str, times: int = 1) -> None:
        """Wait until it has said these words so often."""
        with self._came:
            assert self._came.wait_for(lambda: sum(words in line for line in self._lines) >= times, WAIT_S), self._lines

    @property
    def pids(self) -> list[int]:
        """Its children that serve; one is multiprocessing's own."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return [pid for pid in map(int, children.split()) if "spawn_main" in command_of(pid)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pids = self.pids
        self.process.terminate()
        code = self.process.wait(WAIT_S)
        self._listening.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            stream.close()
        assert code == 0, self._lines
        assert not any("Traceback" in line for line in self._lines), self._lines
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:
        return ""


class Tv:
    """A TV that pushes one sample at a time, the same again until it is acknowledged."""

    def __init__(self, number: int, url: str) -> None:
        self.number, self.version, self.token = number, 0, ""
        self.key = DeviceKey(number.to_bytes(32, "big"))
        self.client = HttpClient(url, token=lambda: self.token, ca=None, timeout_s=30)

    async def enrol(self) -> None:
        challenge = parsed(await self.client.exchange(b""), Challenge)
        admission = await self.client.exchange(worded(answer(challenge, self.key, shard=0)))
        self.token = parsed(admission, Admission).token

    async def push(self) -> None:
        """Raises TransportError."""
        title = (self.number * 7 + self.version) % TITLES
        row = Row(title, 4, int(time.time()) // 86_400, 900, b"")
        frame = encode(Push(header=HEADER, incarnation=1, base=self.version, step=1, contributed=(row,)))
        receipt, *_ = WireCodec().decode(await self.client.exchange(frame))
        assert isinstance(receipt, Ack), receipt
        assert receipt.version == self.version + 1
        self.version += 1


async def enrolled(url: str, count: int) -> list[Tv]:
    tvs = [Tv(number, url) for number in range(1, count + 1)]
    for start in range(0, count, 20):
        await asyncio.gather(*(tv.enrol() for tv in tvs[start : start + 20]))
    return tvs


def sums(store: str) -> Counter[int]:
    with closing(open_shard_store(store)) as opened:
        return Counter({row.title: row.now.samples for row in opened.aggregates() if row.slot == ALL_SLOTS})


def truth(tvs: list[Tv]) -> Counter[int]:
    return Counter((tv.number * 7 + version) % TITLES for tv in tvs for version in range(tv.version))


@pytest.fixture
def store(databases: Databases, tmp_path: Path) -> str:
    return databases.url(tmp_path)


def test_no_sync_fails_while_all_workers_are_replaced(store: str, tmp_path: Path) -> None:
    async def play(workers: Workers) -> list[Tv]:
        tvs, before = await enrolled(workers.url, 300), set(workers.pids)
        assert len(before) == 2
        workers.process.send_signal(signal.SIGHUP)
        rolled = asyncio.create_task(asyncio.to_thread(workers.said, "worker 1 began anew"))
        for turn in range(4):
            for start in range(0, len(tvs), 10):
                await asyncio.gather(*(tv.push() for tv in tvs[start : start + 10]))
                if rolled.done() and turn:
                    break
        await rolled
        await asyncio.gather(*(tv.push() for tv in tvs[-10:]))
        assert len(workers.pids) == 2
        assert not before & set(workers.pids)
        await asyncio.gather(*(tv.client.close() for tv in tvs))
        return tvs

    at = neighbors()
    with Workers(store, tmp_path, "--rest-port", "0", "--metrics-port", str(at)) as workers:
        tvs = asyncio.run(play(workers))
        counted = [scraped(at + number) for number in range(2)]
    assert sum(counted) >= 10, "each successor has its worker's port, and counts"
    assert sums(store) == truth(tvs)


def neighbors() -> int:
    """Return a port that is free, as the next one is."""
    while True:
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", one.getsockname()[1] + 1))
            return int(one.getsockname()[1])


def scraped(port: int) -> float:
    """Return how many syncs the worker with this metrics port has acknowledged since it began."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WAIT_S) as answer:
        text: str = answer.read().decode()
    lines = [
        line for line in text.splitlines() if line.startswith("omega_syncs_total") and 'outcome="answered"' in line
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost_or_counted_twice(store: str, tmp_path: Path) -> None:
    async def push_until_heard(tv: Tv) -> None:
        until_s, version = time.monotonic() + WAIT_S, tv.version
        while tv.version == version:
            assert time.monotonic() < until_s
            with suppress(TransportError):
                await tv.push()

    async def play(workers: Workers) -> list[Tv]:
        tvs = await enrolled(workers.url, 60)
        for number in range(2):
            before = workers.pids
            pushing = asyncio.gather(*(push_until_heard(tv) for tv in tvs))
            await asyncio.sleep(0.03)
            os.kill(before[number], signal.SIGKILL)
            await pushing
            await asyncio.to_thread(workers.said, "died (exit -9): another one begins", number + 1)
            until_s = time.monotonic() + WAIT_S
            while len(workers.pids) < 2:
                assert time.monotonic() < until_s
                await asyncio.sleep(0.1)
            assert before[number] not in workers.pids
        await asyncio.gather(*(push_until_heard(tv) for tv in tvs))
        await asyncio.gather(*(tv.client.close() for tv in tvs))
        return tvs

    with Workers(store, tmp_path) as workers:
        tvs = asyncio.run(play(workers))
    assert sums(store) == truth(tvs)
    assert {tv.version for tv in tvs} == {3}
