"""A claim about what a TV no longer knows: what was forgotten is in none of its files, and in nothing that it shows."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from omega.claims.claim import Claims, Measured
from omega.claims.durability import settings_of
from omega.claims.traces import found_in
from omega.compose import open_brain, open_catalog, open_store
from omega.core.records import Selection
from omega.core.types import DIMENSIONS, ViewingEvent, title_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from omega.claims.bench import Bench
    from omega.core.ports import DeviceStore
    from omega.core.settings import Settings
    from omega.device.backup import Document
    from omega.device.brain import Brain

claims = Claims()
EVENTS, TITLES = 420, 280
SHARD = ("shard-a", 1)
PROFILES = (None, "Wilhelmine-Ærøskøbing", None, "Þorgerður-Zoë")
_FRAMES = {60: 1, 250: 2}
"""After so many events a frame of this version leaves; the first is acknowledged."""
_START = datetime(2026, 1, 5, tzinfo=UTC)
_EVERY = timedelta(hours=7)
_AFTER = _START + EVENTS * _EVERY
_SCANNED_VECTORS = 16
_PART = 8
"""Floats of a vector that are looked for together; a vector may lie on two pages, so three parts are."""
_PERIOD = range(100, 200)
_LOCAL, _SENT = 0, 1
"""Places of two titles: one that no catalog has, and one that was shared."""


class Stage(NamedTuple):
    """Something that is forgotten."""

    name: str
    selection: Selection
    profile: str | None
    holds: Callable[[ViewingEvent], bool]
    """Whether an event is meant."""


class Traces(NamedTuple):
    """What was looked for after something was forgotten."""

    stage: str
    needles: int
    found_before: int
    """How many of them the same scan finds before."""
    places: list[str]
    """Where one stands afterwards."""
    alike: bool
    """Whether the TV exports what one does that never saw the forgotten."""


def watched(ids: Sequence[str]) -> list[ViewingEvent]:
    """Return what the household watches: each fifth title is its own, half of them come again, each has one viewer."""
    return [_event(number, ids) for number in range(EVENTS)]


def _event(number: int, ids: Sequence[str]) -> ViewingEvent:
    place = number if number < TITLES else 2 * (number - TITLES)
    local, again = place % 5 == 0, place % 2 == 0
    return ViewingEvent(
        content_id=f"home.hiddensee-{place}" if local else ids[place],
        title=f"Würfelquallen über Ærø, {place}. Abend \N{OCTOPUS}" if local else None,
        genres=("drama",) if local else (),
        watch_pct=number % 101 / 100,
        at=_START + number * _EVERY,
        profile=PROFILES[place % len(PROFILES)],
        liked=True if again else None,  # else what was continued would say so, and so what came before
    )


def stages(events: Sequence[ViewingEvent]) -> list[Stage]:
    """Return what is forgotten one after the other: two titles, a period, a profile, all that is left."""
    local, sent, name = events[_LOCAL].content_id, events[_SENT].content_id, PROFILES[-1]
    since, until = (_START + number * _EVERY for number in (_PERIOD.start, _PERIOD.stop))
    period = Selection(since=int(since.timestamp()), until=int(until.timestamp()))
    return [
        Stage("a title of its own", Selection(content_id=local), None, lambda event: event.content_id == local),
        Stage("a shared title", Selection(content_id=sent), None, lambda event: event.content_id == sent),
        Stage("a period", period, None, lambda event: event.at is not None and since <= event.at < until),
        Stage("a profile", Selection(), name, lambda event: event.profile == name),
        Stage("all", Selection(), None, lambda event: True),
    ]


@claims.add(
    "forget-bytes",
    what="places in a TV's files where something forgotten still stands: titles, a period, a profile, all",
    target=0,
    unit="places",
    bound="at most",
    oracle="the same scan finds it before; what is left equals what a TV exports that never saw the forgotten",
)
def forget_bytes(bench: Bench) -> Measured:
    """Let a household watch and share, forget one thing after the other, and look for its bytes each time."""
    settings = settings_of(bench, "forgetful")
    events = watched([title.id for title in open_catalog(settings)])
    with closing(opened(settings)) as brain:
        live(brain, settings, events)
    sent = sent_titles(settings, events)
    found: list[Traces] = []
    left = events
    for turn, stage in enumerate(stages(events)):
        left, gone = [e for e in left if not stage.holds(e)], [e for e in left if stage.holds(e)]
        unseen = settings_of(bench, f"unseen{turn}")
        found.append(forgotten(settings, unseen, stage, gone, left, sent))
    kept, dropped = settled(settings, sent)
    places = [place for traces in found for place in traces.places] + dropped
    details = {
        "events": len(events),
        "stages": {traces.stage: traces.needles for traces in found},
        "found_before": sum(traces.found_before for traces in found),
        "places": places[:5],
        "left_as_never_seen": all(traces.alike for traces in found),
        "keys_of_shared_titles_until_taken_back": kept,
        "keys_of_shared_titles_after": len(dropped),
    }
    whole = all(traces.found_before == traces.needles and traces.alike for traces in found)
    return Measured(len(places), details, agrees=whole and kept > 0)


def opened(settings: Settings) -> Brain:
    """Open the TV's brain, at a time when all that is watched is past."""
    return open_brain(settings, now=lambda: _AFTER)


