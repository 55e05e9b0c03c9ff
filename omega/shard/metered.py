"""A shard behind one transport, with its figures kept and a random number for each sync, which its log lines share."""

from __future__ import annotations

import logging
from random import getrandbits
from time import perf_counter
from typing import TYPE_CHECKING

from omega.core.log_lines import SYNC_ID
from omega.core.ports import SyncApp
from omega.shard.recorder import ENROLMENT_OUTCOMES, SYNC_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.ports import Reply
    from omega.shard.recorder import Recorder

_LOG = logging.getLogger("omega.shard.syncs")


class Metered(SyncApp):
    """Serves an app and counts: 1 us a sync; prometheus_client takes 3 for one counter and histogram with labels."""

    def __init__(self, app: SyncApp, recorder: Recorder, transport: str) -> None:
        """Count as this transport's."""
        self._app, self._transport = app, transport
        self._figures = recorder.door(transport)
        self._latency = self._figures.latency_s.observe

    def hand_in(self, token: str, body: bytes, answer: Callable[[Reply], None]) -> bool:
        """Hand in a frame; what isn't taken is counted by `sync`."""
        began_s = perf_counter()
        SYNC_ID.set(number := getrandbits(64))

        def answered(reply: Reply) -> None:
            if _LOG.isEnabledFor(logging.DEBUG):
                SYNC_ID.set(number)  # the loop's turn is that of a tick, and of all who were in it
                self._log(token, body, reply.status)
            self._count(token, body, reply.status, began_s)
            self._figures.bytes_out += len(reply.body)
            answer(reply)

        try:
            taken = self._app.hand_in(token, body, answered)
        except BaseException:
            self._count(token, body, 0, began_s)
            self._log(token, body, 0)
            raise
        return taken

    async def sync(self, token: str, body: bytes) -> Reply:
        """Return what becomes of a frame."""
        began_s = perf_counter()
        SYNC_ID.set(getrandbits(64))
        status = 0
        try:
            reply = await self._app.sync(token, body)
            status = reply.status
            self._figures.bytes_out += len(reply.body)
        finally:
            self._count(token, body, status, began_s)
            self._log(token, body, status)
        return reply

    def artifact(self, name: str) -> Path | None:
        """Return the published file of this name."""
        return self._app.artifact(name)

    def health(self) -> Reply:
        """Return whether frames are taken."""
        return self._app.health()

    def _count(self, token: str, body: bytes, status: int, began_s: float) -> None:
        figures = self._figures
        figures.bytes_in += len(body)
        if token:
            self._latency(perf_counter() - began_s)
            figures.syncs[status if status in SYNC_OUTCOMES else 0] += 1
        elif body:
            figures.enrolments[status if status in ENROLMENT_OUTCOMES else 0] += 1
        else:
            figures.challenges += 1

    def _log(self, token: str, body: bytes, status: int) -> None:
        what = "a sync" if token else "an enrolment"
        _LOG.debug("%s by %s of %d B was answered %d", what, self._transport, len(body), status)
