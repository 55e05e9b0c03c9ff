"""What the brain holds in memory of one household, rebuilt from the store when it opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.ports import Watched
from omega.core.types import SLOTS, ContentType, Title, pattern_id
from omega.device.history import is_finished, is_waiting
from omega.device.taste import REPLAYED_EVENTS, Taste
from omega.device.titles import KINDS, pattern_vector, title_vector, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.catalog import Catalog
    from omega.core.ports import DeviceStore, Embedder, Floats, PatternRecord, WatchRecord
    from omega.device.titles import TitleArrays


class Household:
    """Titles, the last watch of each, and the taste that the history adds up to."""

    def __init__(self, store: DeviceStore, embedder: Embedder, catalog: Catalog, titles: TitleArrays) -> None:
        """Read the state from the store; vectors of another space than the embedder's are replaced first."""
        self.catalog = catalog
        self.titles = titles
        self.local: dict[str, Title] = store.local_titles()
        self.last: dict[str, Watched] = {}
        self.taste = Taste(len(titles.genre_names), titles.vectors.shape[1])
        self.unfinished = np.ones(len(catalog), bool)
        """(n,) what may be recommended."""
        self.left_at_s = np.full(len(catalog), -np.inf)
        """(n,) when a title that waits to be continued was left, in unix seconds; -inf for all others."""
        self.left_slot = np.zeros(len(catalog), np.int64)
        """(n,) the context of each title's last watch."""
        self._store = store
        self._embedder = embedder
        if store.space() not in (None, embedder.space):
            self._reembed()
        for watched in store.watched().values():
            self._remember(watched)
        self._replay()

    def title(self, content_id: str) -> Title:
        """Return a title that was watched: the catalog's, or the TV's own."""
        known = self.catalog.get(content_id) or self.local.get(content_id)
        return known or Title(content_id, content_id, 0, ContentType.MOVIE, (), minutes=0, age=0)

    def vector(self, title: Title) -> Floats:
        """Return the vector (384,) of any title; one that no catalog has is embedded."""
        ordinal = self.catalog.ordinals.get(title.id)
        row: Floats = self._embedder.embed([title.text])[0] if ordinal is None else self.titles.vectors[ordinal]
        return row

    def centered(self, patterns: Sequence[PatternRecord]) -> Floats:
        """Return the centered title vectors (m, 384) of patterns."""
        rows = np.empty((len(patterns), self.titles.vectors.shape[1]), np.float32)
        for row, pattern in enumerate(patterns):
            rows[row] = self._centered(pattern.content_id, pattern.slot)
        return rows

    def add(self, watch: WatchRecord, title: Title, *, local: bool) -> None:
        """Take in an event that was recorded."""
        if local:
            self.local[title.id] = title
        known = self.last.get(watch.content_id)
        self._remember(known.after(watch) if known else Watched.first(watch))
        self._learn(watch)
        self._learn_in_context(watch)

    def _centered(self, content_id: str, slot: int) -> Floats:
        ordinal = self.catalog.ordinals.get(content_id)
        if ordinal is not None:
            row: Floats = self.titles.centered[ordinal]
            return row
        pattern = self._store.vectors([pattern_id(content_id, slot)])[0]
        return unit(title_vector(pattern, self.titles.contexts[slot]) - self.titles.mean)

    def _replay(self) -> None:
        """Rebuild the taste from the newest events in all, and from the newest of each context."""
        for watch in self._store.events(REPLAYED_EVENTS):
            self._learn(watch)
        for slot in range(SLOTS):
            for watch in self._store.events(REPLAYED_EVENTS, slot=slot):
                self._learn_in_context(watch)

    def _learn(self, watch: WatchRecord) -> None:
        genres = self.titles.genre_weights(self.title(watch.content_id))
        self.taste.add(watch.watched_milli, self._centered(watch.content_id, watch.slot), genres)

    def _learn_in_context(self, watch: WatchRecord) -> None:
        title = self.title(watch.content_id)
        genres = self.titles.genre_weights(title)
        self.taste.add_in(watch.slot, watch.watched_milli, genres, KINDS.index(title.kind))

    def _remember(self, watched: Watched) -> None:
        self.last[watched.content_id] = watched
        ordinal = self.catalog.ordinals.get(watched.content_id)
        if ordinal is not None:
            title = self.catalog.titles[ordinal]
            self.unfinished[ordinal] = not is_finished(title, watched)
            self.left_slot[ordinal] = watched.slot
            self.left_at_s[ordinal] = watched.at if is_waiting(title, watched) else -np.inf

    def _reembed(self) -> None:
        """Replace all pattern vectors by ones of the embedder's space; each title is embedded or looked up once."""
        patterns = self._store.patterns()
        vectors = {content_id: self.vector(self.title(content_id)) for content_id in {p.content_id for p in patterns}}
        rows = [pattern_vector(vectors[p.content_id], self.titles.contexts[p.slot]) for p in patterns]
        self._store.reembed(self._embedder.space, [p.id for p in patterns], np.array(rows, np.float32))
