"""`omega shard sums`: what a shard's store tells a federation, as a file that its owner alone reads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.shard_records import TASTE_SPACE, Move, Sample, Tick
from omega.core.shard_sums import check_kin, decode
from omega.core.testing.shard_contract import an_id
from omega.core.wire import space_code
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Omega

TODAY = int(time.time()) // 86_400


def test_a_store_is_told_whole(omega: Omega, tmp_path: Path) -> None:
    store = SqliteShardStore.open(tmp_path / "shard.db")
    store.enrol([an_id(0)], 0)
    where, file = ("--store", f"sqlite:///{tmp_path / 'shard.db'}"), tmp_path / "one.sums"
    assert "holds nobody's sums" in omega("shard", "sums", file, *where, code=3).complaint
    store.bind(5, b"mark")
    store.commit(Tick(TODAY, [Move(0, 1, 0, 1, (Sample(700, 3, TODAY, 800, 9),))]))
    store.close()
    assert omega("shard", "sums", file, *where, "--region", "eu", "--json").json == {
        "shard": 5,
        "rows": 2,
        "bytes": file.stat().st_size,
        "file": str(file),
    }
    found, catalog = decode(file.read_bytes()), Catalog.read(EXAMPLE_CATALOG_PATH)
    check_kin(found.facts, catalog.lineage, {catalog.epoch: len(catalog)}, space_code(TASTE_SPACE))
    assert (list(found.columns.title), list(found.columns.slot)) == ([700, 700], [3, 8])
    assert found.facts.region == "eu"
    assert file.stat().st_mode & 0o077 == 0
    assert "2 rows of shard 5" in omega("shard", "sums", file, *where).out
    assert "holds no shard's store" in omega("shard", "sums", file, "--store", "sqlite:///no.db", code=3).complaint
