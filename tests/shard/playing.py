"""A catalog, pushes, and a shard to play with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from omega.core.catalog import Catalog
from omega.core.testing.shard_contract import NOW, TODAY, sums_of
from omega.core.testing.watching import a_title
from omega.core.wire import Header, Push, Row
from omega.shard.intake import KEY_BYTES
from omega.shard.pacing import Pace, Service
from omega.shard.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from omega.core.ports import ShardStore

FIRST = Catalog.build([a_title(f"t{i}") for i in range(30)])
CATALOG = Catalog.build([*FIRST.titles, *(a_title(f"t{i}") for i in range(30, 40))], FIRST)
SPACE = 0xABCDEF
KEY = bytes(range(KEY_BYTES))
HEADER = Header(space=SPACE, lineage=int(CATALOG.lineage[:6], 16), epoch=CATALOG.epoch)
EAGER = Service(tick_s=0.001, pull_s=0.01, pace=Pace(burst=10_000))


def a_push(version: int, *rows: Row, base: int | None = None, **more: Any) -> Push:
    """Return the push of a device to `version`, from the one before."""
    base = version - 1 if base is None else base
    fields: dict[str, Any] = {"header": HEADER, "incarnation": 1, "base": base, "step": version - base}
    return Push(**(fields | {"contributed": rows} | more))


def a_row(title: int = 7, milli: int = 1000, slot: int = 4, day: int = TODAY, taste: bytes = b"") -> Row:
    """Return one sample."""
    return Row(title, slot, day, milli, taste)


def summed_up(store: ShardStore) -> dict[tuple[int, int], tuple[int, int, int]]:
    """Return the same of a store, with all ticks until now."""
    store.fold({})
    return sums_of(store)


async def summed(shard: Shard) -> dict[tuple[int, int], tuple[int, int, int]]:
    """Return samples, success and households by title and context, read in the thread that has the store."""
    return await shard._ticks.call(summed_up)


def on_shard(
    store: ShardStore, play: Callable[[Shard], Any], *, service: Service = EAGER, catalog: Catalog = CATALOG
) -> None:
    """Let a coroutine play with a started shard, and close it."""

    async def played() -> None:
        shard = Shard(store, catalog, KEY, space=SPACE, service=service, now=lambda: float(NOW))
        await shard.start()
        try:
            await play(shard)
        finally:
            await shard.close()

    asyncio.run(played())
