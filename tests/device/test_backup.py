"""What one TV exports another takes in: once, whole, and checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from omega.core.catalog import Catalog
from omega.core.errors import InputError
from omega.core.types import ViewContext, ViewingEvent
from omega.device import backup
from omega.device.backup import Document, Restored
from omega_storage.device_memory import MemoryDeviceStore
from omega_storage.device_sqlite import SqliteDeviceStore
from tests.device.living import ids, lists, live

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.testing.fakes import Clock
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain


def household(brain: Brain, example: Catalog, clock: Clock) -> Brain:
    """Let two profiles and nobody in particular watch, a title of their own included."""
    brain.set_profile("Ada", 7)
    brain.set_profile("Ben")
    live(brain, example, clock, 20, "animation", "Ada")
    live(brain, example, clock, 20, "crime")
    first = brain.recommend(k=1)[0].content_id
    for event in (
        ViewingEvent(content_id="mine", title="Ours", genres=("war",), watch_pct=1.0, profile="Ben"),
        ViewingEvent(content_id=first, watch_pct=0.5, liked=True),
    ):
        brain.observe(event)
    return brain


def as_json(brain: Brain) -> bytes:
    return msgspec.json.encode(brain.export())


def test_another_tv_answers_as_the_first_and_told_twice_adds_nothing(
    open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path
) -> None:
    brain = household(open_brain(), example, clock)
    document = backup.parse(as_json(brain))
    other = open_brain(SqliteDeviceStore.open(tmp_path / "other.db"))
    other.set_profile("Ben", 99)  # with an id that is Ada's on the first TV
    assert other.restore(document) == Restored(42, 0, 0, 0, 2)
    for name in (None, "Ada", "Ben"):
        context = ViewContext(profile=name)
        mine, theirs = brain.recommend(context), other.recommend(context)
        assert ids(mine) == ids(theirs)
        assert [t.score for t in mine] == pytest.approx([t.score for t in theirs], abs=1e-5)
    assert other.memories("Ada").habits == brain.memories("Ada").habits
    assert {(profile.name, profile.age) for profile in other.profiles()} == {("Ada", 7), ("Ben", 99)}
    again, before = other.status(), lists(other)
    assert other.restore(document) == Restored(0, 42, 0, 0, 2)
    assert (other.status().events, other.status().patterns) == (again.events, again.patterns) == brain.counts()
    assert lists(other) == before
    other.close()


@pytest.mark.parametrize(
    ("here", "told", "limit"), [(9, None, 9), (None, 9, 9), (9, 16, 9), (16, 9, 9), (None, None, None)]
)
def test_an_import_never_opens_an_age_limit(
    open_brain: OpenBrain, here: int | None, told: int | None, limit: int | None
) -> None:
    first, other = open_brain(), open_brain()
    first.set_profile("Ada", told)
    other.set_profile("Ada", here)
    other.restore(backup.parse(as_json(first)))
    assert [profile.age for profile in other.profiles()] == [limit]


def test_nothing_that_was_taken_in_is_shared(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    brain, other = household(open_brain(), example, clock), open_brain()
    assert brain.status().shared.queued > 20
    other.restore(brain.export())
    assert msgspec.structs.astuple(other.status().shared) == (0, 0, 0, 0)
    assert [event.shared for event in other.export().events] == [event.shared for event in brain.export().events]


def test_what_was_watched_here_stays_and_stays_to_be_shared(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    brain, other = household(open_brain(), example, clock), open_brain()
    other.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0, at=clock.now))
    other.restore(brain.export())
    assert other.counts()[0] == 43
    assert other.status().shared.queued == 1
    assert other.why("gladiator-2000").excluded == "finished"


def test_an_export_tells_all_that_is_held(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = household(open_brain(store), example, clock)
    brain.consolidate()
    document = backup.parse(as_json(brain))
    assert document == brain.export()
    assert document.events == tuple(store.events())
    assert document.patterns == tuple(store.patterns())
    assert document.skills == tuple(store.skills()[1])
    assert document.skills
    assert [title.id for title in document.titles] == ["mine"]
    assert document.ledger == store.ledger.counts()
    assert (document.catalog_lineage, document.mode) == (example.lineage, "learning")
    assert document.exported_at == clock.now.isoformat(timespec="seconds")


def test_events_of_titles_that_nobody_names_are_counted_and_left_out(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    brain = household(open_brain(), example, clock)
    document = msgspec.structs.replace(brain.export(), titles=())
    smaller = Catalog.build([title for title in example if title.id != document.events[0].content_id])
    lost = sum(event.content_id == document.events[0].content_id for event in document.events)
    found = open_brain(catalog=smaller).restore(document)
    assert found == Restored(42 - lost - 1, 0, 0, lost + 1, 2)


def test_all_of_a_document_or_nothing(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    document = household(open_brain(), example, clock).export()
    bad = msgspec.structs.replace(document.events[-1], slot=9)
    other = open_brain()
    fresh = lists(other)
    with pytest.raises(InputError, match="slot is 9"):
        other.restore(msgspec.structs.replace(document, events=(*document.events[:-1], bad)))
    assert (other.counts(), other.profiles(), lists(other)) == ((0, 0), (), fresh)


EVENT: dict[str, Any] = {"content_id": "gladiator-2000", "at": 1_767_643_200, "slot": 4, "watched_milli": 900}
TITLE: dict[str, Any] = {
    "id": "mine",
    "title": "Ours",
    "year": 0,
    "kind": "movie",
    "genres": [],
    "minutes": 0,
    "age": 0,
}
GOOD: dict[str, Any] = {
    "format": 1,
    "omega": "1",
    "exported_at": "now",
    "catalog_lineage": "x",
    "mode": "learning",
    "profiles": [{"id": 1, "name": "Ada"}],
    "titles": [TITLE],
    "events": [EVENT],
}


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("at", 10**15, "at of event 1 is 1000000000000000, allowed: 946684800..8589934592"),
        ("at", -5, "at of event 1 is -5, allowed: 946684800.."),
        ("at", "yesterday", r"Expected `int`, got `str` - at `\$.events\[0\].at`"),
        ("slot", 8, "slot of event 1 is 8, allowed: 0..7"),
        ("watched_milli", 1001, "watched_milli of event 1 is 1001, allowed: 0..1000"),
        ("engagement_milli", -1, "engagement_milli of event 1 is -1, allowed: 0..1000"),
        ("season", -1, "season of event 1 is -1, allowed: 0..1000"),
        ("episode", 10**9, "episode of event 1 is 1000000000, allowed: 0..100000"),
        ("offered", 0, "offered of event 1 is 0, allowed: 1.."),
        ("profile", 7, r"profile of event 1 is 7, allowed: one of \[0, 1\]"),
    ],
)
def test_a_bad_event_is_refused(field: str, value: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        backup.parse(json.dumps(GOOD | {"events": [EVENT | {field: value}]}).encode())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "format is 2, allowed: 1: update omega"),
        ({"profiles": [{"id": 1, "name": ""}]}, "profile is '', allowed: text of 1..32"),
        ({"profiles": [{"id": 1, "name": "Ada", "age": 200}]}, "age is 200, allowed: a number 0..150"),
        ({"profiles": [{"id": 0, "name": "Ada"}]}, "id of profile Ada is 0, allowed: 1 and more"),
        ({"titles": [TITLE | {"title": "x" * 201}]}, "title is '.*, allowed: text of 1..200"),
        ({"titles": [TITLE | {"id": "a\u0000b"}]}, "content_id is .*, allowed: text of 1..128"),
        ({"titles": [TITLE | {"minutes": -1}]}, "minutes is -1, allowed: a number 0..1440"),
        ({"titles": [TITLE | {"kind": "opera"}]}, r"this is no export \(Invalid enum value 'opera'"),
        ({"titles": [TITLE | {"genres": ["x"] * 9}]}, "genres is .*, allowed: a list of at most 8"),
        ({"events": {}}, r"this is no export \(Expected `array`, got `object` - at `\$.events`\)"),
    ],
)
def test_a_bad_document_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        backup.parse(json.dumps(GOOD | change).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_what_is_no_export_is_refused_in_a_line(data: bytes) -> None:
    with pytest.raises(
        InputError, match=r"this is no export \(.*\): give a file that omega device export wrote"
    ) as found:
        backup.parse(data)
    assert "\n" not in str(found.value)


def test_the_least_document_is_taken(open_brain: OpenBrain) -> None:
    document = backup.parse(json.dumps(GOOD).encode())
    assert isinstance(document, Document)
    assert open_brain().restore(document) == Restored(1, 0, 0, 0, 1)


def test_a_document_without_end_is_refused_before_it_is_read() -> None:
    with pytest.raises(InputError, match="the export is 64,000,001 B, allowed: 64,000,000 B"):
        backup.parse(b" " * (backup.MAX_BYTES + 1))
