"""What an operator changes beside a running shard is looked at again and again: keys, makers, revoked TVs, files."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from omega.core.errors import OmegaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LOOK_S = 5.0
"""Well within the five minutes that a new key waits before it signs."""
_LOG = logging.getLogger("omega.shard")


@asynccontextmanager
async def kept_up(look: Callable[[], Awaitable[object]], look_s: float = LOOK_S) -> AsyncIterator[None]:
    """Look every so often within the block; what fails is said once, and what was read before goes on counting."""
    looking = asyncio.create_task(_look_on(look, look_s))
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def _look_on(look: Callable[[], Awaitable[object]], look_s: float) -> NoReturn:
    said = ""
    while True:
        await asyncio.sleep(look_s)
        try:
            await look()
            said = ""
        except (OmegaError, OSError) as error:
            if str(error) != said:
                _LOG.warning("what was changed beside the running shard isn't taken over: %s", error)
            said = str(error)
