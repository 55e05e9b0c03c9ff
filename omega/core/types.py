"""The vocabulary of the system: what was watched, what was learned of it, what is asked and what is answered.

All are frozen msgspec Structs. JSON from outside goes through `core.parsing`, which bounds it first and says field,
value and range when it refuses something.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

import msgspec

from omega.core.text import title_text

DIMENSIONS = 384
"""Length of an embedding."""
CONTEXT_SHARE = 0.5
"""How far a pattern's vector leans from its title towards its context: unit(title + share x context).

Two texts are embedded apart and added, so that n titles in 8 contexts need n + 8 embeddings instead of 8 n."""
PRIOR_SUCCESS, PRIOR_SAMPLES = 1.0, 2.0
"""The Beta(1, 1) prior of a success rate: with no sample it is one half, and one lucky watch makes it two thirds."""


class TimeSlot(StrEnum):
    """Time of day, by the household's own clock."""

    MORNING = "morning"
    AFTERNOON = "afternoon"
    EVENING = "evening"
    NIGHT = "night"


class DayType(StrEnum):
    """Weekday (Monday to Friday) or weekend."""

    WEEKDAY = "weekday"
    WEEKEND = "weekend"


class ContentType(StrEnum):
    """What sort of title it is."""

    MOVIE = "movie"
    SERIES = "series"
    DOCUMENTARY = "documentary"


_TIMES, _DAYS = tuple(TimeSlot), tuple(DayType)
SLOTS = len(_TIMES) * len(_DAYS)
"""How many contexts there are: time of day x weekday or weekend."""


def slot_of(time: TimeSlot, day: DayType) -> int:
    """Return the context's number, 0..7: time of day x 2 + weekend."""
    return _TIMES.index(time) * len(_DAYS) + _DAYS.index(day)


