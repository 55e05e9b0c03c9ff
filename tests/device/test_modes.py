"""Learning, paused, or a guest: what is stored and what is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega.core.errors import InputError
from omega.core.records import Outcome
from omega.core.types import ViewContext, ViewingEvent
from omega.device.results import Mode
from omega_storage.device_sqlite import SqliteDeviceStore
from tests.device.living import CONTEXTS, lists, live

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.testing.fakes import Clock
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def brain(open_brain: OpenBrain, example: Catalog, clock: Clock, file: Path) -> Brain:
    opened = open_brain(SqliteDeviceStore.open(file))
    opened.set_profile("Ada")
    live(opened, example, clock, 30)
    opened.observe(ViewingEvent(content_id="mine", title="Ours", watch_pct=0.4))
    return opened


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.GUEST])
def test_nothing_is_stored_and_the_answer_says_so(brain: Brain, clock: Clock, mode: Mode) -> None:
    brain.set_mode(mode)
    before = brain.export()
    clock.advance(hours=1)
    for event in (
        ViewingEvent(content_id="gladiator-2000", watch_pct=1.0),
        ViewingEvent(content_id="theirs", title="Theirs", watch_pct=1.0, profile="Ada"),
    ):
        seen = brain.observe(event)
        assert (seen.outcome, seen.sample_count, seen.success_rate) == (Outcome.IGNORED, 0, 0.5)
    with pytest.raises(InputError, match="watch_pct is 7"):
        brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=7))
    after = brain.export()
    assert (after.events, after.patterns, after.titles) == (before.events, before.patterns, before.titles)
    assert after.ledger == before.ledger
    assert brain.status().mode == brain.mode == mode
    brain.set_mode(Mode.LEARNING)
    assert brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0)).outcome == Outcome.ADDED


def test_the_household_chose_nothing_from_a_guests_list(brain: Brain) -> None:
    brain.set_mode(Mode.GUEST)
    title = brain.recommend()[0].content_id
    brain.set_mode(Mode.LEARNING)
    brain.observe(ViewingEvent(content_id=title, watch_pct=0.5))
    last = brain.export().events[-1]
    assert (last.content_id, last.offered, last.engagement_milli) == (title, None, 500)


def test_no_byte_of_what_a_guest_watched_is_in_the_file(brain: Brain, file: Path) -> None:
    brain.set_mode(Mode.GUEST)
    brain.observe(ViewingEvent(content_id="guests-only", title="Zwieback und Zwetschgen", watch_pct=1.0))
    brain.close()
    held = b"".join(part.read_bytes() for part in file.parent.glob("store.db*"))
    assert b"guest" in held, "the mode itself"
    assert b"guests-only" not in held
    assert b"Zwieback" not in held


def test_a_paused_tv_uses_what_it_learned(brain: Brain) -> None:
    learned = lists(brain)
    brain.set_mode(Mode.PAUSED)
    assert lists(brain) == learned


def test_a_guest_gets_the_lists_of_an_empty_tv_also_after_a_restart(
    open_brain: OpenBrain, brain: Brain, file: Path
) -> None:
    empty, learned = open_brain(), lists(brain)
    asked = [*CONTEXTS, ViewContext(profile="Ada")]
    nothing = [empty.recommend(context, 30) for context in CONTEXTS]
    brain.set_mode(Mode.GUEST)
    assert [brain.recommend(context, 30) for context in asked] == [*nothing, nothing[0]]
    for title in brain.recommend(k=800)[::100]:
        assert brain.why(title.content_id) == empty.why(title.content_id), "nor what was watched of it"
    brain.close()
    again = open_brain(SqliteDeviceStore.open(file))
    assert again.mode is Mode.GUEST
    assert lists(again) == nothing
    again.set_mode(Mode.LEARNING)
    assert [[t.content_id for t in found] for found in lists(again)] == [[t.content_id for t in f] for f in learned]
    again.close()
