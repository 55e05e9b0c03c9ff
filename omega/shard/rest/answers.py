"""What each route answers, named as in the table of routes."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import BusyError, MissingExtraError, shown
from omega.core.shard_records import DAY_S
from omega.core.types import time_and_day
from omega.shard.rest import replies
from omega.shard.rest.routes import LAST_START, RefusedError

if TYPE_CHECKING:
    from omega.core.privacy import Account
    from omega.core.shard_records import DeviceRow
    from omega.core.types import Title
    from omega.core.wire import Trend
    from omega.shard.inquiry import Inquiry


BUSY_S = 5
"""Whoever hears that too many ask comes back after it."""


class Facts(msgspec.Struct, frozen=True):
    """What doesn't change while a worker runs."""

    shard: int
    region: str
    schema: int
    worker: int = 0


class Answers:
    """Asks a shard, and says it in the words of the interface. All raise RefusedError, StoreError."""

    def __init__(self, inquiry: Inquiry, facts: Facts) -> None:
        """Begin to count the worker's time."""
        self._inquiry, self._facts = inquiry, facts
        self._started_at = int(time.time())

    async def health(self) -> replies.Health:
        """Say that the process lives."""
        return replies.Health("live", self._facts.shard, self._facts.region)

    async def ready(self) -> replies.Ready:
        """Say that syncs are taken, if they are."""
        if not await self._inquiry.ready():
            raise RefusedError(503, "a shard that takes no syncs", "one that does", "ask later, see the shard's log")
        return replies.Ready("ready")

    async def stats(self) -> replies.Stats:
        """Tell the shard in figures."""
        devices, revoked, titles, samples = await self._inquiry.counts()
        facts, catalog = self._facts, self._inquiry.catalog
        return replies.Stats(
            shard=facts.shard,
            region=facts.region,
            lineage=catalog.lineage,
            epoch=catalog.epoch,
            catalog_titles=len(catalog),
            schema=facts.schema,
            devices=devices,
            revoked=revoked,
            titles=titles,
            samples=samples,
            worker=facts.worker,
            since=self._since(),
            privacy=_privacy(self._inquiry.shard.privacy),
        )

    async def device(self, id: str) -> replies.Device:  # noqa: A002  (the path's own name)
        """Tell what is known of a device."""
        return _device(_known(id, await self._inquiry.device(bytes.fromhex(id))))

    async def revoke(self, id: str) -> replies.Device:  # noqa: A002  (the same)
        """Shut a device out for good."""
        return _device(_known(id, await self._inquiry.revoke(bytes.fromhex(id))))

    async def patterns(self, title: str) -> replies.Patterns:
        """Tell a title's figures by context."""
        ordinal, name = self._title(title)
        shown_rows = await self._inquiry.patterns(ordinal)
        return replies.Patterns(title, name, [_figures(row) for row in shown_rows])

    async def nearest(self, title: str, limit: int) -> replies.Nearest:
        """Tell the titles with the audience most like a title's."""
        ordinal, name = self._title(title)
        found = await self._inquiry.nearest(ordinal, limit)
        named = [(row, near, self._inquiry.title(row.title)) for row, near in found]
        near = [replies.Near(at.id, at.title, near, row.households, row.success) for row, near, at in named if at]
        return replies.Nearest(title, name, near)

    async def search(self, text: str, limit: int) -> replies.Search:
        """Tell the titles that are about a text."""
        try:
            found = await self._inquiry.found(text, limit)
        except MissingExtraError as error:
            told = str(error).rpartition(": ")[2]
            raise RefusedError(501, "a shard that reads no texts", "one with the extra `device`", told) from error
        except BusyError as error:
            told = str(error).partition(",")[0]
            raise RefusedError(503, told, "an idle moment", "ask later", {"retry-after": str(BUSY_S)}) from error
        return replies.Search(
            text, [_found(row, near, at) for row, near in found if (at := self._inquiry.title(row.title))]
        )

    async def trending(self, start: int, limit: int) -> replies.Trends:
        """Tell a page of what is on the rise."""
        rows = await self._inquiry.trending(start, limit + 1)
        named = [(row, self._inquiry.title(row.title)) for row in rows[:limit]]
        told = [replies.Trend(at.id, at.title, row.households, row.success, row.momentum) for row, at in named if at]
        more = len(rows) > limit and start + limit <= LAST_START
        return replies.Trends(told, start + limit if more else None)

    async def sums(self) -> replies.File:
        """Tell the federation what it adds up."""
        found = await self._inquiry.sums(self._facts.shard, self._facts.region)
        return replies.File(*found)

    async def artifacts(self) -> replies.Artifacts:
        """Tell what is published."""
        current = self._inquiry.artifacts
        told = [replies.Artifact(m.kind, m.name, m.version, m.sha256, m.size_bytes, m.made_at) for m in current]
        return replies.Artifacts(told)

    def _since(self) -> replies.Since:
        shard = self._inquiry.shard
        done = shard.recorder
        return replies.Since(self._started_at, done.syncs, done.contributed, done.retracted, shard.waiting)

    def _title(self, content_id: str) -> tuple[int, str]:
        ordinal = self._inquiry.catalog.ordinals.get(content_id)
        if ordinal is None:
            allowed = "an id of the shard's catalog"
            raise RefusedError(404, f"title {shown(content_id)}", allowed, "see omega catalog show")
        return ordinal, self._inquiry.catalog.titles[ordinal].title


def _known(device: str, row: DeviceRow | None) -> DeviceRow:
    if row is None:
        raise RefusedError(404, f"device {device.lower()}", "one that enrolled here", "ask its own shard")
    return row


def _device(row: DeviceRow) -> replies.Device:
    return replies.Device(
        id=row.device_id.hex(),
        number=row.slot,
        revoked=row.revoked,
        tokens_since=None if row.revoked else row.counts_from,
        seen=_date(row.seen_day),
        incarnation=row.incarnation,
        version=row.version,
        contributed=row.contributed,
        retracted=row.retracted,
        horizon=row.horizon,
        mark_day=_date(row.mark_day),
        mark_version=row.mark_version,
    )


def _found(row: Trend, near: float, title: Title) -> replies.Found:
    nearness = min(1.0, max(-1.0, round(near, 3)))
    return replies.Found(title.id, title.title, nearness, row.households, row.success, row.momentum)


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * DAY_S, UTC).date()


def _figures(row: Trend) -> replies.Figures:
    context = None if row.slot is None else replies.Context(*time_and_day(row.slot))
    return replies.Figures(context, row.households, row.success, row.momentum)


def _privacy(told: Account | None) -> replies.Privacy | None:
    return replies.Privacy(**msgspec.structs.asdict(told)) if told else None
