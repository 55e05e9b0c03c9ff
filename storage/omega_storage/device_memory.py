"""A device's memory in a list of events, from which everything is worked out anew each time: slow and plainly right."""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.errors import InputError, StoreError
from omega.core.ports import DeviceStore
from omega.core.records import (
    Forgotten,
    Near,
    Outcome,
    PatternRecord,
    Profile,
    Recorded,
    SkillRow,
    Watched,
    WatchRecord,
)
from omega.core.types import CONTEXT_SHARE, DIMENSIONS, SLOTS, ContentType, pattern_id, title_key
from omega_storage.ledger_memory import MemoryLedger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats, Where
    from omega.core.records import Selection
    from omega.core.types import Title

_MAX_INTEGER = 2**63 - 1


class _Event(msgspec.Struct):
    id: int
    event: WatchRecord
    pruned: bool = False


class MemoryDeviceStore(DeviceStore):
    """A device's memory in lists and dicts; what is closed is gone."""

    is_read_only = False

    def __init__(self, *, dimensions: int = DIMENSIONS) -> None:
        """Start empty."""
        self.ledger: MemoryLedger = MemoryLedger()
        self._events: list[_Event] = []
        self._titles: dict[str, Title] = {}
        self._local: set[str] = set()
        self._vectors: dict[str, Floats] = {}
        self._profiles: list[Profile] = []
        self._notes: dict[str, bytes] = {}
        self._dropped: set[int] = set()
        self._skills: dict[tuple[int, int, int, str], SkillRow] = {}
        self._cursor = 0
        self._bound: str | None = None
        self._contexts: Floats = np.zeros((SLOTS, dimensions), np.float32)
        self._dimensions = dimensions
        self._next = 1

    def bind(self, space: str, contexts: Floats) -> bool:
        """Work in this space from now on; say whether the titles' vectors are of it."""
        self._bound, self._contexts = space, contexts
        return self.space() == space or not self._titles

    def record(
        self,
        event: WatchRecord,
        title: Title,
        vector: Floats,
        *,
        local: bool,
        day: int | None,
        taste: bytes = b"",
    ) -> Recorded:
        """Store the event, and say what became of it."""
        _check_event(event)
        self._hold()
        checked = self._unit(vector)
        self._vectors.setdefault(title.id, checked)
        self._titles[title.id] = title
        (self._local.add if local else self._local.discard)(title.id)
        self._notes["space"] = (self._bound or "").encode()
        told = next((kept for kept in self._events if not kept.pruned and _same(kept.event, event)), None)
        slot = event.slot if told is None else told.event.slot
        row_id = pattern_id(event.content_id, slot, event.profile)
        if told is None:
            outcome = Outcome.ADDED
            told = _Event(self._next, event)
            self._next += 1
            self._events.append(told)
            if day is not None and not local and not event.shared and self.ledger.queue(told.id, event, day, taste):
                told.event = msgspec.structs.replace(event, shared=True)
        elif _says(told.event) == _says(event):
            outcome = Outcome.REPEATED
        else:
            outcome = Outcome.CORRECTED
            told.event = msgspec.structs.replace(
                told.event, watched_milli=event.watched_milli, engagement_milli=event.engagement_milli
            )
            self.ledger.correct(told.id, event.watched_milli)
            if told.id <= self._cursor:
                self._skills, self._cursor = {}, 0
        self._dropped.discard(row_id)
        return Recorded(next(pattern for pattern in self.patterns() if pattern.id == row_id), outcome)

    @contextmanager
    def many(self) -> Iterator[None]:
        """Make all that is recorded in the block hold together; when the block fails, none of it does."""
        held = {name: copy(value) for name, value in vars(self).items() if name != "ledger"}  # values are frozen
        held["_events"] = [copy(kept) for kept in self._events]
        lines = [copy(line) for line in self.ledger.lines]
        try:
            yield
        except BaseException:
            vars(self).update(held)
            self.ledger.lines = lines
            raise

    def version(self) -> int:
        """Return 0: nobody else can change it."""
        return 0

    def events(
        self,
        newest: int | None = None,
        *,
        slot: int | None = None,
        content_id: str | None = None,
        profile: int | None = None,
    ) -> list[WatchRecord]:
        """Return the `newest` events (all with None) of a context, title and profile, in order of recording."""
        if newest is not None and newest < 0:
            raise InputError(f"newest is {newest}, allowed: 0 and more: leave it out for all events")
        found = [
            e
            for _, e in self.events_after(0, _MAX_INTEGER)
            if slot in (None, e.slot) and content_id in (None, e.content_id) and profile in (None, e.profile)
        ]
        return found if newest is None else found[max(0, len(found) - newest) :]

    def events_after(self, row_id: int, most: int) -> list[tuple[int, WatchRecord]]:
        """Return up to `most` events recorded after the one with this row id, each with its own, in order."""
        return [(kept.id, kept.event) for kept in self._events if kept.id > row_id and not kept.pruned][:most]

    def watched(self) -> list[Watched]:
        """Return what all events of each title say together, one row a title and profile."""
        found: dict[tuple[str, int], Watched] = {}
        for kept in (kept for kept in self._events if not kept.pruned):
            key = kept.event.content_id, kept.event.profile
            found[key] = found[key].after(kept.event) if key in found else Watched.first(kept.event)
        order = list(self._titles)
        return [found[key] for key in sorted(found, key=lambda key: (order.index(key[0]), key[1]))]

    def event_count(self) -> int:
        """Return how many events there are."""
        return sum(not kept.pruned for kept in self._events)

    def pattern_count(self) -> int:
        """Return how many patterns there are."""
        return len(self.patterns())

    def patterns(self) -> list[PatternRecord]:
        """Return all patterns, by id."""
        summed = [_summed(list(group)) for _, group in groupby(sorted(self._events, key=_pattern), key=_pattern)]
        return sorted((p for p in summed if p.id not in self._dropped), key=lambda pattern: pattern.id)

    def search(self, query: Floats, k: int, where: Where | None = None) -> list[Near]:
        """Return the patterns nearest to `query`, which is of the bound space, best first, ties by id."""
        self._hold()
        unit = self._unit(query).astype(np.float64)
        if k < 1:
            raise InputError(f"k is {k}, allowed: 1 and more: ask for at least one")
        if not set(where or ()) <= {"slot", "kind", "profile", "sample_count", "success_milli"}:
            raise InputError(f"attributes are {sorted(where or ())}, allowed: those of a pattern: drop the others")
        near = [Near(p, self._similarity(p, unit)) for p in self.patterns() if self._fits(p, where or {})]
        return sorted(near, key=lambda found: (-found.similarity, found.pattern.id))[:k]

    def vectors(self, content_ids: Sequence[str]) -> Floats:
        """Return the titles' vectors in order of `content_ids`; InputError for an unknown one."""
        if unknown := [content_id for content_id in content_ids if content_id not in self._vectors]:
            raise InputError(f"content_id is {unknown[0]!r}, allowed: one of the {len(self._vectors)} titles watched")
        return np.array([self._vectors[key] for key in content_ids], np.float32).reshape(-1, self._dimensions)

    def titles(self) -> dict[str, Title | None]:
        """Return what was ever watched, by id; a Title where no catalog has it."""
        return {key: title if key in self._local else None for key, title in self._titles.items()}

    def space(self) -> str | None:
        """Return the space of the vectors, None as long as there are none."""
        found = self._notes.get("space") if self._titles else None
        return found.decode() if found else None

    def reembed(self, content_ids: Sequence[str], vectors: Iterable[Floats]) -> None:
        """Replace the vectors of all titles; raises InputError unless they are all given, each once."""
        given = [self._unit(vector) for vector in vectors]
        if len(content_ids) != len(given) or sorted(content_ids) != sorted(self._titles):
            found = f"{len(content_ids)} ids with {len(given)} vectors"
            raise InputError(f"{found} are given, allowed: each of the {len(self._titles)} titles once: embed them all")
        self._vectors = dict(zip(content_ids, given, strict=True))
        self._notes["space"] = (self._bound or "").encode()

    def forget(self, selection: Selection) -> Forgotten:
        """Delete what is selected, and all that was pruned of the same titles."""
        before = self.event_count(), self.pattern_count(), len(self._titles), self.ledger.counts().retractions
        doomed = {kept.id for kept in self._events if not kept.pruned and _selected(kept.event, selection)}
        lossy = {_pattern(kept) for kept in self._events if kept.pruned}
        touched = {kept.event.content_id for kept in self._events if kept.id in doomed}
        touched |= {p.content_id for p in self.patterns() if p.id in lossy and _may_hold(p, selection)}
        known = {kept.id for kept in self._events if not kept.pruned}
        moments = [kept.event.at for kept in self._events if kept.id in doomed]
        self.ledger.forget_trials(moments, everything=selection.is_everything)
        self.ledger.forget(doomed, known, {title_key(content_id) for content_id in touched})
        gone = doomed | {kept.id for kept in self._events if kept.pruned and kept.event.content_id in touched}
        self._dropped -= {_pattern(kept) for kept in self._events if kept.event.content_id in touched}
        self._events = [kept for kept in self._events if kept.id not in gone]
        left = {kept.event.content_id for kept in self._events}
        self._titles = {key: title for key, title in self._titles.items() if key in left}
        self._vectors = {key: vector for key, vector in self._vectors.items() if key in left}
        self._local &= left
        if selection.content_id is None and selection.since is None and selection.until is None:
            self._profiles = [p for p in self._profiles if selection.profile not in (None, p.id)]
        self._skills, self._cursor = {}, 0
        after = self.event_count(), self.pattern_count(), len(self._titles), self.ledger.counts().retractions
        return Forgotten(before[0] - after[0], before[1] - after[1], before[2] - after[2], after[3] - before[3])

    def prune(self, max_events: int, max_patterns: int) -> tuple[int, int]:
        """Drop the oldest events, but each title's last and best, and then the patterns longest unused."""
        visible = [kept for kept in self._events if not kept.pruned]
        needed: set[int] = set()
        for _, found in groupby(sorted(visible, key=_whose), key=_whose):
            group = list(found)
            needed.add(max(group, key=lambda kept: (kept.event.at, kept.id)).id)
            needed.add(max(group, key=lambda kept: (kept.event.watched_milli, kept.id)).id)
        old = [kept for kept in visible[: max(0, len(visible) - max_events)] if kept.id not in needed]
        for kept in old:
            kept.pruned = True
        unused = sorted(self.patterns(), key=lambda p: (-p.updated_at, p.id))[max_patterns:]
        self._dropped |= {pattern.id for pattern in unused}
        self._events = [kept for kept in self._events if not (kept.pruned and _pattern(kept) in self._dropped)]
        return len(old), len(unused)

    def skills(self) -> tuple[int, list[SkillRow]]:
        """Return the sums that were kept last, and the row id of the last event that they hold."""
        return self._cursor, [self._skills[key] for key in sorted(self._skills)]

    def set_skills(self, cursor: int, rows: Sequence[SkillRow], faded: Sequence[SkillRow] = ()) -> None:
        """Keep these rows in the place of the same, drop the faded, and move on."""
        self._skills |= {(row.profile, row.day, row.time, row.facet): row for row in rows}
        for row in faded:
            self._skills.pop((row.profile, row.day, row.time, row.facet), None)
        self._cursor = cursor

    def profiles(self) -> list[Profile]:
        """Return the named profiles, in order of their making."""
        return list(self._profiles)

    def set_profile(self, name: str, age: int | None) -> Profile:
        """Make a profile, or change the age limit of the one with this name, and return it."""
        known = next((profile.id for profile in self._profiles if profile.name == name), None)
        profile = Profile(known or max((p.id for p in self._profiles), default=0) + 1, name, age)
        self._profiles = sorted([p for p in self._profiles if p.id != profile.id] + [profile], key=lambda p: p.id)
        return profile

    def note(self, key: str) -> bytes | None:
        """Return a small value that was kept under a name, or None."""
        return self._notes.get(key)

    def set_note(self, key: str, value: bytes | None) -> None:
        """Keep a small value under a name; None removes it."""
        if value is None:
            self._notes.pop(key, None)
        else:
            self._notes[key] = value

    def size_bytes(self) -> int:
        """Return 4 B a number of the vectors, and 100 B an event."""
        return 4 * self._dimensions * len(self._vectors) + 100 * len(self._events)

    def compact(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Forget the vectors."""
        self._vectors.clear()

    def _similarity(self, pattern: PatternRecord, query: NDArray[np.float64]) -> float:
        vector = self._vectors[pattern.content_id].astype(np.float64) + CONTEXT_SHARE * self._contexts[pattern.slot]
        return float(np.clip(vector @ query / np.linalg.norm(vector), -1, 1))

    def _fits(self, pattern: PatternRecord, where: Where) -> bool:
        kind = list(ContentType).index(self._titles[pattern.content_id].kind)
        values = {"kind": kind, **msgspec.structs.asdict(pattern)}
        return all(low <= values[name] <= high for name, (low, high) in where.items())

    def _hold(self) -> None:
        if self._bound is None or (self.space() or self._bound) != self._bound:
            raise StoreError(f"the store holds vectors of space {self.space()}, asked for {self._bound}: embed anew")

    def _unit(self, vector: Floats) -> Floats:
        length = float(np.linalg.norm(vector))
        if np.shape(vector) != (self._dimensions,) or not abs(length - 1) <= 1e-3:
            found = f"vector has shape {np.shape(vector)} and length {length:.4g}"
            raise InputError(f"{found}, allowed: ({self._dimensions},) and 1 +- 0.001: divide it by its length")
        return np.asarray(vector / length, np.float32)


def _pattern(kept: _Event) -> int:
    return pattern_id(kept.event.content_id, kept.event.slot, kept.event.profile)


def _whose(kept: _Event) -> tuple[str, int]:
    return kept.event.content_id, kept.event.profile


def _summed(group: list[_Event]) -> PatternRecord:
    events = [kept.event for kept in group]
    sums = len(events), sum(event.watched_milli for event in events)
    dates = min(event.at for event in events), max(event.at for event in events)
    return PatternRecord(_pattern(group[0]), events[0].content_id, events[0].slot, *sums, *dates, events[0].profile)


def _same(one: WatchRecord, other: WatchRecord) -> bool:
    names = "content_id", "at", "profile", "season", "episode"
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _says(event: WatchRecord) -> tuple[int, int | None]:
    return event.watched_milli, event.engagement_milli


def _selected(event: WatchRecord, selection: Selection) -> bool:
    return (
        selection.content_id in (None, event.content_id)
        and selection.profile in (None, event.profile)
        and (selection.since is None or event.at >= selection.since)
        and (selection.until is None or event.at < selection.until)
    )


def _may_hold(pattern: PatternRecord, selection: Selection) -> bool:
    return (
        selection.content_id in (None, pattern.content_id)
        and selection.profile in (None, pattern.profile)
        and (selection.since is None or pattern.updated_at >= selection.since)
        and (selection.until is None or pattern.created_at < selection.until)
    )


def _check_event(event: WatchRecord) -> None:
    if not 0 <= event.slot < SLOTS:
        raise InputError(f"slot is {event.slot}, allowed: 0..{SLOTS - 1}: take slot_at()")
    for name, milli in (("watched_milli", event.watched_milli), ("engagement_milli", event.engagement_milli)):
        if milli is not None and not 0 <= milli <= 1000:
            raise InputError(f"{name} is {milli}, allowed: 0..1000: give thousandths")
    if event.propensity is not None and not 0 < event.propensity <= 1:
        raise InputError(f"propensity is {event.propensity}, allowed: above 0, up to 1: give a list's")
    for name in ("at", "season", "episode", "profile", "offered"):
        if not -_MAX_INTEGER - 1 <= (getattr(event, name) or 0) <= _MAX_INTEGER:
            raise InputError(f"{name} is {getattr(event, name)}, allowed: 64 bits: give a smaller one")
