"""The way to one shard, with a token in hand: it enrols when it has none, or when the shard takes it no longer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from omega.core.errors import TransportError
from omega.core.identity.gate import answer
from omega.core.identity.messages import Admission, Challenge, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.identity.device_key import DeviceKey
    from omega.core.ports import Fetched, TransportClient

_EARLY_S = 3_600
"""A token is replaced so long before it ends."""


class Entry:
    """A client that enrols by itself; for one running loop."""

    def __init__(
        self,
        open_client: Callable[[Callable[[], str]], TransportClient],
        key: DeviceKey,
        *,
        code: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`open_client` makes the transport's client of what gives the token; `code` speaks for a new device."""
        self._token = ""
        self._ends_at = 0.0
        self._client = open_client(lambda: self._token)
        self._key, self._code, self._now = key, code, now

    async def exchange(self, frame: bytes) -> bytes:
        """Return the answer to a frame. Raises TransportError, and what enrolment raises."""
        if self._now() > self._ends_at - _EARLY_S:
            await self._enrol()
        try:
            return await self._client.exchange(frame)
        except TransportError as error:
            if not error.token_refused:
                raise
        await self._enrol()
        return await self._client.exchange(frame)

    async def get(self, path: str, *, max_bytes: int, part: range | None = None) -> Fetched:
        """Fetch what stands at a path, without a token. Raises TransportError."""
        return await self._client.get(path, max_bytes=max_bytes, part=part)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._client.close()

    async def _enrol(self) -> None:
        self._token, self._ends_at = "", 0.0
        challenge = decode(await self._client.exchange(b""), Challenge)
        answered = answer(challenge, self._key, shard=None, code=self._code)
        admission = decode(await self._client.exchange(encode(answered)), Admission)
        self._token, self._ends_at = admission.token, self._now() + admission.lifetime_s
