"""When a device may come and when it is to come again, and how long a shard gathers and keeps what it says."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from random import Random

    from omega.core.ports import Bits, Integers


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often devices are asked to come."""

    least_s: int = 300
    most_s: int = 900
    syncs_per_s: float = 3_000.0
    """What the shard wants to serve at most; with more devices than that the interval grows, up to `most_s`."""
    jitter: float = 0.2
    """Share by which each interval is longer or shorter, so that devices spread."""
    burst: int = 5
    """Syncs that a device may make at once, ..."""
    refill_s: float = 30.0
    """... and then one in so many seconds."""

    def next_sync_s(self, devices: int, random: Random) -> int:
        """Return in how many seconds a device is to come again, at a shard with so many of them."""
        return spread(min(max(self.least_s, devices / self.syncs_per_s), self.most_s), self.jitter, random)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """How a shard serves."""

    tick_s: float = 0.05
    """How long the first of a tick waits for others."""
    most_waiting: int = 8_192
    """Syncs in the queue; beyond, devices are asked to come later."""
    pull_s: float = 5.0
    """The pull is made again at most so often."""
    retry_s: float = 30.0
    """When whoever is refused is to come again; spread by half, so that they don't all come at once."""
    probe_s: float = 2.0
    """How long a store that failed is left alone, while nobody comes."""
    stuck_s: float = 10.0
    """A commit that takes longer is a failure: no TV waits longer for its answer."""
    pace: Pace = Pace()
    day_samples: int = 1_024
    """What a device may contribute in a day of the shard's: 250 times what a household watches, since one that was cut
    off for weeks tells all of it in a day. Without it a device that pushes all day counts for 200,000 others."""


class Allowance:
    """A token bucket for each device, as the one moment at which it will be full (GCRA): 8 bytes, .3 us.

    The library `limits` takes 5 us and 400 bytes for the same.
    """

    def __init__(self, pace: Pace) -> None:
        """Let every device come at once."""
        self._refill_s, self._ahead_s = pace.refill_s, pace.refill_s * (pace.burst - 1)
        self._full_at = array("d")

    def wait_s(self, slot: int, now_s: float) -> float:
        """Count a sync of a device at a moment of a clock that never goes back; return 0, or how long it must wait."""
        if slot >= len(self._full_at):
            self._full_at.extend([0.0] * (slot + 1 - len(self._full_at)))
        full_at = max(self._full_at[slot], now_s)
        if full_at - now_s > self._ahead_s:
            return full_at - now_s - self._ahead_s
        self._full_at[slot] = full_at + self._refill_s
        return 0.0


class Budgets:
    """What each device has contributed today: 4 bytes a device; a restart forgets it."""

    def __init__(self, most: int) -> None:
        """Let every device contribute so many samples a day."""
        self._most = most
        self._day, self._spent = 0, array("I")

    def spend(self, slot: int, samples: int, day: int) -> bool:
        """Count samples of a device, and say whether it may contribute them on this day; if not, none is counted.

        A day's first push is never refused.
        """
        self._reach(slot, day)
        if self._spent[slot] and self._spent[slot] + samples > self._most:
            return False
        self._spent[slot] += samples
        return True

    def spend_all(self, slots: Integers, samples: Integers, day: int) -> Bits:
        """Do the same for different devices (n,) at once."""
        self._reach(int(slots.max(initial=0)), day)
        spent = np.frombuffer(self._spent, np.uint32)
        before = spent[slots]
        may: Bits = (before == 0) | (before + samples <= self._most)
        spent[slots[may]] += samples[may].astype(np.uint32)
        return may

    def _reach(self, slot: int, day: int) -> None:
        if day != self._day:
            self._day, self._spent = day, array("I")
        if slot >= len(self._spent):
            self._spent.extend([0] * (slot + 1 - len(self._spent)))

    def refund(self, slot: int, samples: int, day: int) -> None:
        """Give back what was spent on this day for samples that the store didn't count."""
        if day == self._day:
            self._spent[slot] -= samples


def spread(seconds: float, jitter: float, random: Random) -> int:
    """Return whole seconds, at least 1, up to a share `jitter` more or less."""
    return max(round(seconds * (1 + jitter * (2 * random.random() - 1))), 1)
