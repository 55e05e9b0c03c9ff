"""A federation's rounds as Prometheus reads them: plain HTTP without a token, to be kept within the cluster."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from omega.core.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from omega.federation.round import RoundReport

_OF_LAST = {
    "seconds": ("round_seconds", "How long the last round took"),
    "answered": ("answered_shards", "Shards that answered in the last round"),
    "titles": ("titles", "Titles that were merged"),
    "rows": ("rows", "Titles in contexts that were merged"),
    "shown": ("shown_titles", "Titles that three households support"),
    "rising": ("rising_titles", "Titles that rise against their own past"),
    "quality": ("quality", "Share of shown titles with a success rate of .8 and more"),
    "cosine": ("convergence_cosine", "Of the titles' shares with those of the round before"),
    "l1": ("convergence_l1", "Half of what the titles' shares differ by from those of the round before"),
}


class Told(Collector):
    """What rounds came to."""

    def __init__(self) -> None:
        """Begin with no round."""
        self._lock = Lock()
        self._outcomes: Counter[str] = Counter()
        self._shards: Counter[str] = Counter()
        self._last: RoundReport | None = None
        self._published: RoundReport | None = None

    def done(self, report: RoundReport) -> None:
        """Take note of a round."""
        with self._lock:
            self._outcomes[report.outcome] += 1
            self._shards.update(shard.outcome for shard in report.shards)
            self._last = report
            if report.version:
                self._published = report

    def failed(self) -> None:
        """Take note of a round that ended in an error."""
        with self._lock:
            self._outcomes["failed"] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        with self._lock:
            outcomes, shards, last, published = self._outcomes.copy(), self._shards.copy(), self._last, self._published
        for name, told, counts in (
            ("rounds", "Rounds by what they came to", outcomes),
            ("shard_answers", "Shards by what became of them, over all rounds", shards),
        ):
            family = CounterMetricFamily(f"omega_federation_{name}", told, labels=["outcome"])
            for outcome, count in sorted(counts.items()):
                family.add_metric([outcome], count)
            yield family
        if last:
            for field, (name, told) in _OF_LAST.items():
                of = last if field in ("seconds", "answered") else published
                if of and (value := getattr(of, field)) is not None:
                    yield GaugeMetricFamily(f"omega_federation_{name}", told, value=value)
        if published:
            yield GaugeMetricFamily("omega_federation_board_version", "The newest board's", value=published.version)
            made = "When the newest board was made, Unix seconds"
            yield GaugeMetricFamily("omega_federation_board_timestamp_seconds", made, value=published.made_at)


@contextmanager
def served(told: Told, host: str, port: int) -> Iterator[int]:
    """Serve /metrics in a thread within the block, and give the port; 0 takes a free one. Raises TransportError."""
    registry = CollectorRegistry()
    registry.register(told)
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise TransportError(f"{host}:{port} can't be listened at ({error.strerror}): take another port") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
