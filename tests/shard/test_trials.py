"""Experiments at a shard: those on its shelf are counted once, others are passed over, what was told is taken back."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.errors import InputError
from omega.core.experiments import Arm, Experiment, Experiments, encode_experiments
from omega.core.shard_records import TrialSums
from omega.core.testing.shard_contract import TODAY
from omega.core.wire import Ack, Trial
from omega.shard.inquiry import summed
from omega.shard.shelves import Published
from tests.shard.playing import CATALOG, a_push, on_shard
from tests.shard.test_shelves import KEYS, publish

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import ShardStore
    from omega.shard.shard import Shard

TRIED = Experiment(
    id="wider",
    first_day=date(2024, 1, 1),
    last_day=date(2024, 1, 9),
    arms=(Arm(name="a", share=0.5), Arm(name="b", share=0.5)),
)
GIVEN = Trial(TRIED.code, 1, TODAY, 3, 2, 100)
STRANGE = Trial(TRIED.code ^ 1, 1, TODAY, 3, 2, 100)


async def sums(shard: Shard) -> list[TrialSums]:
    return await shard.ask(lambda store: store.trials())


def test_what_is_tried_is_counted_once_and_taken_back_even_when_it_has_ended(store: ShardStore, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    publish(shelf, encode_experiments(Experiments((TRIED,))), Kind.EXPERIMENTS)
    files = Published(shelf.folder, KEYS, CATALOG)

    async def play(shard: Shard) -> None:
        push = a_push(1, trials=(GIVEN, STRANGE))
        await files.look(shard)
        for _ in range(2):
            answer = await shard.sync(0, push)
            assert isinstance(answer.receipt, Ack)
        assert await sums(shard) == [TrialSums(TRIED.code, 1, TODAY, 1, 3, 2, 100, 9, 4, 10_000)]
        await shard.set_catalog(CATALOG)
        await shard.sync(1, a_push(1, trials=(GIVEN,)))
        assert (await sums(shard))[0].households == 2, "it is known after a change of the catalog"
        publish(shelf, encode_experiments(Experiments()), Kind.EXPERIMENTS)
        await files.look(shard)
        await shard.sync(1, a_push(2, trials=(GIVEN,), trials_retracted=(GIVEN,)))
        assert (await sums(shard))[0].households == 1
        with pytest.raises(InputError, match="trials were pushed without a new version"):
            await shard.sync(1, a_push(2, base=2, trials=(GIVEN,)))

    on_shard(store, play)


def test_a_federation_is_told_of_three_households_and_more(store: ShardStore, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    publish(shelf, encode_experiments(Experiments((TRIED,))), Kind.EXPERIMENTS)
    files = Published(shelf.folder, KEYS, CATALOG)

    async def play(shard: Shard) -> None:
        await files.look(shard)
        for slot in range(3):
            given = msgspec.structs.replace(GIVEN, minutes=10 * slot)
            few = msgspec.structs.replace(GIVEN, arm=0)
            await shard.sync(slot, a_push(1, trials=(few, given) if slot else (given,)))
        told = (await summed(shard, CATALOG, 4, "", TODAY * 86_400)).trials
        assert told.tolist() == [TRIED.code, 1, TODAY, 3, 9, 6, 30, 27, 12, 500]

    on_shard(store, play)


def test_a_shard_without_experiments_counts_none(store: ShardStore) -> None:
    async def play(shard: Shard) -> None:
        answer = await shard.sync(0, a_push(1, trials=(GIVEN,)))
        assert isinstance(answer.receipt, Ack)
        assert await sums(shard) == []

    on_shard(store, play)
