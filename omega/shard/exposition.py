"""A worker's figures as Prometheus reads them, put together when it asks: nothing is spent on it in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from omega.shard.recorder import ENROLMENT_OUTCOMES, SYNC_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric
    from starlette.requests import Request

    from omega.shard.recorder import Histogram
    from omega.shard.shard import Shard

PATH = "/metrics"


class ShardCollector(Collector):
    """Reads one worker's recorder."""

    def __init__(self, shard: Shard, worker: int) -> None:
        """Label everything with the worker's number."""
        self._shard, self._worker = shard, str(worker)

    def collect(self) -> Iterable[Metric]:
        """Give every family with all its series."""
        yield from self._of_doors()
        yield from self._of_syncs()
        yield self._histogram("omega_tick_syncs", "Syncs that were committed together", self._shard.recorder.tick_moves)
        yield self._histogram("omega_commit_seconds", "Time of a tick's commit", self._shard.recorder.commit_s)
        yield self._histogram("omega_store_seconds", "Time of any call of the store", self._shard.recorder.store_s)
        waiting = GaugeMetricFamily("omega_waiting_syncs", "Syncs that wait for a tick to begin", labels=["worker"])
        waiting.add_metric([self._worker], self._shard.waiting)
        failing = GaugeMetricFamily("omega_store_failing", "Whether the last commit failed", labels=["worker"])
        failing.add_metric([self._worker], self._shard.failing)
        yield from (waiting, failing)

    def _of_doors(self) -> Iterator[Metric]:
        doors = sorted(self._shard.recorder.doors.items())
        syncs = _counter("omega_syncs", "Syncs that were answered", "transport", "outcome")
        enrolments = _counter("omega_enrolments", "Answers to challenges", "transport", "outcome")
        challenges = _counter("omega_challenges", "Challenges that were given", "transport")
        received = _counter("omega_received_bytes", "Frames and messages that came in", "transport")
        sent = _counter("omega_sent_bytes", "Frames and messages that went out", "transport")
        latency = HistogramMetricFamily(
            "omega_sync_seconds", "From a sync's frame to its answer", labels=["worker", "transport"]
        )
        for name, door in doors:
            for status, outcome in SYNC_OUTCOMES.items():
                syncs.add_metric([self._worker, name, outcome], door.syncs[status])
            for status, outcome in ENROLMENT_OUTCOMES.items():
                enrolments.add_metric([self._worker, name, outcome], door.enrolments[status])
            challenges.add_metric([self._worker, name], door.challenges)
            received.add_metric([self._worker, name], door.bytes_in)
            sent.add_metric([self._worker, name], door.bytes_out)
            latency.add_metric([self._worker, name], _buckets(door.latency_s), door.latency_s.total)
        yield from (syncs, enrolments, challenges, received, sent, latency)

    def _of_syncs(self) -> Iterator[Metric]:
        done = self._shard.recorder
        contributed = _counter("omega_contributed_rows", "Samples that were counted")
        contributed.add_metric([self._worker], done.contributed)
        retracted = _counter("omega_retracted_rows", "Samples that were taken back")
        retracted.add_metric([self._worker], done.retracted)
        refusals = _counter("omega_refusals", "Syncs and enrolments that were refused", "reason")
        for reason, count in done.refusals.items():
            refusals.add_metric([self._worker, reason], count)
        resyncs = _counter("omega_resyncs", "Syncs that were told where the device stands", "reason")
        for why, count in done.resyncs.items():
            resyncs.add_metric([self._worker, why.name.lower()], count)
        yield from (contributed, retracted, refusals, resyncs)

    def _histogram(self, name: str, told: str, histogram: Histogram) -> Metric:
        family = HistogramMetricFamily(name, told, labels=["worker"])
        family.add_metric([self._worker], _buckets(histogram), histogram.total)
        return family


def exposition(shard: Shard, worker: int) -> Starlette:
    """Return what serves /metrics: the worker's figures, and what the kernel says of its process."""
    registry = CollectorRegistry()
    registry.register(ShardCollector(shard, worker))
    ProcessCollector(registry=registry)

    async def scraped(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)  # in the loop that counts: 1 ms

    async def elsewhere(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse(f"there is nothing here, allowed: GET {PATH}\n", 404)

    app = Starlette(routes=[Route(PATH, scraped)], exception_handlers={404: elsewhere})
    app.router.redirect_slashes = False
    return app


def _counter(name: str, told: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, told, labels=["worker", *labels])


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return how many observations were at most each bound, cumulated."""
    bounds = [f"{float(bound)}" for bound in histogram.bounds] + ["+Inf"]
    total = 0
    told: list[tuple[str, float]] = []
    for bound, count in zip(bounds, histogram.counts, strict=True):
        total += count
        told.append((bound, total))
    return told
