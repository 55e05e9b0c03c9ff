"""From a push to a move: references resolved, households turned into keyed tags, and what makes no sense refused."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from omega.core.errors import InputError
from omega.core.shard_records import HASH_RANGE, TASTE_BYTES, Move, PlainMoves, Sample, unknown_title
from omega.core.types import SLOTS, title_key
from omega.core.wire import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from omega.core.catalog import Catalog
    from omega.core.ports import Bits, Integers
    from omega.core.wire import Push, Row
    from omega.shard.columns import Pushes

KEY_BYTES = 32
_MAX_VERSION = 2**40
_MAX_DAY = 2**16
_OUT_OF_RANGE = (
    "a row was pushed with a context, success, day, title or taste code out of range, allowed: 0..7, "
    f"0..1000, 0..{_MAX_DAY - 1}, 40 bits, {TASTE_BYTES} bytes or none: send what the wire's codec makes"
)


class Intake:
    """Reads pushes by one catalog; make another one when the catalog changes."""

    def __init__(self, catalog: Catalog, key: bytes) -> None:
        """`key`, KEY_BYTES that never leave the shard and never go beside its database, makes the tags."""
        if len(key) != KEY_BYTES:
            raise InputError(f"the tag key has {len(key)} bytes, allowed {KEY_BYTES}: make it with secrets.token_bytes")
        self._keyed = blake2b(digest_size=4, key=key, person=b"omega-household")  # a copy is cheaper than a new one
        self.lineage = int(catalog.lineage[:6], 16)  # 24 bits, as they travel
        self.epoch = catalog.epoch
        self.counts = {epoch.epoch: epoch.count for epoch in catalog.epochs}
        """How many titles each epoch has."""
        self._hashes: Sequence[int] = [_hash_of(title.id) for title in catalog]
        self._hash_column = np.asarray(self._hashes, np.int64)
        self.ordinals: Mapping[int, int] = {hashed: ordinal for ordinal, hashed in enumerate(self._hashes)}
        """Of each 40-bit hash."""
        self.experiments: Collection[int] = frozenset()
        """Codes of those that are counted; what is told of others is passed over, or strangers could fill the store."""

    def misread(self, push: Push) -> Reason | None:
        """Return why the push can't be read by this catalog, if so."""
        if push.header.lineage != self.lineage:
            return Reason.LINEAGE
        known = len(self._hashes)
        for rows in (push.contributed, push.retracted):
            for row in rows:
                if row.title >= known and not row.hashed:
                    return Reason.EPOCH
        return None

    def move(self, slot: int, push: Push) -> Move:
        """Return the device's move; `misread` comes first. Raises InputError for numbers out of range."""
        if not (0 <= push.base <= push.version < _MAX_VERSION and 0 <= push.incarnation < 2**32):
            raise InputError(
                f"versions {push.base} to {push.version} of incarnation {push.incarnation} were pushed, allowed: "
                f"ascending, below {_MAX_VERSION} and {2**32}: begin a new incarnation"
            )
        if push.base == push.version and (push.trials or push.trials_retracted):
            raise InputError("trials were pushed without a new version, allowed: none: count the version up with them")
        device = slot.to_bytes(4, "big")
        contributed, retracted = self._samples(device, push.contributed), self._samples(device, push.retracted)
        if push.base == push.version and (contributed or retracted):
            raise InputError("rows were pushed without a new version, allowed: none: count the version up with them")
        given = push.trials and tuple(trial for trial in push.trials if trial.experiment in self.experiments)
        versions = push.incarnation, push.base, push.version
        return Move(slot, *versions, contributed, retracted, given, push.trials_retracted)

    def resolved(self, push: Push) -> tuple[tuple[int, int], ...]:
        """Return (hash, ordinal) of titles that came hashed and that the catalog has."""
        hashed = {row.title for rows in (push.contributed, push.retracted) for row in rows if row.hashed}
        return tuple((title, self.ordinals[title]) for title in sorted(hashed) if title in self.ordinals)

    def plain(self, pushes: Pushes) -> Bits:
        """Return (n,) which of these pushes are plain by this catalog too: there is nothing to refuse or to resync."""
        of = np.repeat(np.arange(len(pushes.plain)), pushes.counts)
        found: Bits = pushes.plain & (pushes.lineage == self.lineage) & (pushes.version < _MAX_VERSION)
        found &= (pushes.version > pushes.base) | (pushes.counts == 0)
        found[of[pushes.rows.title >= len(self._hashes)]] = False
        return found

    def moves(self, slots: Integers, pushes: Pushes, which: Bits) -> PlainMoves:
        """Return the moves of devices (n,) `slots`, of those of (n,) pushes that are plain by `plain`."""
        kept, rows = np.repeat(which, pushes.counts), pushes.rows
        title, slot, count = rows.title[kept], slots[which], pushes.counts[which]
        return PlainMoves(
            slot=slot,
            incarnation=pushes.incarnation[which],
            base=pushes.base[which],
            version=pushes.version[which],
            count=count,
            title=title,
            context=rows.context[kept],
            day=rows.day[kept],
            success_milli=rows.success_milli[kept],
            tag=self._tags(np.repeat(slot, count), self._hash_column[title]),
            taste=rows.taste[kept],
            heard=rows.heard[kept],
        )

    def _tags(self, slots: Integers, hashes: Integers) -> Integers:
        """Return (m,) tags, as `_samples` makes one."""
        named = np.empty((len(slots), 9), np.uint8)
        named[:, :4] = slots.astype(">u4")[:, None].view(np.uint8)
        named[:, 4:] = hashes.astype(">u8")[:, None].view(np.uint8)[:, 3:]
        raw, copied, digests = named.tobytes(), self._keyed.copy, []
        for at in range(0, len(raw), 9):
            tag = copied()
            tag.update(raw[at : at + 9])
            digests.append(tag.digest())
        return np.frombuffer(b"".join(digests), ">u4").astype(np.int64)

    def _samples(self, device: bytes, rows: Iterable[Row]) -> tuple[Sample, ...]:
        samples = []
        for row in rows:
            title, slot, day, success, taste = row.title, row.slot, row.day, row.success, row.taste
            if not (
                0 <= slot < SLOTS
                and 0 <= success <= 1000
                and 0 <= day < _MAX_DAY
                and 0 <= title < HASH_RANGE
                and len(taste) in (0, TASTE_BYTES)
            ):
                raise InputError(_OUT_OF_RANGE)
            hashed = title if row.hashed else self._hashes[title]
            if row.hashed:
                title = self.ordinals.get(hashed, unknown_title(hashed))
            # 32 bits for a device among those of a title; by the hash, so that a new epoch keeps them.
            tag = self._keyed.copy()
            tag.update(device + hashed.to_bytes(5, "big"))
            samples.append(Sample(title, slot, day, success, int.from_bytes(tag.digest(), "big"), taste))
        return tuple(samples)


def _hash_of(content_id: str) -> int:
    """Return the 40 bits that travel for a title, the upper ones of its key."""
    return title_key(content_id) >> 23
