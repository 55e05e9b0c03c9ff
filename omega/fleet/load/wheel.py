"""Who is due when: a timer wheel in two arrays, 8 B a device and .3 us an event.

Each of its spokes is a millisecond and begins a chain of devices, which `_next` goes on with. A spoke comes round again
every `2^k` ms; who is due at a later round stays in the chain. (An asyncio timer takes 690 B a device, a heap 137 B and
5 us an event.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from omega.core.ports import Doubles

_NOBODY = 0xFFFFFFFF
_MOST_SPOKES = 1 << 20
NEVER_MS = 0xFFFFFFFF
"""A device that isn't due any more."""


class Wheel:
    """Devices by due time, whole milliseconds from the run's start; a device is due once at a time."""

    def __init__(self, devices: int, horizon_s: float) -> None:
        """Hold so many devices, nobody due yet; it is quickest when `horizon_s` is as far as anybody is due."""
        spokes = 1 << max(int(horizon_s * 1000), 1).bit_length()
        self._mask = min(spokes, _MOST_SPOKES) - 1
        self._first = np.full(self._mask + 1, _NOBODY, np.uint32)
        self._next = np.full(devices, _NOBODY, np.uint32)
        self._due_ms = np.full(devices, NEVER_MS, np.uint32)
        self._turned_ms = 0
        self._firsts, self._nexts, self._dues = (_view(one) for one in (self._first, self._next, self._due_ms))

    @property
    def size_bytes(self) -> int:
        """What its arrays take."""
        return self._first.nbytes + self._next.nbytes + self._due_ms.nbytes

    def fill(self, due_s: Doubles) -> None:
        """Let device i be due at `due_s[i]`, (n,) seconds, never if that is infinite; once, at first."""
        due = np.flatnonzero(np.isfinite(due_s))
        due_ms = np.minimum(due_s[due] * 1000, NEVER_MS - 1).astype(np.uint32)
        self._due_ms[due] = due_ms
        spoke = due_ms & np.uint32(self._mask)
        by_spoke = np.argsort(spoke, kind="stable")
        order, sorted_spokes = due[by_spoke], spoke[by_spoke]
        if not len(order):
            return
        begins = np.flatnonzero(np.r_[True, sorted_spokes[1:] != sorted_spokes[:-1]])
        follows = np.r_[order[1:], 0].astype(np.uint32)
        follows[np.r_[begins[1:] - 1, len(order) - 1]] = _NOBODY
        self._next[order] = follows
        self._first[sorted_spokes[begins]] = order[begins]

    def put(self, device: int, due_ms: int) -> None:
        """Let a device that isn't due be due then, or at the next turn if that is past."""
        due_ms = min(max(due_ms, self._turned_ms), NEVER_MS - 1)
        spoke = due_ms & self._mask
        self._dues[device] = due_ms
        self._nexts[device] = self._firsts[spoke]
        self._firsts[spoke] = device

    def turn(self, until_ms: int) -> list[tuple[int, int]]:
        """Return (device, due ms) of all who are due before `until_ms` and weren't returned, in order of time."""
        found: list[tuple[int, int]] = []
        for at_ms in range(self._turned_ms, until_ms):
            spoke = at_ms & self._mask
            device = self._firsts[spoke]
            if device != _NOBODY:
                self._firsts[spoke] = _NOBODY
                self._take(device, at_ms, found)
        self._turned_ms = max(until_ms, self._turned_ms)
        return found

    def _take(self, device: int, at_ms: int, found: list[tuple[int, int]]) -> None:
        """Go along one chain: who is due is taken out, who is due at a later round goes back."""
        spoke = at_ms & self._mask
        while device != _NOBODY:
            following = self._nexts[device]
            due_ms = self._dues[device]
            if due_ms <= at_ms:
                self._dues[device] = NEVER_MS
                found.append((device, due_ms))
            else:
                self._nexts[device] = self._firsts[spoke]
                self._firsts[spoke] = device
            device = following


def _view(array: Any) -> memoryview:
    """Return the array for single reads and writes, which take a third of numpy's time."""
    return memoryview(array)


def first_dues(devices: int, interval_s: float, ramp_s: float, seed: int) -> Doubles:
    """Return (devices,) seconds: when each comes first.

    Each draws a moment of the interval for itself, so that they come as strangers do: evenly in the mean, in knots.
    With a ramp the rate grows linearly for so long: the moment u becomes the t at which u of the load is due.
    """
    drawn = np.random.default_rng([seed, 1]).uniform(0, interval_s, devices)
    if ramp_s <= 0:
        return drawn
    early = drawn < ramp_s / 2
    return np.where(early, np.sqrt(2 * ramp_s * drawn), drawn + ramp_s / 2)
