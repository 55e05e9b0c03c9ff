"""The built-in engines pass their contract, and say what is wrong."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.compose import registry
from omega.core.errors import InputError, MissingExtraError, OmegaError
from omega.core.testing.federation_contract import EngineContract
from omega.federation import merging
from omega.federation.merging import Merged, merge, told
from omega_plugins.engines.dask import Dask
from omega_plugins.engines.process_pool import ProcessPool
from omega_plugins.strategies.weighted_mean import WeightedMean
from tests.federation.making import DAY, drawn

if TYPE_CHECKING:
    from omega.core.ports import Engine


class TestHere(EngineContract):
    def make(self) -> Engine:
        return ProcessPool.open()


class TestProcesses(EngineContract):
    def make(self) -> Engine:
        return ProcessPool.open(2)


def test_processes_are_others() -> None:
    with ProcessPool.open(2) as engine:
        assert os.getpid() not in set(engine.map(_pid, range(4)))


def test_a_worker_that_dies_is_told_in_a_line() -> None:
    with ProcessPool.open(2) as engine, pytest.raises(OmegaError, match="have fewer workers"):
        list(engine.map(os._exit, [1]))


@pytest.mark.parametrize(("workers", "address"), [(0, ""), (257, ""), (1, "tcp://x")])
def test_what_can_never_work_is_refused(workers: int, address: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        ProcessPool.open(workers, address)


def test_they_are_found_by_name() -> None:
    assert registry(strict=True).engine("process-pool") is ProcessPool
    assert registry(strict=True).engine("dask") is Dask


class TestDask(EngineContract):
    def make(self) -> Engine:
        pytest.importorskip("distributed", reason="the extra dask is not installed")
        return Dask.open(2)


def test_dask_joins_a_scheduler_and_merges_the_same_there(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr(merging, "PART_KEYS", 500)
    random = np.random.default_rng(3)
    shards = [told(drawn(shard, 2_000, random, 900), DAY) for shard in range(5)]
    here = merge(shards, WeightedMean(), ProcessPool.open())
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        with Dask.open(address=cluster.scheduler_address) as engine:
            there = merge(shards, WeightedMean(), engine)
        assert all((getattr(here, name) == getattr(there, name)).all() for name in Merged.__slots__)
        with Dask.open(address=cluster.scheduler_address) as engine, pytest.raises(OmegaError, match="died"):
            list(engine.map(os._exit, [1]))
        with distributed.Client(cluster) as client:
            client.wait_for_workers(2, timeout=30)  # one that is being started again can't be closed


@pytest.mark.parametrize(("workers", "address"), [(0, ""), (257, ""), (1, "http://x"), (1, "8786")])
def test_what_dask_can_never_do_is_refused(workers: int, address: str) -> None:
    with pytest.raises(InputError, match="allowed"):
        Dask.open(workers, address)


def test_dask_says_how_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"exogenesis-omega\[dask\]"):
        Dask.open()


def _pid(_part: int) -> int:
    return os.getpid()
