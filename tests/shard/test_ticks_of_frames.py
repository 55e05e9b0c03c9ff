"""A tick of frames of all kinds: read at once or one by one, everybody is answered alike and counted alike."""

from __future__ import annotations

import asyncio
import zlib
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from omega.core.errors import WireError
from omega.core.testing.shard_contract import TODAY, an_id, sums_of
from omega.core.types import title_key
from omega.core.wire import Ack, Push, Reason, Resync, Row, encode, title_hash
from omega.shard import columns, syncs
from omega.shard.answers import Answer, NoPushError, Refusal, Refused
from omega.shard.pacing import Pace, Service
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.playing import HEADER, a_push, a_row, on_shard

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from omega.core.errors import OmegaError
    from omega.core.shard_records import Aggregate, DeviceRow
    from omega.shard.shard import Shard

    Heard: TypeAlias = "dict[int, Answer | OmegaError]"
    Told: TypeAlias = "tuple[Heard, list[DeviceRow | None], list[Aggregate], int]"

DEVICES = 60
SERVICE = Service(tick_s=0.05, pull_s=60, day_samples=6, pace=Pace(burst=10_000))
TASTE = bytes(range(22))


def frames() -> list[tuple[int, bytes]]:
    """Return frames of one tick, each with who sends it: most are plain, and each way not to be is among them."""
    plain = [(slot, encode(a_push(1, a_row(slot % 7, 900, slot % 8, taste=TASTE), a_row(9)))) for slot in range(40)]
    odd: list[Push | Ack | Resync] = [
        a_push(1, a_row(3), trials=()),
        replace(a_push(1, a_row(3)), header=replace(HEADER, lineage=1)),
        replace(a_push(1, a_row(3, taste=TASTE)), header=replace(HEADER, space=1)),
        a_push(1, a_row(4_000)),
        a_push(1, Row(title_hash(title_key("t5")), 4, TODAY, 1000, b"", hashed=True)),
        a_push(1, Row(title_hash(title_key("nobody's")), 4, TODAY, 1000, b"", hashed=True)),
        a_push(6, a_row(3), base=5),
        a_push(1, a_row(3), asks=TASTE),
        a_push(1, *(a_row(title, slot=slot) for title in range(5) for slot in range(8))),
        a_push(0, base=0),
        Ack(header=HEADER, incarnation=1, version=1),
    ]
    broken = encode(a_push(1, a_row(3)))
    wrong = bytearray(broken)
    wrong[-5] = 251  # no success goes so far
    wrong[-4:] = zlib.crc32(wrong[:-4]).to_bytes(4, "little")
    more = [broken[:-1], bytes(wrong), bytes(700), encode(a_push(1, a_row(3)))]
    twice = [(59, encode(a_push(version, a_row(version)))) for version in (1, 2, 2, 3)]
    unknown = [(DEVICES + 9, encode(a_push(1, a_row(3))))]
    return [*plain[:20], *twice, *plain[20:], *enumerate((*map(encode, odd), *more), 40), *unknown]


def told(path: Path, sent: list[tuple[int, bytes]]) -> Told:
    store = SqliteShardStore.open(path)
    store.enrol([an_id(slot) for slot in range(DEVICES)], 0)
    heard: Heard = {}
    contributed = []

    async def play(shard: Shard) -> None:
        for place, (slot, frame) in enumerate(sent):
            shard.hand_in_frame(slot, frame, partial(heard.__setitem__, place))
        assert not heard
        assert shard.waiting == len(sent)
        await shard._ticks.drain()
        assert shard.waiting == 0
        contributed.append(shard.recorder.contributed)

    on_shard(store, play, service=SERVICE)
    with_rows = SqliteShardStore.open(path)
    rows = [with_rows.device(slot) for slot in range(DEVICES)]
    aggregates = with_rows.aggregates()
    assert sums_of(with_rows)
    with_rows.close()
    return heard, rows, aggregates, contributed[0]


def settled(heard: Heard) -> dict[int, object]:
    """Return the answers without what is drawn by chance."""
    found: dict[int, object] = {}
    for of, answer in heard.items():
        if not isinstance(answer, Answer):
            found[of] = type(answer), str(answer)
        elif isinstance(answer.receipt, Ack):
            assert answer.receipt.next_sync_s > 0
            found[of] = replace(answer, receipt=replace(answer.receipt, next_sync_s=0))
        elif isinstance(answer.receipt, Refused):
            found[of] = answer.receipt.reason
        else:
            found[of] = answer
    return found


def test_frames_read_at_once_are_answered_and_counted_like_those_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = frames()
    assert len(sent) > columns.WORTH_WHILE
    at_once = told(tmp_path / "at-once.db", sent)
    monkeypatch.setattr(syncs, "WORTH_WHILE", 1 << 20)
    singly = told(tmp_path / "singly.db", sent)
    assert len(at_once[0]) == len(sent)
    assert settled(at_once[0]) == settled(singly[0])
    assert at_once[1:] == singly[1:]
    kinds = {type(of) if not isinstance(of, Answer) else type(of.receipt) for of in at_once[0].values()}
    assert kinds == {Ack, Resync, Refused, NoPushError, WireError}
    reasons = {
        of.receipt.reason for of in at_once[0].values() if isinstance(of, Answer) and not isinstance(of.receipt, Ack)
    }
    assert reasons == {Reason.GAP, Reason.LINEAGE, Reason.SPACE, Reason.EPOCH, Refusal.STRANGER}


def test_a_days_samples_are_spent_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [(slot, encode(a_push(1, *(a_row(title) for title in range(4))))) for slot in range(40)]
    more = [(slot, encode(a_push(2, *(a_row(title) for title in range(2 + slot % 3))))) for slot in range(40)]

    found = []

    async def play(shard: Shard) -> None:
        heard: Heard = {}
        for batch in (first, more):
            for slot, frame in batch:
                shard.hand_in_frame(slot, frame, partial(heard.__setitem__, slot))
            await shard._ticks.drain()
        found.append({slot: type(of.receipt) for slot, of in heard.items() if isinstance(of, Answer)})

    for name, worth in (("at-once.db", 1), ("singly.db", 1 << 20)):
        monkeypatch.setattr(syncs, "WORTH_WHILE", worth)
        store = SqliteShardStore.open(tmp_path / name)
        store.enrol([an_id(slot) for slot in range(DEVICES)], 0)
        on_shard(store, play, service=SERVICE)
    assert found[0] == found[1] == {slot: Ack if slot % 3 == 0 else Refused for slot in range(40)}


def test_one_that_cant_be_answered_leaves_no_other_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SqliteShardStore.open(tmp_path / "s.db")
    store.enrol([an_id(slot) for slot in range(DEVICES)], 0)
    heard: list[int] = []

    async def play(shard: Shard) -> None:
        def answer(slot: int, _: object) -> None:
            if slot % 10 == 3:
                raise RuntimeError("the connection has gone")
            heard.append(slot)

        for slot in range(DEVICES):
            frame = b"noise" if slot >= 50 else encode(a_push(1, a_row(3)))
            shard.hand_in_frame(slot, frame, partial(answer, slot))
        await asyncio.wait_for(shard._ticks.drain(), 10)
        assert shard.recorder.contributed == 50

    on_shard(store, play, service=SERVICE)
    assert sorted(heard) == [slot for slot in range(DEVICES) if slot % 10 != 3]
    assert "a sync couldn't be answered" in caplog.text
