"""What a TV knows of its sync with one shard, kept in the store beside the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from random import Random

    from omega.core.ports import DeviceStore

MAX_INCARNATION = 2**32 - 1
_MOST_AHEAD = 2**16
"""How far the next incarnation is at most beyond one that the shard names, where the clock gives none."""


class Link(msgspec.Struct, frozen=True):
    """Where a TV and one shard are, as far as the TV knows; if it is wrong, the shard's answer says so."""

    incarnation: int
    """Of 32 bits, one for each life of this store, whose versions count from 1: the unix seconds of its first sync.

    A later life has a greater one, so that a shard that was put back to an earlier life can be told from a store that
    was. A random one left both open, and every few thousand faults a store gave up what it should have told again.
    """
    version: int = 0
    """What the shard is believed to be at."""
    last: int = 0
    """The greatest version that was ever bound or heard of: a number is used once."""
    reached: bool = False
    """Whether the shard ever spoke of this incarnation as its newest."""
    epoch: int = 1
    """Of the shard's catalog. Every catalog of the lineage has the ordinals of the first."""


def read(store: DeviceStore, shard: str, now_s: float) -> Link:
    """Return what is known of a shard: from the note, or, where that is lost, from the ledger; else a new life."""
    try:
        if note := store.note(_name(shard)):
            return msgspec.json.decode(note, type=Link)
    except msgspec.MsgspecError:
        pass  # the ledger knows enough
    for held in store.ledger.shards():
        if held.shard == shard:
            return Link(held.incarnation, last=held.version, reached=True)
    return Link(_within(int(now_s)))


def keep(store: DeviceStore, shard: str, link: Link) -> None:
    """Keep this in place of what was known."""
    store.set_note(_name(shard), msgspec.json.encode(link))


def next_incarnation(known: int, now_s: float, random: Random) -> int:
    """Return an incarnation that is greater than one that the shard knows, so that it is taken for newer.

    It is drawn, since two copies of one store may ask for it at the same time.
    """
    return _within(max(int(now_s), known + random.randint(1, _MOST_AHEAD)))


def _within(incarnation: int) -> int:
    return min(max(incarnation, 1), MAX_INCARNATION)


def _name(shard: str) -> str:
    return f"sync {shard}"
