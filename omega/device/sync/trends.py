"""What the others enjoy: kept from the shard's pulls, and given to ranking as arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np

from omega.core.wire import Artifact, Similar, Trend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega.core.ports import DeviceStore
    from omega.core.wire import Pull
    from omega.device.titles import TitleArrays

Shown = TypeVar("Shown", Trend, Similar)
LEAST_HOUSEHOLDS = 3
"""What fewer households support is not shown, and a shard that sends it is not believed."""
MOST = 1_024
"""More titles than this of one pull are not kept; a pull has some 200."""
_NOTE = "others"


class Trends(msgspec.Struct, frozen=True):
    """The newest pull of one shard, and the newest answer to what this household's like enjoyed."""

    shard: str = ""
    pull_id: int = 0
    trending: tuple[Trend, ...] = ()
    similar: tuple[Similar, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    """Files that the shard names as current."""

    def after(self, shard: str, pull: Pull) -> Trends:
        """Return what holds with a pull: its trends, and its similar titles or, when it brings none, those before.

        What is out of range, or what fewer than 3 households support, is left out.
        """
        gone = set(pull.removed)
        similar = pull.similar or (self.similar if shard == self.shard else ())
        return Trends(shard, pull.pull_id, _kept(pull.trending, gone), _kept(similar, gone), pull.artifacts)


def read(store: DeviceStore) -> Trends:
    """Return what the store holds of the others; nothing where that is damaged, since the next pull brings it."""
    try:
        return msgspec.json.decode(store.note(_NOTE) or b"{}", type=Trends)
    except msgspec.MsgspecError:
        return Trends()


def keep(store: DeviceStore, trends: Trends) -> None:
    """Keep this in place of what was held: 12 kB for 200 titles."""
    store.set_note(_NOTE, msgspec.json.encode(trends))


def heard(titles: TitleArrays, trends: Trends) -> TitleArrays:
    """Return the catalog's arrays with the others' popularity in place of the operator's, if any is known.

    A title's popularity is its share of the households that the pull names, 0 outside of it. Titles that this catalog
    doesn't have yet are passed over; they count once it has them.
    """
    count = len(titles.popularity)
    trending, similar = _households(trends.trending, count), _households(trends.similar, count)
    households = np.maximum(trending, similar)
    if not households.any():
        return titles
    shares = (households / households.sum()).astype(np.float32)
    return replace(titles, popularity=shares, households=households, alike=similar > 0)


def _households(trends: Iterable[Trend | Similar], count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return (count,) households by ordinal: what is said of all contexts, else the most that is said of one."""
    by_context, overall = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for trend in trends:
        if trend.title < count:
            into = overall if trend.slot is None else by_context
            into[trend.title] = max(into[trend.title], trend.households)
    return np.where(overall > 0, overall, by_context)


def _kept(trends: Iterable[Shown], gone: set[int]) -> tuple[Shown, ...]:
    kept = [t for t in trends if t.title >= 0 and LEAST_HOUSEHOLDS <= t.households < 2**40 and t.title not in gone]
    return tuple(kept[:MOST])
