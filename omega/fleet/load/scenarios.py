"""What is asked of a load test: how many TVs, how often, for how long, and what must hold."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

from omega.core.errors import InputError, shown

Kind: TypeAlias = Literal["steady", "storm", "mix"]
Tls: TypeAlias = Literal["none", "resume", "full"]

MAX_DEVICES = 4_000_000
"""What a shard takes by default."""
MAX_RATE = 1_000_000
_LONGEST_S = 86_400.0
_LEAST_LATE_S, _LATE_PART, _UNPROMISED_MS = 0.01, 0.1, 500.0
"""A sync is late from a tenth of the promised p99 on, 10 ms at least."""
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)")


class Thresholds(msgspec.Struct, frozen=True):
    """What must hold for a run to pass."""

    p99_ms: float | None
    """From the due time; None where nobody promises one."""
    failed: int = 0
    """Syncs that got no answer, or a wrong one."""
    refused: int | None = 0
    """Syncs that the shard put off; None where that is meant to happen."""
    unserved: int = 0
    """TVs that came and had nothing acknowledged by the end."""


class Scenario(msgspec.Struct, frozen=True):
    """A load by name."""

    name: str
    devices: int
    interval_s: float
    thresholds: Thresholds
    duration_s: float = 60.0
    kind: Kind = "steady"
    return_s: float = 0.0
    """In a storm: how soon all are there."""
    about: str = ""


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("light", 10_000, 300, Thresholds(100), about="10,000 TVs, each every five minutes"),
        Scenario("medium", 100_000, 300, Thresholds(200), about="100,000 TVs, each every five minutes"),
        Scenario("heavy", 1_000_000, 300, Thresholds(500), about="1,000,000 TVs, each every five minutes"),
        Scenario("burst", 100_000, 60, Thresholds(1_000), about="100,000 TVs, each every minute"),
        Scenario(
            "storm",
            100_000,
            300,
            Thresholds(None, refused=None),
            duration_s=180,
            kind="storm",
            return_s=10,
            about="100,000 TVs come back within ten seconds, as after an outage; who is put off comes again",
        ),
        Scenario("soak", 100_000, 300, Thresholds(200), duration_s=600, about="medium for ten minutes"),
        Scenario(
            "mix",
            10_000,
            30,
            Thresholds(250, refused=None),
            kind="mix",
            about="TVs that lost their memory, forget, come with an old token, too often, or on a slow line",
        ),
    )
}
_LEAST_INTERVAL_S, _VISITS = 30.0, 2.5
"""A shard takes five syncs of a TV at once, and one in 30 s afterwards."""
_BY_SIZE = ("light", "medium", "heavy")
"""Those that a number of TVs alone chooses from."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario as it is run: what was asked for, the rest filled in."""

    scenario: str
    kind: Kind
    devices: int
    interval_s: float
    """Between two syncs of one TV, in the mean."""
    duration_s: float
    ramp_s: float
    """The rate grows from 0 within so long."""
    return_s: float
    thresholds: Thresholds
    seed: int

    @property
    def rate_per_s(self) -> float:
        """Syncs that are due a second, once the ramp is over."""
        return self.devices / self.interval_s


def planned(
    *,
    scenario: str | None = None,
    devices: int | None = None,
    interval_s: float | None = None,
    duration_s: float | None = None,
    rate_per_s: float | None = None,
    ramp_s: float = 0.0,
    seed: int = 1,
) -> Load:
    """Fill in what wasn't asked for; a number of TVs alone takes the smallest scenario that isn't smaller.

    `rate_per_s` sets the interval to what gives it. Raises InputError.
    """
    if scenario is not None and scenario not in SCENARIOS:
        raise InputError(f"scenario is {shown(scenario)}, allowed: {', '.join(SCENARIOS)}")
    if devices is not None and not 1 <= devices <= MAX_DEVICES:
        raise InputError(f"devices is {devices}, allowed: 1..{MAX_DEVICES:,}: name how many TVs come")
    chosen = SCENARIOS[scenario or _smallest(devices)]
    count = devices or chosen.devices
    if rate_per_s is not None:
        if interval_s is not None:
            raise InputError("rate comes with interval, allowed: one of them: the other follows from the devices")
        if not 0 < rate_per_s <= MAX_RATE:
            raise InputError(f"rate is {rate_per_s:g}, allowed: more than 0, up to {MAX_RATE:,} syncs a second")
        interval_s = count / rate_per_s
    interval_s = interval_s or chosen.interval_s
    duration_s = duration_s or chosen.duration_s
    if interval_s < _LEAST_INTERVAL_S and duration_s > _VISITS * interval_s:
        allowed = (
            f"{_LEAST_INTERVAL_S:g} s or more, or up to {_VISITS:g} intervals: a shard puts off who comes more often"
        )
        raise InputError(f"interval is {interval_s:g} s for {duration_s:g} s, allowed: {allowed}")
    if not 0 <= ramp_s <= duration_s:
        raise InputError(f"ramp is {ramp_s:g} s, allowed: 0..{duration_s:g} s, the duration")
    return Load(
        scenario=chosen.name,
        kind=chosen.kind,
        devices=count,
        interval_s=interval_s,
        duration_s=duration_s,
        ramp_s=ramp_s,
        return_s=min(chosen.return_s, duration_s),
        thresholds=chosen.thresholds,
        seed=seed,
    )


def seconds(text: str, name: str) -> float:
    """Return a duration like 500ms, 30s, 5m, 1h, 1m30s in seconds. Raises InputError, which names it `name`."""
    parts = _DURATION.findall(text)
    total_s = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != text or not 0 <= total_s <= _LONGEST_S:
        raise InputError(f"{name} is {shown(text)}, allowed: a number with ms, s, m or h, up to 24h, like 30s or 5m")
    return total_s


def _smallest(devices: int | None) -> str:
    """Return the smallest scenario with so many devices; the largest for more than any has."""
    if devices is None:
        return _BY_SIZE[1]
    return next((name for name in _BY_SIZE if SCENARIOS[name].devices >= devices), _BY_SIZE[-1])


def late_s(load: Load) -> float:
    """Return from which lag of the generator on a sync of this load is late."""
    promised_ms = load.thresholds.p99_ms or _UNPROMISED_MS
    return max(_LEAST_LATE_S, _LATE_PART * promised_ms / 1000)
