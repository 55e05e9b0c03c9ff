"""The pull: made once for everybody of an epoch, made again only when it would say something else."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from omega.core.shard_records import LEAST_SUCCESS
from omega.core.wire import ArtifactKind, Header, Pull
from omega.shard.aggregates import rank, similar_to, trend_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omega.core.ports import Floats, ShardStore
    from omega.core.shard_records import Shown
    from omega.core.wire import Artifact, Similar
    from omega.shard.boards import Merged

MOST_TRENDING = 200
MOST_SIMILAR = 100
MOST_REMOVED = 1_024
"""The wire's limit. Of more, the first by number; a TV takes the others down as they fall out of its pull."""
CANDIDATES = 2_000
"""The trendiest patterns that go well, among which the similar ones are looked for: .4 ms a question."""
REMOVED_DAYS = 30
"""How long a title that lost its households is named, so that a TV that was off takes it down as well."""
_MAX_TITLES = 2**40


@dataclass(frozen=True, slots=True)
class Board:
    """What stood in the store at one moment, or in what all shards say together, ready to be told."""

    day: int
    trending: Sequence[Shown]
    """Most trending first; more than one pull holds, since an old epoch lacks the newest titles."""
    removed: Sequence[int]
    candidates: Sequence[Shown]
    audiences: Floats
    """(n, 1 + TASTE_NUMBERS) of the candidates."""
    devices: int
    """How many are enrolled."""
    merged: Merged | None = None
    """What all shards say together, in place of what this one would tell of trends and removed titles."""

    @classmethod
    def read(cls, store: ShardStore, day: int, counts: Mapping[int, int], merged: Merged | None = None) -> Board:
        """Read it; `counts` are the titles of each epoch. Raises StoreError."""
        candidates = store.successful(CANDIDATES, LEAST_SUCCESS)
        audiences = store.audiences([row.title for row in candidates])
        told = (merged.trending, merged.removed) if merged else cls._own(store, day, counts)
        return cls(day, *told, candidates, audiences, store.device_count(), merged)

    @staticmethod
    def _own(store: ShardStore, day: int, counts: Mapping[int, int]) -> tuple[list[Shown], list[int]]:
        trending = {row.title: row for row in store.trending(MOST_TRENDING, _MAX_TITLES)}
        for count in sorted(counts.values(), reverse=True):
            if sum(title < count for title in trending) < min(MOST_TRENDING, count):
                trending |= {row.title: row for row in store.trending(MOST_TRENDING, count)}
        rows = sorted(trending.values(), key=lambda row: (-rank(row.figures), row.title))
        return rows, store.hidden(day - REMOVED_DAYS)

    def pull(self, header: Header, titles: int, artifacts: tuple[Artifact, ...] = ()) -> Pull:
        """Return the pull for devices that know the first `titles` of the catalog; its id follows from what it says.

        Audience codes are told beside the name of their basis alone.
        """
        codes = self._codes(artifacts)
        rows = [row for row in self.trending if row.title < titles][:MOST_TRENDING]
        trending = tuple(trend_of(row, self.day, codes.get(row.title, b"")) for row in rows)
        removed = tuple([title for title in self.removed if title < titles][:MOST_REMOVED])
        pull = Pull(header=header, pull_id=0, trending=trending, removed=removed, artifacts=artifacts)
        return replace(pull, pull_id=_id_of(pull))

    def _codes(self, artifacts: tuple[Artifact, ...]) -> Mapping[int, bytes]:
        named = any(
            (file.kind, file.version) == (ArtifactKind.AUDIENCE_BASIS, self.merged.basis)
            for file in artifacts
            if self.merged
        )
        return self.merged.codes if self.merged and named else {}

    def similar(self, asks: bytes, titles: int) -> tuple[Similar, ...]:
        """Return what is near to a taste code; takes the thread .4 ms with CANDIDATES."""
        found = similar_to(asks, self.candidates, self.audiences, MOST_SIMILAR)
        return tuple(row for row in found if row.title < titles)


class Pulls:
    """The pulls of one board, one for each epoch that is asked for."""

    def __init__(
        self, board: Board, header: Header, counts: Mapping[int, int], artifacts: tuple[Artifact, ...]
    ) -> None:
        """Show a board; `counts` says how many titles each epoch has; the last is the shard's own."""
        self.board = board
        self._header, self._counts, self._artifacts = header, counts, artifacts
        self._made: dict[int, Pull] = {}

    def of(self, epoch: int) -> Pull:
        """Return the pull for a device whose catalog is of this epoch; one from ahead gets the shard's own."""
        epoch = min(epoch, self._header.epoch)
        if epoch not in self._made:
            self._made[epoch] = self.board.pull(self._header, self._counts.get(epoch, 0), self._artifacts)
        return self._made[epoch]

    def titles(self, epoch: int) -> int:
        """Return how many titles such a device knows."""
        return self._counts.get(min(epoch, self._header.epoch), 0)


def _id_of(pull: Pull) -> int:
    """Return 32 bits of what the pull says, never 0."""
    return int.from_bytes(blake2b(msgspec.msgpack.encode(pull), digest_size=4).digest(), "big") or 1
