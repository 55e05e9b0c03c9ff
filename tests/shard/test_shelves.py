"""What a shard makes of its operator's folder, before TVs come and while they do."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.manifest import Kind, Manifest
from omega.core.artifacts.naming import to_wire
from omega.core.artifacts.shelf import Shelf
from omega.core.catalog import Catalog
from omega.core.errors import ArtifactError, InputError, StoreError
from omega.core.testing.shard_contract import NOW, an_id
from omega.core.testing.watching import a_title
from omega.core.wire import Ack
from omega.shard import shelves
from omega.shard.shelves import Published
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.playing import CATALOG, FIRST, a_push, a_row, on_shard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from omega.core.ports import ShardStore
    from omega.core.wire import Artifact
    from omega.shard.shard import Shard

KEY = SigningKey.generate()
KEYS = Keyring([KEY.public])
THIRD = Catalog.build([*CATALOG.titles, a_title("t40")], CATALOG)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path / "shelf")
    made.folder.mkdir()
    return made


def publish(
    shelf: Shelf, data: bytes, kind: Kind = Kind.CATALOG, *, by: SigningKey = KEY, name: str | None = None
) -> Manifest:
    made = shelf.publish(data, kind, by, made_at=0, name=name)
    os.utime(shelf.folder, ns=(0, time.time_ns() - 10**10 + made.version))  # a change of a while ago
    return made


async def named(shard: Shard) -> tuple[Artifact, ...]:
    answer = await shard.sync(0, a_push(0, base=0))
    assert isinstance(answer.receipt, Ack)
    assert answer.pull
    return answer.pull.artifacts


def test_what_lies_there_is_named_and_given_out(store: ShardStore, shelf: Shelf) -> None:
    made = [publish(shelf, CATALOG.encode()), publish(shelf, b"w", Kind.WEIGHTS), publish(shelf, b"w2", Kind.WEIGHTS)]
    files = Published(shelf.folder, KEYS, CATALOG)

    async def play(shard: Shard) -> None:
        assert await files.look(shard)
        assert await named(shard) == (to_wire(made[0].named), to_wire(made[2].named))
        assert files.find(made[2].file) == shelf.folder / made[2].file
        assert files.find("../operator.key") is None
        assert not await files.look(shard), "nothing has changed"
        assert shard.header.epoch == 2

    on_shard(store, play)


def test_a_later_epoch_is_gone_on_with(store: ShardStore, shelf: Shelf) -> None:
    publish(shelf, FIRST.encode())
    files = Published(shelf.folder, KEYS, FIRST)

    async def play(shard: Shard) -> None:
        await files.look(shard)
        assert shard.header.epoch == 1
        publish(shelf, CATALOG.encode())
        publish(shelf, THIRD.encode())
        await files.look(shard)
        assert (shard.header.epoch, files.catalog.epoch) == (3, 3)
        assert [file.version for file in await named(shard)] == [3]
        answer = await shard.sync(0, a_push(1, a_row(title=40)))
        assert isinstance(answer.receipt, Ack), "the newest title has its ordinal"

    on_shard(store, play, catalog=FIRST)


def test_a_shard_that_is_ahead_of_its_shelf_stays_there(store: ShardStore, shelf: Shelf) -> None:
    made = publish(shelf, FIRST.encode())
    files = Published(shelf.folder, KEYS, CATALOG)

    async def play(shard: Shard) -> None:
        await files.look(shard)
        assert shard.header.epoch == 2
        assert await named(shard) == (to_wire(made.named),)

    on_shard(store, play)


def test_foreign_and_broken_ones_are_passed_over_once(
    store: ShardStore, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    good = publish(shelf, CATALOG.encode())
    fork = Catalog.build([*FIRST.titles, a_title("fork")], FIRST)
    wrong = [
        publish(shelf, Catalog.build([a_title("x")]).encode()),
        publish(shelf, b"w", Kind.WEIGHTS, by=SigningKey.generate()),
        publish(shelf, b"model", Kind.MODEL),
    ]
    elsewhere = Shelf(shelf.folder.parent / "elsewhere")
    publish(elsewhere, FIRST.encode())
    wrong.append(publish(elsewhere, fork.encode()))
    for name in (wrong[3].file, wrong[3].sha256):
        shutil.copy(elsewhere.folder / name, shelf.folder / name)
    (shelf.folder / wrong[2].sha256).write_bytes(b"mode")
    files = Published(shelf.folder, KEYS, CATALOG)

    async def play(shard: Shard) -> None:
        for looked in range(3):
            os.utime(shelf.folder, ns=(0, looked))
            assert await files.look(shard)
        assert await named(shard) == (to_wire(good.named),)
        assert shard.header.epoch == 2

    on_shard(store, play)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(wrong)
    for manifest in wrong:
        assert sum(line.startswith(f"{manifest.file} is passed over: ") for line in lines) == 1


def test_no_more_is_named_than_a_pull_can_hold(
    store: ShardStore, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(shelves.MOST_NAMED + 2):
        publish(shelf, b"w%d" % number, Kind.WEIGHTS, name=f"w{number:02}")
    files = Published(shelf.folder, KEYS, CATALOG)

    async def play(shard: Shard) -> None:
        await files.look(shard)
        assert len(await named(shard)) == shelves.MOST_NAMED

    on_shard(store, play)
    assert "66 artifacts, allowed: 64: remove some" in caplog.text


def test_a_folder_that_changed_just_now_is_read_again(store: ShardStore, shelf: Shelf) -> None:
    """A second file within the same tick of the file system's clock leaves the folder's time as it is."""
    publish(shelf, b"w", Kind.WEIGHTS)
    files = Published(shelf.folder, KEYS, CATALOG)

    async def play(shard: Shard) -> None:
        now = time.time_ns()
        os.utime(shelf.folder, ns=(now, now))
        await files.look(shard)
        second = shelf.publish(b"w2", Kind.WEIGHTS, KEY, made_at=0)
        os.utime(shelf.folder, ns=(now, now))
        assert await files.look(shard)
        assert await named(shard) == (to_wire(second.named),)

    on_shard(store, play)


class Failing(SqliteShardStore):
    """The real one, whose disk can fail once it is to fold a catalog's titles."""

    fails = False

    def fold(self, known: Mapping[int, int]) -> int:
        if self.fails:
            raise StoreError("the disk is full")
        return super().fold(known)


