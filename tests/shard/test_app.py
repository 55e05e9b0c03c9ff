"""The shard behind a transport, bytes in and bytes out, on a real store: who may speak, what is answered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from omega.core.errors import StoreError
from omega.core.identity.device_key import DeviceKey
from omega.core.identity.gate import answer
from omega.core.identity.keyring import TOKEN_S, KeyRing
from omega.core.identity.messages import Admission, Challenge
from omega.core.identity.messages import decode as parsed
from omega.core.identity.messages import encode as worded
from omega.core.types import title_key
from omega.core.wire import REPLY_LIMIT, Ack, Pull, Push, Reason, Resync, Row, encode, split, title_hash
from omega.device.sync.messages import WireCodec
from omega.shard.app import ShardApp
from omega.shard.shard import Shard
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.playing import CATALOG, EAGER, KEY, SPACE, a_push, a_row, summed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from omega.core.ports import Reply
    from omega.core.shard_records import Standing, Tick
    from omega.device.sync.messages import Reply as Message

SHARD_ID = 7
TODAY = int(time.time()) // 86_400
ROW = a_row(day=TODAY)


class Store(SqliteShardStore):
    """The real one, with a disk that can be full."""

    full = False

    def commit(self, tick: Tick) -> list[Standing]:
        if self.full:
            raise StoreError("the disk is full")
        return super().commit(tick)


class Table:
    """An app, its store, its clock, and what TVs do with it."""

    def __init__(self, path: Path, *, everybody: bool = True, max_devices: int = 10) -> None:
        self.store = Store.open(path / "s.db", max_devices=max_devices)
        self.ahead_s = 0.0
        self.shard = Shard(self.store, CATALOG, KEY, space=SPACE, service=EAGER, now=self.now)
        self.app = ShardApp(self.shard, SHARD_ID, KeyRing.fresh(time.time() - 10), everybody=everybody, now=self.now)

    def now(self) -> float:
        return time.time() + self.ahead_s

    async def challenge(self) -> Challenge:
        asked = await self.app.sync("", b"")
        assert asked.status == 200
        return parsed(asked.body, Challenge)

    async def enrolling(self, key: DeviceKey) -> Reply:
        return await self.app.sync("", worded(answer(await self.challenge(), key, shard=SHARD_ID)))

    async def admitted(self, number: int) -> str:
        """Return the token of a TV that has this number as its key."""
        reply = await self.enrolling(a_key(number))
        assert reply.status == 200, reply.body
        return parsed(reply.body, Admission).token

    async def told(self, token: str, push: Push) -> Sequence[Message]:
        reply = await self.app.sync(token, encode(push))
        assert reply.status == 200, reply.body
        return WireCodec().decode(reply.body)


def a_key(number: int) -> DeviceKey:
    return DeviceKey(bytes([number]) * 32)


def at_table(table: Table, play: Callable[[Table], Awaitable[None]]) -> None:
    async def played() -> None:
        await table.app.start()
        try:
            await play(table)
        finally:
            await table.shard.close()

    asyncio.run(played())


def test_a_tv_enrols_and_keeps_its_number(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        admission = parsed((await table.enrolling(a_key(1))).body, Admission)
        assert (admission.shard, admission.lifetime_s) == (SHARD_ID, TOKEN_S)
        assert (await table.challenge()).shard == SHARD_ID
        await table.admitted(2)
        await table.admitted(1)
        assert table.store.device_count() == 2
        one = table.store.device(0)
        assert one
        assert one.device_id == a_key(1).id

    at_table(Table(tmp_path), play)


def test_many_who_enrol_at_once_may_all_speak(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        tokens = await asyncio.gather(*(table.admitted(number) for number in range(1, 9)))
        found = await asyncio.gather(*(table.told(token, a_push(1, ROW)) for token in tokens))
        assert all(isinstance(replies[0], Ack) for replies in found)
        assert (await summed(table.shard))[7, 4] == (8, 8_000, 8)

    at_table(Table(tmp_path), play)


def test_whoever_nobody_vouches_for_is_denied(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        assert (await table.enrolling(a_key(1))).status == 401
        assert table.store.device_count() == 0

    at_table(Table(tmp_path, everybody=False), play)


def test_an_answer_counts_once_in_time_and_signed_and_every_denial_says_the_same(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        said = worded(answer(await table.challenge(), a_key(1), shard=SHARD_ID))
        assert (await table.app.sync("", said)).status == 200
        replayed = await table.app.sync("", said)
        fresh = answer(await table.challenge(), a_key(2), shard=SHARD_ID)
        stolen = await table.app.sync("", worded(replace(fresh, public_key=a_key(3).public_key)))
        forged = await table.app.sync("", worded(answer(Challenge(bytes(42)), a_key(2), shard=None)))
        table.ahead_s = 61
        late = await table.app.sync("", worded(fresh))
        assert {(reply.status, reply.body) for reply in (replayed, stolen, forged, late)} == {(401, replayed.body)}
        assert table.store.device_count() == 1

    at_table(Table(tmp_path), play)


@pytest.mark.parametrize("body", [b"x", b"{}", b"[" * 4_000, b"\xff" * 5_000, encode(a_push(1, ROW))])
def test_what_is_no_answer_is_refused(tmp_path: Path, body: bytes) -> None:
    async def play(table: Table) -> None:
        assert (await table.app.sync("", body)).status == 400

    at_table(Table(tmp_path), play)


def test_a_full_shard_asks_to_come_later(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        token = await table.admitted(1)
        reply = await table.enrolling(a_key(2))
        assert (reply.status, dict(reply.headers)) == (503, {"retry-after": "3600"})
        assert isinstance((await table.told(token, a_push(1, ROW)))[0], Ack)

    at_table(Table(tmp_path, max_devices=1), play)


def test_a_token_that_is_not_ours_or_has_ended_is_refused(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        token, frame = await table.admitted(1), encode(a_push(1, ROW))
        other = "A" if token[-1] != "A" else "B"
        for bad in ("x", token[:-1], token[:-1] + other, token + "A", "\u00e9" * 40, "\0" * 40):
            assert (await table.app.sync(bad, frame)).status == 401, bad
        assert (await table.app.sync(token, frame)).status == 200
        table.ahead_s = TOKEN_S + 1
        assert (await table.app.sync(token, frame)).status == 401
        again = await table.admitted(1)
        assert isinstance((await table.told(again, a_push(1, ROW)))[0], Ack)
        assert (await summed(table.shard))[7, 4] == (1, 1_000, 1)

    at_table(Table(tmp_path), play)


def test_garbage_with_a_good_token_is_refused(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        token, good = await table.admitted(1), encode(a_push(1, ROW))
        [ack] = split((await table.app.sync(token, encode(a_push(0, base=0)))).body, max_bytes=REPLY_LIMIT)[:1]
        out_of_range = encode(a_push(2**50, base=2**50 - 1))
        for bad in (b"", b"x", good[:-1], good + b"\0", bytes(9_000), b"{}" * 20, ack, out_of_range):
            assert (await table.app.sync(token, bad)).status == 400, bad
        assert await summed(table.shard) == {}

    at_table(Table(tmp_path), play)


def test_a_push_is_counted_once_and_answered_with_the_pull(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        tokens = [await table.admitted(number) for number in range(1, 5)]
        for token in tokens[:3]:
            first = await table.told(token, a_push(1, ROW))
            assert [type(reply) for reply in first] == [Ack, Pull]
        sums = await summed(table.shard)
        assert sums[7, 4] == (3, 3_000, 3)
        again = await table.told(tokens[0], a_push(1, ROW))
        assert isinstance(again[0], Ack)
        assert again[0].version == 1
        assert await summed(table.shard) == sums
        await table.shard.make_pull()
        ack, pull = await table.told(tokens[3], a_push(0, base=0))
        assert isinstance(ack, Ack)
        assert isinstance(pull, Pull)
        assert [(trend.title, trend.households) for trend in pull.trending] == [(7, 3)]
        held = await table.told(tokens[3], a_push(0, base=0, known_pull=pull.pull_id))
        assert [type(reply) for reply in held] == [Ack]

    at_table(Table(tmp_path), play)


def test_a_gap_is_answered_with_where_the_tv_stands(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        token = await table.admitted(1)
        await table.told(token, a_push(1, ROW))
        [resync] = await table.told(token, a_push(9, ROW))
        assert isinstance(resync, Resync)
        assert (resync.reason, resync.version) == (Reason.GAP, 1)

    at_table(Table(tmp_path), play)


def test_an_unknown_dictionary_is_asked_to_be_left_out(tmp_path: Path) -> None:
    rows = [a_row(title, day=TODAY) for title in range(25)]

    async def play(table: Table) -> None:
        token, frame = await table.admitted(1), bytearray(encode(a_push(1, *rows)))
        assert frame[2] == 1  # where a compressed frame names its dictionary
        frame[2] = 200
        reply = await table.app.sync(token, bytes(frame))
        assert reply.status == 200
        [resync] = WireCodec().decode(reply.body)
        assert isinstance(resync, Resync)
        assert resync.reason is Reason.DICTIONARY
        plain = await table.app.sync(token, encode(a_push(1, *rows), 0))
        assert isinstance(WireCodec().decode(plain.body)[0], Ack)

    at_table(Table(tmp_path), play)


def test_a_version_that_grew_because_its_titles_go_by_hash_is_taken(tmp_path: Path) -> None:
    rows = [Row(title_hash(title_key(f"new-{i}")), i % 8, TODAY, 1000, b"", hashed=True) for i in range(512)]

    async def play(table: Table) -> None:
        frame = encode(a_push(1, *rows))
        assert len(frame) > 2_048
        reply = await table.app.sync(await table.admitted(1), frame)
        assert reply.status == 200, reply.body
        assert sum(samples for (_, slot), (samples, _, _) in (await summed(table.shard)).items() if slot < 8) == 512

    at_table(Table(tmp_path), play)


def test_a_revoked_tv_is_shut_out_with_the_token_that_it_holds(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        token, other = await table.admitted(1), await table.admitted(2)
        assert table.store.revoke(a_key(1).id)
        assert (await table.app.sync(token, encode(a_push(1, ROW)))).status == 401
        assert (await table.enrolling(a_key(1))).status in (401, 503)
        assert isinstance((await table.told(other, a_push(1, ROW)))[0], Ack)
        assert (await summed(table.shard))[7, 4] == (1, 1_000, 1)

    at_table(Table(tmp_path), play)


def test_a_store_that_fails_is_503_until_it_works(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        token = await table.admitted(1)
        assert table.app.health().status == 200
        table.store.full = True
        reply = await table.app.sync(token, encode(a_push(1, ROW)))
        assert reply.status == 503
        assert 15 <= int(dict(reply.headers)["retry-after"]) <= 45
        assert table.app.health().status == 503
        table.store.full = False
        assert isinstance((await table.told(token, a_push(1, ROW)))[0], Ack)
        assert table.app.health().status == 200
        assert (await summed(table.shard))[7, 4] == (1, 1_000, 1)

    at_table(Table(tmp_path), play)


def test_who_comes_too_often_is_told_when_to_come(tmp_path: Path) -> None:
    async def play(table: Table) -> None:
        token = await table.admitted(1)
        table.shard._allowance = type(table.shard._allowance)(replace(EAGER.pace, burst=2))
        replies = [await table.app.sync(token, encode(a_push(1, ROW))) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert 1 <= int(dict(replies[2].headers)["retry-after"]) <= 30

    at_table(Table(tmp_path), play)


def test_tokens_outlive_the_process(tmp_path: Path) -> None:
    ring = KeyRing.fresh(time.time() - 10)
    tokens: list[str] = []

    async def first(table: Table) -> None:
        tokens.append(await table.admitted(1))
        await table.told(tokens[0], a_push(1, ROW))

    async def then(table: Table) -> None:
        replies = await table.told(tokens[0], a_push(2, ROW))
        assert isinstance(replies[0], Ack)
        assert (await summed(table.shard))[7, 4] == (2, 2_000, 1)

    for play in (first, then):
        table = Table(tmp_path)
        table.app = ShardApp(table.shard, SHARD_ID, ring, everybody=True)
        at_table(table, play)
