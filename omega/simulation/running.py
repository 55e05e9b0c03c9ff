"""One simulation from its seed to its report."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import InputError, shown
from omega.core.machine import collector_spared, peak_rss_bytes
from omega.core.types import SLOTS
from omega.simulation.planted import BUGS
from omega.simulation.virtual import VirtualLoop
from omega.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omega.core.catalog import Catalog

_IN_MEMORY = "/dev/shm"  # noqa: S108  (a folder of its own is made there)
MOST_DEVICES, MOST_DAYS, MOST_VISITS = 200_000, 365, 48


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is played."""

    devices: int = 2_000
    days: int = 3
    visits: int = 3
    """Of each TV and day."""
    seed: int = 1
    plant: str | None = None
    """A bug of `planted.BUGS` that is to be found."""

    def __post_init__(self) -> None:
        """Raise InputError for what can't be played."""
        for name, most in (("devices", MOST_DEVICES), ("days", MOST_DAYS), ("visits", MOST_VISITS)):
            if not 1 <= (found := getattr(self, name)) <= most:
                raise InputError(f"{name} is {found:,}, allowed: 1..{most:,}")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}, allowed: 0 and more")
        if self.plant is not None and self.plant not in BUGS:
            raise InputError(f"plant is {shown(self.plant)}, allowed: {', '.join(BUGS)}")


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    devices: int
    days: int
    seed: int
    plant: str | None
    syncs: int
    samples: int
    """That the shards hold at the end."""
    faults: dict[str, int]
    checks: int
    """How often all sums were compared."""
    offences: list[str]
    """What was wrong at the first check that found something; empty: nothing ever."""
    broken_on_day: int | None
    digest: str
    """Of all sums at the end and all faults: the same for the same seed."""
    seconds: float
    peak_memory_bytes: int


def simulate(
    asked: Asked, catalog: Catalog, progress: Callable[[int, int, str], None] = lambda done, total, what: None
) -> Played:
    """Play it in a folder that is removed again. Raises OmegaError."""
    began_s = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="omega-simulate-", dir=_quick_folder()) as folder,
        collector_spared(),
        _quiet(),
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        return runner.run(_played(asked, catalog, Path(folder), progress, began_s))


@contextmanager
def _quiet() -> Iterator[None]:
    """Let shards that are killed within the block say nothing of it."""
    log = logging.getLogger("omega.shard")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _quick_folder() -> str | None:
    """Return a folder in memory, where there is one: kills are simulated, so nothing has to wait for a disk."""
    return _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None


async def _played(
    asked: Asked, catalog: Catalog, folder: Path, progress: Callable[[int, int, str], None], began_s: float
) -> Played:
    world = World(folder, catalog, devices=asked.devices, visits=asked.visits, seed=asked.seed, bug=asked.plant)
    await world.start()
    expected = asked.devices * asked.days
    lived, checks, offences, broken = 0, 0, list[str](), None

    def one_lived() -> None:
        nonlocal lived
        lived += 1
        progress(lived, expected, f"day {checks + 1} of many TVs")

    for day in range(asked.days):
        offences = await world.day(day, one_lived)
        checks += 1
        if offences:
            broken = day + 1
            break
    else:
        offences = await world.settle()
        checks += 1
        broken = asked.days if offences else None
    sums = [
        (shard.number, row.title, row.slot, row.now.samples, row.now.success_milli)
        for shard in world.shards
        for row in shard.store.aggregates()
    ]
    faults = {fault.value: count for fault, count in world.faults.items()}
    for shard in world.shards:
        shard.kill()
    return Played(
        devices=asked.devices,
        days=asked.days,
        seed=asked.seed,
        plant=asked.plant,
        syncs=world.syncs,
        samples=sum(samples for _, _, slot, samples, _ in sums if slot < SLOTS),
        faults=faults,
        checks=checks,
        offences=offences,
        broken_on_day=broken,
        digest=hashlib.blake2b(msgspec.json.encode([sums, faults]), digest_size=8).hexdigest(),
        seconds=time.perf_counter() - began_s,
        peak_memory_bytes=peak_rss_bytes(),
    )
