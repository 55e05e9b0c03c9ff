"""What the others enjoy, as it is kept from the shard's pulls; `omega.device.others` makes arrays of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import msgspec

from omega.core.wire import Artifact, Similar, Trend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega.core.ports import DeviceStore
    from omega.core.wire import Pull

Shown = TypeVar("Shown", Trend, Similar)
LEAST_HOUSEHOLDS = 3
"""What fewer households support is not shown, and a shard that sends it is not believed."""
MOST = 1_024
"""More titles than this of one pull are not kept; a pull has some 200."""
_NOTE = "others"
_REMEMBERED = 8
"""So many are decoded once: a sync reads the same one four times."""


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
    return _decoded(store.note(_NOTE) or b"{}")


def keep(store: DeviceStore, trends: Trends) -> None:
    """Keep this in place of what was held: 12 kB for 200 titles."""
    store.set_note(_NOTE, msgspec.json.encode(trends))


@lru_cache(maxsize=_REMEMBERED)
def _decoded(note: bytes) -> Trends:
    try:
        return msgspec.json.decode(note, type=Trends)
    except msgspec.MsgspecError:
        return Trends()


def _kept(trends: Iterable[Shown], gone: set[int]) -> tuple[Shown, ...]:
    kept = [t for t in trends if t.title >= 0 and LEAST_HOUSEHOLDS <= t.households < 2**40 and t.title not in gone]
    return tuple(kept[:MOST])