def live(brain: Brain, settings: Settings, events: Iterable[ViewingEvent]) -> None:
    """Watch, share twice, ask, and consolidate."""
    named = [name for name in PROFILES if name]
    for name in named:
        brain.set_profile(name)
    with closing(open_store(settings, DIMENSIONS)) as store:
        for number, event in enumerate(events, 1):
            brain.observe(event)
            if version := _FRAMES.get(number):
                store.ledger.assign(*SHARD, version, number // 3)
                store.ledger.acknowledge(*SHARD, 1)
    brain.recommend()
    brain.consolidate()


def sent_titles(settings: Settings, events: Iterable[ViewingEvent]) -> set[str]:
    """Return the ids of the titles that the ledger shared."""
    with closing(open_store(settings, DIMENSIONS)) as store:
        keys = {row.title_key for rows in store.ledger.since(*SHARD, 0).values() for row in rows}
    return {event.content_id for event in events if title_key(event.content_id) in keys}


def forgotten(
    settings: Settings,
    unseen: Settings,
    stage: Stage,
    gone: Sequence[ViewingEvent],
    left: Sequence[ViewingEvent],
    sent: set[str],
) -> Traces:
    """Forget, and look for what is gone while the brain is open and once it is closed."""
    with closing(open_store(settings, DIMENSIONS)) as store:
        needles = traces_of(store, gone, left, sent, stage.profile)
    wanted = [needle for group in needles for needle in group]
    before = {needle for _, _, needle in found_in(settings.store, wanted)}
    with closing(opened(settings)) as brain:
        brain.recommend()
        brain.forget(stage.selection, stage.profile)
        after = found_in(settings.store, wanted)
        brain.consolidate()
        after += found_in(settings.store, wanted)
        shown = comparable(brain.export())
    after += found_in(settings.store, wanted)
    with closing(opened(unseen)) as brain:
        for name in (profile.name for profile in shown.profiles):
            brain.set_profile(name)
        with brain.many():
            for event in left:
                brain.observe(event)
        brain.consolidate()
        never_seen = comparable(brain.export())
    places = [f"{file.name} at {at}: {needle!r} after {stage.name}" for file, at, needle in after]
    seen = sum(any(needle in before for needle in group) for group in needles)
    return Traces(stage.name, len(needles), seen, places, shown == never_seen)


def traces_of(
    store: DeviceStore,
    gone: Sequence[ViewingEvent],
    left: Sequence[ViewingEvent],
    sent: set[str],
    profile: str | None,
) -> list[tuple[bytes, ...]]:
    """Return what must not be found, in groups of which one at least stands in the files before.

    Titles of which nothing is left: their ids, names, vectors, patterns, and the hash of one that was never shared.
    """
    kept = " ".join({event.content_id for event in left})
    titles = {event.content_id: event for event in gone if event.content_id not in kept}
    groups: list[tuple[bytes, ...]] = [(key.encode(),) for key in titles]
    groups += [(event.title.encode(),) for event in titles.values() if event.title]
    groups += [(_stored(title_key(key)),) for key, event in titles.items() if key not in sent and not event.title]
    profiles = {None: 0} | {made.name: made.id for made in store.profiles()}
    patterns = {(p.content_id, p.profile): p.id for p in store.patterns()}
    groups += [(_stored(patterns[key, profiles[event.profile]]),) for key, event in titles.items()]
    some = list(titles)[:: max(1, len(titles) // _SCANNED_VECTORS)]
    for vector in store.vectors(some):
        groups.append(tuple(vector[at : at + _PART].tobytes() for at in (0, DIMENSIONS // 2, DIMENSIONS - _PART)))
    return groups + [(name.encode(),) for name in (profile,) if name]


def settled(settings: Settings, sent: set[str]) -> tuple[int, list[str]]:
    """Let the shard take everything back; return how many shared titles' hashes stood in the files before, and after.

    They stand there as long as they are needed to take back what was shared.
    """
    keys = [_stored(title_key(key)) for key in sent]
    before = {needle for _, _, needle in found_in(settings.store, keys)}
    with closing(open_store(settings, DIMENSIONS)) as store:
        last = max(_FRAMES.values()) + 1
        store.ledger.acknowledge(*SHARD, last - 1)
        store.ledger.assign(*SHARD, last, len(sent) + EVENTS)
        store.ledger.acknowledge(*SHARD, last)
        store.ledger.drop_before(*SHARD, last)
        store.compact()
    after = found_in(settings.store, keys)
    return len(before), [f"{file.name} at {at}: a hash that was taken back" for file, at, _ in after]


def comparable(document: Document) -> Document:
    """Return what is held of the household; what was shared can't be unshared, and titles keep their order."""
    titles = tuple(sorted(document.titles, key=lambda title: title.id))
    return msgspec.structs.replace(document, titles=titles, ledger=None)


def _stored(number: int) -> bytes:
    """Return a hash as SQLite writes it."""
    return number.to_bytes(8, "big")
