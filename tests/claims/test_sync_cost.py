"""The claim about what a sync costs: real devices by the hundred, every one acknowledged and counted."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.claims import sync_cost
from omega.claims.bench import Bench
from omega.claims.sync_cost import Job, Reply, made, overhead
from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.settings import resolve
from omega.core.wire import Ack, Header, encode, join

if TYPE_CHECKING:
    from pathlib import Path


def test_every_sync_is_acknowledged_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ROUNDS", 2), ("REQUESTS", 512), ("CONNECTIONS", 64)):
        monkeypatch.setattr(sync_cost, name, value)
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as bench:
        found = overhead(bench)
    assert found.agrees, found
    assert (found.details["syncs"], found.details["devices"]) == (3 * 512, 3 * 512 / 4)
    assert found.details["answer_bytes"] > 200 * 3  # it brings the pull
    assert 5 < found.details["echo_us"] < found.details["sync_us"]
    assert found.value == found.details["sync_us"] / found.details["echo_us"]
    for name, rounds in (("sync_us", "shard_us"), ("echo_us", "bare_us")):
        assert found.details[name] == pytest.approx(sum(found.details[rounds]) / 2, abs=0.1)


def test_no_two_pushes_are_alike() -> None:
    pushes = made(Catalog.read(EXAMPLE_CATALOG_PATH), 300, 100)
    assert [push.version for push in pushes] == [1] * 100 + [2] * 100 + [3] * 100
    assert len({encode(push) for push in pushes}) == 300
    assert {len({(row.title, row.slot) for row in push.contributed}) for push in pushes} == {5}
    titles = Counter(row.title for push in pushes for row in push.contributed)
    assert 100 < len(titles) < 800
    assert max(titles.values()) > 20 * min(titles.values())


def test_the_oracle_sees_an_ack_of_another_version_and_a_refusal() -> None:
    header = Header(space=1, lineage=2, epoch=3)
    body = join([encode(Ack(header=header, incarnation=1, version=2))])
    job = Job(b"", 2)
    assert sync_cost.is_acknowledged(job, Reply(200, body))
    assert not sync_cost.is_acknowledged(Job(b"", 3), Reply(200, body))
    assert not sync_cost.is_acknowledged(job, Reply(503, b"busy"))


def test_sums_tell_what_was_sent() -> None:
    first, second = made(Catalog.read(EXAMPLE_CATALOG_PATH), 2, 2)
    row = first.contributed[0]
    again = msgspec.structs.replace(second, contributed=(row,))
    sums = sync_cost.sent_sums([msgspec.structs.replace(first, contributed=(row,)), again])
    success = {} if not row.success else {(row.title, slot, "success"): 2 * row.success for slot in (row.slot, 8)}
    assert sums == {(row.title, slot, "samples"): 2 for slot in (row.slot, 8)} | success
