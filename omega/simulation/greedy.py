"""A device that claims more than a day allows: no TV of ours, but with a good token, and frames that are in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.shard_records import DAY_S
from omega.core.types import SLOTS
from omega.core.wire import REPLY_LIMIT, Ack, Push, Resync, Row, decode, encode, split

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from omega.core.wire import Header

PUSHES, ROWS = 9, 200
"""That it makes at a sitting, and samples in each: 1,800, of which a shard may take 1,024."""
_INCARNATION, _SUCCESS_STEP = 1, 4


class Greedy:
    """Keeps all that it ever claimed, by version; for one shard."""

    def __init__(self, number: int, slot: int, titles: int, random: Random) -> None:
        """Have a `number` that is no TV's; `slot` is the shard's number of it."""
        self.number, self.slot = number, slot
        self._titles, self._random = titles, random
        self._claims: list[tuple[Row, ...]] = []
        self._version = 0

    def frame(self, header: Header, now_s: float) -> bytes:
        """Return the next claim; the same again unless it was acknowledged."""
        if self._version == len(self._claims):
            self._claims.append(self._claim(int(now_s // DAY_S)))
        rows = self._claims[self._version]
        return encode(Push(header=header, incarnation=_INCARNATION, base=self._version, contributed=rows))

    def hear(self, body: bytes) -> None:
        """Take in where the shard says that it stands. Raises WireError."""
        receipt = decode(split(body)[0], max_bytes=REPLY_LIMIT)
        if isinstance(receipt, Ack | Resync):
            self._version = receipt.version

    def counted(self, version: int) -> Iterator[Row]:
        """Yield what a shard at a version has counted."""
        for rows in self._claims[:version]:
            yield from rows

    def _claim(self, day: int) -> tuple[Row, ...]:
        draw = self._random.randrange
        keys = self._random.sample(range(self._titles * SLOTS), ROWS)
        return tuple(Row(*divmod(key, SLOTS), day, _SUCCESS_STEP * draw(1_000 // _SUCCESS_STEP + 1)) for key in keys)
