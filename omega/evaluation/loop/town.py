"""The TVs of a replay: one a viewer, each with a store in memory, on which a brain is opened when something happens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from omega.core.errors import OmegaError, TransportError
from omega.core.types import ViewingEvent
from omega.device.brain import Brain
from omega.device.sync.messages import WireCodec
from omega.device.sync.pacing import Moment
from omega.device.sync.runtime import Syncer
from omega.evaluation.log import DAY_S
from omega.evaluation.loop.cloud import Clock, Cloud
from omega.evaluation.loop.growing import Growing
from omega.evaluation.loop.hearing import Hearing
from omega.evaluation.results import Sizes
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from omega.core.ports import Embedder, Fetched
    from omega.core.ranking_weights import RankingWeights
    from omega.core.types import Title
    from omega.device.ranking import Weights
    from omega.device.titles import TitleArrays
    from omega.evaluation.log import Past
    from omega.evaluation.loop.cloud import Served

T = TypeVar("T")

BEST_RATING = 5.0
"""Watched to the end, for who knows ratings alone."""
_SYNCS_AT_ONCE = 256
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Way:
    """A TV's way to its shard, without a network."""

    codec = WireCodec()

    def __init__(self, served: Served, slot: int) -> None:
        """Lead to a shard that knows the TV by its slot."""
        self._served, self._slot = served, slot

    @property
    def shard(self) -> str:
        """The shard's name."""
        return str(self._served.number)

    async def enter(self) -> str:
        """Return the shard's name."""
        return self.shard

    def connect(self, shard: str) -> Way:  # noqa: ARG002  (there is no other)
        """Return the way itself."""
        return self

    async def exchange(self, frame: bytes) -> bytes:
        """Return the answer to a frame."""
        return await self._served.exchange(self._slot, frame)

    async def get(self, path: str, *, max_bytes: int, part: range | None = None) -> Fetched:  # noqa: ARG002
        """Raise TransportError: `Cloud.files` hands them out."""
        raise TransportError(f"{path} isn't served in a replay")

    async def close(self) -> None:
        """There is nothing to let go of."""


def key_of(viewer: int) -> bytes:
    """Return what makes a viewer's chances its own: in every replay the same."""
    return b"%032x" % viewer


