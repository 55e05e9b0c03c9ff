"""The brain: it learns, recommends with reasons that add up, explains, and is the same after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.catalog import Catalog
from omega.core.errors import InputError, OmegaError
from omega.core.parsing import parse_event
from omega.core.ranking_weights import shipped_weights
from omega.core.testing.fakes import FakeEmbedder
from omega.core.types import ContentType, DayType, TimeSlot, ViewContext, ViewingEvent, pattern_id
from omega.device.ranking import Weights
from omega_storage.device_memory import MemoryDeviceStore
from omega_storage.device_sqlite import SqliteDeviceStore
from tests.device.living import CONTEXTS, ids, lists, live, share_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.ports import Floats
    from omega.core.testing.fakes import Clock
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain


@pytest.mark.parametrize("genre", ["animation", "nature", "western"])
def test_what_is_watched_changes_what_is_recommended(
    open_brain: OpenBrain, example: Catalog, clock: Clock, genre: str
) -> None:
    brain = open_brain()
    before = brain.recommend()
    live(brain, example, clock, genre=genre)
    after = brain.recommend()
    assert len(before) == len(after) == 20
    assert ids(before) != ids(after)
    assert share_of(genre, after, example) > share_of(genre, before, example) + 0.3


def test_a_tv_that_knows_nothing_says_so(open_brain: OpenBrain) -> None:
    found = open_brain().recommend()
    assert found[0].reasons[0].text == "nothing is known of your taste yet"
    for recommendation in found:
        assert "new" in {reason.kind for reason in recommendation.reasons}
        assert recommendation.score == pytest.approx(sum(r.weight for r in recommendation.reasons), abs=1e-6)


def test_an_unknown_title_is_refused_with_the_closest_id(open_brain: OpenBrain) -> None:
    event = ViewingEvent(content_id="gladiator-2001", watch_pct=1.0)
    with pytest.raises(
        InputError, match="'gladiator-2001', allowed: an id of the catalog like gladiator-2000; or give"
    ):
        open_brain().observe(event)


def test_an_event_tells_what_it_became(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain()
    first = brain.observe(parse_event('{"content_id":"gladiator-2000","watch_pct":0.95}'))
    assert (first.title, first.local, first.sample_count) == ("Gladiator", False, 1)
    assert first.pattern_id == pattern_id("gladiator-2000", 4)
    assert first.success_rate == pytest.approx(1.95 / 3)
    clock.advance(hours=1)
    again = brain.observe(ViewingEvent(content_id="gladiator-2000", minutes=31))
    assert again.sample_count == 2
    assert again.success_rate == pytest.approx((1 + 0.95 + 31 / 155) / 4)
    assert brain.counts() == (2, 1)


def test_more_minutes_than_the_title_has_are_all_of_it(open_brain: OpenBrain) -> None:
    observed = open_brain().observe(ViewingEvent(content_id="gladiator-2000", minutes=700))
    assert observed.success_rate == pytest.approx(2 / 3)


def test_the_context_follows_the_households_clock(open_brain: OpenBrain) -> None:
    """The fake clock runs in UTC: half past one in the night of Auckland is the afternoon before."""
    at = datetime.fromisoformat("2026-01-04T01:30:00+13:00")
    observed = open_brain().observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0, at=at))
    assert observed.pattern_id == pattern_id("gladiator-2000", 3)


@pytest.mark.parametrize(
    "data",
    [
        '{"content_id":"no-such-title","watch_pct":0.9}',
        '{"content_id":"gladiator-2000","watch_pct":1.7}',
        '{"content_id":"gladiator-2000","watch_pct":NaN}',
        '{"content_id":"gladiator-2000","watch_pct":"x"}',
        '{"content_id":"gladiator-2000","minutes":-5}',
        '{"content_id":"gladiator-2000","watch_pct":1,"at":"1890-01-01T00:00:00Z"}',
        '{"content_id":"gladiator-2000","watch_pct":1,"kind":"opera"}',
        '{"content_id":"gladiator-2000","watch_pct":1,"volume":11}',
        '{"content_id":"gladiator-2000","watch_pct":1,"title":"' + "x" * 5_000_000 + '"}',
        '{"content_id":"gladiator-2000"}',
        '{"content_id":"mine","title":"Ours","minutes":30}',
    ],
)
def test_nothing_of_a_bad_event_is_stored(open_brain: OpenBrain, data: str) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    with pytest.raises(InputError, match="allowed"):
        brain.observe(parse_event(data))
    assert (store.event_count(), store.pattern_count(), store.titles(), store.space()) == (0, 0, {}, None)


def test_a_finished_title_is_never_recommended(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    brain = open_brain()
    top = brain.recommend()[0].content_id
    brain.observe(ViewingEvent(content_id=top, watch_pct=0.5))
    assert top in ids(brain.recommend(k=800))
    clock.advance(hours=1)
    brain.observe(ViewingEvent(content_id=top, watch_pct=0.9))
    for context in CONTEXTS[:3]:
        assert top not in ids(brain.recommend(context, 800))
    assert len(brain.recommend(k=800)) == 799
    clock.advance(hours=1)
    brain.observe(ViewingEvent(content_id=top, watch_pct=0.3))
    assert top not in ids(brain.recommend(k=800)), "it was seen to the end once"
    assert brain.why(top).excluded == "finished"


def test_events_that_come_late_reverse_nothing_and_a_reopened_brain_agrees(
    open_brain: OpenBrain, clock: Clock, tmp_path: Path
) -> None:
    store = SqliteDeviceStore.open(tmp_path / "store.db")
    brain = open_brain(store)
    earlier = clock.now - timedelta(days=30, hours=12)
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.4))
    waiting = resume_weight(brain, "gladiator-2000")
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.0, at=earlier))
    brain.observe(ViewingEvent(content_id="the-longest-day-1962", watch_pct=0.4))
    brain.observe(ViewingEvent(content_id="the-longest-day-1962", watch_pct=1.0, at=earlier))
    for opened in (brain, open_brain(store)):
        assert resume_weight(opened, "gladiator-2000") == waiting > 0
        assert opened.why("gladiator-2000").excluded is None
        assert opened.why("the-longest-day-1962").excluded == "finished"
        assert resume_weight(opened, "the-longest-day-1962") == 0
    brain.close()


def test_a_series_goes_on_and_says_where(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain()
    brain.observe(ViewingEvent(content_id="broadchurch-2013", watch_pct=1.0, season=1, episode=3))
    [first, *_] = brain.recommend()
    assert first.content_id == "broadchurch-2013"
    texts = {reason.kind: reason.text for reason in first.reasons}
    assert texts["continue"] == "goes on with season 1, episode 4"
    assert (first.season, first.episode) == (1, 4)
    assert texts["habit"] == "you finished Broadchurch on Mon 5 Jan"


def resume_weight(brain: Brain, content_id: str, context: ViewContext | None = None) -> float:
    reasons = brain.why(content_id, context).recommendation.reasons
    return next((reason.weight for reason in reasons if reason.kind == "continue"), 0.0)


def test_an_interrupted_movie_waits_less_as_weeks_go_by_and_elsewhere(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain(weights=Weights(resume=2.0))
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.4))
    assert "you left it at 40 %" in [r.text for r in brain.why("gladiator-2000").recommendation.reasons]
    assert resume_weight(brain, "gladiator-2000") == pytest.approx(2.0)
    assert resume_weight(brain, "gladiator-2000", ViewContext(time=TimeSlot.MORNING)) == pytest.approx(0.6)
    clock.advance(days=14)
    assert resume_weight(brain, "gladiator-2000") == pytest.approx(1.0)
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.1))
    assert resume_weight(brain, "gladiator-2000") == 0, "it was given up"


@pytest.mark.parametrize("kind", list(ContentType))
def test_only_the_kind_that_was_asked_for(
    open_brain: OpenBrain, example: Catalog, clock: Clock, kind: ContentType
) -> None:
    brain = open_brain()
    live(brain, example, clock, 20)
    found = brain.recommend(ViewContext(kind=kind), 800)
    finished = {watched.content_id for watched in brain._store.watched() if watched.best_milli >= 900}
    wanted = {t.id for t in example if t.kind == kind and (t.kind == "series" or t.id not in finished)}
    assert {recommendation.kind for recommendation in found} == {kind}
    assert set(ids(found)) == wanted


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_title_is_refused(open_brain: OpenBrain, k: int) -> None:
    with pytest.raises(InputError, match=f"k is {k}, allowed: 1..10,000"):
        open_brain().recommend(k=k)


def test_more_titles_than_there_are_is_all_of_them(open_brain: OpenBrain) -> None:
    assert len(open_brain().recommend(k=10_000)) == 800


def test_a_bad_mood_is_refused(open_brain: OpenBrain) -> None:
    with pytest.raises(InputError, match="mood is"):
        open_brain().recommend(ViewContext(mood="\n"))


def test_reasons_add_up_to_scores_that_fall_down_the_list(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    brain = open_brain()
    live(brain, example, clock)
    for found in [*lists(brain), brain.recommend(k=700)]:
        for recommendation in found:
            weights = [reason.weight for reason in recommendation.reasons]
            assert recommendation.score == pytest.approx(sum(weights), abs=1e-6)
            assert [abs(weight) for weight in weights] == sorted((abs(weight) for weight in weights), reverse=True)
            assert all(weights)
            assert all(reason.text for reason in recommendation.reasons)
        scores = [recommendation.score for recommendation in found]
        assert all(lower <= upper + 1e-5 for upper, lower in pairwise(scores))
    everything = [*lists(brain), brain.recommend(k=800)]
    kinds = {reason.kind for found in everything for recommendation in found for reason in recommendation.reasons}
    assert kinds == {"taste", "novelty", "context", "skill", "mood", "habit", "continue", "given_up", "variety"}


def test_a_rank_is_the_place_in_a_list_without_variety(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    brain = open_brain(weights=Weights(variety=0))
    live(brain, example, clock)
    for context in CONTEXTS:
        found = brain.recommend(context, 800)
        for place in (0, 1, 2, 50, len(found) - 1):
            explanation = brain.why(found[place].content_id, context)
            assert (explanation.rank, explanation.excluded) == (place + 1, None)
            assert explanation.recommendation == found[place]


def test_why_tells_what_excludes_a_title_and_what_was_watched_of_it(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain()
    for share in (0.3, 0.95):
        clock.advance(minutes=90)
        brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=share))
    brain.observe(ViewingEvent(content_id="broadchurch-2013", watch_pct=0.95))
    finished = brain.why("gladiator-2000")
    assert (finished.rank, finished.excluded) == (None, "finished")
    assert [watch.watched_milli for watch in finished.watched] == [300, 950]
    other = brain.why("the-longest-day-1962", ViewContext(kind=ContentType.SERIES))
    assert (other.rank, other.excluded, other.watched) == (None, "not a series", ())
    with pytest.raises(
        InputError, match="content_id is 'gladiator', allowed: an id of the catalog like gladiator-2000"
    ):
        brain.why("gladiator")


def test_a_list_with_variety_holds_fewer_copies(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    def closeness(variety: float) -> float:
        brain = open_brain(weights=Weights(variety=variety))
        live(brain, example, clock)
        rows = brain._titles.centered[[example.ordinals[content_id] for content_id in ids(brain.recommend())]]
        return float((rows @ rows.T).mean())

    assert closeness(2.0) < closeness(0.0)


def test_a_reopened_brain_gives_the_same_lists(
    open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path
) -> None:
    brain = open_brain(SqliteDeviceStore.open(tmp_path / "store.db"))
    live(brain, example, clock, 120)
    brain.observe(ViewingEvent(content_id="mine", title="Ours", genres=("crime",), watch_pct=1.0))
    before, status = lists(brain), brain.status()
    brain.close()
    again = open_brain(SqliteDeviceStore.open(tmp_path / "store.db"))
    for old, new in zip(before, lists(again), strict=True):
        assert ids(old) == ids(new)
        assert np.allclose([r.score for r in old], [r.score for r in new], atol=1e-5)
    assert again.status().habits == status.habits
    assert (again.status().events, again.status().local_titles) == (121, 1)
    again.close()


def test_a_reopened_brain_knows_a_context_that_is_seldom_watched_in(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    """A context's counts decay with its own events, so the many of another one must not make it forgotten."""
    store = MemoryDeviceStore()
    brain = open_brain(store)
    for title in [title for title in example if "animation" in title.genres][:6]:
        morning = ViewingEvent(content_id=title.id, watch_pct=1.0, at=datetime(2026, 1, 4, 9, tzinfo=UTC))
        brain.observe(morning)
    for second in range(420):
        at = clock.now + timedelta(seconds=second)
        brain.observe(ViewingEvent(content_id="broadchurch-2013", watch_pct=1.0, at=at))
    context = ViewContext(time=TimeSlot.MORNING, day=DayType.WEEKEND)
    before, habits = brain.recommend(context), brain.status().habits
    again = open_brain(store)
    assert "Sunday mornings: animation, 6 of 6 finished" in habits
    assert again.status().habits == habits
    assert ids(again.recommend(context)) == ids(before)


