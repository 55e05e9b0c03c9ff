"""What a household's days in the arms of experiments came to: counted here, told once, when the day is over.

A day counts once the TV has known of the experiment when it began, and whatever was watched in it: a household that
turned away from its TV is part of what an arm came to.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from omega.core.wire import Trial
from omega.core.wire.messages import MOST_MINUTES, MOST_WATCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omega.core.experiments import Experiments
    from omega.core.ports import DeviceStore
    from omega.core.records import WatchRecord

LATE_DAYS = 7
"""Days that are longer over are not told any more: the TV was off."""
MOST_EVENTS = 2_000
"""The newest that are looked at; nobody watches so much in a week."""
_NOTE = "experiments"
_EPOCH = date(1970, 1, 1)


def begin(store: DeviceStore, experiments: Experiments, today: date) -> None:
    """Note from which day on each experiment counts: the first whole one that the TV knows it."""
    known = _known(store)
    first = (today - _EPOCH).days + 1
    found = {str(one.code): known.get(str(one.code), first) for one in experiments.experiments}
    if found != known:
        store.set_note(_NOTE, msgspec.json.encode(found))


def tell(
    store: DeviceStore, experiments: Experiments, household: bytes, now: datetime, minutes: Callable[[str], int]
) -> None:
    """Let the days that are over wait to be shared, each once; `minutes` gives a title's length, 0 if unknown."""
    today, known = now.date(), _known(store)
    days = [today - timedelta(days=back) for back in range(LATE_DAYS, 0, -1)]
    events = store.events(MOST_EVENTS) if experiments.experiments else []
    with store.many():
        for day in days:
            number = (day - _EPOCH).days
            for one, arm in experiments.arms(household, day):
                if known.get(str(one.code), number + 1) <= number:
                    watched = [event for event in events if _is_of(event, day, now)]
                    store.ledger.try_out(outcome(one.code, one.arms.index(arm), number, watched, minutes))


def outcome(
    experiment: int, arm: int, day: int, watched: Iterable[WatchRecord], minutes: Callable[[str], int]
) -> Trial:
    """Return what a day with these events came to; a title counts once, and no household's day beyond the bounds."""
    events = list(watched)
    titles = {event.content_id for event in events}
    chosen = {event.content_id for event in events if event.offered is not None}
    spent = sum(event.watched_milli * minutes(event.content_id) for event in events) // 1000
    most = min(len(titles), MOST_WATCHED)
    return Trial(experiment, arm, day, most, min(len(chosen), most), min(spent, MOST_MINUTES))


def _is_of(event: WatchRecord, day: date, now: datetime) -> bool:
    return datetime.fromtimestamp(event.at, now.tzinfo).date() == day


def _known(store: DeviceStore) -> dict[str, int]:
    """Return by code from which day on each counts; what is damaged begins anew."""
    try:
        return msgspec.json.decode(store.note(_NOTE) or b"{}", type=dict[str, int])
    except msgspec.MsgspecError:
        return {}
