"""The open loop: whoever is due leaves, whatever became of those before."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from omega.core.identity.keyring import TOKEN_S
from omega.device.sync.pacing import Pace
from omega.fleet.load.carrying import TIMEOUT_S, Visit
from omega.fleet.load.devices import Role
from omega.fleet.load.figures import Figures
from omega.fleet.load.scenarios import late_s
from omega.fleet.load.wheel import Wheel, first_dues

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.identity.tokens import Tokens
    from omega.fleet.load.carrying import Carrier, OpenCarrier
    from omega.fleet.load.devices import Devices
    from omega.fleet.load.scenarios import Load

AHEAD_MS = 20
"""Frames are made so long before they are due at least, ..."""
_AT_ONCE_MS = 40
"""... and for so long at once: together they cost a third of what each would alone."""
_LEAST_SLEEP_S, _LONGEST_SLEEP_S = 0.001, 0.008
_ABUSE_S, _PAUSE_S = 1.0, 1.0
_OK, _DENIED = 200, 401
_FAILED = ("broken answer", "an ack of another push")


class Driver:
    """Runs one load; for one event loop."""

    def __init__(self, load: Load, devices: Devices, tokens: Tokens, open_carrier: OpenCarrier) -> None:
        """`devices` are known to the shard whose key signs `tokens`."""
        self.load, self.devices, self._tokens = load, devices, tokens
        self.figures = Figures(late_s(load))
        self.wheel = Wheel(len(devices), max(load.duration_s, 1))
        self._open_carrier = open_carrier
        self._random, self._pace = Random(load.seed), Pace()  # noqa: S311  (draws load, guards nothing)
        self._ready: deque[Visit] = deque()
        self._inside = 0
        self._old: set[int] = set()
        self._ended = False
        self._began_s = 0.0
        self._made_until_ms = 0
        self.carrier: Carrier

    @property
    def in_flight(self) -> int:
        """How many wait for an answer, or for a connection."""
        return self._inside

    @property
    def passed_s(self) -> float:
        """How long it runs already."""
        return time.perf_counter() - self._began_s

    async def run(self, on_second: Callable[[Driver], None] = lambda driver: None) -> None:
        """Let all come who are due within the duration, then wait for the last answers, as long as a TV does.

        `on_second` is called in the loop: what it takes, the next syncs are late.
        """
        self.wheel.fill(self._dues())
        self.devices.warm_up()
        self.carrier = self._open_carrier(self)
        self._began_s = time.perf_counter() + AHEAD_MS / 1000
        try:
            await self._offer(on_second)
            await self._last_answers(on_second)
        finally:
            self._ended = True
            await self.carrier.close()

    def _dues(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        load = self.load
        if load.kind == "storm":
            due_s = np.random.default_rng([load.seed, 4]).uniform(0, load.return_s, len(self.devices))
        else:
            due_s = first_dues(len(self.devices), load.interval_s, load.ramp_s, load.seed)
        due_s[due_s >= load.duration_s] = np.inf
        return due_s

    async def _offer(self, on_second: Callable[[Driver], None]) -> None:
        duration_s, second = self.load.duration_s, 1
        while (passed_s := self.passed_s) < duration_s:
            self._prepare(passed_s)
            self._leave()
            if passed_s >= second:
                second += 1
                self.figures.end_second()
                on_second(self)
            await asyncio.sleep(self._rest_s())
        self._prepare(duration_s)
        self._leave()

    async def _last_answers(self, on_second: Callable[[Driver], None]) -> None:
        until_s = time.perf_counter() + TIMEOUT_S + 1
        second_s = time.perf_counter() + 1
        while self._inside and time.perf_counter() < until_s:
            await asyncio.sleep(0.01)
            if time.perf_counter() >= second_s:
                second_s += 1
                self.figures.end_second()
                on_second(self)
        self.figures.end_second()
        on_second(self)

    # --- who is due ---

    def _prepare(self, passed_s: float) -> None:
        """Make what will leave within the next moment."""
        ahead_ms = int(passed_s * 1000) + AHEAD_MS
        if ahead_ms <= self._made_until_ms:
            return
        self._made_until_ms = min(ahead_ms + _AT_ONCE_MS, int(self.load.duration_s * 1000))
        due = self.wheel.turn(self._made_until_ms)
        if not due:
            return
        told = self.devices.told([device for device, _ in due])
        now_s, give, began_s = time.time(), self._tokens.give, self._began_s
        for (device, due_ms), push in zip(due, told, strict=True):
            role, slot = self.devices.role(device), self.devices.slot(device)
            token = self._old_token(device, slot, now_s) if role is Role.OLD_TOKEN else give(slot, now_s)
            pause_s = _PAUSE_S if role is Role.SLOW else 0.0
            self._ready.append(Visit(device, began_s + due_ms / 1000, push, token, pause_s))
        self.figures.totals.due += len(due)

    def _old_token(self, device: int, slot: int, now_s: float) -> str:
        """Return a token that ended a minute ago, when a device comes first."""
        given_s = now_s if device in self._old else now_s - TOKEN_S - 60
        self._old.add(device)
        return self._tokens.give(slot, given_s)

    def _leave(self) -> None:
        """Send all whose time has come."""
        now_s = time.perf_counter()
        while self._ready and self._ready[0].due_s <= now_s:
            visit = self._ready.popleft()
            self._inside += 1
            now_s = time.perf_counter()
            self.figures.left(now_s - visit.due_s, len(visit.told.frame))
            self.figures.totals.queued += not self.carrier.send(visit)

    def _rest_s(self) -> float:
        if not self._ready:
            return _LONGEST_SLEEP_S
        return min(max(self._ready[0].due_s - time.perf_counter(), _LEAST_SLEEP_S), _LONGEST_SLEEP_S)

    # --- what becomes of them ---

    def answered(self, visit: Visit, status: int, body: bytes, retry_after_s: float) -> None:
        """Take in an answer; the device is due again when its pace says so."""
        self._inside -= 1
        self.figures.totals.bytes_down += len(body)
        self.figures.totals.answered += status == _OK
        if status != _OK:
            self._put_off(visit, status, body, retry_after_s)
            return
        heard = self.devices.heard(visit.device, visit.told, body)
        if heard.acknowledged:
            now_s = time.perf_counter()
            latency_s, service_s = now_s - visit.due_s - visit.pause_s, now_s - visit.sent_s - visit.pause_s
            self.figures.acknowledged(max(latency_s, 0), max(service_s, 0), visit.told)
        elif heard.reason.startswith(_FAILED):
            self.lost_answer(visit, heard.reason)
            return
        else:
            self.figures.refused(heard.reason)
        self._again(visit, at_once=heard.again)

    def lost(self, visit: Visit, reason: str) -> None:
        """Take note that no answer comes; the device tries again as its pace says."""
        self._inside -= 1
        self.lost_answer(visit, reason)

    def lost_answer(self, visit: Visit, reason: str) -> None:
        """Count a failure, and have the device come again after a drawn time."""
        self.figures.failed(reason)
        self._back_off(visit.device, 0.0)

    def _put_off(self, visit: Visit, status: int, body: bytes, retry_after_s: float) -> None:
        if status == _DENIED and self.devices.role(visit.device) is Role.OLD_TOKEN:
            self.figures.refused("old token")
            self._again(visit, at_once=True)
            return
        if status in (_DENIED, 400) or status not in (429, 503):
            self.lost_answer(visit, f"status {status} ({body[:60].decode(errors='replace')})")
            return
        self.figures.refused(f"status {status} ({body[:40].decode(errors='replace')})")
        if self.devices.role(visit.device) is Role.ABUSER:
            self._again(visit)
        else:
            self._back_off(visit.device, retry_after_s)

    def _again(self, visit: Visit, *, at_once: bool = False) -> None:
        """Have a device come again: at once, or about an interval after it was due."""
        wait_s = self.load.interval_s * self._random.uniform(0.5, 1.5)
        if self.devices.role(visit.device) is Role.ABUSER:
            wait_s = _ABUSE_S
        due_s = self.passed_s if at_once else max(visit.due_s - self._began_s + wait_s, self.passed_s)
        self._put(visit.device, due_s)

    def _back_off(self, device: int, asked_s: float) -> None:
        """Have a device come again as `omega.device.sync.pacing` has it come after a failure."""
        failures, pace, draw = self.devices.failed(device), self._pace, self._random.uniform
        if failures >= pace.failures:
            opened_s = min(pace.open_s * 2 ** (failures - pace.failures), pace.longest_open_s)
            wait_s = opened_s * draw(1, 2)
        else:
            wait_s = draw(0, pace.backoff_s * 2 ** (failures - 1))
        self._put(device, self.passed_s + max(wait_s, asked_s * draw(1, 1.25), 1))

    def _put(self, device: int, due_s: float) -> None:
        if not self._ended and due_s < self.load.duration_s:
            self.wheel.put(device, int(due_s * 1000) + 1)

    @property
    def unserved(self) -> int:
        """How many came, and had not all acknowledged by the end."""
        return self.devices.unserved
