"""Rising rates against real shards: the curve ends with the first that doesn't hold, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")

from omega.core.errors import InputError
from omega.core.settings import resolve
from omega.fleet.load.scenarios import MAX_DEVICES, SCENARIOS
from omega.loadtests.asked import Asked
from omega.loadtests.reach import INTERVAL_S, RATES, TARGET_RATE, Reach, cells, reach, rising, sentence

if TYPE_CHECKING:
    from pathlib import Path

    from omega.loadtests.reach import Step


def an_asked(home: Path, p99_ms: float) -> Asked:
    load = rising(RATES[0], duration_s=1.0)
    thresholds = msgspec.structs.replace(load.thresholds, p99_ms=p99_ms)
    return Asked(
        settings=resolve({"home": home}, {}).settings, load=msgspec.structs.replace(load, thresholds=thresholds)
    )


def test_all_rates_are_tried_while_they_hold(tmp_path: Path) -> None:
    steps: list[Step] = []
    found = reach(an_asked(tmp_path, 30_000), rates=(20, 40), on_step=steps.append)
    assert [step.verdict for step in found.steps] == ["passed", "passed"], found
    assert (found.reached_per_s, found.target_per_s, found.store) == (40, TARGET_RATE, "sqlite")
    assert steps == list(found.steps)
    assert [step.rate_per_s == pytest.approx(step.asked_per_s, rel=0.9) for step in found.steps] == [True, True]
    assert (
        sentence(found)
        == "40 syncs a second hold here on sqlite, of 13,333 that a shard of 4,000,000 TVs is meant for."
    )
    columns, rows = cells(found)
    assert {len(row) for row in rows} == {len(columns)}
    assert [row[0] for row in rows] == ["20", "40"]


def test_it_ends_with_the_first_that_does_not_hold(tmp_path: Path) -> None:
    found = reach(an_asked(tmp_path, 0.001), rates=(20, 40))
    assert isinstance(found, Reach)
    [step] = found.steps
    assert (step.verdict, found.reached_per_s) == ("failed", 0)
    assert step.broken == ("p99 from due, ms",)
    assert sentence(found).endswith("At 20 it doesn't hold: p99 from due, ms.")


def test_rates_rise_to_what_a_shard_of_all_its_tvs_has_and_each_comes_once() -> None:
    assert sorted(RATES) == list(RATES)
    assert RATES[-1] == TARGET_RATE == int(MAX_DEVICES / SCENARIOS["heavy"].interval_s)
    for rate in RATES:
        load = rising(rate)
        assert load.rate_per_s == pytest.approx(rate)
        assert load.duration_s < load.interval_s == INTERVAL_S
        assert load.thresholds.p99_ms == 500


def test_what_does_not_go_with_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"duration is 31 s, allowed with reach: up to 30 s"):
        rising(20, duration_s=31)
    asked = msgspec.structs.replace(an_asked(tmp_path, 1), target="http://x", keys=tmp_path, store="sqlite:///s.db")
    with pytest.raises(InputError, match="reach comes with a target"):
        reach(asked)
