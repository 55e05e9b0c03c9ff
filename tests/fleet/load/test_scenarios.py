"""What is asked of a load test becomes a plan, or is refused in clear words."""

from __future__ import annotations

from typing import Any

import pytest

from omega.core.errors import InputError
from omega.fleet.load.scenarios import SCENARIOS, late_s, planned, seconds


@pytest.mark.parametrize(
    ("devices", "name"),
    [
        (1, "light"),
        (10_000, "light"),
        (10_001, "medium"),
        (100_000, "medium"),
        (100_001, "heavy"),
        (4_000_000, "heavy"),
    ],
)
def test_a_number_of_tvs_alone_takes_the_smallest_scenario_that_is_not_smaller(devices: int, name: str) -> None:
    load = planned(devices=devices)
    assert (load.scenario, load.devices) == (name, devices)
    assert load.thresholds == SCENARIOS[name].thresholds
    assert load.rate_per_s == pytest.approx(devices / 300)


def test_without_anything_it_is_medium_for_a_minute() -> None:
    load = planned()
    assert (load.scenario, load.devices, load.interval_s, load.duration_s) == ("medium", 100_000, 300, 60)


def test_the_plans_scenarios_are_there() -> None:
    told = {name: (one.devices, one.interval_s, one.thresholds.p99_ms) for name, one in SCENARIOS.items()}
    assert told["light"] == (10_000, 300, 100)
    assert told["medium"] == (100_000, 300, 200)
    assert told["heavy"] == (1_000_000, 300, 500)
    assert told["burst"] == (100_000, 60, 1_000)
    assert set(SCENARIOS) == {"light", "medium", "heavy", "burst", "storm", "soak", "mix"}


def test_a_rate_sets_the_interval() -> None:
    assert planned(devices=30_000, rate_per_s=500).interval_s == 60


@pytest.mark.parametrize(
    ("text", "found_s"), [("30s", 30), ("5m", 300), ("1h", 3_600), ("500ms", 0.5), ("1m30s", 90), ("1.5s", 1.5)]
)
def test_durations(text: str, found_s: float) -> None:
    assert seconds(text, "duration") == found_s


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "30 s", "1d", "30sx", "25h", "9" * 30 + "s", "1e3s", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^duration is .*allowed: a number with ms, s, m or h"):
        seconds(text, "duration")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"devices": 0}, "devices is 0, allowed: 1..4,000,000"),
        ({"devices": 4_000_001}, "devices is 4000001"),
        ({"scenario": "huge"}, "scenario is 'huge', allowed: light, medium"),
        ({"rate_per_s": 0.0}, "rate is 0"),
        ({"rate_per_s": 5.0, "interval_s": 60.0}, "rate comes with interval"),
        ({"ramp_s": 61.0}, "ramp is 61 s, allowed: 0..60 s"),
        ({"devices": 10, "interval_s": 1.0, "duration_s": 60.0}, "interval is 1 s for 60 s"),
    ],
)
def test_what_can_not_be_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        planned(**asked)


def test_late_is_a_tenth_of_what_is_promised() -> None:
    assert late_s(planned(scenario="light")) == pytest.approx(0.01)
    assert late_s(planned(scenario="burst")) == pytest.approx(0.1)
    assert late_s(planned(scenario="storm")) == pytest.approx(0.05)
