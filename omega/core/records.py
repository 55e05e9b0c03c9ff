"""What a TV's store keeps, as values: events, what they add up to, profiles, and what was shared of them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from omega.core.wire.messages import Trial

if TYPE_CHECKING:
    from typing import Self

NOBODY = 0
"""The profile of events that nobody in particular was named for."""


def reward(watched_milli: int, engagement_milli: int | None = None) -> float:
    """Return .7 watched + .3 engagement, 0..1; with None the engagement is the watched share."""
    wanted = watched_milli if engagement_milli is None else engagement_milli
    return (7 * watched_milli + 3 * wanted) / 10_000


class WatchRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event as it is kept: an episode, in the words of the memories.

    Told again with the same title, time, season, episode and profile it is the same event; the later report of what was
    watched holds.
    """

    content_id: str
    at: int
    """Unix seconds."""
    slot: int
    """The context, 0..7."""
    watched_milli: int
    """Share that was watched, in thousandths."""
    season: int | None = None
    episode: int | None = None
    profile: int = NOBODY
    engagement_milli: int | None = None
    """What the household did besides watching, in thousandths; None: as much as it watched."""
    offered: int | None = None
    """Its place, from 1, in a list that had been recommended; None when it was in none."""
    shared: bool = False
    """It went into the ledger, here or on the TV that it came from; it never will again."""
    propensity: float | None = None
    """How probable it was at its place in that list, where chance decided; None: its score did. It stays on the TV."""

    @property
    def reward(self) -> float:
        """How well it went, 0..1."""
        return reward(self.watched_milli, self.engagement_milli)


class Watched(msgspec.Struct, frozen=True):
    """What is known of a title that a profile watched: its last event, and the most of it that was ever watched."""

    content_id: str
    profile: int
    at: int
    slot: int
    watched_milli: int
    season: int | None
    episode: int | None
    best_milli: int
    """The most that was watched at once, in thousandths."""

    @classmethod
    def first(cls, event: WatchRecord) -> Self:
        """Return what the title's first event says."""
        last = event.profile, event.at, event.slot, event.watched_milli, event.season, event.episode
        return cls(event.content_id, *last, best_milli=event.watched_milli)

    def after(self, event: WatchRecord) -> Watched:
        """Return what is known with one event more; the last is the one with the latest `at`, then by recording."""
        last = Watched.first(event) if event.at >= self.at else self
        return msgspec.structs.replace(last, best_milli=max(self.best_milli, event.watched_milli))


class PatternRecord(msgspec.Struct, frozen=True):
    """A pattern's row, without its vector."""

    id: int
    content_id: str
    slot: int
    sample_count: int
    success_milli: int
    created_at: int
    updated_at: int
    profile: int = NOBODY


class Near(msgspec.Struct, frozen=True):
    """A pattern that a search found."""

    pattern: PatternRecord
    similarity: float
    """Cosine, -1..1."""


class Outcome(StrEnum):
    """What became of an event that was recorded."""

    ADDED = "added"
    REPEATED = "repeated"
    """It was there already, word for word; nothing changed."""
    CORRECTED = "corrected"
    """It was there with another share; the new one holds."""
    IGNORED = "ignored"
    """The TV doesn't learn now, so that nothing was stored."""


class Recorded(msgspec.Struct, frozen=True):
    """What the store made of an event."""

    pattern: PatternRecord
    outcome: Outcome


class Profile(msgspec.Struct, frozen=True):
    """Somebody of the household."""

    id: int
    name: str
    age: int | None = None
    """Nothing that is meant for older viewers is recommended; None: no limit."""


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is to be forgotten: events that satisfy all that is given; nothing given is everything."""

    content_id: str | None = None
    since: int | None = None
    """Unix seconds; the first that is forgotten."""
    until: int | None = None
    """Unix seconds; the first that is kept again."""
    profile: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no condition is given."""
        return self == Selection()


class Forgotten(msgspec.Struct, frozen=True):
    """What was forgotten."""

    events: int
    patterns: int
    titles: int
    """Titles of which nothing is left."""
    retractions: int
    """Contributions that the shards will be asked to take back."""


class Contribution(msgspec.Struct, frozen=True):
    """One line of the ledger: a sample that was, or is to be, shared; or taken back."""

    id: int
    title_key: int
    """`core.types.title_key` of the title."""
    slot: int
    day: int
    """Days since 1970 by the household's clock."""
    success_milli: int
    """A multiple of 4: see `core.types.shared_milli`."""
    taste: bytes
    """The taste code of the moment; empty before there is one."""
    retracts: bool = False

    @classmethod
    def of_trial(cls, row_id: int, trial: Trial) -> Self:
        """Return the line of a household's day in an experiment: no title's key is negative, its arm is the slot."""
        taste = bytes((trial.watched, trial.chosen)) + trial.minutes.to_bytes(2, "little")
        return cls(row_id, -1 - trial.experiment, trial.arm, trial.day, 0, taste)

    @property
    def trial(self) -> Trial | None:
        """What the line says of an experiment; None for a sample's."""
        if self.title_key >= 0:
            return None
        watched, chosen, *minutes = self.taste
        told = watched, chosen, int.from_bytes(bytes(minutes), "little")
        return Trial(-1 - self.title_key, self.slot, self.day, *told)


class Shared(msgspec.Struct, frozen=True):
    """What the ledger holds of one shard's newest incarnation."""

    shard: str
    incarnation: int
    version: int
    """The greatest that rows are bound to; 0 with none."""
    owes: bool
    """Whether anything, of any incarnation, isn't counted or taken back, or could be lost with a backup put back."""


class SkillRow(msgspec.Struct, frozen=True):
    """What the episodes of a profile, a day, a time of day and a facet (a genre or kind) add up to.

    What decays is worth what it was at `last_at`.
    """

    profile: int
    day: int
    """0..6 from Monday; the night until 5 belongs to the evening before."""
    time: int
    """Time of day, 0..3."""
    facet: str
    count: int
    """Episodes, undecayed."""
    finished: int
    """Those watched to the end, undecayed."""
    episodes: float
    successes: float
    rewards: float
    uses: float
    """Episodes that were chosen from an offered list."""
    last_at: int
    """Unix seconds of the latest episode."""


class LedgerCounts(msgspec.Struct, frozen=True):
    """The ledger in figures."""

    queued: int
    """Wait for their first frame."""
    unacknowledged: int
    """Bound to a version that no shard has acknowledged yet."""
    acknowledged: int
    retractions: int
    """Wait to be taken back, or for the acknowledgement of it."""
