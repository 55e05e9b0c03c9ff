"""What became of all syncs: counts, histograms (HdrHistogram, three digits), and a line for each second."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram

from omega.fleet.load.counts import Percentiles, Second, Totals

if TYPE_CHECKING:
    from omega.fleet.load.devices import Told

LONGEST_S = 120
_DIGITS = 3
_EXACT_BITS = 11
"""With three digits the library tells numbers below 2^11 apart, and of greater ones the first 11 bits."""
_PERCENTILES = (50.0, 90.0, 99.0, 99.9)
LATE_SHARE = 0.01
LATE_LEAST = 10
"""With a greater share of all syncs late, and more than so many, the generator was saturated."""


class Latency:
    """A histogram of microseconds."""

    def __init__(self) -> None:
        """Begin empty."""
        self._kept: Any = HdrHistogram(1, LONGEST_S * 1_000_000, _DIGITS)
        self._recent = array("d")
        self.record = self._recent.append
        """Counts one, of so many seconds: .05 us, and as much again once it is added."""

    def add_up(self) -> Any:
        """Return the library's histogram with all in it: those of one bucket, which it takes for the same, at once."""
        us = np.clip(np.array(self._recent) * 1e6, 1, LONGEST_S * 1_000_000).astype(np.int64)
        del self._recent[:]
        shift = np.maximum(np.frexp(us)[1] - _EXACT_BITS, 0)
        values, counts = np.unique(us >> shift << shift, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._kept.record_value(value, count)
        return self._kept

    def percentiles(self) -> Percentiles:
        """Return what is shown of it; as the library's own, whose walk over all buckets takes 5 ms."""
        kept = self.add_up()
        counts, total = np.asarray(kept.counts), int(kept.total_count)
        if not total:
            return Percentiles()
        sums = np.cumsum(counts)
        wanted = [max(int(share / 100 * total + 0.5), 1) for share in _PERCENTILES]
        found = [kept.get_value_from_index(int(at)) for at in np.searchsorted(sums, wanted)]
        tops = [kept.get_highest_equivalent_value(value) for value in found]
        return Percentiles(*(value / 1000 for value in (*tops, kept.get_max_value())))

    @property
    def curve(self) -> list[tuple[float, float]]:
        """Percentiles and milliseconds, ascending, for a plot."""
        items = self.add_up().get_percentile_iterator(5)
        return [(float(item.percentile_level_iterated_to), item.value_iterated_to / 1000) for item in items]


class Figures:
    """Takes note of each sync; for the generator's loop."""

    def __init__(self, late_s: float) -> None:
        """Begin empty; a sync that leaves more than `late_s` after its due time is late."""
        self.totals = Totals()
        self.reasons: Counter[str] = Counter()
        self.latency, self.service, self.lag = Latency(), Latency(), Latency()
        self.seconds: list[Second] = []
        self._late_s = late_s
        self._before = Totals()
        self._recent = array("d")

    @property
    def saturated(self) -> bool:
        """Whether the generator itself was too late, too often."""
        return self.totals.late > max(LATE_SHARE * self.totals.sent, LATE_LEAST)

    def left(self, lag_s: float, frame_bytes: int) -> None:
        """Note that a sync leaves, so long after its due time."""
        totals = self.totals
        totals.sent += 1
        totals.late += lag_s > self._late_s
        totals.bytes_up += frame_bytes
        self.lag.record(lag_s)

    def acknowledged(self, latency_s: float, service_s: float, told: Told) -> None:
        """Note an ack, so long after the due time and after the question left."""
        totals = self.totals
        totals.ok += 1
        totals.contributed += told.contributed
        totals.retracted += told.retracted
        self.latency.record(latency_s)
        self.service.record(service_s)
        self._recent.append(latency_s)

    def refused(self, reason: str) -> None:
        """Note an answer that counts nothing."""
        self.totals.refused += 1
        self.reasons[reason] += 1

    def failed(self, reason: str) -> None:
        """Note that no answer came, or a wrong one."""
        self.totals.failed += 1
        self.reasons[reason] += 1

    def end_second(self) -> None:
        """Begin the next second's line."""
        for histogram in (self.latency, self.service, self.lag):
            histogram.add_up()
        now, before = self.totals, self._before
        recent = np.frombuffer(self._recent) if self._recent else np.zeros(1)
        p50_s, p99_s = np.percentile(recent, (50, 99))
        changed = {
            name: getattr(now, name) - getattr(before, name) for name in ("due", "sent", "ok", "refused", "failed")
        }
        self.seconds.append(
            Second(len(self.seconds), **changed, p50_ms=float(p50_s) * 1000, p99_ms=float(p99_s) * 1000)
        )
        self._before = msgspec.structs.replace(now)
        self._recent = array("d")
