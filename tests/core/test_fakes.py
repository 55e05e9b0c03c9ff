"""The shipped fakes keep the contracts that real implementations keep."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from omega.core.testing.contracts import (
    ATTRIBUTES,
    DIMENSIONS,
    EmbedderContract,
    VectorStoreContract,
)
from omega.core.testing.device_contract import DeviceStoreContract
from omega.core.testing.fakes import Clock, FakeEmbedder, MemoryVectorStore
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.ports import DeviceStore, Embedder, VectorStore


class TestMemoryVectorStore(VectorStoreContract):
    def make(
        self, tmp_path: Path, *, dimensions: int = DIMENSIONS, attributes: Sequence[str] = ATTRIBUTES
    ) -> VectorStore:
        return MemoryVectorStore.open(str(tmp_path), dimensions=dimensions, attributes=attributes)


class TestMemoryDeviceStore(DeviceStoreContract):
    def make(self, tmp_path: Path, *, dimensions: int = DIMENSIONS) -> DeviceStore:
        del tmp_path
        return MemoryDeviceStore(dimensions=dimensions)


class TestFakeEmbedder(EmbedderContract):
    def make(self) -> Embedder:
        return FakeEmbedder.open()


def test_the_clock_moves_only_by_hand() -> None:
    clock = Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    start = clock()
    assert clock() == start
    clock.advance(seconds=90)
    clock.advance(days=1, hours=2)
    assert clock() - start == timedelta(days=1, hours=2, seconds=90)
    assert clock().tzinfo is UTC


def test_fakes_need_no_pytest() -> None:
    program = "import sys, omega_storage.device_memory, omega.core.testing.fakes; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
