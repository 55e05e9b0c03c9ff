"""A TV whose clock is not set, or was set wrong: nothing is lost, nothing breaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.errors import InputError
from omega.core.types import ViewingEvent
from omega.device.observe import RELEASED
from omega_storage.device_memory import MemoryDeviceStore
from omega_storage.device_sqlite import SqliteDeviceStore
from tests.device.living import CONTEXTS, lists, live

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.testing.fakes import Clock
    from tests.device.conftest import OpenBrain

UNSET = datetime(1970, 1, 1, 0, 3, tzinfo=UTC)


def test_before_the_clock_is_set_an_event_gets_the_last_known_time(open_brain: OpenBrain, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    known, clock.now = clock.now, UNSET
    brain.observe(ViewingEvent(content_id="heat-1995", watch_pct=0.5))
    assert store.events()[-1].at == RELEASED.timestamp(), "nothing later is known of"
    clock.now = known
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.5))
    for opened in (brain, open_brain(store)):
        clock.now = UNSET
        assert opened.observe(ViewingEvent(content_id="speed-1994", watch_pct=1.0)).local is False
        assert store.events()[-1].at == known.timestamp()
        clock.now = known
    assert brain.why("speed-1994").excluded == "finished"


def test_before_the_clock_is_set_a_time_that_is_told_is_believed(open_brain: OpenBrain, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    at, clock.now = clock.now + timedelta(days=300), UNSET
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0, at=at))
    assert store.events()[-1].at == at.timestamp()
    with pytest.raises(InputError, match="at is '1999"):
        brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0, at=datetime(1999, 1, 1, tzinfo=UTC)))
    clock.now = at - timedelta(days=2)
    with pytest.raises(InputError, match="2000 to tomorrow"):
        brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0, at=at))


def test_lists_and_reasons_are_there_before_the_clock_is_set(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    brain = open_brain()
    live(brain, example, clock, 40)
    clock.now = UNSET
    for found in lists(brain):
        assert len(found) == 30
        assert np.isfinite([title.score for title in found]).all()
    assert brain.tend().remaining == 0
    brain.consolidate()
    assert brain.status().events == 40


def test_a_clock_that_was_far_ahead_and_came_back_breaks_nothing(
    open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path
) -> None:
    store = SqliteDeviceStore.open(tmp_path / "store.db")
    brain = open_brain(store)
    live(brain, example, clock, 20)
    right, clock.now = clock.now, clock.now + timedelta(days=14 * 365)
    live(brain, example, clock, 5, "war")
    brain.consolidate()
    assert store.event_count() == 25
    clock.now = right
    live(brain, example, clock, 40)
    brain.consolidate()
    assert store.event_count() == 65, "what was consolidated in that future still counts"
    before = lists(brain)
    for found in before:
        assert np.isfinite([title.score for title in found]).all()
        assert [title.score for title in found] == sorted((title.score for title in found), reverse=True)
    again = open_brain(store)
    assert [[t.content_id for t in found] for found in lists(again)] == [[t.content_id for t in f] for f in before]
    clock.now = UNSET
    assert brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0)).sample_count == 1
    clock.now = right + timedelta(days=40)
    for context in CONTEXTS:
        assert "gladiator-2000" not in [title.content_id for title in brain.recommend(context, 800)]
    brain.close()
