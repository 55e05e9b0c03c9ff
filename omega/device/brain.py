"""The brain of one TV: observe what is watched, recommend what to watch, say why.

Nothing is written, logged or called through a hook while a recommendation is made.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.errors import InputError, shown
from omega.core.parsing import check_context, check_event, completed
from omega.core.ports import WatchRecord
from omega.core.text import context_text
from omega.core.types import Recommendation, ViewContext, success_rate, time_and_day
from omega.device import history, ranking, words
from omega.device.explain import Asked, explained
from omega.device.household import Household
from omega.device.observe import title_of, watch_of
from omega.device.ranking import Evidence, Weights
from omega.device.titles import KINDS, pattern_vector, unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from omega.core.catalog import Catalog
    from omega.core.ports import DeviceStore, Embedder, Floats, PatternRecord, Where
    from omega.core.types import ViewingEvent
    from omega.device.titles import TitleArrays

EVIDENCE_PATTERNS = 50
"""How many patterns near the context are looked at."""
LIST_LENGTH = 20
_CACHED_MOODS = 256


class Observed(msgspec.Struct, frozen=True):
    """What an event became."""

    content_id: str
    title: str
    pattern_id: int
    sample_count: int
    success_rate: float
    local: bool
    """The catalog doesn't have the title, so it never leaves this TV."""


class Explanation(msgspec.Struct, frozen=True):
    """Everything that speaks for and against one title in one context."""

    recommendation: Recommendation
    rank: int | None
    """Place by score among what may be recommended, from 1; None when it may not."""
    excluded: str | None
    """Why it may not be recommended."""
    watched: tuple[WatchRecord, ...]
    """The household's own events with this title, oldest first."""


class Status(msgspec.Struct, frozen=True):
    """The brain in figures."""

    events: int
    patterns: int
    local_titles: int
    catalog_titles: int
    catalog_lineage: str
    catalog_epoch: int
    embedder: str
    space: str
    store_bytes: int
    habits: tuple[str, ...]
    """What was learned, in words."""


