"""The fake of a shard's store keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.testing.shard_contract import ShardStoreContract
from omega.core.testing.shard_fake import MemoryShardStore

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import ShardStore


class TestMemoryShardStore(ShardStoreContract):
    def make(self, tmp_path: Path, *, max_devices: int = 100, backup_days: int = 7) -> ShardStore:
        return MemoryShardStore(max_devices=max_devices, backup_days=backup_days)
