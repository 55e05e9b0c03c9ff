"""Days in virtual time: the same seed plays the same, all holds, and each planted bug is found."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import msgspec
import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.errors import InputError, OmegaError
from omega.simulation.checks import unsettled
from omega.simulation.running import Asked, simulate
from omega.simulation.tvs import Fault
from omega.simulation.virtual import STORED_S, VirtualLoop

EXAMPLE = Catalog.read(EXAMPLE_CATALOG_PATH)
SMALL = Asked(devices=150, days=2, seed=5)


def test_all_holds_and_the_same_seed_plays_the_same() -> None:
    played, again = (simulate(SMALL, EXAMPLE) for _ in range(2))
    assert (played.offences, played.broken_on_day, played.checks) == ([], None, 3)
    assert played.syncs > SMALL.devices * SMALL.days * 2
    assert played.samples > SMALL.devices * SMALL.days
    assert sum(played.faults[fault] > 0 for fault in (Fault.LOST, Fault.TWICE, Fault.UNHEARD, Fault.KILLED)) == 4
    timed = {"seconds": 0, "peak_memory_bytes": 0}
    assert msgspec.structs.replace(played, **timed) == msgspec.structs.replace(again, **timed)
    other = simulate(msgspec.structs.replace(SMALL, seed=6), EXAMPLE)
    assert other.offences == []
    assert other.digest != played.digest


def test_another_process_that_hashes_otherwise_plays_the_same() -> None:
    digests = set()
    for hashing in ("1", "2"):
        command = [sys.executable, "-m", "omega_cli", "simulate", "--devices", "60", "--days", "1", "--json"]
        environment = {**os.environ, "PYTHONHASHSEED": hashing}
        found = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
        digests.add(msgspec.json.decode(found.stdout)["digest"])
    assert digests == {simulate(Asked(devices=60, days=1), EXAMPLE).digest}


def test_everything_goes_wrong_in_time() -> None:
    played = simulate(Asked(devices=1_200, days=2, visits=4, seed=3), EXAMPLE)
    assert played.offences == []
    assert [name for name, count in played.faults.items() if not count] == []


@pytest.mark.parametrize(
    ("bug", "asked", "said"),
    [
        ("double-retraction", Asked(devices=200, days=3, seed=1), "told were"),
        ("early-ack", Asked(devices=200, days=3, seed=1), "and stands at"),
        ("aggregate", Asked(devices=2_500, days=2, visits=6, seed=1), "told were"),
        ("limit", Asked(devices=40, days=2, seed=1), "in a day, allowed: 1,024"),
        ("crowd", Asked(devices=200, days=1, seed=1), "which 2 households watched"),
    ],
)
def test_a_planted_bug_is_found(bug: str, asked: Asked, said: str) -> None:
    played = simulate(msgspec.structs.replace(asked, plant=bug), EXAMPLE)
    assert played.broken_on_day is not None
    assert said in played.offences[0]


@pytest.mark.parametrize(
    "wrong", [{"devices": 0}, {"days": 366}, {"visits": 0}, {"seed": -1}, {"plant": "none"}], ids=str
)
def test_what_cannot_be_played_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="allowed"):
        Asked(**wrong)  # type: ignore[arg-type]


def test_virtual_time_passes_only_while_nobody_works() -> None:
    async def ran() -> list[float]:
        loop = asyncio.get_running_loop()
        moments = [loop.time()]
        await asyncio.sleep(86_400)
        moments.append(loop.time())
        assert await loop.run_in_executor(None, lambda: 7) == 7
        moments.append(loop.time())
        return moments

    began_s = time.monotonic()
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(ran()) == pytest.approx([0, 86_400, 86_400 + STORED_S])
    assert time.monotonic() - began_s < 10


def test_waiting_for_nothing_is_said_and_ends() -> None:
    loop = VirtualLoop()
    try:
        with pytest.raises(OmegaError, match="waits for something that never comes"):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()


def test_nobody_is_unsettled_where_nobody_is() -> None:
    assert unsettled([]) == []
