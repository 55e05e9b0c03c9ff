"""The way into a shard: a challenge, an answer to it, a token, and who is shut out; what a frame's token is worth."""

from __future__ import annotations

import asyncio
from array import array
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from omega.core.errors import DeniedError, InputError, StoreError
from omega.core.identity.gate import Gate
from omega.core.identity.messages import Answer, decode, encode
from omega.core.identity.tokens import FOR_GOOD, Tokens, claimed_slot
from omega.core.ports import Reply
from omega.shard.answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omega.core.identity.keyring import KeyRing
    from omega.core.identity.vouchers import Maker
    from omega.shard.shard import Shard

_FULL_RETRY_S = 3_600
_STORE_RETRY_S = 30


class Entrance:
    """Admits devices to one shard, and tells of a token which device speaks."""

    def __init__(
        self,
        shard: Shard,
        shard_id: int,
        ring: KeyRing,
        makers: Iterable[Maker],
        now: Callable[[], float],
        *,
        everybody: bool,
    ) -> None:
        """`ring` signs tokens, `makers` speak for their devices; `everybody` admits whoever has a key."""
        self._shard, self._now = shard, now
        self._counts_from = array("I")  # 4 B a device
        self._known = 0  # so many were read without a gap; beyond, other workers may have admitted some
        self._learning: asyncio.Future[None] | None = None
        self._tokens = Tokens(ring, shard_id, self._since)
        self._gate = Gate(self._tokens, makers, everybody=everybody)

    async def start(self) -> None:
        """Read who may speak. Raises StoreError."""
        await self._read_new()

    def use(self, ring: KeyRing, makers: Iterable[Maker]) -> None:
        """Take keys and makers as they are now."""
        self._tokens.use(ring)
        self._gate.use(makers)

    async def look(self) -> None:
        """Shut out whom another process has revoked. Raises StoreError."""
        for slot in await self._shard.ask(lambda store: store.revoked()):
            self.shut_out(slot)

    def shut_out(self, slot: int) -> None:
        """Take no token of this device any more."""
        self._note(slot, FOR_GOOD)

    def speaker(self, token: str) -> int:
        """Return the slot of the device that a token was given to. Raises DeniedError."""
        return self._tokens.check(token, self._now())

    def is_new(self, token: str) -> bool:
        """Say whether a token that was refused may be one that another worker gave: `learn`, and ask again."""
        try:
            return claimed_slot(token) >= self._known
        except DeniedError:
            return False

    async def learn(self) -> None:
        """Read whom other workers have admitted since; who waits meanwhile is served too. Raises StoreError."""
        if self._learning is None:
            self._learning = asyncio.ensure_future(self._read_new())
            self._learning.add_done_callback(lambda done: done.exception())  # whoever waited may have gone away
        await asyncio.shield(self._learning)

    async def _read_new(self) -> None:
        try:
            first = self._known
            found = await self._shard.ask(lambda store: store.counts_from(first).astype(np.uint32).tobytes())
            self._counts_from[first:] = array("I", found)
            self._known = len(self._counts_from)
        finally:
            self._learning = None

    async def enrol(self, body: bytes) -> Reply:
        """Give a challenge for an empty body, and a token for one that is answered."""
        refuse = partial(self._shard.recorder.refuse, "enrolment")
        try:
            if not body:
                return Reply(200, encode(self._gate.challenge(self._now())))
            candidate = self._gate.examine(decode(body, Answer), self._now())
            admitted = await self._shard.admit(candidate)
            if admitted is None:
                refuse("full")
                return Reply(503, b"this shard is full", (("retry-after", str(_FULL_RETRY_S)),))
            self._note(*admitted)
            return Reply(200, encode(self._gate.admit(admitted[0], self._now())))
        except DeniedError as error:
            refuse(error.reason)
            return Reply(401, str(error).encode())
        except StoreError:  # which names the database: a stranger needn't know
            refuse("store")
            return Reply(503, Refusal.STORE.encode(), (("retry-after", str(_STORE_RETRY_S)),))
        except InputError as error:
            refuse("malformed")
            return Reply(400, str(error).encode())

    def _since(self, slot: int) -> int:
        return self._counts_from[slot] if slot < len(self._counts_from) else FOR_GOOD

    def _note(self, slot: int, since: int) -> None:
        """Take note since when a slot's tokens count; reading millions anew for each would not do."""
        self._counts_from.extend(repeat(FOR_GOOD, slot + 1 - len(self._counts_from)))
        self._counts_from[slot] = since
        self._known += slot == self._known