def test_every_store_gives_the_same_lists(
    open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path
) -> None:
    stores = [
        MemoryDeviceStore(),
        SqliteDeviceStore.open(tmp_path / "matrix.db"),
        SqliteDeviceStore.open(tmp_path / "vec0.db", in_memory=False),
    ]
    start, found = clock.now, []
    for store in stores:
        clock.now = start
        brain = open_brain(store)
        live(brain, example, clock)
        found.append(lists(brain))
        brain.close()
    for other in found[1:]:
        for mine, theirs in zip(found[0], other, strict=True):
            assert ids(mine) == ids(theirs)
            assert np.allclose([r.score for r in mine], [r.score for r in theirs], atol=1e-4)


def test_recommending_writes_nothing(open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path) -> None:
    store = SqliteDeviceStore.open(tmp_path / "store.db")
    brain = open_brain(store)
    live(brain, example, clock, 20)

    def state() -> tuple[int, dict[str, bytes]]:
        return store._connection.total_changes(), {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    before = state()
    lists(brain)
    brain.why("gladiator-2000", CONTEXTS[2])
    brain.status()
    changes, files = state()
    assert changes == before[0]
    assert {name: raw for name, raw in files.items() if not name.endswith("-shm")} == {
        name: raw for name, raw in before[1].items() if not name.endswith("-shm")
    }
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0))
    assert state()[0] > changes
    brain.close()


