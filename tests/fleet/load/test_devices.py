"""TVs as arrays tell what real sessions tell, byte for byte, whatever the shard answers."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.ports import MAX_FRAME_BYTES
from omega.core.records import WatchRecord
from omega.core.testing.contracts import DIMENSIONS
from omega.core.testing.watching import CONTEXTS
from omega.core.types import title_key
from omega.core.wire import Ack, Header, Pull, Push, Reason, Resync, decode, encode, join, lineage_code, space_code
from omega.device.sync.messages import WireCodec
from omega.device.sync.session import Session
from omega.fleet.load.devices import VERSION_BITS, Devices, Role
from omega.fleet.load.watching import Watching
from omega_storage.device_memory import MemoryDeviceStore
from tests.device.sync.shards import SPACE, Shard

NOW_S, DAY, COUNT = 1_800_000_000, 20_800, 40
CATALOG = Catalog.read(EXAMPLE_CATALOG_PATH)
HEADER = Header(space=space_code(SPACE), lineage=lineage_code(CATALOG.lineage), epoch=CATALOG.epoch)
CODEC = WireCodec()


def some_devices(count: int = COUNT, *, mixed: bool = False) -> Devices:
    watching = Watching(len(CATALOG), 1, DAY)
    return Devices(np.arange(count), watching, HEADER, now_s=NOW_S, seed=1, mixed=mixed)


class Tv:
    """A real session over a store, which is told what the made-up device sees."""

    def __init__(self, device: int, *, forgets: bool = False) -> None:
        self.device, self.forgets, self.version, self.events = device, forgets, 0, 0
        self.store = MemoryDeviceStore(dimensions=DIMENSIONS)
        self.store.bind("s", CONTEXTS)
        self.session = Session(
            self.store,
            CATALOG,
            "shard-a",
            space=SPACE,
            size_of=lambda push: len(encode(push)),
            now_s=lambda: NOW_S,
            random=Random(1),
        )
        self.first_of: dict[int, tuple[int, int]] = {}
        self.repeats = False

    def watch(self) -> None:
        """See what the next version tells; forget what the last one told first, if that is how it is."""
        self.version += 1
        if self.forgets and self.version > 1:
            event, key = self.first_of[self.version - 1]
            self.store.ledger.forget({event}, set(range(1, self.events + 1)), {key})
        (rows,) = Watching(len(CATALOG), 1, DAY).rows(np.array([self.device]), np.array([self.version]))
        for place, row in enumerate(rows):
            content_id = CATALOG.titles[row.title].id
            self.events += 1
            if not place:
                self.first_of[self.version] = self.events, title_key(content_id)
            seen = WatchRecord(content_id, NOW_S, row.slot, row.success)
            self.repeats |= not self.store.ledger.queue(self.events, seen, row.day, row.taste)

    def frame(self) -> bytes:
        return CODEC.encode(self.session.begin())

    def hear(self, reply: bytes) -> None:
        self.session.receive(CODEC.decode(reply))


def test_frames_are_those_of_real_sessions() -> None:
    """Through acks, lost acks, and a shard that was put back: the same bytes, as long as no title comes twice a day."""
    devices, random = some_devices(), Random(2)
    compared = 0
    for tv in [Tv(device) for device in range(COUNT)]:
        shard, waits = Shard(CATALOG), False
        shard.back_up()
        for _ in range(8):
            if not waits:
                tv.watch()
            [told] = devices.told([tv.device])
            if tv.repeats:
                break
            assert told.frame == tv.frame()
            compared += 1
            if random.random() < 0.2:
                shard.restore(0)
            reply = shard.answer("tv", told.frame)
            if random.random() < 0.3:  # the ack is lost
                waits = True
                continue
            heard = devices.heard(tv.device, told, reply)
            tv.hear(reply)
            waits = not heard.acknowledged
    assert compared > 5 * COUNT


def test_a_shard_that_lost_versions_gets_them_all_at_once() -> None:
    devices = some_devices(2_000, mixed=True)
    restored = [device for device in range(2_000) if devices.role(device) is Role.RESTORED]
    assert 20 < len(restored) < 70
    compared = 0
    for device in restored[:10]:
        tv, shard = Tv(device), Shard(CATALOG)
        shard.back_up()
        for _ in range(3):
            tv.watch()
            tv.hear(shard.answer("tv", tv.frame()))
        shard.restore(0)
        tv.watch()
        for step in ("resync", "ack"):
            [told] = devices.told([device])
            if tv.repeats:
                break
            assert told.frame == tv.frame()
            reply = shard.answer("tv", told.frame)
            tv.hear(reply)
            heard = devices.heard(device, told, reply)
            assert heard.acknowledged == (step == "ack")
            assert heard.again == (step == "resync")
            compared += 1
    assert compared >= 10


def test_who_forgets_takes_back_what_a_real_session_does() -> None:
    devices = some_devices(2_000, mixed=True)
    forgetful = [device for device in range(2_000) if devices.role(device) is Role.FORGETS][:12]
    taken_back = 0
    for device in forgetful:
        tv, shard = Tv(device, forgets=True), Shard(CATALOG)
        for _ in range(4):
            tv.watch()
            if tv.repeats:
                break
            [told] = devices.told([device])
            assert told.frame == tv.frame()
            taken_back += told.retracted
            reply = shard.answer("tv", told.frame)
            tv.hear(reply)
            assert devices.heard(device, told, reply).acknowledged
    assert taken_back >= len(forgetful)


def test_a_push_that_was_not_answered_goes_again_as_it_was() -> None:
    devices = some_devices(3)
    first, again = devices.told([0, 1, 2]), devices.told([0, 1, 2])
    assert [one.frame for one in first] == [one.frame for one in again]
    assert len({one.frame for one in first}) == 3
    assert devices.unserved == 3


def test_no_frame_is_told_twice_once_it_is_acknowledged() -> None:
    devices, shard = some_devices(1), Shard(CATALOG)
    frames = set()
    for version in range(1, 40):
        [told] = devices.told([0])
        push = decode(told.frame, max_bytes=MAX_FRAME_BYTES)
        assert isinstance(push, Push)
        assert (push.base, push.version, len(push.contributed)) == (version - 1, version, told.contributed)
        frames.add(told.frame)
        assert devices.heard(0, told, shard.answer("tv", told.frame)).acknowledged
    assert len(frames) == 39
    assert devices.unserved == 0


def test_it_names_the_pull_that_it_has() -> None:
    devices = some_devices(1)
    [told] = devices.told([0])
    ack = encode(Ack(header=HEADER, incarnation=NOW_S, version=1))
    heard = devices.heard(0, told, join([ack, encode(Pull(header=HEADER, pull_id=77))]))
    assert heard.acknowledged
    push = decode(devices.told([0])[0].frame, max_bytes=MAX_FRAME_BYTES)
    assert isinstance(push, Push)
    assert push.known_pull == 77


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "broken answer"),
        (b"\x05hello", "broken answer"),
        (join([encode(Pull(header=HEADER, pull_id=1))]), "broken answer (no receipt)"),
        (join([encode(Ack(header=HEADER, incarnation=1, version=1 << 32))]), "broken answer (value)"),
        (join([encode(Ack(header=HEADER, incarnation=NOW_S, version=0))]), "an ack of another push"),
        (join([encode(Ack(header=HEADER, incarnation=1, version=1))]), "an ack of another push"),
        (
            join([encode(Resync(header=HEADER, incarnation=0, version=0, reason=Reason.LINEAGE))]),
            "resync (lineage)",
        ),
    ],
)
def test_what_is_no_ack_of_the_push_is_none(reply: bytes, reason: str) -> None:
    devices = some_devices(1)
    [told] = devices.told([0])
    heard = devices.heard(0, told, reply)
    assert not heard.acknowledged
    assert not heard.again
    assert heard.reason.startswith(reason)
    assert devices.told([0])[0].frame == told.frame


def test_a_shard_that_knows_more_of_this_life_is_believed() -> None:
    devices = some_devices(1)
    [told] = devices.told([0])
    heard = devices.heard(0, told, join([encode(Ack(header=HEADER, incarnation=NOW_S, version=7))]))
    assert (heard.acknowledged, heard.again, heard.reason) == (False, False, "rewound")
    push = decode(devices.told([0])[0].frame, max_bytes=MAX_FRAME_BYTES)
    assert isinstance(push, Push)
    assert (push.base, push.version) == (7, 8)


def test_a_life_that_the_shard_knows_of_later_begins_another() -> None:
    devices = some_devices(1)
    [told] = devices.told([0])
    reply = join([encode(Resync(header=HEADER, incarnation=NOW_S + 5, version=9, reason=Reason.GAP))])
    assert devices.heard(0, told, reply).again
    push = decode(devices.told([0])[0].frame, max_bytes=MAX_FRAME_BYTES)
    assert isinstance(push, Push)
    assert push.incarnation > NOW_S + 5
    assert push.base == 0


def test_what_was_acknowledged_stays_known_when_the_shard_says_less() -> None:
    devices = some_devices(2)
    [told] = devices.told([0])
    assert devices.heard(0, told, join([encode(Ack(header=HEADER, incarnation=NOW_S, version=1))])).acknowledged
    reply = join([encode(Resync(header=HEADER, incarnation=0, version=0, reason=Reason.GAP))])
    assert devices.heard(0, devices.told([0])[0], reply).again
    assert devices.acknowledged.tolist() == [NOW_S << VERSION_BITS | 1, 0]


def test_a_tv_takes_64_bytes_at_most() -> None:
    assert some_devices(100_000).size_bytes / 100_000 <= 64 - 9
