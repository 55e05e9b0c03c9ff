"""A SyncApp as answers to questions. Sockets, connections and their bounds are `server`'s and `session`'s."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from omega.core.errors import OmegaError
from omega_plugins.transports.answers import RETRY_AFTER, Stretch, answer, refusal, retry_after_s
from omega_plugins.transports.quic.envelope import Head, Sync, headed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from omega.core.ports import Reply, SyncApp
    from omega_plugins.transports.quic.envelope import Get, Question
    from omega_plugins.transports.quic.limits import Limits

log = logging.getLogger(__name__)
PART_BYTES = 65_536
_REASON_BYTES = 1_000


class Door:
    """Answers questions of all connections."""

    def __init__(self, app: SyncApp, limits: Limits) -> None:
        """Refuse what is beyond the limits."""
        self.write_s = limits.write_s
        self._app, self._limits = app, limits
        self._calls = 0

    async def answered(self, question: Question) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of an answer, head first; raises when it can't be ended, once it is begun."""
        if self._calls >= self._limits.calls:
            wait = ((RETRY_AFTER, str(self._limits.retry_after_s)),)
            yield self.refused(refusal(503, "there are too many questions", wait))
            return
        self._calls += 1
        try:
            if isinstance(question, Sync):
                yield self.refused(await self._synced(question))
            else:
                async for part in self._got(question):
                    yield part
        finally:
            self._calls -= 1

    def refused(self, reply: Reply) -> bytes:
        """Return a short answer's bytes; of a refusal's reason as many as anybody reads."""
        body = reply.body if reply.status < 300 else reply.body[:_REASON_BYTES]
        return headed(_head(reply, len(body), len(body))) + body

    async def _synced(self, question: Sync) -> Reply:
        try:
            return await self._app.sync(question.token, question.frame)
        except Exception:
            log.exception("a question failed")
            return refusal(500, "the shard failed")

    async def _got(self, question: Get) -> AsyncGenerator[bytes, None]:
        part = question.part
        asked = f"bytes={part.start}-{part.stop - 1}" if part is not None else ""
        found = answer(self._app, question.path, if_none_match=question.etag, asked=asked)
        if not isinstance(found, Stretch):
            yield self.refused(found)
            return
        left = found.stop - found.start
        with found.file.open("rb") as file:
            yield headed(_head(found.reply, left, file.seek(0, 2)))
            file.seek(found.start)
            while left:
                data = await asyncio.to_thread(file.read, min(left, PART_BYTES))
                if not data:
                    log.error("%s became shorter while it was sent: artifacts must not change", found.file)
                    raise OmegaError("the file became shorter")
                left -= len(data)
                yield data


def _head(reply: Reply, coming_bytes: int, size_bytes: int) -> Head:
    headers = dict(reply.headers)
    wait_s = retry_after_s(headers[RETRY_AFTER]) if RETRY_AFTER in headers else None
    wait = None if wait_s is None else round(wait_s)
    return Head(reply.status, coming_bytes, size_bytes, wait, headers.get("etag", ""))
