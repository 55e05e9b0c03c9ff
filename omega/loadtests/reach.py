"""How many syncs a second a shard carries here: short loads at rising rates, up to the first that doesn't hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import InputError
from omega.fleet.load.counts import Percentiles
from omega.fleet.load.scenarios import Load, planned
from omega.loadtests.asked import Verdict
from omega.loadtests.running import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.loadtests.asked import Asked, Result
    from omega.loadtests.running import Moment

TARGET_RATE = 13_333
"""Syncs a second of 4 million TVs, all that a shard takes, each every five minutes."""
RATES = (2_000, 3_333, 4_500, 6_666, 10_000, TARGET_RATE)
SECONDS, INTERVAL_S = 25.0, 30.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rate, and what came of it."""

    asked_per_s: float
    rate_per_s: float
    """Acknowledged a second."""
    latency_ms: Percentiles
    """From the due time."""
    verdict: Verdict
    broken: tuple[str, ...]
    """What didn't hold."""
    generator_cpu: float
    """Cores."""
    shard_cpu: float | None
    store_cpu: float | None


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """A curve of rates and latencies."""

    transport: str
    store: str
    p99_ms: float | None
    """What must hold."""
    target_per_s: float
    """The rate that one shard is meant for;"""
    reached_per_s: float
    """the highest that held, 0 without any."""
    steps: tuple[Step, ...]


def rising(rate_per_s: float, *, duration_s: float = SECONDS, seed: int = 1) -> Load:
    """Return heavy's bounds at a rate; each TV comes once at most. Raises InputError."""
    if not 0 < duration_s <= INTERVAL_S:
        raise InputError(f"duration is {duration_s:g} s, allowed with reach: up to {INTERVAL_S:g} s for each rate")
    devices = round(rate_per_s * INTERVAL_S)
    return planned(scenario="heavy", devices=devices, interval_s=INTERVAL_S, duration_s=duration_s, seed=seed)


def reach(
    asked: Asked,
    *,
    rates: Sequence[float] = RATES,
    on_second: Callable[[Moment], None] = lambda moment: None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Reach:
    """Run a load of `asked`'s duration, bounds and seed at one rate after the other, each on a shard of its own.

    Stops after the first that doesn't hold. Raises as `run` does.
    """
    if asked.target is not None:
        raise InputError("reach comes with a target, allowed: without: each rate has a fresh shard")
    steps: list[Step] = []
    for rate_per_s in rates:
        load = rising(rate_per_s, duration_s=asked.load.duration_s, seed=asked.load.seed)
        load = msgspec.structs.replace(load, thresholds=asked.load.thresholds)
        result = run(msgspec.structs.replace(asked, load=load), on_second=on_second, progress=progress)
        steps.append(_step(rate_per_s, result))
        on_step(steps[-1])
        if result.verdict != "passed":
            break
    return Reach(
        transport=asked.transport,
        store=result.store,
        p99_ms=asked.load.thresholds.p99_ms,
        target_per_s=TARGET_RATE,
        reached_per_s=max((step.asked_per_s for step in steps if step.verdict == "passed"), default=0.0),
        steps=tuple(steps),
    )


def _step(rate_per_s: float, result: Result) -> Step:
    return Step(
        asked_per_s=rate_per_s,
        rate_per_s=result.rate_per_s,
        latency_ms=result.latency_ms,
        verdict=result.verdict,
        broken=tuple(check.name for check in result.checks if not check.held),
        generator_cpu=result.generator_cpu,
        shard_cpu=result.shard_cpu,
        store_cpu=result.store_cpu,
    )


def cells(found: Reach) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return columns and rows of the curve as they are shown."""
    rows: list[tuple[str, ...]] = [
        (
            f"{step.asked_per_s:,.0f}",
            f"{step.rate_per_s:,.0f}",
            f"{step.latency_ms.p50:.1f}",
            f"{step.latency_ms.p99:.1f}",
            ", ".join("-" if cpu is None else f"{cpu:.2f}" for cpu in _cores(step)),
            step.verdict,
        )
        for step in found.steps
    ]
    return (">due/s", ">acks/s", ">p50 ms", ">p99 ms", "cores of generator, shard, Postgres", "verdict"), rows


def sentence(found: Reach) -> str:
    """Return what the curve comes to."""
    last = found.steps[-1]
    ended = "" if last.verdict == "passed" else f" At {last.asked_per_s:,.0f} {_why(last)}."
    return (
        f"{found.reached_per_s:,.0f} syncs a second hold here on {found.store}, of {found.target_per_s:,.0f} that a "
        f"shard of 4,000,000 TVs is meant for.{ended}"
    )


def _why(step: Step) -> str:
    return "the generator was the limit" if step.verdict == "void" else f"it doesn't hold: {', '.join(step.broken)}"


def _cores(step: Step) -> tuple[float | None, ...]:
    return step.generator_cpu, step.shard_cpu, step.store_cpu
