"""A daemon syncs beside its service, and at once when its owner asks."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import DaemonError, InputError
from omega.core.types import ViewingEvent
from omega.device.daemon.client import Client
from omega.device.sync.runtime import Syncer
from tests.device.sync.shards import Shard
from tests.device.sync.wires import Direct, Wires

if TYPE_CHECKING:
    from omega.core.catalog import Catalog
    from tests.device.conftest import OpenBrain
    from tests.device.daemon.conftest import Serve

HEAT = ViewingEvent(content_id="heat-1995", watch_pct=0.9)


def test_it_syncs_when_its_owner_asks(open_brain: OpenBrain, serve: Serve, example: Catalog) -> None:
    brain, wires = open_brain(), Wires({"shard-a": Shard(example, space="fake-words-1")})
    brain.syncer = Syncer(brain, Direct("shard-a", wires.connect), random=Random(4))
    with Client(serve(brain, chores=[brain.syncer.run])) as client:
        client.observe(HEAT)
        first = client.sync()
        assert (first.contributed, first.error) == (1, None)
        assert client.sync().number > first.number
        assert client.status().shared.acknowledged == 1


def test_it_serves_while_a_shard_does_not_answer(open_brain: OpenBrain, serve: Serve, example: Catalog) -> None:
    brain, wires = open_brain(), Wires({"shard-a": Shard(example, space="fake-words-1")})
    wires.delay_s = 5
    brain.syncer = Syncer(brain, Direct("shard-a", wires.connect), random=Random(4))
    address = serve(brain, chores=[brain.syncer.run])
    with Client(address, timeout_s=0.3) as impatient, Client(address) as client:
        with pytest.raises(DaemonError, match=r"has not synced within 0\.3 s"):
            impatient.sync()
        began = time.perf_counter()
        client.observe(HEAT)
        assert time.perf_counter() - began < 2
        assert client.status().events == 1


def test_a_daemon_without_a_shard_says_what_to_set(serve: Serve) -> None:
    with Client(serve()) as client, pytest.raises(InputError, match="shard_url"):
        client.sync()


def test_a_bug_in_a_chore_ends_no_service(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with Client(serve(chores=[broken])) as client:
        assert client.status().events == 0
    assert "bug in a chore: ZeroDivisionError" in caplog.text
