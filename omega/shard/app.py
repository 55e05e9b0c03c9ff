"""The shard behind a transport: tokens and frames in, frames out; what comes without a token enrols."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import DeniedError, OmegaError, StoreError, WireCode, WireError
from omega.core.ports import Reply, SyncApp
from omega.core.wire import Reason, Resync, encode, join, plan_pull
from omega.shard.answers import Answer, NoPushError, Refusal, Refused
from omega.shard.entrance import Entrance

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from omega.core.identity.keyring import KeyRing
    from omega.core.identity.vouchers import Maker
    from omega.core.wire import Pull
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
        region: str = "",
        makers: Iterable[Maker] = (),
        everybody: bool = False,
        files: Published | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`ring` signs tokens, `makers` speak for devices; `everybody` admits whoever has a key, for loopback alone.

        `files` are given out. `region` is only told: whom the shard's one pull is for.
        """
        self._shard, self._files = shard, files
        self._refuse = shard.recorder.refuse
        self.who = shard_id, region
        """Which shard this is, and whom its pull is for."""
        self.entrance = Entrance(shard, shard_id, ring, makers, now, everybody=everybody)
        """Who may speak."""
        self._pulls: dict[int, bytes] = {}  # the newest shared pulls as they stand in a reply, by id

    async def start(self) -> None:
        """Start the shard, and read who may speak. Raises StoreError."""
        await self._shard.start()
        await self.entrance.start()

    def sync(self, token: str, body: bytes) -> Awaitable[Reply]:
        """Return what becomes of a frame; without a token, of a question to be enrolled."""
        return self.entrance.enrol(body) if not token else self._synced(token, body)

    def hand_in(self, token: str, body: bytes, answer: Callable[[Reply], None]) -> bool:
        """Take a frame, unless it is about an enrolment or its token may be new to this worker."""
        try:
            slot = self.entrance.speaker(token)
        except DeniedError as error:
            if not token or self.entrance.is_new(token):
                return False
            answer(self._refused(error))
        else:
            self._take(slot, body, answer)
        return True

    def artifact(self, name: str) -> Path | None:
        """Return the published file of this name."""
        return self._files.find(name) if self._files else None

    def health(self) -> Reply:
        """Return 503 while the store fails."""
        taking, (shard, region) = not self._shard.failing, self.who
        return Reply(200 if taking else 503, msgspec.json.encode({"taking": taking, "shard": shard, "region": region}))

    async def _synced(self, token: str, body: bytes) -> Reply:
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def answer(reply: Reply) -> None:
            if not answered.done():  # whoever asked may have gone away
                answered.set_result(reply)

        try:
            if not self.hand_in(token, body, answer):
                await self.entrance.learn()
                self._take(self.entrance.speaker(token), body, answer)
            return await answered
        except (DeniedError, StoreError) as error:
            return self._refused(error)

    def _take(self, slot: int, body: bytes, answer: Callable[[Reply], None]) -> None:
        """Hand in a device's frame."""

        def answered(what: Answer | OmegaError) -> None:
            answer(self._reply(what) if isinstance(what, Answer) else self._refused(what))

        self._shard.hand_in_frame(slot, body, answered)

    def _refused(self, error: OmegaError) -> Reply:
        if isinstance(error, StoreError):
            return self._reply(self._shard.failed())
        if isinstance(error, WireError) and error.code is WireCode.DICTIONARY:
            self._shard.recorder.resyncs[Reason.DICTIONARY] += 1
            return Reply(200, join([encode(self._unread())]))
        if isinstance(error, DeniedError):
            self._refuse("token", error.reason)
            return Reply(401, str(error).encode())
        no_frame = "no-push" if isinstance(error, NoPushError) else "push"
        self._refuse("frame", error.code.name.lower() if isinstance(error, WireError) else no_frame)
        return Reply(400, str(error).encode())

    def _unread(self) -> Resync:
        """Ask for the same without a dictionary."""
        return Resync(header=self._shard.header, incarnation=0, version=0, reason=Reason.DICTIONARY)

    def _reply(self, answer: Answer) -> Reply:
        if isinstance(answer.receipt, Refused):
            self._refuse("shard", answer.receipt.reason)
            status, wait_s = _STATUS.get(answer.receipt.reason, 503), answer.receipt.retry_after_s
            return Reply(status, answer.receipt.reason.encode(), (("retry-after", str(wait_s)),))
        if isinstance(answer.receipt, Resync):
            self._shard.recorder.resyncs[answer.receipt.reason] += 1
        return Reply(200, join([encode(answer.receipt)]) + (self._framed(answer.pull) if answer.pull else b""))

    def _framed(self, pull: Pull) -> bytes:
        """Return a pull's frame behind its length; the shared one is made once."""
        if pull.similar:
            return join([plan_pull(pull).frame])
        if pull.pull_id not in self._pulls:
            while len(self._pulls) >= _MOST_PULLS:
                del self._pulls[next(iter(self._pulls))]
            self._pulls[pull.pull_id] = join([plan_pull(pull).frame])
        return self._pulls[pull.pull_id]