class Brain:
    """One household's intelligence; for one thread at a time. `omega.compose.open_brain` makes one from settings."""

    def __init__(
        self,
        store: DeviceStore,
        embedder: Embedder,
        catalog: Catalog,
        titles: TitleArrays,
        *,
        now: Callable[[], datetime],
        weights: Weights | None = None,
    ) -> None:
        """Take over `store` and `embedder`, which are closed with the brain.

        `titles` are the catalog's arrays in the embedder's space; `now` gives aware local time.
        """
        self._store = store
        self._embedder = embedder
        self._catalog = catalog
        self._titles = titles
        self._now = now
        self._weights = weights or Weights()
        self._household = Household(store, embedder, catalog, titles)
        self._moods = lru_cache(maxsize=_CACHED_MOODS)(self._embed_context)

    def observe(self, event: ViewingEvent) -> Observed:
        """Learn from an event and return what it became, once it is written: safe from a crash of the program.

        Raises InputError for values out of range and for a title that is unknown and has no name; nothing is stored
        then.
        """
        now = self._now()
        event = check_event(event, now=now)
        title, local = title_of(event, self._catalog, self._household.local)
        watch = watch_of(event, title, now)
        vector = pattern_vector(self._household.vector(title), self._titles.contexts[watch.slot])
        pattern = self._store.record(watch, title, vector, self._embedder.space, local=local)
        self._household.add(watch, title, local=local)
        rate = success_rate(pattern.sample_count, pattern.success_milli)
        return Observed(title.id, title.title, pattern.id, pattern.sample_count, rate, local)

    def recommend(self, context: ViewContext | None = None, k: int = LIST_LENGTH) -> list[Recommendation]:
        """Return up to `k` titles for the context (by default: now), best first, each with its reasons.

        Raises InputError when the context is out of range or `k` is less than 1.
        """
        if k < 1:
            raise InputError(f"k is {k}, allowed: 1 and more")
        asked = self._ask(context)
        total, strength = asked.scores.total, self._weights.variety
        rows, variety = ranking.diverse(total, self._titles.centered, asked.allowed, k, strength)
        return [explained(asked, row, float(v), self._household) for row, v in zip(rows, variety, strict=True)]

    def why(self, content_id: str, context: ViewContext | None = None) -> Explanation:
        """Explain one title of the catalog in the context (by default: now), recommended or not. Raises InputError."""
        row = self._catalog.ordinals.get(content_id)
        if row is None:
            raise InputError(f"content_id is {shown(content_id)}, allowed: {self._catalog.hint(content_id)}")
        asked = self._ask(context)
        total, allowed = asked.scores.total, asked.allowed
        excluded = None if allowed[row] else f"not a {asked.context.kind}" if asked.unfinished[row] else "finished"
        return Explanation(
            recommendation=explained(asked, row, 0.0, self._household),
            rank=int((total[allowed] > total[row]).sum()) + 1 if allowed[row] else None,
            excluded=excluded,
            watched=tuple(sorted(self._store.events(content_id=content_id), key=lambda event: event.at)),
        )

    def counts(self) -> tuple[int, int]:
        """Return how many events and patterns the store holds."""
        return self._store.event_count(), self._store.pattern_count()

    def status(self) -> Status:
        """Return the brain in figures, and what it learned in words."""
        return Status(
            events=self._store.event_count(),
            patterns=self._store.pattern_count(),
            local_titles=len(self._household.local),
            catalog_titles=len(self._catalog),
            catalog_lineage=self._catalog.lineage,
            catalog_epoch=self._catalog.epoch,
            embedder=self._embedder.NAME,
            space=self._embedder.space,
            store_bytes=self._store.size_bytes(),
            habits=tuple(words.habits(self._titles, self._household.taste)),
        )

    def close(self) -> None:
        """Close the store and the embedder."""
        self._store.close()
        self._embedder.close()

    def _ask(self, context: ViewContext | None) -> Asked:
        """Score every title in a context."""
        now = self._now()
        slot, context = completed(check_context(context or ViewContext()), now)
        wish, mood = self._wish(slot, context.mood)
        kind = KINDS.index(context.kind) if context.kind else None
        evidence, patterns = self._evidence(wish, None if kind is None else {"kind": (kind, kind)})
        household = self._household
        resume = history.resume(household.left_at_s, household.left_slot, now.timestamp(), slot)
        leanings = household.taste.leanings(slot, self._titles.genre_shares, self._titles.kind_shares)
        scores = ranking.score(self._titles, leanings, mood, evidence, resume, self._weights)
        allowed = household.unfinished if kind is None else household.unfinished & (self._titles.kinds == kind)
        return Asked(slot, context, leanings, scores, patterns, evidence, household.unfinished, allowed)

    def _wish(self, slot: int, mood: str | None) -> tuple[Floats, Floats | None]:
        """Return a context's vector and what the mood added to it; None when there is no mood that says anything."""
        base = self._titles.contexts[slot]
        if mood is None:
            return base, None
        wish = self._moods(slot, mood)
        added = unit(wish - base)
        return (wish, added) if ranking.is_understood(self._titles, added) else (base, None)

    def _evidence(self, query: Floats, where: Where | None) -> tuple[Evidence, tuple[PatternRecord, ...]]:
        """Return the patterns nearest to a context's vector."""
        hits = self._store.search(query, EVIDENCE_PATTERNS, self._embedder.space, where)
        patterns = tuple(self._store.patterns([hit.id for hit in hits]))
        similarities = np.array([hit.similarity for hit in hits], np.float32)
        rates = np.array([success_rate(p.sample_count, p.success_milli) for p in patterns], np.float32)
        return Evidence(similarities, rates, self._household.centered(patterns)), patterns

    def _embed_context(self, slot: int, mood: str) -> Floats:
        row: Floats = self._embedder.embed([context_text(*time_and_day(slot), mood)])[0]
        return row
