"""A federation as it is run: which catalog it goes by, and how shards are named."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.core.artifacts.keys import SigningKey
from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.errors import InputError
from omega.core.settings import Settings
from omega.core.shard_records import TASTE_SPACE
from omega.core.wire import space_code
from omega.federations import Federating, federation, reports, run_once
from omega_storage.shard_sqlite import SqliteShardStore
from tests.federation.making import CATALOG, FIRST, sums_of

if TYPE_CHECKING:
    from pathlib import Path

NOW = int(time.time())


@pytest.fixture
def federating(tmp_path: Path) -> Federating:
    FIRST.write(tmp_path / "first.jsonl")
    SigningKey.generate().write(tmp_path / "op.key")
    sums = sums_of({40: 5}, 3, space=space_code(TASTE_SPACE), made_at=NOW, day=NOW // 86_400)
    (tmp_path / "three.sums").write_bytes(sums.encode())
    settings = Settings(home=tmp_path / "home", store=tmp_path / "tv", catalog=str(tmp_path / "first.jsonl"))
    return Federating(
        settings=settings,
        shards=(str(tmp_path / "three.sums"),),
        artifacts=tmp_path / "shelf",
        key=tmp_path / "op.key",
    )


def test_a_later_epoch_counts_as_soon_as_it_lies_on_the_shelf(federating: Federating) -> None:
    with federation(federating) as made:
        assert made().kin.catalog.epoch == 1
        assert run_once(federating).shards[0].outcome == "epoch"
        key = SigningKey.read(federating.key)
        shelf = Shelf(federating.artifacts)
        shelf.publish(FIRST.encode(), Kind.CATALOG, key, made_at=0)
        shelf.publish(CATALOG.encode(), Kind.CATALOG, key, made_at=0)
        shelf.publish(CATALOG.encode(), Kind.CATALOG, SigningKey.generate(), made_at=0)
        assert made().kin.catalog.epoch == 2
        assert made().kin.catalog is made().kin.catalog, "it is read once"
    assert run_once(federating).outcome == "published"
    assert [report.outcome for report in reports(federating.settings)] == ["published", "too-few"]


def test_a_store_is_a_shard_and_its_password_is_no_name(federating: Federating, tmp_path: Path) -> None:
    with closing(SqliteShardStore.open(tmp_path / "shard.db")) as store:
        store.bind(9, b"mark")
    given = federating.__struct_fields__
    facts = {name: getattr(federating, name) for name in given} | {"shards": (f"sqlite:///{tmp_path}/shard.db",)}
    [report] = run_once(Federating(**facts)).shards
    assert (report.outcome, report.shard, report.source) == ("counted", 9, f"sqlite:///{tmp_path}/shard.db")
    with federation(Federating(**facts | {"shards": ("postgresql://me:secret@db/omega",)})) as made:
        assert made().sources[0].name == "postgresql://db/omega"


def test_tokens_are_found_by_address(federating: Federating, tmp_path: Path) -> None:
    facts = {name: getattr(federating, name) for name in federating.__struct_fields__}
    facts["shards"] = ("http://127.0.0.1:1/", "http://127.0.0.1:2")
    with pytest.raises(InputError, match="has no token"), federation(Federating(**facts)):
        pass
    (tmp_path / "tokens").write_text("http://127.0.0.1:1 one\n\nall\n")
    with federation(Federating(**facts | {"tokens": tmp_path / "tokens"})) as made:
        assert len(made().sources) == 2
