"""A session's single steps: what is told, in which words, and what each answer does to the ledger."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.catalog import Catalog
from omega.core.records import LedgerCounts, Selection
from omega.core.testing.contracts import DIMENSIONS
from omega.core.testing.watching import CONTEXTS, DAY, a_title, a_watch, tell
from omega.core.types import title_key
from omega.core.wire import Ack, Artifact, Header, Pull, Push, Reason, Resync, Similar, Trend, title_hash
from omega.device.others import heard
from omega.device.sync import trends
from omega.device.sync.messages import WireCodec
from omega.device.sync.session import PUSH_BYTES, Outcome, Session
from omega_storage.device_memory import MemoryDeviceStore
from tests.device.sync.shards import SPACE, Shard

if TYPE_CHECKING:
    from omega.device.sync.session import Synced

NOW_S = 1_800_000_000
ELSEWHERE = Header(space=1, lineage=1, epoch=1)


def a_catalog(old: int = 6, new: int = 4) -> Catalog:
    titles = [a_title(f"t{i}") for i in range(old + new)]
    return Catalog.build(titles, Catalog.build(titles[:old]))


def size_of(push: Push) -> int:
    return 40 + sum(9 if row.hashed else 4 for row in push.contributed + push.retracted)


def a_store(*titles: str, day: int = DAY) -> MemoryDeviceStore:
    store = MemoryDeviceStore(dimensions=DIMENSIONS)
    store.bind("s", CONTEXTS)
    for title in titles:
        tell(store, a_watch(title), day=day)
    return store


def a_session(store: MemoryDeviceStore, catalog: Catalog | None = None, *, settles: bool = False) -> Session:
    return Session(
        store,
        catalog or a_catalog(),
        "shard-a",
        space=SPACE,
        size_of=size_of,
        now_s=lambda: NOW_S,
        random=Random(1),
        settles=settles,
    )


def a_trend(title: int, slot: int | None, households: int) -> Trend:
    return Trend(title, slot, households, 900, 0)


def exchange(session: Session, shard: Shard) -> Synced:
    return session.receive(shard.sync("tv", session.begin()))


def test_a_push_names_what_was_watched_and_the_ack_settles_it() -> None:
    store, shard = a_store("t0", "t9"), Shard(a_catalog())
    session = a_session(store)
    push = session.begin()
    assert (push.base, push.step, push.incarnation) == (0, 1, NOW_S)
    old, new = push.contributed
    assert (old.title, old.hashed, old.slot, old.day, old.success) == (0, False, 4, DAY, 900)
    assert (new.title, new.hashed) == (title_hash(title_key("t9")), True), "a shard's catalog may be of the first epoch"
    assert 0 <= new.title < 2**40
    assert session.begin() == push, "a retry sends the same rows"
    synced = session.receive(shard.sync("tv", push))
    assert (synced.outcome, synced.contributed, synced.again) == (Outcome.COUNTED, 2, False)
    assert store.ledger.counts() == LedgerCounts(0, 0, 2, 0)
    idle = session.begin()
    assert (idle.base, idle.step, idle.contributed, idle.retracted) == (1, 0, (), ())


def test_a_shards_newer_catalog_gets_ordinals_and_an_older_one_hashes_again() -> None:
    store, shard = a_store("t0"), Shard(a_catalog())
    session = a_session(store)
    shard.state.epoch = 2
    assert exchange(session, shard).epoch == 2
    shard.state.epoch = 1
    tell(store, a_watch("t9"), day=DAY)
    push = session.begin()
    assert push.contributed[0].title == 9
    synced = session.receive(shard.sync("tv", push))
    assert (synced.outcome, synced.reason, synced.again) == (Outcome.RESENT, Reason.EPOCH, True)
    assert session.begin().contributed[0].hashed
    assert exchange(session, shard).outcome is Outcome.COUNTED
    assert shard.state.sums["tv", NOW_S, ("t9", 4, 900)] == 1


def test_a_title_that_the_catalog_lost_goes_by_its_hash() -> None:
    store = a_store("t0", "gone")
    assert [row.hashed for row in a_session(store).begin().contributed] == [False, True]


@pytest.mark.parametrize(
    ("space", "lineage", "reason"), [("other", None, Reason.SPACE), (SPACE, "other", Reason.LINEAGE)]
)
def test_another_space_or_catalog_is_refused_and_nothing_is_lost(
    space: str, lineage: str | None, reason: Reason
) -> None:
    store = a_store("t0", "t1")
    catalog = a_catalog() if lineage is None else Catalog.build([a_title("else")])
    refusing = Shard(catalog, space=space)
    session = a_session(store)
    synced = exchange(session, refusing)
    assert (synced.outcome, synced.reason, synced.again) == (Outcome.REFUSED, reason, False)
    shard = Shard(a_catalog())
    assert exchange(session, shard).contributed == 2


def test_months_offline_go_newest_first_in_frames_that_fit() -> None:
    store, shard = a_store(), Shard(a_catalog())
    for day in range(200):
        tell(store, a_watch("t0", at=day), a_watch("t9", at=day), day=DAY + day)
    session, days = a_session(store), list[list[int]]()
    again = True
    while again:
        push = session.begin()
        assert size_of(push) <= PUSH_BYTES
        days.append(sorted(row.day for row in push.contributed))
        again = session.receive(shard.sync("tv", push)).again
    assert len(days) == 3
    assert days[0][-1] >= days[0][0] >= days[1][-1] >= days[1][0] >= days[2][-1]
    assert sum(shard.state.sums.values()) == 400


def test_what_is_forgotten_goes_first_and_is_not_told_again() -> None:
    store, shard = a_store("t0", "t1", "t2"), Shard(a_catalog())
    session = a_session(store)
    session.begin()  # the frame is lost
    store.forget(Selection(content_id="t1"))
    push = session.begin()
    assert (push.base, push.step, push.retracted) == (0, 2, ())
    assert [row.title for row in push.contributed] == [0, 2]
    exchange(session, shard)
    tell(store, a_watch("t3"), day=DAY)
    store.forget(Selection(content_id="t2"))
    push = session.begin()
    assert ([row.title for row in push.retracted], [row.title for row in push.contributed]) == ([2], [3])
    synced = session.receive(shard.sync("tv", push))
    assert (synced.contributed, synced.retracted) == (1, 1)
    assert +shard.state.sums == {("tv", NOW_S, (f"t{i}", 4, 900)): 1 for i in (0, 3)}
    assert store.ledger.counts().retractions == 0


def test_a_restored_shard_gets_the_versions_that_it_lost_in_one_push() -> None:
    store, shard = a_store(), Shard(a_catalog())
    session = a_session(store)
    shard.back_up()
    for title in ("t0", "t1", "t2"):
        tell(store, a_watch(title), day=DAY)
        exchange(session, shard)
    shard.restore(0)
    tell(store, a_watch("t3"), day=DAY)
    assert exchange(session, shard).outcome is Outcome.RESENT
    push = session.begin()
    assert (push.base, push.step, len(push.contributed)) == (0, 4, 4)
    assert session.receive(shard.sync("tv", push)).outcome is Outcome.COUNTED
    assert sorted(shard.state.sums.values()) == [1, 1, 1, 1]


def test_a_reset_tv_with_a_clock_that_was_not_set_takes_a_greater_incarnation() -> None:
    store, shard = a_store("t0"), Shard(a_catalog())
    shard.state.at["tv"] = NOW_S + 9, 40
    session = a_session(store)
    synced = exchange(session, shard)
    assert (synced.outcome, synced.again) == (Outcome.RESENT, True)
    push = session.begin()
    assert (push.incarnation > NOW_S + 9, push.base, len(push.contributed)) == (True, 0, 1)
    assert session.receive(shard.sync("tv", push)).contributed == 1
    assert shard.state.at["tv"] == (push.incarnation, 1)


def test_a_store_that_was_put_back_tells_nothing_twice() -> None:
    store, shard = a_store("t0", "t1"), Shard(a_catalog())
    session = a_session(store)
    session.begin()
    shard.sync("tv", session.begin())
    shard.state.at["tv"] = NOW_S, 7  # told in the time that this store has no memory of
    tell(store, a_watch("t2"), day=DAY)
    assert exchange(session, shard).outcome is Outcome.REWOUND
    assert store.ledger.counts() == LedgerCounts(queued=0, unacknowledged=0, acknowledged=3, retractions=0)
    tell(store, a_watch("t3"), day=DAY)
    push = session.begin()
    assert (push.base, push.step, [row.title for row in push.contributed]) == (7, 1, [3])
    assert session.receive(shard.sync("tv", push)).outcome is Outcome.COUNTED
    assert store.forget(Selection(content_id="t3")).retractions == 1


def test_a_session_for_debts_tells_nothing_new_and_hears_nothing() -> None:
    store, shard = a_store("t0", "t1"), Shard(a_catalog())
    exchange(a_session(store), shard)
    tell(store, a_watch("t2"), day=DAY)
    store.forget(Selection(content_id="t0"))
    shard.pull = Pull(header=shard.header, pull_id=5, trending=(a_trend(1, None, 9),))
    debts = a_session(store, settles=True)
    push = debts.begin()
    assert (len(push.contributed), len(push.retracted)) == (0, 1)
    synced = debts.receive(shard.sync("tv", push))
    assert (synced.again, synced.pulled) == (False, False)
    assert store.ledger.counts().queued == 1
    assert [held.owes for held in store.ledger.shards()] == [False]


def test_answers_to_nothing_and_to_something_else_change_nothing() -> None:
    store = a_store("t0")
    session = a_session(store)
    assert session.receive([Ack(header=ELSEWHERE, incarnation=NOW_S, version=1)]).outcome is Outcome.IGNORED
    session.begin()
    assert session.receive([Ack(header=ELSEWHERE, incarnation=NOW_S, version=0)]).outcome is Outcome.IGNORED
    session.begin()
    assert session.receive([Ack(header=ELSEWHERE, incarnation=NOW_S - 1, version=1)]).outcome is Outcome.IGNORED
    session.begin()
    assert (
        session.receive([Resync(header=ELSEWHERE, incarnation=NOW_S, version=0, reason=Reason.EPOCH)]).outcome
        is Outcome.IGNORED
    )
    session.begin()
    assert session.receive([]).outcome is Outcome.IGNORED
    assert store.ledger.counts() == LedgerCounts(0, 1, 0, 0)


def test_a_shard_without_the_dictionary_gets_the_same_again() -> None:
    session = a_session(a_store("t0"))
    push = session.begin()
    synced = session.receive([Resync(header=ELSEWHERE, incarnation=0, version=0, reason=Reason.DICTIONARY)])
    assert (synced.outcome, synced.reason, synced.again) == (Outcome.RESENT, Reason.DICTIONARY, True)
    assert session.begin() == push


def test_a_damaged_note_is_made_again_from_the_ledger() -> None:
    store, shard = a_store("t0"), Shard(a_catalog())
    exchange(a_session(store), shard)
    store.set_note("sync shard-a", b"{damaged")
    tell(store, a_watch("t1"), day=DAY)
    session = a_session(store)
    while exchange(session, shard).again:
        pass
    assert +shard.state.sums == {("tv", NOW_S, (f"t{i}", 4, 900)): 1 for i in (0, 1)}


def test_a_pull_is_kept_once_and_named_in_the_next_push() -> None:
    store, shard = a_store(), Shard(a_catalog())
    session = a_session(store)
    artifact = Artifact(1, 2, b"x" * 16, 9)
    shard.pull = Pull(
        header=shard.header,
        pull_id=5,
        trending=(a_trend(1, None, 9), a_trend(2, None, 2), a_trend(3, 4, 6), a_trend(99, None, 6)),
        similar=(Similar(4, None, 3, 900, 0), Similar(5, None, 3, 900, 0)),
        removed=(5,),
        artifacts=(artifact,),
    )
    synced = exchange(session, shard)
    assert (synced.pulled, synced.artifacts) == (True, (artifact,))
    assert session.begin().known_pull == 5
    held = trends.read(store)
    assert [t.title for t in held.trending] == [1, 3, 99], "two households are not shown, whoever sends them"
    assert [t.title for t in held.similar] == [4]
    assert held.artifacts == (artifact,), "they are named once, and may be fetched later"
    shard.pull = msgspec.structs.replace(shard.pull, pull_id=6, trending=(), similar=())
    assert exchange(session, shard).pulled
    held = trends.read(store)
    assert (held.trending, [t.title for t in held.similar]) == ((), [4]), "the day's answer outlives a pull without one"
    shard.pull = msgspec.structs.replace(shard.pull, pull_id=7, header=ELSEWHERE)
    assert not exchange(session, shard).pulled


def test_what_the_others_enjoy_takes_the_place_of_the_operators_popularity() -> None:
    shipped = np.linspace(0, 0.1, 10, dtype=np.float32)
    trending = [Trend(1, None, 9, 1000, 16), Trend(3, 4, 6, 800, 8), Trend(3, 5, 3, 0, 40), Trend(99, None, 6, 900, 8)]
    similar = (Similar(4, None, 3, 600, 191), Similar(1, None, 3, 900, 100))
    others = heard(shipped, trends.Trends("shard-a", 1, tuple(trending), similar))
    assert others.households.tolist() == [0, 9, 0, 6, 3, 0, 0, 0, 0, 0]
    assert np.allclose(others.shares, [0, 3 / 24, 0, 1 / 24, 0, 0, 0, 0, 0, 0]), "2^(16/8) - 1, 2^(8/8) - 1, 20"
    assert np.allclose(others.nearness, [0, 0, 0, 0, 191 / 127.5 - 1, 0, 0, 0, 0, 0])
    assert np.flatnonzero(others.alike).tolist() == [4]
    mean = (9 * 1.0 + 6 * 0.8 + 3 * 0.6) / 18
    expected = {1: 5 * (1 - mean) * 9 / 14, 3: 5 * (0.8 - mean) * 6 / 11, 4: 5 * (0.6 - mean) * 3 / 8}
    assert np.allclose(others.quality, [expected.get(title, 0) for title in range(10)], atol=1e-6)
    before = heard(shipped, trends.Trends())
    assert before.shares is shipped
    assert not before.households.any()


def test_damaged_trends_are_nothing() -> None:
    store = a_store()
    store.set_note("others", b"[1")
    assert trends.read(store) == trends.Trends()


def test_what_a_restored_shard_lacks_goes_in_frames_that_can_be_made() -> None:
    """512 and 388 rows were two frames; together they would be more rows than a section holds."""
    titles = [a_title(f"t{i}") for i in range(900)]
    catalog, codec = Catalog.build(titles), WireCodec()
    store = MemoryDeviceStore(dimensions=DIMENSIONS)
    store.bind("s", CONTEXTS)
    shard = Shard(catalog)
    session = Session(
        store,
        catalog,
        "shard-a",
        space=SPACE,
        size_of=lambda push: len(codec.encode(push)),
        now_s=lambda: 1_800_000_000,
        random=Random(1),
    )

    def exchange() -> Synced:
        return session.receive(codec.decode(shard.answer("tv", codec.encode(session.begin()))))

    exchange()
    shard.back_up()
    for i, title in enumerate(titles):
        tell(store, a_watch(title.id, at=i, milli=i * 37 % 1001), day=DAY)
    while exchange().again:
        pass
    told = shard.state.sums.total()
    shard.restore(0)
    while exchange().again:
        pass
    assert shard.state.sums.total() == told == 900
