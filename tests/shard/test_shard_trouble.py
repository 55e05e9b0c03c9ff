"""A shard on a disk that fills up or turns read-only, for real: a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.storage.test_trouble import NAMESPACE

COMMON = """
import asyncio, subprocess, sys
from pathlib import Path
from omega.core.testing.shard_contract import NOW, an_id, sums_of
from omega.shard.answers import Refusal, Refused
from omega.core.wire import Ack
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.playing import a_push, a_row, on_shard

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)

async def share(shard, version):
    def push(slot):
        return a_push(version, *(a_row((slot + version * 3 + i) % 40, slot=i) for i in range(8)))

    answers = await asyncio.gather(*(shard.sync(slot, push(slot)) for slot in range(50)))
    return {type(a.receipt) for a in answers}, [a.receipt for a in answers]

def counted(store):
    return sum(samples for (title, slot), (samples, _, _) in sums_of(store).items() if slot == 8)

folder = Path(sys.argv[1])
"""
FULL = """
mount("size=1500k")
ballast = folder / "film"
store = SqliteShardStore.open(folder / "s.db")
store.enrol([an_id(slot) for slot in range(50)], NOW)

async def play(shard):
    kinds, _ = await share(shard, 1)
    assert kinds == {Ack}, kinds
    assert await shard._ticks.call(counted) == 400
    with ballast.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(512))
        except OSError:
            pass
    version = 2
    while True:
        kinds, receipts = await share(shard, version)
        if kinds != {Ack}:
            break
        version += 1
        assert version < 200
    assert kinds == {Refused}, kinds
    assert {receipt.reason for receipt in receipts} == {Refusal.STORE}
    assert min(receipt.retry_after_s for receipt in receipts) >= 15
    assert await shard._ticks.call(counted) == 400 * (version - 1)
    assert (await share(shard, version))[0] == {Refused}
    ballast.unlink()
    for later in range(version, version + 3):
        assert (await share(shard, later))[0] == {Ack}
        assert await shard._ticks.call(counted) == 400 * later

on_shard(store, play)
"""
READ_ONLY = """
mount("size=20m")
store = SqliteShardStore.open(folder / "s.db")
store.enrol([an_id(slot) for slot in range(50)], NOW)

async def play(shard):
    assert (await share(shard, 1))[0] == {Ack}
    await shard._ticks.call(lambda _: store._connection.execute("PRAGMA query_only = ON").fetchall())
    for _ in range(3):
        kinds, receipts = await share(shard, 2)
        assert kinds == {Refused}, kinds
    await shard._ticks.call(lambda _: store._connection.execute("PRAGMA query_only = OFF").fetchall())
    assert await shard._ticks.call(counted) == 400
    assert (await share(shard, 2))[0] == {Ack}
    assert await shard._ticks.call(counted) == 800

on_shard(store, play)
"""


def _has_namespaces() -> bool:
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _has_namespaces(), reason="this machine lets no user mount")
@pytest.mark.parametrize("script", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_devices_come_later_and_nothing_is_lost(script: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("disk")
    command = [*NAMESPACE, sys.executable, "-c", COMMON + script, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
