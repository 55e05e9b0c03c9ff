"""Costs of this machine: a real load meets a real shard, and a real store grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")

from omega.core.settings import resolve
from omega.planning.measuring import able, measured

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_sync_costs_over_http_and_tls(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    settings = resolve({"home": tmp_path}, {}).settings
    costs = measured(
        settings,
        postgres=False,
        ways=("http", "https"),
        load_s=1.0,
        rows=20_000,
        progress=lambda *moment: told.append(moment),
    )
    assert costs.server_us["http"] < costs.server_us["https"], "a handshake costs more than a sync"
    assert 10 < costs.server_us["http"] < 1e6 * 1.0 / costs.rate_per_s["http"], "one process has one core"
    assert 16 < costs.row_bytes < 400, "a key of 16 bytes, and little around it"
    assert 12 < costs.received_bytes < 677
    assert 20 * 2**20 < costs.process_bytes < 2**30
    assert (costs.store, costs.store_us) == ("sqlite", None)
    assert [done for done, total, _ in told if total == 3] == [0, 1, 2]


def test_ways_are_those_that_are_installed() -> None:
    assert able()[:2] == ("http", "https")
