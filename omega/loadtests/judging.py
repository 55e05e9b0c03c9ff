"""What a load found is judged: acknowledgements against the database, figures against what is promised."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from omega.core.errors import StoreError
from omega.fleet.load.scenarios import late_s
from omega.loadtests.asked import Check, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.fleet.load.driving import Driver
    from omega.loadtests.asked import Asked, Verdict
    from omega.loadtests.shards import Met, Stored


class Spent(NamedTuple):
    """What a run took, beside what its driver knows."""

    seconds: float
    generator_s: float
    shard_s: float
    store_s: float
    shard_bytes: int
    connections: dict[str, int]
    answered: int | None


def judged(asked: Asked, met: Met, driver: Driver, spent: Spent) -> Result:
    """End a shard that was started here, hold its sums against what it acknowledged, and judge."""
    figures, load, totals = driver.figures, asked.load, driver.figures.totals
    ended = met.ended()
    unread: StoreError | None = None
    stored: Stored | None = None
    try:
        stored = met.stored(driver.devices.acknowledged)
    except StoreError as error:  # what the load met is told all the same
        unread = error
    acknowledged = totals.contributed - totals.retracted
    checks = *_checks(driver, spent.answered), *_kept(stored, acknowledged, totals.failed)
    latency_ms, device_bytes = figures.latency.percentiles(), driver.devices.size_bytes + driver.wheel.size_bytes
    return Result(
        scenario=load.scenario,
        devices=load.devices,
        interval_s=load.interval_s,
        duration_s=load.duration_s,
        transport=asked.transport,
        store=met.store,
        due=totals.due,
        sent=totals.sent,
        ok=totals.ok,
        refused=totals.refused,
        failed=totals.failed,
        late=totals.late,
        rate_per_s=totals.ok / max(spent.seconds, 1e-9),
        latency_ms=latency_ms,
        service_ms=figures.service.percentiles(),
        bytes_up=totals.bytes_up,
        bytes_down=totals.bytes_down,
        generator_cpu=spent.generator_s / spent.seconds,
        shard_cpu=spent.shard_s / spent.seconds if met.pids else None,
        saturated=figures.saturated,
        thresholds=load.thresholds,
        verdict=_verdict(figures.saturated, checks),
        store_cpu=spent.store_s / spent.seconds if met.store_pids else None,
        shard_memory_bytes=spent.shard_bytes if met.pids else None,
        lag_ms=figures.lag.percentiles(),
        late_ms=1000 * late_s(load),
        queued=totals.queued,
        unserved=driver.unserved,
        reasons=dict(figures.reasons.most_common()),
        connections=spent.connections,
        acknowledged_rows=acknowledged,
        stored_rows=stored.rows if stored else None,
        behind=stored.behind if stored else None,
        shard_answered=spent.answered,
        answered=totals.answered,
        bytes_per_device=device_bytes / load.devices,
        seed=load.seed,
        checks=checks,
        notes=tuple(_notes(driver, spent, ended, unread)),
        seconds=tuple(figures.seconds),
        curves={"latency": figures.latency.curve, "service": figures.service.curve},
    )


def _checks(driver: Driver, answered: int | None) -> Iterator[Check]:
    """Yield what must hold, and whether it does."""
    figures, asked = driver.figures, driver.load.thresholds
    totals, latency = figures.totals, figures.latency.percentiles()
    if asked.p99_ms is not None:
        yield _at_most("p99 from due, ms", latency.p99, asked.p99_ms)
    yield _at_most("failed", totals.failed, asked.failed)
    if asked.refused is not None:
        yield _at_most("refused", totals.refused, asked.refused)
    yield _at_most("unserved TVs", driver.unserved, asked.unserved)
    yield Check("acknowledged", totals.ok, 1, held=totals.ok > 0)
    if answered is not None and not totals.failed:
        yield _at_most("answers that shard and generator count differently", abs(answered - totals.answered), 0)


def _kept(stored: Stored | None, acknowledged: int, failed: int) -> Iterator[Check]:
    """Yield whether the database holds what was acknowledged; broken where it can't be read."""
    if stored is None:
        yield _at_most("databases that can't be read", 1, 0)
        return
    if stored.rows is not None:  # what was stored and whose ack was lost may be there besides
        lost = acknowledged - stored.rows if failed else abs(acknowledged - stored.rows)
        yield _at_most("acknowledged rows that aren't stored", max(lost, 0), 0)
    yield _at_most("acknowledged TVs whose row is behind", stored.behind, 0)


def _at_most(name: str, found: float, allowed: float) -> Check:
    return Check(name, found, allowed, held=found <= allowed)


def _verdict(saturated: bool, checks: tuple[Check, ...]) -> Verdict:  # noqa: FBT001  (one of two facts)
    """Judge: figures of a saturated generator say nothing of the shard, unless something is broken anyway."""
    if saturated:
        return "void"
    return "passed" if all(check.held for check in checks) else "failed"


def _notes(driver: Driver, spent: Spent, ended: int | None, unread: StoreError | None) -> Iterator[str]:
    """Yield what else is to be said, a line each."""
    figures = driver.figures
    if unread is not None:
        yield str(unread)
    if ended is not None:
        yield f"the shard ended in the middle of the run, with {ended}"
    if figures.saturated:
        share, late_ms = figures.totals.late / max(figures.totals.sent, 1), 1000 * late_s(driver.load)
        told = f"{share:.1%} of all syncs left more than {late_ms:.0f} ms late by the generator's own fault"
        yield f"generator saturated, run void: {told}: give it a core of its own, or ask for a lower rate"
    is_kept = spent.connections.get("connections", 0) < figures.totals.sent
    if is_kept and figures.totals.queued > figures.totals.sent / 10:
        yield f"{figures.totals.queued:,} syncs found no open connection that was free when they were due"