def test_a_store_that_fails_meanwhile_gets_the_epoch_later(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shelves, "LOOK_S", 0.01)
    publish(shelf, FIRST.encode())
    files = Published(shelf.folder, KEYS, FIRST)
    store = Failing.open(tmp_path / "s.db")
    store.enrol([an_id(0)], NOW)

    async def play(shard: Shard) -> None:
        async with files.watched(shard):
            store.fails = True
            publish(shelf, CATALOG.encode())
            await asyncio.sleep(0.3)
            assert files.catalog.epoch == 1
            store.fails = False
            async with asyncio.timeout(10):
                while files.catalog.epoch == 1:  # noqa: ASYNC110  (what is watched ends it)
                    await asyncio.sleep(0.01)
            shutil.rmtree(shelf.folder)
            await asyncio.sleep(0.1)
            assert [file.version for file in await named(shard)] == [2], "the shard goes on"

    on_shard(store, play, catalog=FIRST)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2, lines
    assert "the disk is full" in lines[0]
    assert "is no folder of artifacts" in lines[1]


def test_a_folder_without_a_key_or_that_is_not_there_is_refused(tmp_path: Path, shelf: Shelf) -> None:
    trusted = KEY.write(tmp_path / "operator.key")
    assert Published.open(shelf.folder, [trusted], CATALOG).find("x") is None
    with pytest.raises(InputError, match="without a key: name the operator's public key with --trust"):
        Published.open(shelf.folder, [], CATALOG)
    with pytest.raises(ArtifactError, match="is no folder of artifacts"):
        Published.open(tmp_path / "none", [trusted], CATALOG)
    with pytest.raises(ArtifactError, match="can't be read"):
        Published.open(shelf.folder, [tmp_path / "none.pub"], CATALOG)
