"""What the brain answers, as values."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from omega.core.privacy import Account
from omega.core.records import LedgerCounts, Outcome, WatchRecord
from omega.core.types import Recommendation
from omega.device.fallback import State
from omega.device.memory.skills import Skill


class Mode(StrEnum):
    """Whether the TV learns."""

    LEARNING = "learning"
    PAUSED = "paused"
    """Nothing is stored; what was learned is used."""
    GUEST = "guest"
    """Nothing is stored, and nothing that was learned is used."""


class Observed(msgspec.Struct, frozen=True):
    """What an event became."""

    content_id: str
    title: str
    pattern_id: int
    sample_count: int
    """Of its pattern; 0 where nothing is kept of it."""
    success_rate: float
    local: bool
    """The catalog doesn't have the title, so it never leaves this TV."""
    outcome: Outcome


class Explanation(msgspec.Struct, frozen=True):
    """Everything that speaks for and against one title in one context."""

    recommendation: Recommendation
    rank: int | None
    """Place by score among what may be recommended, from 1; None when it may not."""
    excluded: str | None
    """Why it may not be recommended."""
    watched: tuple[WatchRecord, ...]
    """The household's own events with this title, oldest first."""


class Memories(msgspec.Struct, frozen=True):
    """What the three memories hold."""

    habits: tuple[str, ...]
    """The skills in words, the strongest first."""
    skills: tuple[Skill, ...]
    episodes: tuple[WatchRecord, ...]
    """The newest, in order of recording."""
    episode_count: int
    pattern_count: int


class Status(msgspec.Struct, frozen=True):
    """The brain in figures."""

    events: int
    patterns: int
    skills: int
    local_titles: int
    catalog_titles: int
    catalog_lineage: str
    catalog_epoch: int
    embedder: str
    space: str
    fallback: State | None
    """What is embedded with, since when (unix seconds) and why; None where the settings leave no choice."""
    mode: Mode
    profiles: tuple[str, ...]
    shared: LedgerCounts
    store_bytes: int
    read_only: bool
    """The store can be read but not written, so that nothing is learned."""
    rescued_at: str | None
    """When the store was damaged and rebuilt from what could be read."""
    habits: tuple[str, ...]
    """What was learned, in words."""
    privacy: Account | None = None
    """What the figures of other homes have cost, as the federation signed it; None where it told none."""
    experiments: dict[str, str] = {}
    """What the operator tries today, and in which arm this household is."""
