"""The shard behind a transport: tokens and frames in, frames out; what comes without a token enrols."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from omega.core.errors import DeniedError, InputError, StoreError, WireCode, WireError
from omega.core.identity.admission import Standing as Known
from omega.core.identity.admission import judged
from omega.core.identity.gate import Gate
from omega.core.identity.messages import Answer as Enrolling
from omega.core.identity.messages import decode as parsed
from omega.core.identity.messages import encode as worded
from omega.core.identity.tokens import FOR_GOOD, Tokens
from omega.core.ports import MAX_FRAME_BYTES, Reply, SyncApp
from omega.core.wire import Push, Reason, Resync, decode, encode, join, plan_pull
from omega.shard.answers import Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from omega.core.identity.keyring import KeyRing
    from omega.core.wire import Pull
    from omega.shard.answers import Answer
    from omega.shard.shard import Shard
    from omega.shard.shelves import Published

_STATUS = {Refusal.STRANGER: 401, Refusal.TOO_OFTEN: 429}
_MOST_PULLS = 8


class ShardApp(SyncApp):
    """One shard as a transport's server sees it."""

    def __init__(
        self,
        shard: Shard,
        shard_id: int,
        ring: KeyRing,
        *,
        everybody: bool = False,
        files: Published | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`ring` signs tokens; `everybody` admits whoever has a key, for loopback alone; `files` are given out."""
        self._shard, self._files, self._now = shard, files, now
        self._counts_from: list[int] = []
        self._tokens = Tokens(ring, shard_id, self._since)
        self._gate = Gate(self._tokens, everybody=everybody)
        self._pulls: dict[int, bytes] = {}  # the frames of the newest shared pulls, by id

    async def start(self) -> None:
        """Start the shard, and read who may speak. Raises StoreError."""
        await self._shard.start()
        self._counts_from = await self._shard.counts_from()

    def sync(self, token: str, body: bytes) -> Awaitable[Reply]:
        """Return what becomes of a frame; without a token, of a question to be enrolled."""
        return self._enrolled(body) if not token else self._synced(token, body)

    def artifact(self, name: str) -> Path | None:
        """Return the published file of this name."""
        return self._files.find(name) if self._files else None

    def health(self) -> Reply:
        """Return 503 while the store fails."""
        taking = not self._shard.failing
        return Reply(200 if taking else 503, b'{"taking":%s}' % (b"true" if taking else b"false"))

    async def _synced(self, token: str, body: bytes) -> Reply:
        try:
            slot = self._tokens.check(token, self._now())
            push = decode(body, max_bytes=MAX_FRAME_BYTES)
            if not isinstance(push, Push):
                return Reply(400, b"the frame is no push: send a push")
            return self._reply(await self._shard.sync(slot, push))
        except DeniedError as error:
            return Reply(401, str(error).encode())
        except WireError as error:
            if error.code is WireCode.DICTIONARY:
                return Reply(200, join([encode(self._unread())]))
            return Reply(400, str(error).encode())
        except InputError as error:
            return Reply(400, str(error).encode())

    def _since(self, slot: int) -> int:
        return self._counts_from[slot] if slot < len(self._counts_from) else FOR_GOOD

    def _unread(self) -> Resync:
        """Ask for the same without a dictionary."""
        return Resync(header=self._shard.header, incarnation=0, version=0, reason=Reason.DICTIONARY)

    def _noted(self, slot: int, since: int) -> None:
        """Take note of a slot that is new; its tokens count from now. Reading millions anew for each would not do."""
        new = slot + 1 - len(self._counts_from)
        self._counts_from.extend([FOR_GOOD] * new)
        if self._counts_from[slot] == FOR_GOOD:  # new: who was revoked gets no slot
            self._counts_from[slot] = since

    def _reply(self, answer: Answer) -> Reply:
        if isinstance(answer.receipt, Refused):
            status, wait_s = _STATUS.get(answer.receipt.reason, 503), answer.receipt.retry_after_s
            return Reply(status, answer.receipt.reason.encode(), (("retry-after", str(wait_s)),))
        frames = [encode(answer.receipt)]
        if answer.pull is not None:
            frames.append(self._framed(answer.pull))
        return Reply(200, join(frames))

    def _framed(self, pull: Pull) -> bytes:
        """Return a pull's frame; the shared one is made once."""
        if pull.similar:
            return plan_pull(pull).frame
        if pull.pull_id not in self._pulls:
            while len(self._pulls) >= _MOST_PULLS:
                del self._pulls[next(iter(self._pulls))]
            self._pulls[pull.pull_id] = plan_pull(pull).frame
        return self._pulls[pull.pull_id]

    async def _enrolled(self, body: bytes) -> Reply:
        """Give a challenge for an empty body, and a token for one that is answered."""
        try:
            if not body:
                return Reply(200, worded(self._gate.challenge(self._now())))
            candidate = self._gate.examine(parsed(body, Enrolling), self._now())
            found = await self._shard.find(candidate.device)
            judged(candidate, Known(*found) if found else Known(), self._now())
            since = int(self._now())
            slot = await self._shard.enrol(candidate.device)
            if slot is None:
                return Reply(503, b"this shard is full, or the device was revoked", (("retry-after", "3600"),))
            self._noted(slot, since)
            return Reply(200, worded(self._gate.admit(slot, self._now())))
        except DeniedError as error:
            return Reply(401, str(error).encode())
        except StoreError as error:
            return Reply(503, str(error).encode(), (("retry-after", "30"),))
        except InputError as error:
            return Reply(400, str(error).encode())
