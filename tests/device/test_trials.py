"""What a household's days in an experiment came to: counted by hand, told once, taken back, without who it is."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.experiments import Arm, Experiment, Experiments
from omega.core.records import Selection, WatchRecord
from omega.core.types import ViewingEvent
from omega.core.wire import Ack, Push, Trial, decode, encode
from omega.device import trials
from omega.device.results import Mode
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from datetime import date

    from omega.core.testing.fakes import Clock
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain


def trial_of(day: date, name: str = "one") -> Experiments:
    arms = Arm(name="a", share=0.5), Arm(name="b", share=0.5)
    return Experiments((Experiment(id=name, first_day=day, last_day=day + timedelta(days=2), arms=arms),))


def pushed(brain: Brain) -> Push:
    """Return the next push as it arrives, and acknowledge it."""
    session = brain.session("shard", lambda push: len(encode(push)), Random(1))
    push = session.begin()
    found = decode(encode(push), max_bytes=1_024)
    assert isinstance(found, Push)
    session.receive([Ack(header=push.header, incarnation=push.incarnation, version=push.version)])
    return found


def test_titles_count_once_and_minutes_all() -> None:
    events = [
        WatchRecord("a", 1, 0, 500, offered=3),
        WatchRecord("a", 2, 0, 1000),
        WatchRecord("b", 3, 0, 100),
        WatchRecord("unknown", 4, 0, 900, offered=1),
    ]
    minutes = {"a": 61, "b": 99}
    found = trials.outcome(7, 1, 20_000, events, lambda title: minutes.get(title, 0))
    assert found == Trial(7, 1, 20_000, 3, 2, (500 * 61 + 1000 * 61 + 100 * 99) // 1000)
    many = [WatchRecord(f"t{at}", at, 0, 1000, offered=1) for at in range(300)]
    assert trials.outcome(7, 1, 20_000, many, lambda _: 90) == Trial(7, 1, 20_000, 255, 255, 1_440)
    assert trials.outcome(7, 1, 20_000, [], lambda _: 90) == Trial(7, 1, 20_000, 0, 0, 0)


def test_whole_days_are_told_once_each_when_they_are_over(open_brain: OpenBrain, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    brain.adopt(trial_of(clock().date()))
    assert pushed(brain).trials == (), "the day that it was told of isn't a whole one"
    clock.now += timedelta(days=1)
    assert pushed(brain).trials == ()
    first = brain.recommend()[0]
    brain.observe(ViewingEvent(content_id=first.content_id, watch_pct=1.0))
    clock.now += timedelta(days=1)
    [told] = pushed(brain).trials
    minutes = brain._household.title(first.content_id).minutes
    [(experiment, arm)] = trial_of(clock().date()).arms(brain._key, clock().date())
    assert told == Trial(experiment.code, experiment.arms.index(arm), told.day, 1, 1, minutes)
    assert told.day == (clock().date() - trials._EPOCH).days - 1
    assert pushed(brain).trials == ()
    again = open_brain(store)
    again.adopt(trial_of(clock().date() - timedelta(days=2)))
    assert pushed(again).trials == (), "not after a restart"
    clock.now += timedelta(days=3)
    [idle] = pushed(again).trials
    assert (idle.day, idle.watched, idle.chosen, idle.minutes) == (told.day + 1, 0, 0, 0), "it ends with its last day"


def test_what_is_forgotten_is_taken_back(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain()
    brain.adopt(trial_of(clock().date()))
    clock.now += timedelta(days=1)
    title = brain.recommend()[0].content_id
    brain.observe(ViewingEvent(content_id=title, watch_pct=1.0))
    clock.now += timedelta(days=1)
    told = pushed(brain).trials
    assert len(told) == 1
    brain.forget(Selection(content_id=title))
    back = pushed(brain)
    assert (back.trials, back.trials_retracted) == ((), told)


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.GUEST])
def test_a_tv_that_doesnt_learn_tells_nothing(open_brain: OpenBrain, clock: Clock, mode: Mode) -> None:
    brain = open_brain()
    brain.adopt(trial_of(clock().date()))
    brain.set_mode(mode)
    clock.now += timedelta(days=2)
    assert pushed(brain).trials == ()


def test_a_push_names_neither_the_household_nor_the_arm(open_brain: OpenBrain, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    brain.adopt(trial_of(clock().date()))
    clock.now += timedelta(days=2)
    push = pushed(brain)
    assert push.trials
    number = store.note("household")
    assert number is not None
    assert number not in msgspec.msgpack.encode(push)
    assert set(Trial.__struct_fields__) == {"experiment", "arm", "day", "watched", "chosen", "minutes"}
