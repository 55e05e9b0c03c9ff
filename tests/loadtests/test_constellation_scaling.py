"""The plan's test_constellation_scaling: 1,000 devices on 3 shards, and every one of them is served."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")

import msgspec

from omega.compose import open_catalog
from omega.core.identity.keyring import open_ring
from omega.core.identity.tokens import Tokens
from omega.core.settings import resolve
from omega.core.shard_records import DAY_S, TASTE_SPACE
from omega.core.wire import Header, lineage_code, space_code
from omega.fleet.load.devices import Devices
from omega.fleet.load.driving import Driver
from omega.fleet.load.http import HttpCarrier
from omega.fleet.load.scenarios import planned
from omega.fleet.load.watching import Watching
from omega.fleet.process import served
from omega.loadtests.shards import enrolled, stored_rows
from omega.serving import KEYS_FILE, Serving, serve_shard
from omega.shards import open_shard_store
from omega_plugins.transports.http.address import parsed

if TYPE_CHECKING:
    from pathlib import Path

    from omega.fleet.load.carrying import Carrier, Ends
    from omega_plugins.transports.http.address import Address

DEVICES, SHARDS = 1_000, 3


def test_constellation_scaling(tmp_path: Path) -> None:
    """Each device is of one shard; all come within a second, and each shard's sums are what its devices told."""
    settings, now_s = resolve({"home": tmp_path}, {}).settings, int(time.time())
    catalog = open_catalog(settings)
    header = Header(space=space_code(TASTE_SPACE), lineage=lineage_code(catalog.lineage), epoch=catalog.epoch)
    drivers: list[Driver] = []
    stores = [f"sqlite:///{tmp_path / f'shard-{number}.db'}" for number in range(SHARDS)]
    with ExitStack() as held:
        for number, store in enumerate(stores):
            load = planned(scenario="storm", devices=len(range(number, DEVICES, SHARDS)), duration_s=1.5)
            load = msgspec.structs.replace(load, return_s=1.0)
            with closing(open_shard_store(store)) as opened:
                slots = enrolled(opened, load.devices, now_s)
            keys = tmp_path / f"keys-{number}"
            ring = open_ring(keys / KEYS_FILE, now_s)
            serving = Serving(settings=settings, store=store, port=0, keys=keys, shard_id=number)
            address = parsed(f"http://127.0.0.1:{held.enter_context(served(partial(serve_shard, serving)))['http']}")
            watching = Watching(len(catalog), number, now_s // DAY_S)
            devices = Devices(slots, watching, header, now_s=now_s, seed=number, mixed=False)

            def carrier(ends: Ends, address: Address = address) -> Carrier:
                return HttpCarrier(address, None, ends, most=256)

            drivers.append(Driver(load, devices, Tokens(ring, number, lambda slot: now_s), carrier))
        asyncio.run(all_at_once(drivers))
    totals = [driver.figures.totals for driver in drivers]
    assert [driver.figures.reasons for driver in drivers] == [{}] * SHARDS
    assert sum(one.due for one in totals) == sum(one.ok for one in totals) == DEVICES
    assert sum(driver.unserved for driver in drivers) == 0
    assert [stored_rows(store) for store in stores] == [one.contributed for one in totals]


async def all_at_once(drivers: list[Driver]) -> None:
    await asyncio.gather(*(driver.run() for driver in drivers))
