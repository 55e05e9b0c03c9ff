"""What a shard tells its federation over a real socket: all that its store has, in one file, to nobody else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from omega.core.identity.admins import Role
from omega.core.shard_records import ALL_SLOTS, Move, Sample, Tick, unknown_title
from omega.core.shard_sums import PAGE_TITLES, decode, pages
from omega.core.testing.shard_contract import an_id
from omega.shard import inquiry
from tests.shard.managing import SHARD_ID, Managed, on_managed
from tests.shard.playing import CATALOG, SPACE

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import ShardStore

TODAY = int(time.time()) // 86_400
PATH = "/api/v1/sums"


def tell(store: ShardStore, households: range, title: int, taste: bytes = b"") -> None:
    for by in households:
        row = store.device(by)
        assert row
        sample = Sample(title, 4, TODAY, 900, by * 977 + abs(title), taste)
        store.commit(Tick(TODAY, [Move(by, 1, row.version, row.version + 1, (sample,))]))


def test_all_rows_of_the_catalog_are_told_and_no_device(store: ShardStore, tmp_path: Path) -> None:
    tell(store, range(2), 3, taste=b"\xff" * 22)
    tell(store, range(7), 39)
    tell(store, range(3), unknown_title(8))

    async def play(managed: Managed) -> None:
        answer = await managed.ask(PATH, of=Role.FEDERATION)
        found = decode(answer.body)
        facts = found.facts
        assert (facts.shard, facts.region, facts.space) == (SHARD_ID, "eu", SPACE)
        assert (facts.lineage, facts.epoch, facts.titles) == (CATALOG.lineage, CATALOG.epoch, len(CATALOG))
        assert abs(facts.made_at - time.time()) < 60
        assert list(found.columns.title) == [3, 3, 39, 39]
        assert list(found.columns.slot) == [4, ALL_SLOTS] * 2
        assert list(found.columns.households) == [2, 2, 7, 7], "those of two as well: a third may be elsewhere"
        assert list(found.columns.audience_title) == [3]
        assert list(found.columns.audience) == [2.0, *[14.0] * 44]
        ids = [an_id(number) for number in range(7)]
        assert not any(one in answer.body or one.hex().encode() in answer.body for one in ids)

    on_managed(Managed(store, tmp_path), play)


@pytest.mark.parametrize("households", [2, 3])
def test_how_codes_vary_is_told_from_three_households_on(store: ShardStore, tmp_path: Path, households: int) -> None:
    tell(store, range(households), 3, taste=b"\x79" * 22)

    async def play(managed: Managed) -> None:
        found = decode((await managed.ask(PATH, of=Role.FEDERATION)).body).moments
        one = [1.0, *[1.0, -1.0] * 22]
        assert list(found) == ([households * a * b for a in one for b in one] if households == 3 else [])

    on_managed(Managed(store, tmp_path), play)


def test_who_has_it_gets_nothing_and_who_asks_often_the_same(
    store: ShardStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(store, range(3), 3)

    async def play(managed: Managed) -> None:
        first = await managed.ask(PATH, of=Role.OPERATOR)
        tag = first.headers["etag"]
        for told in (tag, f'"x", {tag}'):
            again = await managed.ask(PATH, of=Role.FEDERATION, headers={"if-none-match": told})
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        await managed.shard.ask(lambda store: tell(store, range(3, 5), 4))
        assert (await managed.ask(PATH, of=Role.OPERATOR)).headers["etag"] == tag, "kept for a while"
        monkeypatch.setattr(inquiry, "SUMS_KEPT_S", 0.0)
        answers = await asyncio.gather(*(managed.ask(PATH, of=Role.OPERATOR) for _ in range(3)))
        assert {answer.headers["etag"] for answer in answers} - {tag}
        assert len({answer.headers["etag"] for answer in answers}) == 1
        assert list(decode(answers[0].body).columns.title) == [3, 3, 4, 4]

    on_managed(Managed(store, tmp_path), play)


@pytest.mark.parametrize("of", [None, Role.VIEWER])
def test_nobody_else_is_told(store: ShardStore, tmp_path: Path, of: Role | None) -> None:
    async def play(managed: Managed) -> None:
        assert (await managed.ask(PATH, of=of)).status == (403 if of else 401)
        assert (await managed.ask("/api/v1/stats", of=Role.FEDERATION)).status == 403, "and it is told nothing else"

    on_managed(Managed(store, tmp_path), play)


def test_pages_are_all_titles_once() -> None:
    for titles in (1, PAGE_TITLES, PAGE_TITLES + 1, 3 * PAGE_TITLES - 1):
        assert [title for page in pages(titles) for title in page] == list(range(titles))