def time_and_day(slot: int) -> tuple[TimeSlot, DayType]:
    """Return what `slot_of` made the number from."""
    return _TIMES[slot // len(_DAYS)], _DAYS[slot % len(_DAYS)]


def slot_at(moment: datetime) -> int:
    """Return the context of a local time: morning from 5, afternoon from 12, evening from 17, night from 22 to 5.

    The hours after midnight belong to the evening before: Saturday's night ends on Sunday at 5.
    """
    hour = moment.hour
    time = _TIMES[0 if 5 <= hour < 12 else 1 if 12 <= hour < 17 else 2 if 17 <= hour < 22 else 3]
    weekday = (moment.weekday() - (hour < 5)) % 7
    return slot_of(time, _DAYS[weekday >= 5])


class Title(msgspec.Struct, frozen=True, omit_defaults=True):
    """One title of a catalog: facts only."""

    id: str
    title: str
    year: int
    kind: ContentType
    genres: tuple[str, ...]
    minutes: int
    """Length; of one episode for a series."""
    age: int
    """Youngest age it is meant for, in years."""
    popularity: float = 0.0
    """Share of the operator's viewers that watch it, 0..1, where the operator ships one; else 0."""

    @property
    def text(self) -> str:
        """What is embedded for the title."""
        return title_text(self.title, self.kind, self.genres)


class ViewingEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Somebody watched something. `{"content_id": "heat-1995", "watch_pct": 0.95}` is the least that is needed."""

    content_id: str
    watch_pct: float | None = None
    """Share that was watched, 0..1; may be left out when `minutes` and the title's own length tell it."""
    minutes: float | None = None
    """How long it was watched."""
    at: datetime | None = None
    """When it ended; local time where no zone is given; now by default."""
    season: int | None = None
    episode: int | None = None
    title: str | None = None
    """The name, needed for what the catalog doesn't have; such a title stays on this TV."""
    kind: ContentType | None = None
    genres: tuple[str, ...] = ()
    profile: str | None = None
    """Who watched, by the name of a profile; nobody in particular by default."""
    liked: bool | None = None
    """What the household said of it, where it said something."""


class ViewContext(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is asked: `{"time": "evening", "mood": "relaxed"}`. Time and day default to now."""

    time: TimeSlot | None = None
    day: DayType | None = None
    mood: str | None = None
    """Free words that go into the context's text."""
    kind: ContentType | None = None
    """Only titles of this kind."""
    profile: str | None = None
    """Who asks, by the name of a profile; the household by default."""
    max_age: int | None = None
    """Only titles for viewers of this age, in years; a profile's own limit holds as well."""


class PatternContext(msgspec.Struct, frozen=True, kw_only=True):
    """Where a pattern belongs: the context (time, day), and what follows from the title."""

    time_of_day: TimeSlot
    day_of_week: DayType
    content_type: ContentType
    genre_hints: tuple[str, ...] = ()

    @property
    def slot(self) -> int:
        """The context's number, 0..7."""
        return slot_of(self.time_of_day, self.day_of_week)


class ViewingPattern(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A title in a context, and how it went there."""

    id: int
    content_id: str
    context: PatternContext
    sample_count: int
    success_milli: int
    """Sum of the watched shares, in thousandths: an integer, so that sums stay exact wherever they are added up."""
    created_at: int
    """Unix seconds."""
    updated_at: int
    """Unix seconds."""
    embedding: tuple[float, ...] | None = None
    """384 numbers of unit length; left out where the holder can compute or look it up."""

    @property
    def success_rate(self) -> float:
        """Posterior mean of the watched share, 0..1."""
        return success_rate(self.sample_count, self.success_milli)


class PatternUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What came to a pattern that the receiver knows: sums to be added, so that the old state isn't needed."""

    id: int
    additional_samples: int
    additional_success_milli: int


class PatternDelta(msgspec.Struct, frozen=True, kw_only=True):
    """What changed on a device since a version."""

    patterns_added: tuple[ViewingPattern, ...]
    patterns_updated: tuple[PatternUpdate, ...]
    patterns_removed: tuple[int, ...]
    local_version: int


class GlobalPatterns(msgspec.Struct, frozen=True, kw_only=True):
    """What the others enjoy: titles on the rise, and patterns near this household's taste."""

    trending: tuple[ViewingPattern, ...]
    similar: tuple[ViewingPattern, ...]


FROM_OTHERS = frozenset({"trend", "audience"})
"""The kinds of reasons that a shard's word is behind."""


class Reason(msgspec.Struct, frozen=True):
    """One term of a score, in words."""

    kind: str
    text: str
    weight: float


class Recommendation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A title and why; the reasons' weights sum to the score."""

    content_id: str
    title: str
    kind: ContentType
    year: int
    score: float
    reasons: tuple[Reason, ...]
    season: int | None = None
    """Where a series that was begun goes on."""
    episode: int | None = None
    propensity: float | None = None
    """How probable the title was at its place, given those above it, where chance decided; None: its score did."""


def pattern_id(content_id: str, slot: int, profile: int = 0) -> int:
    """Return the id of (title, context): 63 bits of BLAKE2b, so that it fits a signed column and never travels.

    A named profile's patterns have ids of their own, which this TV alone knows.
    """
    salt = profile.to_bytes(8, "big") if profile else b""
    return _hashed(f"{slot}:{content_id}", b"omega-pattern", salt)


def title_key(content_id: str) -> int:
    """Return 63 bits of BLAKE2b that stand for a title where its id must not be read."""
    return _hashed(content_id, b"omega-title")


def shared_milli(watched_milli: int) -> int:
    """Return a share in thousandths as it is contributed: the nearest of 0, 4, ... 1000, which travels as one byte.

    It is rounded once, where it enters the ledger, so that what a TV holds and what a shard adds up are the same.
    """
    return 4 * round(watched_milli / 4)


def _hashed(text: str, person: bytes, salt: bytes = b"") -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=person, salt=salt).digest()
    return int.from_bytes(digest, "big") >> 1


def success_rate(sample_count: int, success_milli: int) -> float:
    """Return the Beta posterior mean of a pattern's outcome, 0..1, from its two sums."""
    return (PRIOR_SUCCESS + success_milli / 1000) / (PRIOR_SAMPLES + sample_count)
