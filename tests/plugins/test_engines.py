"""The built-in engines pass their contract, and say what is wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from omega.compose import registry
from omega.core.errors import InputError, OmegaError
from omega.core.testing.federation_contract import EngineContract
from omega_plugins.engines.process_pool import ProcessPool

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


def test_it_is_found_by_name() -> None:
    assert registry(strict=True).engine("process-pool") is ProcessPool


def _pid(_part: int) -> int:
    return os.getpid()
