"""A load meets a shard, and is judged: `omega loadtest`, for library users too."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from omega.compose import connect, extra_module, open_catalog
from omega.core.errors import InputError, StoreError
from omega.core.identity.tokens import Tokens
from omega.core.machine import collector_spared
from omega.core.shard_records import DAY_S, TASTE_SPACE
from omega.core.wire import Header, lineage_code, space_code
from omega.fleet.load.carrying import TIMEOUT_S
from omega.fleet.load.counts import Percentiles, Totals
from omega.fleet.load.processes import cpu_s, peak_bytes
from omega.fleet.load.scenarios import late_s
from omega.loadtests.asked import Check, Result
from omega.loadtests.shards import known_shard, own_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omega.core.ports import TransportClient
    from omega.fleet.load.carrying import Carrier, Ends
    from omega.fleet.load.driving import Driver
    from omega.loadtests.asked import Asked, Verdict
    from omega.loadtests.shards import Met, Stored

_HTTP, _ADDRESS = "omega.fleet.load.http", "omega_plugins.transports.http.address"
_GRPC_CHANNELS, _GRPC_AT_ONCE = 8, 64
_QUIC_CLIENTS = 256
_PATIENCE_S = 2.0
_SPARE_FILES = 64
"""Files that the generator needs beside its connections."""
_HEALTH = "/v1/health"


class Moment(msgspec.Struct, frozen=True):
    """How a run stands, told every second."""

    passed_s: float
    duration_s: float
    totals: Totals
    latency_ms: Percentiles
    service_ms: Percentiles
    in_flight: int
    waiting: int
    """For a connection."""
    generator_cpu: float
    shard_cpu: float | None
    saturated: bool


def _ignore(*_: object) -> None:
    pass


def run(
    asked: Asked,
    *,
    on_second: Callable[[Moment], None] = _ignore,
    progress: Callable[[int, int, str], None] = _ignore,
    on_met: Callable[[Met], None] = _ignore,
) -> Result:
    """Run a load test, against a shard that is started for it unless a target is named.

    `on_met` hears of the shard once it serves, before the load comes.
    A started shard runs in a process that imports the caller's script, which must call this below
    `if __name__ == "__main__":`. Raises InputError, MissingExtraError, TransportError, StoreError, OmegaError.
    """
    extra_module("hdrh.histogram", "load")
    if asked.transport == "http":
        _make_room(asked.connections)
    with TemporaryDirectory(prefix="omega-load-") as folder, ExitStack() as held:
        if asked.target is None:
            met = held.enter_context(own_shard(asked, Path(folder), progress))
        else:
            met = known_shard(asked, progress)
        on_met(met)
        return _judged(asked, met, *_driven(asked, met, on_second))


def _make_room(connections: int) -> None:
    """Let this process hold so many connections. Raises InputError when it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        allowed = f"1..{hard - _SPARE_FILES:,}, which the limit of {hard:,} open files leaves"
        raise InputError(f"connections is {connections:,}, allowed here: {allowed}: ask for fewer, or raise ulimit -n")
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class _Spent(NamedTuple):
    """What a run took, beside what its driver knows."""

    seconds: float
    generator_s: float
    shard_s: float
    store_s: float
    shard_bytes: int
    connections: dict[str, int]
    answered: int | None


