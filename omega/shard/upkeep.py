"""What an operator changes beside a running shard: keys that follow one another, makers, devices that are shut out."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NoReturn

from omega.core.errors import OmegaError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOK_S = 5.0
"""Well within the five minutes that a new key waits before it signs."""
_LOG = logging.getLogger("omega.shard")


async def keep_up(look: Callable[[], Awaitable[None]], look_s: float = LOOK_S) -> NoReturn:
    """Look again and again, for ever; what can't be read is said once, and what was read before goes on counting."""
    said = ""
    while True:
        await asyncio.sleep(look_s)
        try:
            await look()
            said = ""
        except OmegaError as error:
            if str(error) != said:
                _LOG.warning("what was changed beside the running shard isn't taken over: %s", error)
            said = str(error)
