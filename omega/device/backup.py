"""Everything that a TV holds of its household, as one JSON document, and back into another TV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import InputError, on_one_line
from omega.core.parsing import EARLIEST, check_event, check_profile
from omega.core.records import NOBODY, LedgerCounts, Outcome, PatternRecord, Profile, SkillRow, WatchRecord
from omega.core.types import SLOTS, Title, ViewingEvent
from omega.device.observe import RELEASED

if TYPE_CHECKING:
    from omega.core.ports import DeviceStore, Floats
    from omega.device.household import Household

FORMAT = 1
_LEAST_PROPENSITY = 1e-6
"""No list draws among so many titles that one has less."""
_LATEST_S = 2**33
"""The year 2242: no clock shows more."""
MAX_BYTES = 64_000_000
"""A document is refused beyond this before it is decoded; 100,000 events take 20 MB."""


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `export` gives and `restore` takes.

    Patterns, skills and ledger are shown; but for the share of pruned events, they follow from the events.
    """

    format: int
    omega: str
    """The release that wrote it."""
    exported_at: str
    catalog_lineage: str
    mode: str
    profiles: tuple[Profile, ...]
    titles: tuple[Title, ...]
    """Those that no catalog has."""
    events: tuple[WatchRecord, ...]
    patterns: tuple[PatternRecord, ...] = ()
    skills: tuple[SkillRow, ...] = ()
    ledger: LedgerCounts | None = None


class Restored(msgspec.Struct, frozen=True):
    """What became of a document."""

    events: int
    """Those that were new here."""
    repeated: int
    corrected: int
    unknown: int
    """Left out: neither the catalog nor the document names their title."""
    profiles: int
    """Those that the document names."""


def parse(data: bytes) -> Document:
    """Return the document in a JSON object. Raises InputError with field, value and range."""
    if len(data) > MAX_BYTES:
        raise InputError(f"the export is {len(data):,} B, allowed: {MAX_BYTES:,} B: give a file that omega exported")
    try:
        document = msgspec.json.decode(data, type=Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        found = on_one_line(str(error))
        raise InputError(f"this is no export ({found}): give a file that omega device export wrote") from error
    if document.format != FORMAT:
        raise InputError(f"format is {document.format}, allowed: {FORMAT}: update omega")
    for profile in document.profiles:
        check_profile(profile.name, profile.age)
        if profile.id <= NOBODY:
            raise InputError(f"id of profile {profile.name} is {profile.id}, allowed: 1 and more")
    for title in document.titles:
        told = ViewingEvent(content_id=title.id, title=title.title, genres=title.genres, minutes=title.minutes)
        check_event(told, now=RELEASED)
    profiles = {NOBODY, *(profile.id for profile in document.profiles)}
    for number, event in enumerate(document.events, 1):
        _check_event(number, event, profiles)
    return document


def _check_event(number: int, event: WatchRecord, profiles: set[int]) -> None:
    bounds = {
        "at": (int(EARLIEST.timestamp()), _LATEST_S),
        "slot": (0, SLOTS - 1),
        "watched_milli": (0, 1000),
        "engagement_milli": (0, 1000),
        "season": (0, 1000),
        "episode": (0, 100_000),
        "offered": (1, 2**31),
        "propensity": (_LEAST_PROPENSITY, 1),
    }
    for name, (low, high) in bounds.items():
        value = getattr(event, name)
        if value is not None and not low <= value <= high:
            raise InputError(f"{name} of event {number} is {value}, allowed: {low}..{high}")
    if event.profile not in profiles:
        raise InputError(f"profile of event {number} is {event.profile}, allowed: one of {sorted(profiles)}")


def restore(store: DeviceStore, household: Household, document: Document) -> Restored:
    """Record the document's events and profiles, all or none; nothing is shared again.

    What is here already stays, unless the document tells an event otherwise; of two age limits the lower one holds.
    """
    local = {title.id: title for title in document.titles}
    outcomes = dict.fromkeys(Outcome, 0)
    unknown = 0
    vectors: dict[str, Floats] = {}  # a title of the TV's own is embedded once, not with each of its events
    with store.many():
        profiles = {NOBODY: NOBODY}
        for profile in document.profiles:
            limits = [known.age for known in (profile, *store.profiles()) if known.name == profile.name]
            age = min((limit for limit in limits if limit is not None), default=None)
            profiles[profile.id] = store.set_profile(profile.name, age).id
        for event in document.events:
            published = household.catalog.get(event.content_id)
            title = published or local.get(event.content_id)
            if title is None:
                unknown += 1
                continue
            here = msgspec.structs.replace(event, profile=profiles[event.profile])
            if title.id not in vectors:
                vectors[title.id] = household.vector(title)
            outcomes[store.record(here, title, vectors[title.id], local=published is None, day=None).outcome] += 1
    added, repeated, corrected = (outcomes[o] for o in (Outcome.ADDED, Outcome.REPEATED, Outcome.CORRECTED))
    return Restored(added, repeated, corrected, unknown, len(document.profiles))