def _driven(asked: Asked, met: Met, on_second: Callable[[Moment], None]) -> tuple[Driver, _Spent]:
    """Let the load meet the shard."""
    driving, devices = (extra_module(f"omega.fleet.load.{name}", "load") for name in ("driving", "devices"))
    watching, now_s = extra_module("omega.fleet.load.watching", "load"), int(time.time())
    catalog, load = open_catalog(asked.settings), asked.load
    header = Header(space=space_code(TASTE_SPACE), lineage=lineage_code(catalog.lineage), epoch=catalog.epoch)
    seen = watching.Watching(len(catalog), load.seed, now_s // DAY_S)
    tvs = devices.Devices(met.slots, seen, header, now_s=now_s, seed=load.seed, mixed=load.kind == "mix")
    tokens = Tokens(met.ring, met.shard_id, met.counts_from)
    driver: Driver = driving.Driver(load, tvs, tokens, partial(_carrier, asked, met))
    with collector_spared():
        spent: _Spent = extra_module("uvloop", "shard").run(_run(driver, met, on_second))
    return driver, spent


async def _run(driver: Driver, met: Met, on_second: Callable[[Moment], None]) -> _Spent:
    await _reach(met)
    watch = _Watch(met)
    await driver.run(lambda driver: on_second(watch.moment(driver)))
    return _Spent(
        watch.passed_s,
        *watch.spent_s(),
        peak_bytes(met.pids),
        driver.carrier.figures,
        await asyncio.to_thread(met.answered),
    )


async def _reach(met: Met) -> None:
    """Ask the shard how it is, before thousands do. Raises TransportError in clear words."""
    client = connect(met.url, token=str, ca=met.ca)
    try:
        await client.get(_HEALTH, max_bytes=4_096)
    finally:
        await client.close()


def _carrier(asked: Asked, met: Met, ends: Ends) -> Carrier:
    if asked.transport == "http":
        return _http(asked, met, ends)
    clients = extra_module("omega.fleet.load.clients", "load")
    if asked.transport == "grpc":
        opened = partial(connect, met.url, ca=met.ca)
        carrier: Carrier = clients.ClientCarrier(
            lambda token: opened(token=token), ends, clients=_GRPC_CHANNELS, at_once=_GRPC_AT_ONCE
        )
        return carrier
    address = extra_module("omega_plugins.transports.quic.address", "quic").parsed(met.url)
    quic, book = (extra_module(f"omega_plugins.transports.quic.{name}", "quic") for name in ("client", "book"))

    def tv(token: Callable[[], str]) -> TransportClient:
        kept = book.Book()  # tickets are a TV's own
        client: TransportClient = quic.QuicClient(
            address, token=token, ca=met.ca, timeout_s=TIMEOUT_S, patience_s=_PATIENCE_S, book=kept
        )
        return client

    fresh: Carrier = clients.ClientCarrier(tv, ends, clients=_QUIC_CLIENTS, at_once=1, fresh=True)
    return fresh


def _http(asked: Asked, met: Met, ends: Ends) -> Carrier:
    http, address = (extra_module(name, "load") for name in (_HTTP, _ADDRESS))
    where = address.parsed(met.url)
    context = address.trust(where, met.ca)
    if asked.tls == "resume":
        context = extra_module("omega.fleet.load.tls", "load").ResumingContext.trusting(met.ca)
    carrier: Carrier = http.HttpCarrier(where, context, ends, most=asked.connections, fresh=asked.tls != "none")
    return carrier


class _Watch:
    """Looks at clocks while a load runs."""

    def __init__(self, met: Met) -> None:
        self._met = met
        self._began_s = time.perf_counter()
        self._generator_s, self._shard_s, self._store_s = self._cpu_s()
        self._before = self.passed_s, 0.0, 0.0

    @property
    def passed_s(self) -> float:
        return time.perf_counter() - self._began_s

    def spent_s(self) -> tuple[float, float, float]:
        """Return the CPU time of generator, shard and Postgres since the beginning."""
        generator_s, shard_s, store_s = self._cpu_s()
        return generator_s - self._generator_s, shard_s - self._shard_s, store_s - self._store_s

    def moment(self, driver: Driver) -> Moment:
        """Return how a run stands; CPU is that since the last time."""
        (generator_s, shard_s, _), passed_s, figures = self.spent_s(), self.passed_s, driver.figures
        before_s, *spent_s = self._before
        wall_s = max(passed_s - before_s, 1e-3)
        self._before = passed_s, generator_s, shard_s
        return Moment(
            passed_s=passed_s,
            duration_s=driver.load.duration_s,
            totals=figures.totals,
            latency_ms=figures.latency.percentiles(),
            service_ms=figures.service.percentiles(),
            in_flight=driver.in_flight,
            waiting=driver.carrier.waiting,
            generator_cpu=(generator_s - spent_s[0]) / wall_s,
            shard_cpu=(shard_s - spent_s[1]) / wall_s if self._met.pids else None,
            saturated=figures.saturated,
        )

    def _cpu_s(self) -> tuple[float, float, float]:
        return time.process_time(), cpu_s(self._met.pids), cpu_s(self._met.store_pids)


def _judged(asked: Asked, met: Met, driver: Driver, spent: _Spent) -> Result:
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


def _notes(driver: Driver, spent: _Spent, ended: int | None, unread: StoreError | None) -> Iterator[str]:
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
