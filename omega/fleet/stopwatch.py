"""How long things take, in milliseconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from omega.core.machine import rss_bytes
from omega.fleet.report import Timings

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Stopwatch:
    """Times calls by name."""

    def __init__(self) -> None:
        """Begin without any."""
        self._ms: dict[str, list[float]] = {}

    def time(self, what: str, call: Callable[[], T]) -> T:
        """Call it, note how long it took, and return what it returned."""
        started = time.perf_counter()
        result = call()
        self._ms.setdefault(what, []).append(1000 * (time.perf_counter() - started))
        return result

    def timings(self) -> Timings:
        """Return the percentiles of observe, cold, warm and embed, all of which were timed, and the memory taken."""

        def at(what: str, percentile: int) -> float:
            return round(float(np.percentile(self._ms[what], percentile)), 3)

        return Timings(
            recommend_cold_p50_ms=at("cold", 50),
            recommend_cold_p99_ms=at("cold", 99),
            recommend_warm_p50_ms=at("warm", 50),
            recommend_warm_p99_ms=at("warm", 99),
            embed_p50_ms=at("embed", 50),
            observe_p50_ms=at("observe", 50),
            rss_mib=round(rss_bytes() / 2**20, 1),
        )
