"""The soak's driver on a short run; whether memory stays flat is a claim's business."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from omega.claims.soaked import measure
from omega.fleet.soak import EVERY, slope, stream

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.catalog import Catalog


def options(folder: Path, *, events: int, budget_s: float) -> str:
    settings = {"home": str(folder), "embedder": "static"}
    return json.dumps({"settings": settings, "events": events, "seed": 1, "budget_s": budget_s})


def test_households_come_and_go_in_order_of_time(example: Catalog) -> None:
    events = list(islice(stream(example, 1), 8000))
    times = [event.at for event in events if event.at]
    assert times == sorted(times)
    assert len(times) == len(events)
    assert (times[-1] - times[0]).days > 365
    assert events[:100] == list(islice(stream(example, 1), 100))
    assert events[:100] != list(islice(stream(example, 2), 100))
    finished = [event.content_id for event in events if event.season is None and (event.watch_pct or 0) >= 0.9]
    assert len(set(finished)) < len(finished), "newcomers watch what others finished"


def test_a_short_soak_samples_memory_and_file(tmp_path: Path) -> None:
    found = measure(options(tmp_path, events=3 * EVERY, budget_s=120))
    assert found.events == 3 * EVERY
    assert [sample.events for sample in found.samples] == [EVERY, 2 * EVERY, 3 * EVERY]
    assert 0 < found.patterns <= found.events
    assert found.simulated_years > 0.2
    for sample in found.samples:
        assert sample.rss_mib > 10
        assert 0.5 < sample.live_mib <= sample.file_mib * 1.01
    assert found.file_ratio >= 0.99
    assert found.slope_mib == found.slope_mib, "a slope needs two samples"


def test_a_soak_ends_when_its_time_is_up(tmp_path: Path) -> None:
    found = measure(options(tmp_path, events=10**6, budget_s=0.2))
    assert 0 < found.events < 10**5
    assert found.seconds < 10


def test_the_slope_is_that_of_a_line() -> None:
    assert slope([0, 1000, 2000], [5.0, 7.0, 9.0]) == pytest.approx(0.002)
