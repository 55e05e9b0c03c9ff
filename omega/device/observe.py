"""From an event to what is kept of it: which title it is, in which context, how much was watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.errors import InputError, shown
from omega.core.ports import WatchRecord
from omega.core.types import ContentType, Title, slot_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from omega.core.catalog import Catalog
    from omega.core.types import ViewingEvent


def title_of(event: ViewingEvent, catalog: Catalog, local: Mapping[str, Title]) -> tuple[Title, bool]:
    """Return the event's title, and whether it is local: known to this TV alone.

    Raises InputError when neither the catalog nor the TV knows the id and the event gives no name.
    """
    if (published := catalog.get(event.content_id)) is not None:
        return published, False
    if event.title is not None:
        kind = event.kind or ContentType.MOVIE
        return Title(event.content_id, event.title, 0, kind, event.genres, minutes=0, age=0), True
    if (known := local.get(event.content_id)) is not None:
        return known, True
    raise InputError(
        f"content_id is {shown(event.content_id)}, allowed: {catalog.hint(event.content_id)}; "
        "or give the event a title, and it stays on this TV"
    )


def watch_of(event: ViewingEvent, title: Title, now: datetime) -> WatchRecord:
    """Return what is kept of a checked event; `now` gives the household's time zone.

    Without `watch_pct` the share is minutes over the title's length, at most 1; raises InputError if that is unknown.
    """
    share = event.watch_pct
    if share is None:
        if not title.minutes:
            raise InputError(f"watch_pct is missing and the length of {title.id} is unknown, allowed: a number 0..1")
        share = min((event.minutes or 0.0) / title.minutes, 1.0)
    at = (event.at or now).astimezone(now.tzinfo)
    return WatchRecord(title.id, int(at.timestamp()), slot_at(at), round(1000 * share), event.season, event.episode)
