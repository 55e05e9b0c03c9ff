"""What is being tried on a household: its arm's changes, on the experiment's days, and nobody is told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.experiments import SCALED, SHARES, Arm, Experiment, Experiments
from omega.device.ranking import Weights
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from omega.core.testing.fakes import Clock
    from tests.device.conftest import OpenBrain

AS_EVER = Arm(name="as-ever", share=0.5)
DRAWN = Arm(name="drawn", share=0.5, settings={"explore": 0.3}, factors={"variety": 0})


def running(clock: Clock, *arms: Arm, name: str = "chance") -> Experiment:
    day = clock().date()
    return Experiment(id=name, first_day=day, last_day=day + timedelta(days=1), arms=arms)


def test_every_weight_can_be_tried() -> None:
    assert sorted((*SCALED, *SHARES)) == sorted(Weights.__struct_fields__)


def test_an_arm_replaces_shares_and_scales_weights() -> None:
    arm = Arm(name="a", share=1, settings={"breadth": 0.5}, factors={"habit": 0.5, "trend": 2})
    assert Weights(habit=3.0).tried(arm) == Weights(habit=1.5, breadth=0.5, trend=2 * Weights().trend)
    assert Weights().tried(AS_EVER) == Weights()


def test_households_of_both_arms_get_what_their_arm_says_on_its_days_alone(open_brain: OpenBrain, clock: Clock) -> None:
    tried = Experiments((running(clock, AS_EVER, DRAWN),))
    stores = [MemoryDeviceStore() for _ in range(12)]
    found: dict[str, list[bool]] = {"as-ever": [], "drawn": []}
    for store in stores:
        brain = open_brain(store)
        plain = brain.recommend()
        assert brain.status().experiments == {}
        brain.adopt(tried)
        [(name, arm)] = brain.status().experiments.items()
        assert name == "chance"
        listed = brain.recommend()
        found[arm].append(any(one.propensity for one in listed))
        assert (listed == plain) == (arm == "as-ever")
        again = open_brain(store)
        again.adopt(tried)
        assert (again.status().experiments, again.recommend()) == ({"chance": arm}, listed)
        clock.now += timedelta(days=2)
        assert brain.status().experiments == {}
        assert not any(one.propensity for one in brain.recommend())
        clock.now -= timedelta(days=2)
    assert found["drawn"]
    assert found["as-ever"]
    assert all(found["drawn"])
    assert not any(found["as-ever"])


def test_experiments_that_run_at_once_add_their_changes_and_an_empty_list_ends_them(
    open_brain: OpenBrain, clock: Clock
) -> None:
    everybody = msgspec.structs.replace(DRAWN, name="all", share=0.75), msgspec.structs.replace(DRAWN, share=0.25)
    wide = [Arm(name=name, share=0.5, settings={"breadth": 1.0}) for name in ("a", "b")]
    brain = open_brain()
    brain.adopt(Experiments((running(clock, *everybody), running(clock, *wide, name="wide"))))
    listed = brain.recommend()
    assert [one.propensity is not None for one in listed] == [False] * 14 + [True] * 6
    assert all(reason.kind != "variety" for one in listed for reason in one.reasons)
    brain.adopt(Experiments())
    assert [one.propensity for one in brain.recommend()] == [None] * 20


@pytest.mark.parametrize("told", ["export", "push"])
def test_nothing_that_leaves_the_tv_tells_the_arm_or_the_number(open_brain: OpenBrain, told: str, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    brain.adopt(Experiments((running(clock, AS_EVER, DRAWN),)))
    number = store.note("household")
    assert number is not None
    said = msgspec.json.encode(brain.export() if told == "export" else store.ledger.waiting("shard", 1, 100))
    assert number not in said
    assert b"as-ever" not in said
    assert b"drawn" not in said
