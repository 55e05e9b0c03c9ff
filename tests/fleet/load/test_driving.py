"""The open loop: who is due leaves in time, and a stall anywhere shows from the due time on."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.errors import DeniedError
from omega.core.identity.keyring import KeyRing
from omega.core.identity.tokens import Tokens
from omega.core.wire import Header, lineage_code, space_code
from omega.fleet.load.carrying import Visit
from omega.fleet.load.devices import Devices, Role, Told
from omega.fleet.load.driving import Driver
from omega.fleet.load.scenarios import planned
from omega.fleet.load.watching import Watching
from omega.fleet.load.wheel import NEVER_MS
from tests.device.sync.shards import SPACE, Shard

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.fleet.load.carrying import Carrier, Ends
    from omega.fleet.load.scenarios import Load

CATALOG = Catalog.read(EXAMPLE_CATALOG_PATH)
HEADER = Header(space=space_code(SPACE), lineage=lineage_code(CATALOG.lineage), epoch=CATALOG.epoch)
DAY = 20_800


class Near:
    """A carrier to a shard in this process, which answers after a moment; `judge` may answer in its place."""

    def __init__(self, ends: Ends, shard: Shard, judge: Callable[[Visit], tuple[int, bytes, float] | None]) -> None:
        self.ends, self.shard, self.judge = ends, shard, judge
        self.sent: list[tuple[int, float]] = []
        self.waiting = 0
        self.figures: dict[str, int] = {}

    def send(self, visit: Visit) -> bool:
        visit.sent_s = time.perf_counter()
        self.sent.append((visit.device, visit.due_s))
        asyncio.get_running_loop().call_later(0.001, self._answer, visit)
        return True

    def _answer(self, visit: Visit) -> None:
        found = self.judge(visit)
        if found is not None and found[0] == 0:
            self.ends.lost(visit, "gone")
        elif found is not None:
            self.ends.answered(visit, *found)
        else:
            self.ends.answered(visit, 200, self.shard.answer(str(visit.device), visit.told.frame), 0.0)

    async def close(self) -> None:
        pass


def driven(
    load: Load,
    *,
    judge: Callable[[Visit], tuple[int, bytes, float] | None] = lambda visit: None,
    on_second: Callable[[Driver], None] = lambda driver: None,
) -> tuple[Driver, Any]:
    now_s = int(time.time())
    watching = Watching(len(CATALOG), load.seed, DAY)
    mixed = load.kind == "mix"
    devices = Devices(np.arange(load.devices), watching, HEADER, now_s=now_s, seed=load.seed, mixed=mixed)
    tokens = Tokens(KeyRing.fresh(now_s), 0, lambda slot: now_s)
    shard = Shard(CATALOG)
    driver = Driver(load, devices, tokens, lambda ends: Near(ends, shard, judge))
    asyncio.run(driver.run(on_second))
    return driver, driver.carrier


def a_load(**asked: Any) -> Load:
    given: dict[str, Any] = {"scenario": "light", "devices": 400, "interval_s": 1.0, "duration_s": 1.2}
    return planned(**given | asked)


def test_everybody_comes_when_due_and_comes_again() -> None:
    driver, near = driven(a_load())
    totals = driver.figures.totals
    assert totals.due == totals.sent == totals.ok == totals.answered == len(near.sent)
    assert (totals.refused, totals.failed, driver.unserved, driver.in_flight) == (0, 0, 0, 0)
    visits = Counter(device for device, _ in near.sent)
    assert len(visits) == 400, "each is due within the first interval"
    assert max(visits.values()) > 1
    dues = [due_s for _, due_s in near.sent]
    assert dues == sorted(dues)
    given = sum(near.shard.state.given.values())
    assert given == totals.contributed > 400
    assert sum(second.ok for second in driver.figures.seconds) == totals.ok


def test_a_stall_of_half_a_second_shows_from_due_and_not_from_send() -> None:
    """Coordinated omission: a closed loop would have asked nobody meanwhile, and told of one slow sync."""
    stalled: list[bool] = []

    def stall(_: Driver) -> None:
        if not stalled:
            stalled.append(True)
            time.sleep(0.5)

    driver, _ = driven(a_load(devices=1_000, interval_s=2.0, duration_s=2.0), on_second=stall)
    latency, service = driver.figures.latency.percentiles(), driver.figures.service.percentiles()
    assert driver.figures.totals.ok == driver.figures.totals.due
    assert 440 < latency.p99 < 900
    assert service.p99 < 250
    assert driver.figures.saturated, "the generator stood still itself: the run is void"


def put_off(driver: Driver, device: int, *outcome: Any) -> float:
    """Let a device be answered so, and return in how many seconds it is due again."""
    visit = Visit(device, driver._began_s, Told(b"", 1, 1, 1, 0), "")
    driver.answered(visit, *outcome) if len(outcome) > 1 else driver.lost(visit, *outcome)
    due_ms = int(driver.wheel._due_ms[device])
    driver.wheel._due_ms[device] = NEVER_MS
    return math.inf if due_ms == NEVER_MS else due_ms / 1000 - driver.passed_s


def test_who_is_put_off_comes_again_by_the_pace_of_a_real_tv() -> None:
    load = msgspec.structs.replace(a_load(devices=200, duration_s=1.0), duration_s=10_000.0)
    driver, _ = idle(load)
    asked = [put_off(driver, device, 503, b"busy", 40.0) for device in range(100)]
    assert min(asked) >= 39.9, "no sooner than the shard asks"
    assert 45 < max(asked) <= 50.1, "and a quarter later at most"
    lost = [put_off(driver, device, "gone") for device in range(100, 200)]
    assert min(lost) >= 0.9
    assert 12 < max(lost) <= 15.1, "a first failure waits up to 15 s"
    again = [put_off(driver, device, "gone") for device in range(100, 200)]
    assert 25 < max(again) <= 30.1, "a second one twice as long"
    for _ in range(2):
        later = [put_off(driver, device, "gone") for device in range(100, 200)]
    probes = [put_off(driver, device, "gone") for device in range(100, 200)]
    assert 60 < max(later) <= 120.1
    assert min(probes) >= 899, "after five in a row it probes after 15 minutes at the soonest"
    assert driver.figures.totals.failed == 500
    assert driver.figures.totals.refused == 100


def no_carrier(ends: Ends) -> Carrier:
    raise NotImplementedError


def idle(load: Load) -> tuple[Driver, Any]:
    """A driver whose run has begun and sends nothing."""
    now_s = int(time.time())
    devices = Devices(np.arange(load.devices), Watching(len(CATALOG), 1, DAY), HEADER, now_s=now_s, seed=1, mixed=False)
    driver = Driver(load, devices, Tokens(KeyRing.fresh(now_s), 0, lambda slot: now_s), no_carrier)
    driver._began_s = time.perf_counter()
    return driver, devices


@pytest.mark.parametrize(
    ("status", "body", "counted"),
    [(401, b"token", "status 401 (token)"), (400, b"frame", "status 400 (frame)"), (200, b"x", "broken answer")],
)
def test_wrong_answers_are_failures(status: int, body: bytes, counted: str) -> None:
    driver, _ = idle(a_load())
    put_off(driver, 0, status, body, 0.0)
    (reason,) = driver.figures.reasons
    assert reason.startswith(counted)
    assert (driver.figures.totals.failed, driver.figures.totals.refused) == (1, 0)


def test_in_a_storm_all_come_at_once_and_once() -> None:
    load = msgspec.structs.replace(planned(scenario="storm", devices=500, duration_s=1.0), return_s=0.3)
    driver, near = driven(load)
    assert len(near.sent) == driver.figures.totals.ok == 500
    assert max(due_s for _, due_s in near.sent) - min(due_s for _, due_s in near.sent) <= 0.3


def test_in_a_mix_some_misbehave_and_nothing_fails() -> None:
    """Old tokens are looked at by a gate like a shard's; who lost versions, forgets, or is slow is told apart."""
    now = time.time
    checked: list[Tokens] = []

    def judge(visit: Visit) -> tuple[int, bytes, float] | None:
        try:
            checked[0].check(visit.token, now())
        except DeniedError:
            return 401, b"denied", 0.0
        return None

    load = planned(scenario="mix", devices=1_500, interval_s=1.0, duration_s=1.5)
    watching, now_s = Watching(len(CATALOG), load.seed, DAY), int(now())
    devices = Devices(np.arange(1_500), watching, HEADER, now_s=now_s, seed=1, mixed=True)
    checked.append(Tokens(KeyRing.fresh(now_s - 200_000), 0, lambda slot: 0))
    shard = Shard(CATALOG)
    driver = Driver(load, devices, checked[0], lambda ends: Near(ends, shard, judge))
    asyncio.run(driver.run())
    reasons, totals = driver.figures.reasons, driver.figures.totals
    roles = Counter(devices.role(device) for device in range(1_500))
    assert reasons["old token"] == roles[Role.OLD_TOKEN] > 0
    assert reasons["resync (gap)"] == roles[Role.RESTORED] > 0
    assert totals.failed == 0
    assert totals.retracted > 0
    assert sum(shard.state.given.values()) == totals.contributed
    assert sum(shard.state.taken_back.values()) == totals.retracted
    assert driver.unserved == 0
