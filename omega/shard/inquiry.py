"""What an operator may ask of a shard, and the one thing that he may do to it: shut a device out.

Titles are told by what may be shown of them, as coarse as a pull tells it; devices by their row, which names no title.
"""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from omega.core.shard_records import ALL_SLOTS, DAY_S, LEAST_HOUSEHOLDS
from omega.core.shard_sums import Columns, Facts, ShardSums, may_be_told, pages, trials_that_may_be_told
from omega.shard.aggregates import PRIOR_LISTENERS, cosines, trend_of
from omega.shard.pulls import CANDIDATES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from omega.core.artifacts.manifest import Manifest
    from omega.core.catalog import Catalog
    from omega.core.ports import Floats, ShardStore
    from omega.core.shard_records import DeviceRow, Shown
    from omega.core.types import Title
    from omega.core.wire import Trend
    from omega.shard.app import ShardApp
    from omega.shard.shard import Shard
    from omega.shard.shelves import Published

    Search: TypeAlias = Callable[[Catalog, str], Awaitable[Floats]]
    """Gives a text's cosine with each title of a catalog, (n,) float32."""

PROBE_S = 5.0
"""A store that answers no sooner isn't ready."""
PROBE_KEPT_S = 1.0
"""Whoever asks more often hears the last answer: anybody may ask."""
LOOKED_AT = 500
"""So many titles nearest to a text are asked for what may be shown of them."""
SUMS_KEPT_S = 10.0
"""Whoever asks for sums sooner gets the same again: 50,000 rows take .05 s of a store on SQLite, and .03 s to pack."""
_STEPS = 10
"""Nearness is told in tenths: no single visit should be seen in it."""


