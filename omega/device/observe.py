"""From an event to what is kept of it: which title it is, in which context, how much was watched."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

from omega.core.errors import InputError, shown
from omega.core.records import WatchRecord
from omega.core.types import ContentType, Title, slot_at
from omega.device.history import continues
from omega.device.memory.episodes import engagement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omega.core.catalog import Catalog
    from omega.core.records import Watched
    from omega.core.types import ViewingEvent

RELEASED = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows an earlier time is not set."""
_EPOCH = date(1970, 1, 1).toordinal()
_LAST_DAY = 0xFFFF
"""In 2149."""


class Offer(NamedTuple):
    """Where a title stood in a list that was recommended."""

    place: int
    """From 1."""
    propensity: float | None
    """As `Recommendation.propensity`."""


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


def trusted(clock: datetime, newest_at_s: int, clock_from: datetime = RELEASED) -> datetime:
    """Return the time by the clock; where that is not set, as after a power cut, the last time that is known of.

    A TV's clock begins in 1970 until it finds the network; what it shows before `clock_from` is such a time.
    """
    if clock >= clock_from:
        return clock
    return datetime.fromtimestamp(max(newest_at_s, clock_from.timestamp()), clock.tzinfo)


def watch_of(
    event: ViewingEvent, title: Title, now: datetime, profile: int, known: Watched | None, offered: Offer | None
) -> WatchRecord:
    """Return what is kept of a checked event; `now` gives the household's time zone.

    `known` is what the profile did with the title before, `offered` the title's place in the last list. Without
    `watch_pct` the share is minutes over the title's length, at most 1; raises InputError if that is unknown.
    """
    share = event.watch_pct
    if share is None:
        if not title.minutes:
            raise InputError(f"watch_pct is missing and the length of {title.id} is unknown, allowed: a number 0..1")
        share = min((event.minutes or 0.0) / title.minutes, 1.0)
    at = (event.at or now).astimezone(now.tzinfo)
    milli = round(1000 * share)
    return WatchRecord(
        content_id=title.id,
        at=int(at.timestamp()),
        slot=slot_at(at),
        watched_milli=milli,
        season=event.season,
        episode=event.episode,
        profile=profile,
        engagement_milli=engagement(
            milli,
            liked=event.liked,
            offered=offered is not None,
            continued=known is not None and continues(title, known, event.season, event.episode),
        ),
        offered=None if offered is None else offered.place,
        propensity=None if offered is None else offered.propensity,
    )


def midnight(now: datetime) -> datetime:
    """Return when the household's day began."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def day_number(now: datetime) -> int:
    """Return the day of a local time, in days since 1970."""
    return now.date().toordinal() - _EPOCH


def day_of(watch: WatchRecord, now: datetime) -> int:
    """Return the day of an event since 1970, by the clock of the household, whose zone `now` gives.

    Later days than the wire can name become its last one: a sync that fails at them would fail for good.
    """
    return min(day_number(datetime.fromtimestamp(watch.at, now.tzinfo)), _LAST_DAY)
