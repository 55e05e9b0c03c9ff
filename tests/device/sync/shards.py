"""A shard in dicts, exact and plain: what a real one must do, with backups to be put back and a count by life."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING

import msgspec

from omega.core.ports import MAX_FRAME_BYTES
from omega.core.types import title_key
from omega.core.wire import (
    Ack,
    Header,
    Pull,
    Push,
    Reason,
    Resync,
    decode,
    encode,
    join,
    lineage_code,
    space_code,
    title_hash,
)

if TYPE_CHECKING:
    from omega.core.catalog import Catalog
    from omega.core.wire import Row
    from omega.device.sync.messages import Reply

SPACE = "space-1"
KEPT_BACKUPS = 4
Key = tuple[str, int, int]
"""Title, context, success in thousandths."""


class State:
    """What a backup holds."""

    def __init__(self) -> None:
        self.epoch = 1
        self.at: dict[str, tuple[int, int]] = {}  # by device: its newest incarnation and version
        self.given: Counter[str] = Counter()
        self.taken_back: Counter[str] = Counter()
        self.sums: Counter[tuple[str, int, Key]] = Counter()  # by device and incarnation, which a real one must not


class Shard:
    """Counts each version once, in one step with the version."""

    def __init__(self, catalog: Catalog, *, space: str = SPACE) -> None:
        self.catalog, self.space = catalog, space
        self.titles = {title_hash(title_key(title.id)): title.id for title in catalog}
        self.state = State()
        self.backups: list[State] = []
        self.pull: Pull | None = None
        self.next_sync_s = 0

    @property
    def header(self) -> Header:
        lineage = lineage_code(self.catalog.lineage)
        return Header(space=space_code(self.space), lineage=lineage, epoch=self.state.epoch)

    def answer(self, device: str, frame: bytes) -> bytes:
        """Do what `sync` does, from a frame to the bytes of a reply."""
        push = decode(frame, max_bytes=MAX_FRAME_BYTES)
        assert isinstance(push, Push)
        return join(encode(reply) for reply in self.sync(device, push))

    def sync(self, device: str, push: Push) -> list[Reply]:
        incarnation, version = self.state.at.get(device, (0, 0))
        if refusal := self._refusal(push, incarnation, version):
            return [refusal]
        if push.incarnation > incarnation or push.version > version:
            self._count(device, push)
        pull = self.pull
        version = self.state.at[device][1]
        ack = Ack(
            header=self.header,
            incarnation=push.incarnation,
            version=version,
            horizon=self._horizon(device, push.incarnation),
            next_sync_s=self.next_sync_s,
        )
        return [ack, pull] if pull and pull.pull_id != push.known_pull else [ack]

    def _refusal(self, push: Push, incarnation: int, version: int) -> Reply | None:
        where = Resync(header=self.header, incarnation=incarnation, version=version, reason=Reason.GAP)
        if push.header.space != self.header.space:
            return msgspec.structs.replace(where, reason=Reason.SPACE)
        if push.header.lineage != self.header.lineage:
            return msgspec.structs.replace(where, reason=Reason.LINEAGE)
        is_next = push.incarnation > incarnation and push.base == 0
        is_ours = push.incarnation == incarnation and (push.base == version or push.version <= version)
        if not (is_next or is_ours):
            return where
        count = self.catalog.epochs[self.state.epoch - 1].count
        if any(not row.hashed and row.title >= count for row in push.contributed + push.retracted):
            return msgspec.structs.replace(where, reason=Reason.EPOCH)
        return None

    def _count(self, device: str, push: Push) -> None:
        for row in push.contributed:
            self.state.sums[device, push.incarnation, self._key(row)] += 1
        for row in push.retracted:
            self.state.sums[device, push.incarnation, self._key(row)] -= 1
        self.state.given[device] += len(push.contributed)
        self.state.taken_back[device] += len(push.retracted)
        assert self.state.taken_back[device] <= self.state.given[device], "more taken back than was given"
        self.state.at[device] = push.incarnation, push.version

    def _key(self, row: Row) -> Key:
        assert row.success % 4 == 0
        name = self.titles[row.title] if row.hashed else self.catalog.titles[row.title].id
        return name, row.slot, row.success

    def _horizon(self, device: str, incarnation: int) -> int:
        """The least version that a restored shard may be at."""
        places = [state.at.get(device, (0, 0)) for state in (*self.backups, self.state)]
        return min(version if known == incarnation else 0 for known, version in places)

    def back_up(self) -> None:
        self.backups = [*self.backups, deepcopy(self.state)][-KEPT_BACKUPS:]

    def restore(self, which: int) -> None:
        if self.backups:
            self.state = deepcopy(self.backups[which % len(self.backups)])