class Town:
    """All TVs, their shards, and the operator's catalog, played day by day."""

    def __init__(
        self,
        titles: Sequence[Title],
        arrays: TitleArrays,
        embedder: Embedder,
        folder: Path,
        *,
        weights: Weights,
        shards: int,
        seed: int,
    ) -> None:
        """`arrays` are of all titles by number, in the embedder's space; the folder is empty."""
        self._weights = weights
        self._syncs = self._sent_bytes = self._received_bytes = 0
        self.clock = Clock()
        self.growing = Growing(titles, arrays)
        self._embedder, self._random = embedder, Random(seed)  # noqa: S311  (spreads intervals, guards nothing)
        self._cloud = Cloud(folder, embedder.space, self.clock, shards, seed)
        self._shards = shards
        self._hear = Hearing()
        self._tvs: dict[int, tuple[MemoryDeviceStore, Way]] = {}
        self._brains: dict[int, Brain] = {}  # of the catalog's epoch
        self._admitted = [0] * shards
        self._done, self._began_s = 0, 0.0
        self._runner = asyncio.Runner()

    def play(self, past: Past) -> None:
        """Let everything happen that came before a moment and hasn't happened yet, a round at the end of each day."""
        self._runner.run(self._play(past))

    def brains(self, viewers: NDArray[np.int64], at_s: int) -> Iterable[Brain]:
        """Give each viewer's brain as it is at a moment, after a sync."""
        self.clock.now_s = at_s
        self._runner.run(self._synced(viewers))
        return (self._brains[viewer] for viewer in viewers.tolist())

    @property
    def shards(self) -> Sequence[Served]:
        """What is counted by; none before the first event."""
        return self._cloud.shards

    def ask(self, question: Coroutine[None, None, T]) -> T:
        """Return what shards answer, which live on a loop of their own."""
        return self._runner.run(question)

    @property
    def weights(self) -> Weights:
        """What all brains rank by."""
        return self._weights

    @property
    def sizes(self) -> Sizes:
        """What has travelled until now."""
        weeks = (self.clock() - self._began_s) / (7 * DAY_S)
        return Sizes(len(self._tvs), round(weeks, 2), self._syncs, self._sent_bytes, self._received_bytes)

    def rank_by(self, found: RankingWeights) -> None:
        """Let all brains go by what a fit found."""
        self._weights = self._weights.fitted(found)
        for brain in self._brains.values():
            brain.adopt(found)

    def close(self) -> None:
        """Stop the shards."""
        self._runner.run(self._cloud.close())
        self._runner.close()

    async def _play(self, past: Past) -> None:
        while self._done < len(past):
            day = int(past.times_s[self._done]) // DAY_S
            end_s = min((day + 1) * DAY_S, past.at_s)
            end = int(np.searchsorted(past.times_s, end_s, side="left"))
            await self._day(past, slice(self._done, end), end_s)
            self._done = end

    async def _day(self, past: Past, events: slice, end_s: int) -> None:
        """Play events of one day."""
        self.clock.now_s = float(past.times_s[events.start])
        self._began_s = self._began_s or self.clock()
        if self.growing.add(past.watched[events]):
            await self._cloud.go_on(self.growing.catalog)
            self._brains.clear()
        viewers = past.viewers[events]
        await self._admit(np.unique(viewers))
        for event in range(events.start, events.stop):
            self._observe(past, event)
        self.clock.now_s = end_s - 1.0
        await self._synced(np.unique(viewers))
        self.clock.now_s = float(end_s)
        await self._cloud.round()

    def _observe(self, past: Past, event: int) -> None:
        self.clock.now_s = float(past.times_s[event])
        brain = self._brain(int(past.viewers[event]))
        title = past.titles[past.watched[event]]
        brain.observe(ViewingEvent(content_id=title.id, watch_pct=float(past.ratings[event]) / BEST_RATING))

    async def _admit(self, viewers: NDArray[np.int64]) -> None:
        """Give whoever is new a TV."""
        new: list[list[int]] = [[] for _ in range(self._shards)]
        for viewer in viewers.tolist():
            if viewer not in self._tvs:
                new[viewer % self._shards].append(viewer)
        for shard, some in enumerate(new):
            if some:
                await self._cloud.shards[shard].admit(len(some), self._admitted[shard])
            for viewer in some:
                self._tvs[viewer] = MemoryDeviceStore(), Way(self._cloud.shards[shard], self._admitted[shard])
                self._admitted[shard] += 1

    async def _synced(self, viewers: NDArray[np.int64]) -> None:
        await self._admit(viewers)
        for start in range(0, len(viewers), _SYNCS_AT_ONCE):
            await asyncio.gather(*(self._sync(viewer) for viewer in viewers[start : start + _SYNCS_AT_ONCE].tolist()))

    async def _sync(self, viewer: int) -> None:
        """Sync one TV, and let it go on with the files that its shard names."""
        brain = self._brain(viewer)
        report = await Syncer(brain, self._tvs[viewer][1], random=self._random, now=self._moment).sync()
        if report.error:
            raise OmegaError(f"a TV couldn't sync: {report.error}")
        self._syncs += 1
        self._sent_bytes += report.sent_bytes
        self._received_bytes += report.received_bytes
        self._listen(viewer, brain)

    def _listen(self, viewer: int, brain: Brain) -> None:
        """Let a TV go on with the files that its shard names."""
        for file in self._cloud.files(brain.published(self._tvs[viewer][1].shard)):
            brain.adopt(file)

    def _moment(self) -> Moment:
        return Moment(self.clock(), self.clock())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def _brain(self, viewer: int) -> Brain:
        """Return the viewer's brain, opened if it isn't since the catalog has changed."""
        found = self._brains.get(viewer)
        if found is None:
            found = self._brains[viewer] = Brain(
                self._tvs[viewer][0],
                self._embedder,
                self.growing.catalog,
                self.growing.arrays,
                now=self._now,
                weights=self._weights,
                clock_from=_EARLIEST,
                hear=self._hear,
            )
            found.draw_by(key_of(viewer))
            self._listen(viewer, found)
        return found
