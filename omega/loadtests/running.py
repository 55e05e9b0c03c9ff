"""A load meets a shard, and is judged: `omega loadtest`, for library users too."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from omega.compose import connect, extra_module, open_catalog
from omega.core.errors import InputError
from omega.core.identity.tokens import Tokens
from omega.core.machine import collector_spared
from omega.core.shard_records import DAY_S, TASTE_SPACE
from omega.core.wire import Header, lineage_code, space_code
from omega.fleet.load.carrying import TIMEOUT_S
from omega.fleet.load.counts import Percentiles, Totals
from omega.fleet.load.processes import cpu_s, peak_bytes
from omega.loadtests.judging import Spent, judged
from omega.loadtests.shards import known_shard, own_shard

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.ports import TransportClient
    from omega.fleet.load.carrying import Carrier, Ends
    from omega.fleet.load.driving import Driver
    from omega.loadtests.asked import Asked, Result
    from omega.loadtests.shards import Met

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
        return judged(asked, met, *_driven(asked, met, on_second))


def _make_room(connections: int) -> None:
    """Let this process hold so many connections. Raises InputError when it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        allowed = f"1..{hard - _SPARE_FILES:,}, which the limit of {hard:,} open files leaves"
        raise InputError(f"connections is {connections:,}, allowed here: {allowed}: ask for fewer, or raise ulimit -n")
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _driven(asked: Asked, met: Met, on_second: Callable[[Moment], None]) -> tuple[Driver, Spent]:
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
        spent: Spent = extra_module("uvloop", "shard").run(_run(driver, met, on_second))
    return driver, spent


async def _run(driver: Driver, met: Met, on_second: Callable[[Moment], None]) -> Spent:
    await _reach(met)
    watch = _Watch(met)
    await driver.run(lambda driver: on_second(watch.moment(driver)))
    return Spent(
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
