"""What speaks for a title is true: evidence is an event that was, a series goes on where it was left."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from omega.core.records import Selection
from omega.core.types import TimeSlot, ViewContext, ViewingEvent
from omega.device.ranking import Weights
from omega_storage.device_memory import MemoryDeviceStore
from tests.device.living import CONTEXTS, ids, lists, live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.core.catalog import Catalog
    from omega.core.ports import DeviceStore
    from omega.core.testing.fakes import Clock
    from omega.core.types import Recommendation
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain

EVIDENCE = re.compile(r"you (finished|enjoyed|gave up|left) (.+?)( half-way)? on (\w{3} \d+ \w{3}(?: \d{4})?)$")
BOUNDS = {"finished": (900, 1000), "enjoyed": (700, 899), "left": (300, 699), "gave up": (0, 299)}
SERIES = "broadchurch-2013"


def claims(titles: list[Recommendation]) -> Iterator[tuple[str, str, str]]:
    """Give what reasons say was done with which title on which day."""
    for title in titles:
        for reason in title.reasons:
            if found := EVIDENCE.search(reason.text):
                yield found[1], found[2], found[4]


def happened(store: DeviceStore, catalog: Catalog, clock: Clock) -> dict[tuple[str, str], list[int]]:
    """Return what was watched by name and day, in thousandths; the night until 5 is the evening before."""
    found = defaultdict(list)
    for event in store.events():
        moment = datetime.fromtimestamp(event.at, clock.now.tzinfo) - timedelta(hours=5)
        year = f" {moment.year}" * (moment.year != (clock.now - timedelta(hours=5)).year)
        title = catalog.titles[catalog.ordinals[event.content_id]].title
        found[title, f"{moment:%a} {moment.day} {moment:%b}{year}"].append(event.watched_milli)
    return found


@pytest.mark.parametrize("hours", [0, 13, -7])
def test_evidence_names_an_event_that_was_and_its_day(
    open_brain: OpenBrain, example: Catalog, clock: Clock, hours: int
) -> None:
    """By the household's own clock, and over the end of a year."""
    clock.now = datetime(2025, 12, 27, 20, tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    store = MemoryDeviceStore()
    brain = open_brain(store)
    live(brain, example, clock, 40)
    assert clock.now.year == 2026
    told, days = happened(store, example, clock), set()
    for context in CONTEXTS:
        for verb, name, day in claims(brain.recommend(context, 800)):
            low, high = BOUNDS[verb]
            assert any(low <= milli <= high for milli in told[name, day]), (verb, name, day)
            days.add(day)
    assert len(days) > 5


def test_another_years_evidence_names_its_year(open_brain: OpenBrain, clock: Clock) -> None:
    """One in the morning of New Year's Day belongs to New Year's Eve."""
    brain = open_brain()
    brain.observe(ViewingEvent(content_id=SERIES, watch_pct=0.1, at=datetime(2026, 1, 1, 1, tzinfo=UTC)))
    assert texts(brain, SERIES)["given_up"] == "you gave up Broadchurch on Wed 31 Dec 2025"


def test_what_is_forgotten_is_evidence_no_more(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    live(brain, example, clock, 40)
    named = {name for _, name, _ in claims(brain.recommend(k=800))}
    doomed = next(event for event in store.events() if example.get(event.content_id).title in named)  # type: ignore[union-attr]
    name = example.titles[example.ordinals[doomed.content_id]].title
    brain.forget(Selection(content_id=doomed.content_id))
    for context in CONTEXTS:
        assert not any(name in reason.text for title in brain.recommend(context, 800) for reason in title.reasons)


def texts(brain: Brain, content_id: str) -> dict[str, str]:
    return {reason.kind: reason.text for reason in brain.why(content_id).recommendation.reasons}


def test_a_series_goes_on_at_the_next_episode_or_where_it_was_left(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain()
    for share, episode, expected in ((1.0, 3, 4), (0.95, 4, 5), (0.5, 5, 5), (0.4, 5, 5), (1.0, 5, 6)):
        clock.advance(hours=1)
        brain.observe(ViewingEvent(content_id=SERIES, watch_pct=share, season=2, episode=episode))
        first = brain.recommend()[0]
        assert (first.content_id, first.season, first.episode) == (SERIES, 2, expected)
        assert texts(brain, SERIES)["continue"] == f"goes on with season 2, episode {expected}"
    clock.advance(hours=1)
    brain.observe(ViewingEvent(content_id=SERIES, watch_pct=0.05, season=2, episode=6))
    gone = brain.why(SERIES).recommendation
    assert (gone.season, gone.episode) == (None, None), "it was given up"
    assert "continue" not in texts(brain, SERIES)


def test_a_series_without_numbers_waits_all_the_same(open_brain: OpenBrain) -> None:
    brain = open_brain()
    brain.observe(ViewingEvent(content_id=SERIES, watch_pct=0.5))
    found = brain.why(SERIES).recommendation
    assert (found.season, found.episode) == (None, None)
    assert texts(brain, SERIES)["continue"] == "you are in the middle of the series"


def test_each_profile_goes_on_with_its_own_episode(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain()
    for name, episode in (("Ada", 2), ("Ben", 7)):
        clock.advance(hours=1)
        brain.set_profile(name)
        brain.observe(ViewingEvent(content_id=SERIES, watch_pct=1.0, season=1, episode=episode, profile=name))
    episodes = [brain.why(SERIES, ViewContext(profile=name)).recommendation.episode for name in ("Ada", "Ben", None)]
    assert episodes == [3, 8, 8], "the household's last was Ben's"


def test_what_was_given_up_counts_against_itself_for_a_while(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain(weights=Weights(given_up=2.0))
    unseen = brain.why("gladiator-2000").rank or 0
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.1))
    found = brain.why("gladiator-2000")
    assert found.excluded is None
    assert (found.rank or 0) > 700 > unseen
    assert texts(brain, "gladiator-2000")["given_up"] == "you gave up Gladiator on Mon 5 Jan"
    weights = []
    for _ in range(3):
        weights.append({r.kind: r.weight for r in brain.why("gladiator-2000").recommendation.reasons}["given_up"])
        clock.advance(days=60)
    assert weights == pytest.approx([-2, -1, -0.5])
    assert all(later > earlier for earlier, later in pairwise(weights))
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.6))
    assert "given_up" not in texts(brain, "gladiator-2000"), "it got another chance"


def test_how_a_title_itself_went_counts_most_in_its_own_context(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain(weights=Weights(habit=0, own=6.0))
    brain.observe(ViewingEvent(content_id=SERIES, watch_pct=1.0, season=1, episode=1))

    def habit(context: ViewContext) -> float:
        reasons = brain.why(SERIES, context).recommendation.reasons
        return {reason.kind: reason.weight for reason in reasons}["habit"]

    here, alike, elsewhere = (habit(ViewContext(time=time)) for time in (None, TimeSlot.NIGHT, TimeSlot.MORNING))
    assert here == pytest.approx(6 * 0.5 / 1.3, abs=1e-5)
    assert alike == elsewhere == pytest.approx(6 * 0.1 / 0.5, abs=1e-5), "each is half alike"


def test_weights_hold_from_the_next_question_on(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    brain, twin = open_brain(), open_brain(weights=Weights(genre=0, skill=0, habit=0, own=0, explore=0))
    start = clock.now
    live(brain, example, clock, 40)
    clock.now = start
    live(twin, example, clock, 40)
    usual = lists(brain)
    brain.weights = twin.weights
    assert lists(brain) == lists(twin)
    assert [ids(found) for found in lists(brain)] != [ids(found) for found in usual]
    brain.weights = Weights(explore=0)
    assert lists(brain) == usual