class CountingEmbedder(FakeEmbedder):
    """Counts what it embeds."""

    texts = 0

    def embed(self, texts: Sequence[str]) -> Floats:
        self.texts += len(texts)
        return super().embed(texts)


class OtherSpace(CountingEmbedder):
    """The same words, in the opposite direction."""

    space = "fake-words-2"

    def embed(self, texts: Sequence[str]) -> Floats:
        return np.asarray(-super().embed(texts), np.float32)


def test_a_mood_is_embedded_once(open_brain: OpenBrain) -> None:
    embedder = CountingEmbedder()
    brain = open_brain(embedder=embedder)
    before = embedder.texts
    brain.recommend()
    assert embedder.texts == before
    first = brain.recommend(ViewContext(mood="sad"))
    assert embedder.texts == before + 1
    assert brain.recommend(ViewContext(mood="sad")) == first
    assert embedder.texts == before + 1


def test_vectors_of_another_space_are_replaced_on_opening(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    live(brain, example, clock, 30)
    brain.observe(ViewingEvent(content_id="mine", title="Ours", watch_pct=1.0))
    known = list(store.titles())
    old, before = store.vectors(known), lists(brain)
    other = OtherSpace()
    again = open_brain(store, embedder=other)
    assert store.space() == again.status().space == "fake-words-2"
    assert np.allclose(store.vectors(known), -old, atol=1e-5)
    # The mirror image of a space has the same cosines.
    assert [ids(found) for found in lists(again)] == [ids(found) for found in before]
    again.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0))
    assert store.event_count() == 32


