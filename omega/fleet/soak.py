"""Years of watching through one TV as fast as it can, to see whether its memory or its file grow without end.

Several generated households share the TV and, each at its own time, move out for new ones within a year or so, so that
titles, habits and tastes keep changing. Nothing is judged but sizes.
"""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.machine import rss_bytes
from omega.fleet.demo import START
from omega.fleet.generated import generated
from omega.fleet.households import Household

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omega.core.catalog import Catalog
    from omega.core.types import ViewingEvent
    from omega.device.brain import Brain
    from omega.fleet.demo import Clock

EVERY = 1000
"""Events between two samples; idle work is done before each."""
WARM_UP = 10_000
"""Events before the slope counts."""
_TENANTS = 8
_LEASE_WEEKS = 52
_ASK_EVERY = 20
"""Events between two recommendations."""


class Sample(msgspec.Struct, frozen=True):
    """Sizes after some events."""

    events: int
    rss_mib: float
    file_mib: float
    """The store with its log, after the idle work."""
    live_mib: float
    """A copy of the store without unused pages."""


class Soaked(msgspec.Struct, frozen=True):
    """What came of it."""

    events: int
    patterns: int
    simulated_years: float
    seconds: float
    slope_mib: float
    """Growth of the process's memory per 10,000 events after the warm-up, by least squares."""
    file_ratio: float
    """The largest file against its live data, after the warm-up."""
    samples: tuple[Sample, ...]


def soak(
    brain: Brain,
    clock: Clock,
    catalog: Catalog,
    *,
    events: int,
    seed: int,
    budget_s: float,
    live_bytes: Callable[[], int],
    tend: Callable[[], object],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Soaked:
    """Let a brain observe so many events, or as many as the time allows, and sample its sizes every EVERY events.

    `clock` is the brain's; `live_bytes` gives the size of the store's data without unused pages; `tend` does the
    brain's idle work; `progress` gets events done and in all.
    """
    started = time.monotonic()
    samples: list[Sample] = []
    done = 0
    for event in stream(catalog, seed):
        clock.moment = event.at or clock.moment
        brain.observe(event)
        done += 1
        if done % _ASK_EVERY == 0:
            brain.recommend()
        if done % EVERY == 0:
            tend()
            samples.append(_sample(brain, done, live_bytes()))
            progress(done, events)
        if done == events or time.monotonic() - started > budget_s:
            break
    warm = [sample for sample in samples if sample.events >= min(WARM_UP, events // 5)]
    return Soaked(
        events=done,
        patterns=brain.counts()[1],
        simulated_years=round((clock.moment - START).days / 365.25, 1),
        seconds=round(time.monotonic() - started, 1),
        slope_mib=round(slope([sample.events for sample in warm], [sample.rss_mib for sample in warm]) * 10_000, 3),
        file_ratio=round(max((sample.file_mib / sample.live_mib for sample in warm), default=np.nan), 3),
        samples=tuple(samples),
    )


def stream(catalog: Catalog, seed: int) -> Iterator[ViewingEvent]:
    """Give, without end and in order of time, what several households watch that come and go."""
    newcomers = (Household(generated(number), catalog, number) for number in count(seed * 1_000_003))
    tenants = [next(newcomers) for _ in range(_TENANTS)]
    for day in count():
        if day and day % (7 * _LEASE_WEEKS // _TENANTS) == 0:
            tenants = [*tenants[1:], next(newcomers)]
        today = [event for tenant in tenants for event in tenant.day(START + timedelta(days=day))]
        yield from sorted(today, key=lambda event: event.at or START)


def slope(x: list[int], y: list[float]) -> float:
    """Return the least-squares slope of y over x; NaN with less than two points."""
    return float(np.polyfit(x, y, 1)[0]) if len(x) > 1 else float("nan")


def _sample(brain: Brain, events: int, live_bytes: int) -> Sample:
    sizes = (rss_bytes(), brain.status().store_bytes, live_bytes)
    return Sample(events, *(round(size / 2**20, 3) for size in sizes))