class Inquiry:
    """Questions to one shard, through the one thread that has its store."""

    def __init__(
        self,
        app: ShardApp,
        shard: Shard,
        catalog: Catalog,
        files: Published | None,
        search: Search,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`catalog` counts as long as `files` hold no later epoch of it."""
        self._app, self.shard, self._catalog, self._files, self._now = app, shard, catalog, files, now
        self._search = search
        self._probe: asyncio.Future[int] | None = None
        self._probed_s = self._summed_s = 0.0
        self._sums: tuple[bytes, str] | None = None
        self._summing = asyncio.Lock()

    @property
    def catalog(self) -> Catalog:
        """The epoch that the shard goes by."""
        return self._files.catalog if self._files else self._catalog

    @property
    def artifacts(self) -> Sequence[Manifest]:
        """What pulls name."""
        return self._files.current if self._files else ()

    async def ready(self) -> bool:
        """Say whether syncs are taken and the store answers."""
        loop = asyncio.get_running_loop()
        if self._probe is None or (self._probe.done() and loop.time() - self._probed_s > PROBE_KEPT_S):
            self._probed_s = loop.time()
            self._probe = asyncio.ensure_future(self.shard.ask(_answers))
        await asyncio.wait({self._probe}, timeout=PROBE_S)
        answers = self._probe.done() and self._probe.exception() is None
        return answers and not (self.shard.failing or self.shard.draining)

    async def counts(self) -> tuple[int, int, int, int]:
        """Return devices, those of them that were shut out, titles that are shown, and their shown samples."""
        return await self.shard.ask(_counts)

    async def device(self, device_id: bytes) -> DeviceRow | None:
        """Return what is known of a device. Raises StoreError."""
        return await self.shard.ask(lambda store: store.find(device_id))

    async def revoke(self, device_id: bytes) -> DeviceRow | None:
        """Shut a device out for good, from the next sync on; return its row, None for a stranger. Raises StoreError.

        The row stays: without it the device could come in again as another, and what it told would count twice.
        """
        row = await self.shard.ask(lambda store: store.find(device_id) if store.revoke(device_id) else None)
        if row is not None:
            self._app.entrance.shut_out(row.slot)
        return row

    async def patterns(self, title: int) -> list[Trend]:
        """Return what is shown of a title, by context, all of them last. Raises StoreError."""
        rows = await self.shard.ask(lambda store: store.shown_of(title))
        return [trend_of(row, self._today()) for row in rows]

    async def trending(self, start: int, most: int) -> list[Trend]:
        """Return `most` trends from place `start` on, most trending first. Raises StoreError."""
        titles = len(self.catalog)
        rows = await self.shard.ask(lambda store: store.trending(start + most, titles))
        return [trend_of(row, self._today()) for row in rows[start:]]

    async def nearest(self, title: int, most: int) -> list[tuple[Trend, float]]:
        """Return the titles whose audiences are nearest to a title's, with the cosine in tenths, best first.

        Among the CANDIDATES that the store finds near; only of titles of which LEAST_HOUSEHOLDS taste codes and more
        tell who watches.
        Raises StoreError.
        """
        titles = len(self.catalog)
        found = await self.shard.ask(lambda store: _nearest(store, title, titles, most))
        return [(trend_of(row, self._today()), nearness) for row, nearness in found]

    async def found(self, text: str, most: int) -> list[tuple[Trend, float]]:
        """Return the titles nearest to a text, with the cosine of the embeddings, best first.

        Among the LOOKED_AT titles of the catalog that are nearest, those of which something may be shown. Raises
        StoreError, and what the search does.
        """
        cosines = await self._search(self.catalog, text)
        order = np.argsort(-cosines, kind="stable")[:LOOKED_AT].tolist()
        rows = await self.shard.ask(lambda store: _shown_among(store, order, most))
        return [(trend_of(row, self._today()), float(cosines[row.title])) for row in rows]

    async def sums(self, shard: int, region: str) -> tuple[bytes, str]:
        """Return the file of what federation adds up, and its digest; made again after SUMS_KEPT_S. Raises StoreError.

        Whoever asks meanwhile waits for the same one. Titles are read page by page, and ticks go on between pages.
        """
        async with self._summing:
            loop = asyncio.get_running_loop()
            if self._sums is None or loop.time() - self._summed_s > SUMS_KEPT_S:
                self._sums = await self._summed(shard, region)
                self._summed_s = loop.time()
            return self._sums

    async def _summed(self, shard: int, region: str) -> tuple[bytes, str]:
        sums = await summed(self.shard, self.catalog, shard, region, self._now())
        return await asyncio.to_thread(lambda: (sums.encode(), sums.digest))

    def title(self, ordinal: int) -> Title | None:
        """Return a title by its number; None for one that came with an epoch of a moment ago."""
        return self.catalog.titles[ordinal] if ordinal < len(self.catalog) else None

    def _today(self) -> int:
        return int(self._now() // DAY_S)


async def summed(shard: Shard, catalog: Catalog, number: int, region: str, now_s: float) -> ShardSums:
    """Return what a shard of this number tells its federation. Raises StoreError.

    Titles are read page by page, and ticks go on between pages.
    """
    day, columns = int(now_s // DAY_S), Columns.empty()
    await shard.ask(lambda store: store.fold({}))  # sums are read as of the last fold
    for page in pages(len(catalog)):
        columns.extend(await shard.ask(lambda store, page=page: store.sums(page, day)))  # type: ignore[misc]
    moments = await shard.ask(lambda store: store.moments(day))
    trials = trials_that_may_be_told(await shard.ask(lambda store: store.trials()))
    facts = Facts(
        shard=number,
        region=region,
        lineage=catalog.lineage,
        epoch=catalog.epoch,
        titles=len(catalog),
        space=shard.header.space,
        day=day,
        made_at=int(now_s),
    )
    return ShardSums(facts, columns, may_be_told(moments.ravel().tolist(), columns), trials)


def _answers(store: ShardStore) -> int:
    return store.device_count()


def _counts(store: ShardStore) -> tuple[int, int, int, int]:
    return (store.device_count(), len(store.revoked()), *store.shown_totals())


def _nearest(store: ShardStore, title: int, titles: int, most: int) -> list[tuple[Shown, float]]:
    """Return shown titles by the cosine of their mean audiences with the title's, all against the mean of them all."""
    mine = [row for row in store.shown_of(title) if row.slot == ALL_SLOTS]
    taste = store.audiences([title])[0, 1:]
    alike = store.nearest(taste, CANDIDATES) if taste.any() else []
    rows = [row for row in alike if row.title != title and row.title < titles]
    audiences = store.audiences([row.title for row in (*mine, *rows)])
    heard = audiences[:, 0] >= LEAST_HOUSEHOLDS
    if not mine or not heard[0]:
        return []
    rows = [row for row, told in zip(rows, heard[1:], strict=True) if told]
    near = _nearness(audiences[heard])
    order = np.argsort(-near, kind="stable")[:most]
    return [(rows[place], float(near[place])) for place in order]


def _shown_among(store: ShardStore, titles: Sequence[int], most: int) -> list[Shown]:
    """Return what may be shown in all contexts of the first `most` of these titles of which anything may."""
    rows = (row for title in titles for row in store.shown_of(title) if row.slot == ALL_SLOTS)
    return list(islice(rows, most))


def _nearness(audiences: Floats) -> Floats:
    """Return the cosines of all rows but the first with the first, in tenths."""
    mean = audiences[:, 1:] / (audiences[:, :1] + PRIOR_LISTENERS)
    mean = mean - mean.mean(axis=0)
    near: Floats = (np.round(cosines(mean[1:], mean[0]) * _STEPS) / _STEPS + 0.0).astype(np.float32)  # no -0.0
    return near