def test_a_title_of_this_tv_alone_stays_here_and_counts(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    before = brain.recommend(k=800)
    event = ViewingEvent(content_id="mine", title="War at home", genres=("war", "history"), watch_pct=1.0)
    observed = brain.observe(event)
    assert (observed.local, observed.title) == (True, "War at home")
    clock.advance(hours=2)
    assert brain.observe(ViewingEvent(content_id="mine", watch_pct=0.9)).title == "War at home", "its name is known now"
    assert [title.id for title in store.titles().values() if title] == ["mine"]
    assert brain.status().local_titles == 1
    after = brain.recommend(k=800)
    assert "mine" not in ids(after)
    assert share_of("war", after[:20], example) > share_of("war", before[:20], example)
    assert share_of("war", open_brain(store).recommend(), example) == share_of("war", after[:20], example)
    assert any("War at home" in reason.text for found in after[:20] for reason in found.reasons)


def test_popularity_that_ships_with_the_catalog_lifts_a_title(open_brain: OpenBrain, example: Catalog) -> None:
    popular = [msgspec.structs.replace(t, popularity=0.4 if t.id == "gladiator-2000" else 0.0) for t in example]
    plain, lifted = open_brain(), open_brain(catalog=Catalog.build(popular))
    assert (plain.why("gladiator-2000").rank or 0) > 1
    assert lifted.why("gladiator-2000").rank == 1
    [reason, *_] = lifted.why("gladiator-2000").recommendation.reasons
    assert (reason.kind, reason.text) == ("trend", "40.0% of viewers watch it")
    fit = shipped_weights()
    assert reason.weight == pytest.approx(fit.trend * np.log(4001) + fit.surge * np.log(0.4001 / 0.004), abs=1e-4)


def test_a_title_that_the_catalog_gets_later_is_no_longer_local(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    store = MemoryDeviceStore()
    mine = example.titles[-1]
    smaller = Catalog.build(example.titles[:-1])
    event = ViewingEvent(content_id=mine.id, title="Mine", watch_pct=0.5)
    assert open_brain(store, catalog=smaller).observe(event).local
    clock.advance(hours=1)
    observed = open_brain(store, catalog=Catalog.build(example, smaller)).observe(event)
    assert (observed.local, observed.title, observed.sample_count) == (False, mine.title, 2)


def test_a_catalog_that_lacks_what_was_watched_is_met_with_words(open_brain: OpenBrain, example: Catalog) -> None:
    """Another lineage: either the brain does without those titles, or it says what is wrong; it never breaks."""
    store = MemoryDeviceStore()
    open_brain(store).observe(ViewingEvent(content_id=example.titles[0].id, watch_pct=1.0))
    other = Catalog.build(example.titles[1:100])
    try:
        found = open_brain(store, catalog=other).recommend()
    except OmegaError as error:
        assert "catalog" in str(error)  # noqa: PT017
    else:
        assert len(found) == 20


def test_the_status_tells_figures_and_habits_in_words(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    brain = open_brain()
    assert brain.status().habits == ()
    dramas = [t for t in example if t.kind == "series" and "crime" in t.genres][:6]
    for title in dramas:
        brain.observe(ViewingEvent(content_id=title.id, watch_pct=1.0))
    clock.advance(hours=12)
    for title in dramas[:2]:
        brain.observe(ViewingEvent(content_id=title.id, watch_pct=1.0))
    status = brain.status()
    assert (status.events, status.patterns, status.local_titles) == (8, 8, 0)
    assert (status.catalog_titles, status.catalog_epoch, status.catalog_lineage) == (800, 1, example.lineage)
    assert (status.embedder, status.space) == ("fake", "fake-words-1")
    assert status.store_bytes > 0
    assert status.skills >= len(status.habits)
    assert {"Monday evenings: crime, 6 of 6 finished", "Monday evenings: series, 6 of 6 finished"} <= {*status.habits}
    assert all(habit.startswith("Monday evenings: ") for habit in status.habits)
    assert (status.mode, status.profiles, status.fallback, status.rescued_at) == ("learning", (), None, None)
    assert (status.shared.queued, status.read_only) == (8, False)


def test_the_clock_decides_the_context(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    brain = open_brain()
    for title in [t for t in example if t.kind == "documentary"][:5]:
        brain.observe(ViewingEvent(content_id=title.id, watch_pct=1.0))
    evening = brain.recommend()
    assert ids(evening) == ids(brain.recommend(ViewContext(time=TimeSlot.EVENING, day=DayType.WEEKDAY)))
    clock.now = datetime(2026, 1, 5, 8, tzinfo=UTC) + timedelta(days=5)
    assert ids(brain.recommend()) == ids(brain.recommend(ViewContext(time=TimeSlot.MORNING, day=DayType.WEEKEND)))
    assert ids(brain.recommend()) != ids(evening)
