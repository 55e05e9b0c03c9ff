"""Counts and histograms say what the library and numpy say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")

from hdrh.histogram import HdrHistogram

from omega.fleet.load.counts import Percentiles
from omega.fleet.load.devices import Told
from omega.fleet.load.figures import Figures, Latency

TOLD = Told(b"frame", 1, 1, 3, 1)


@pytest.mark.parametrize("count", [1, 2, 10, 1_000, 20_000])
def test_percentiles_are_the_librarys_and_near_numpys(count: int) -> None:
    seconds = np.random.default_rng(count).lognormal(-3, 1, count)
    latency, library = Latency(), HdrHistogram(1, 120_000_000, 3)
    for value in seconds:
        latency.record(value)
        library.record_value(int(value * 1e6))
    found = latency.percentiles()
    assert list(latency.add_up().counts) == list(library.counts)
    wanted = [library.get_value_at_percentile(share) / 1000 for share in (50, 90, 99, 99.9)]
    assert [found.p50, found.p90, found.p99, found.p999] == pytest.approx(wanted, rel=1e-3)
    assert found.max == pytest.approx(seconds.max() * 1000, rel=1e-3)
    if count >= 1_000:
        exact = np.percentile(seconds * 1000, (50, 90, 99), method="inverted_cdf")
        assert [found.p50, found.p90, found.p99] == pytest.approx(exact, rel=2e-3)
    shares = [share for share, _ in latency.curve]
    assert shares == sorted(shares)
    assert latency.curve[-1][1] == pytest.approx(found.max, rel=1e-2)


def test_nothing_was_recorded() -> None:
    assert Latency().percentiles() == Percentiles(0, 0, 0, 0, 0)


def test_what_is_out_of_range_counts_at_its_edge() -> None:
    latency = Latency()
    for seconds in (-1.0, 0.0, 1_000.0):
        latency.record(seconds)
    assert latency.percentiles().max == pytest.approx(120_000, rel=1e-3)


def test_counts_and_seconds() -> None:
    figures = Figures(late_s=0.01)
    for lag_s in (0.0, 0.009, 0.011):
        figures.left(lag_s, 50)
    figures.acknowledged(0.2, 0.1, TOLD)
    figures.acknowledged(0.4, 0.1, TOLD)
    figures.refused("status 503")
    figures.end_second()
    figures.failed("no answer")
    figures.end_second()
    totals = figures.totals
    assert (totals.sent, totals.late, totals.ok, totals.refused, totals.failed) == (3, 1, 2, 1, 1)
    assert (totals.contributed, totals.retracted, totals.bytes_up) == (6, 2, 150)
    assert figures.reasons == {"status 503": 1, "no answer": 1}
    first, second = figures.seconds
    assert (first.second, first.sent, first.ok, first.refused, first.failed) == (0, 3, 2, 1, 0)
    assert first.p50_ms == pytest.approx(300)
    assert (second.failed, second.ok, second.p99_ms) == (1, 0, 0)


@pytest.mark.parametrize(
    ("late", "sent", "saturated"), [(10, 100, False), (11, 100, True), (15, 1500, False), (16, 1500, True)]
)
def test_a_generator_is_saturated_when_more_than_one_in_a_hundred_is_late(
    late: int, sent: int, *, saturated: bool
) -> None:
    figures = Figures(late_s=0.01)
    for number in range(sent):
        figures.left(0.02 if number < late else 0.0, 1)
    assert figures.saturated is saturated
