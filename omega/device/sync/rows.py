"""From the ledger's lines to the rows of a frame: how titles are named, and which rows fit."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from omega.core.types import title_key
from omega.core.wire import Row, title_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from omega.core.catalog import Catalog
    from omega.core.records import Contribution


class References:
    """Names titles as the shard's catalog knows them."""

    def __init__(self, catalog: Catalog) -> None:
        """Use the TV's own catalog; a title that it has lost is named by its hash."""
        self._catalog = catalog

    def row(self, line: Contribution, epoch: int) -> Row:
        """Return a line as a row: by ordinal where a catalog of this epoch has it, else by hash."""
        ordinal = _ordinals(self._catalog).get(line.title_key)
        known = ordinal is not None and ordinal < self._count(epoch)
        title = ordinal if known and ordinal is not None else title_hash(line.title_key)
        return Row(title, line.slot, line.day, line.success_milli, line.taste, hashed=not known)

    def _count(self, epoch: int) -> int:
        """Return how many titles a catalog of this epoch has that this one has too."""
        epochs = self._catalog.epochs
        return epochs[min(epoch, len(epochs)) - 1].count if epoch >= 1 else 0


@lru_cache(maxsize=1)
def _ordinals(catalog: Catalog) -> Mapping[int, int]:
    """Return a catalog's ordinals by title key; 2 us a title, so that a session doesn't work them out again."""
    return {title_key(title.id): ordinal for ordinal, title in enumerate(catalog)}


def net(lines: Sequence[Contribution]) -> list[Contribution]:
    """Return the lines without those that are given and taken back: the sums are the same, and less is told."""
    times = Counter(line.id for line in lines)
    return [line for line in lines if times[line.id] == 1]


def fitting(lines: Sequence[Contribution], fits: Callable[[Sequence[Contribution]], bool]) -> int:
    """Return how many of the first lines fit, at least 1, by halving: each look encodes a frame.

    The order is the value of a line: first what is to be taken back, since a household waits for it, then the newest
    day, since trends halve within days and an old sample moves them little. Within a day all lines are worth the same.
    """
    if fits(lines):
        return len(lines)
    fit, too_many = 1, len(lines)
    while too_many - fit > 1:
        middle = (fit + too_many) // 2
        fit, too_many = (middle, too_many) if fits(lines[:middle]) else (fit, middle)
    return fit
