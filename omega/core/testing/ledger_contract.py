"""The promises of Ledger in `omega.core.ports` as tests; a DeviceStore's contract has them with its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from omega.core.records import Contribution, LedgerCounts, Selection, Shared
from omega.core.testing.watching import DAY, SHARD, a_title, a_vector, a_watch, tell
from omega.core.types import title_key
from omega.core.wire import Trial

if TYPE_CHECKING:
    from omega.core.ports import DeviceStore


class LedgerContract:
    """What every Ledger promises; whoever derives has a fixture `store`, an empty and bound DeviceStore."""

    def test_shares_one_sample_of_a_title_context_and_day(self, store: DeviceStore) -> None:
        tell(store, a_watch("t0", milli=300), a_watch("t0", at=5), day=DAY)
        tell(store, a_watch("t0", at=6, profile=2), a_watch("t0", at=7, slot=5, milli=20), day=DAY)
        tell(store, a_watch("t0", at=8, milli=32), day=DAY + 1)
        tell(store, a_watch("t1"))
        assert [event.shared for event in store.events()] == [True, False, False, True, True, False]
        assert store.ledger.assign(*SHARD, 1, 10) == [
            self.line(1, "t0", 4, DAY, 300),
            self.line(2, "t0", 5, DAY, 20),
            self.line(3, "t0", 4, DAY + 1, 32),
        ]

    def test_shares_the_taste_code_of_the_moment(self, store: DeviceStore) -> None:
        for at, code in enumerate((b"1" * 22, b"2" * 22), 1):
            store.record(a_watch("t0", at), a_title("t0"), a_vector("t0"), local=False, day=DAY, taste=code)
            store.record(a_watch("t1", at), a_title("t1"), a_vector("t1"), local=False, day=DAY + at, taste=code)
        bound = store.ledger.assign(*SHARD, 1, 10)
        assert [(row.day, row.taste) for row in bound] == [
            (DAY, b"1" * 22),
            (DAY + 1, b"1" * 22),
            (DAY + 2, b"2" * 22),
        ]
        store.ledger.acknowledge(*SHARD, 1)
        store.forget(Selection(content_id="t0"))
        [back] = store.ledger.assign(*SHARD, 2, 10)
        assert (back.retracts, back.taste) == (True, b"1" * 22)

    def test_never_shares_a_local_title_or_what_another_tv_shared(self, store: DeviceStore) -> None:
        tell(store, a_watch("mine"), day=DAY, local=True)
        tell(store, msgspec.structs.replace(a_watch("t0"), shared=True), day=DAY)
        assert store.ledger.counts() == LedgerCounts(0, 0, 0, 0)
        assert store.ledger.assign(*SHARD, 1, 10) == []
        assert [event.shared for event in store.events()] == [False, True]

    def test_a_correction_reaches_what_waits_and_not_what_left(self, store: DeviceStore) -> None:
        tell(store, a_watch("t0", milli=300), a_watch("t1", milli=300), day=DAY)
        assert [row.success_milli for row in store.ledger.assign(*SHARD, 1, 1)] == [300]
        tell(store, a_watch("t0", milli=800), a_watch("t1", milli=900), day=DAY)
        assert [row.success_milli for row in store.ledger.assign(*SHARD, 1, 1)] == [300]
        assert [row.success_milli for row in store.ledger.assign(*SHARD, 2, 1)] == [900]

    def test_a_version_always_has_the_same_rows(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(5)), day=DAY)
        first = store.ledger.assign(*SHARD, 1, 2)
        assert [row.id for row in first] == [1, 2]
        tell(store, a_watch("t9"), day=DAY)
        assert store.ledger.assign(*SHARD, 1, 2) == store.ledger.assign(*SHARD, 1, 9) == first
        assert [row.id for row in store.ledger.assign(*SHARD, 2, 9)] == [3, 4, 5, 6]
        assert store.ledger.assign("shard-b", 1, 3, 9) == []
        assert store.ledger.counts() == LedgerCounts(0, 6, 0, 0)
        store.ledger.acknowledge(*SHARD, 1)
        assert store.ledger.counts() == LedgerCounts(0, 4, 2, 0)
        store.ledger.acknowledge("shard-b", 1, 9)
        store.ledger.acknowledge(SHARD[0], 2, 9)
        assert store.ledger.counts() == LedgerCounts(0, 4, 2, 0)

    def test_forgetting_drops_what_waits_and_takes_back_what_left(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(4)), day=DAY)
        left = store.ledger.assign(*SHARD, 1, 2)
        store.ledger.acknowledge(*SHARD, 1)
        forgotten = [store.forget(Selection(content_id=f"t{i}")) for i in (0, 2)]
        assert [one.retractions for one in forgotten] == [1, 0]
        assert store.ledger.counts() == LedgerCounts(queued=1, unacknowledged=0, acknowledged=1, retractions=1)
        back, new = store.ledger.assign(*SHARD, 2, 9)
        assert back == msgspec.structs.replace(left[0], retracts=True)
        assert (new.title_key, new.retracts) == (title_key("t3"), False)
        assert store.ledger.assign(*SHARD, 2, 9) == [back, new]
        store.ledger.acknowledge(*SHARD, 2)
        assert store.ledger.counts() == LedgerCounts(0, 0, 2, 0)
        assert store.forget(Selection()).retractions == 2
        assert store.forget(Selection()).retractions == 0
        assert store.ledger.counts() == LedgerCounts(0, 0, 0, 2)

    def test_a_day_of_an_experiment_waits_once_and_travels_as_other_lines_do(self, store: DeviceStore) -> None:
        trial = Trial(2**32 - 1, 7, DAY, 255, 254, 1_440)
        assert store.ledger.try_out(trial)
        assert not store.ledger.try_out(msgspec.structs.replace(trial, watched=1, chosen=0, arm=0))
        assert store.ledger.try_out(msgspec.structs.replace(trial, day=DAY + 1))
        assert store.ledger.try_out(msgspec.structs.replace(trial, experiment=0))
        tell(store, a_watch("t0"), day=DAY)
        assert store.ledger.counts() == LedgerCounts(4, 0, 0, 0)
        rows = store.ledger.assign(*SHARD, 1, 9)
        assert [row.trial for row in rows] == [
            trial,
            msgspec.structs.replace(trial, day=DAY + 1),
            msgspec.structs.replace(trial, experiment=0),
            None,
        ]
        store.ledger.acknowledge(*SHARD, 1)
        assert store.ledger.counts() == LedgerCounts(0, 0, 4, 0)
        assert not store.ledger.try_out(trial)
        assert store.ledger.since(*SHARD, 0) == {1: rows}

    def test_what_is_forgotten_of_a_day_takes_its_trials_back(self, store: DeviceStore) -> None:
        days = {at: Trial(5, 0, DAY + at, 1, 0, 60) for at in range(-3, 4)}
        for trial in days.values():
            assert store.ledger.try_out(trial)
        store.ledger.assign(*SHARD, 1, 9)
        waiting = msgspec.structs.replace(days[0], experiment=6)
        assert store.ledger.try_out(waiting)
        tell(store, msgspec.structs.replace(a_watch("t0"), at=DAY * 86_400 + 43_200))
        assert store.forget(Selection(content_id="t0")).retractions == 3
        back = store.ledger.assign(*SHARD, 2, 9)
        assert [row.trial for row in back if row.retracts] == [days[-1], days[0], days[1]]
        assert len(back) == 3, "what waited is dropped"
        store.ledger.acknowledge(*SHARD, 2)
        assert not store.ledger.try_out(days[0]), "its line is there as long as a backup may lack the retraction"
        store.ledger.drop_before(*SHARD, 2)
        assert store.ledger.try_out(days[0])
        assert store.forget(Selection()).retractions == 4
        assert store.ledger.counts().queued == 0

    def test_retractions_come_before_anything_new(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(6)), day=DAY)
        store.ledger.assign(*SHARD, 1, 4)
        for i in range(3):
            store.forget(Selection(content_id=f"t{i}"))
        assert [(row.id, row.retracts) for row in store.ledger.assign(*SHARD, 2, 2)] == [(1, True), (2, True)]
        assert [(row.id, row.retracts) for row in store.ledger.assign(*SHARD, 3, 2)] == [(3, True), (5, False)]
        assert [(row.id, row.retracts) for row in store.ledger.assign(*SHARD, 4, 2)] == [(6, False)]

    def test_what_is_taken_back_stays_so(self, store: DeviceStore) -> None:
        tell(store, a_watch("t0"), a_watch("t1"), day=DAY)
        store.ledger.assign(*SHARD, 1, 9)
        store.forget(Selection(content_id="t0"))
        store.ledger.assign(*SHARD, 2, 9)
        store.ledger.acknowledge(*SHARD, 2)
        tell(store, a_watch("t0"), day=DAY)
        assert store.ledger.counts() == LedgerCounts(0, 0, 1, 0)
        assert store.forget(Selection(content_id="t0")).retractions == 0
        assert store.ledger.assign(*SHARD, 3, 9) == []

    def test_a_pruned_events_contribution_is_taken_back_with_its_title(self, store: DeviceStore) -> None:
        tell(store, *(a_watch("t0", at=i, milli=i + 100, slot=i) for i in range(6)), a_watch("t1"), day=DAY)
        store.ledger.assign(*SHARD, 1, 3)
        store.prune(0, 9)
        assert store.event_count() == 2
        assert store.forget(Selection(content_id="t0")).retractions == 3
        assert store.ledger.counts() == LedgerCounts(1, 0, 0, 3)

    def test_a_restored_shard_is_told_again(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(6)), day=DAY)
        versions = {version: store.ledger.assign(*SHARD, version, 2) for version in (3, 5)}
        store.ledger.acknowledge(*SHARD, 5)
        store.forget(Selection(content_id="t0"))
        versions[6] = store.ledger.assign(*SHARD, 6, 9)
        assert [row.retracts for row in versions[6]] == [True, False, False]
        assert store.ledger.since(*SHARD, 0) == versions
        assert store.ledger.since(*SHARD, 3) == {5: versions[5], 6: versions[6]}
        assert store.ledger.since(*SHARD, 6) == store.ledger.since("shard-b", 1, 0) == {}

    def test_names_what_waits_in_the_order_of_its_binding(self, store: DeviceStore) -> None:
        for day in (DAY, DAY + 2, DAY + 1):
            tell(store, a_watch("t0", at=day), a_watch("t1", at=day), day=day)
        assert [row.day - DAY for row in store.ledger.waiting(*SHARD, 9)] == [2, 2, 1, 1, 0, 0]
        first = store.ledger.waiting(*SHARD, 3)
        assert store.ledger.waiting(*SHARD, 9, fresh=False) == []
        assert store.ledger.assign(*SHARD, 1, 9, fresh=False) == []
        assert store.ledger.assign(*SHARD, 1, 3) == first
        store.forget(Selection(content_id="t1"))
        back = [msgspec.structs.replace(row, retracts=True) for row in first if row.title_key == title_key("t1")]
        assert store.ledger.waiting(*SHARD, 9)[:1] == store.ledger.waiting(*SHARD, 9, fresh=False) == back
        assert [row.retracts for row in store.ledger.waiting(*SHARD, 9)] == [True, False]
        assert store.ledger.waiting("shard-b", 1, 9, fresh=False) == []
        assert store.ledger.assign(*SHARD, 2, 9, fresh=False) == back

    def test_rounds_what_is_shared_to_a_byte(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{milli}", milli=milli) for milli in (0, 1, 2, 501, 502, 997, 998, 1000)), day=DAY)
        tell(store, a_watch("t0", milli=333), day=DAY)
        rows = store.ledger.assign(*SHARD, 1, 9)
        assert [row.success_milli for row in rows] == [332, 0, 0, 500, 504, 996, 1000, 1000]

    def test_lists_the_shards_and_what_is_owed_to_them(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(6)), day=DAY)
        assert store.ledger.shards() == []
        store.ledger.assign("shard-b", 3, 7, 2)
        store.ledger.assign(*SHARD, 2, 2)
        store.ledger.acknowledge(*SHARD, 2)
        assert store.ledger.shards() == [Shared("shard-a", 1, 2, owes=True), Shared("shard-b", 3, 7, owes=True)]
        store.ledger.drop_before(*SHARD, 2)
        assert store.ledger.shards()[0] == Shared("shard-a", 1, 2, owes=False)
        store.forget(Selection(content_id="t2"))
        assert store.ledger.shards()[0] == Shared("shard-a", 1, 2, owes=True)
        store.ledger.assign(*SHARD, 5, 9)
        store.ledger.acknowledge(*SHARD, 5)
        assert store.ledger.shards() == [Shared("shard-a", 1, 5, owes=True), Shared("shard-b", 3, 7, owes=True)]
        store.ledger.drop_before(*SHARD, 5)
        assert store.ledger.shards()[0].owes is False

    def test_carries_rows_over_to_another_incarnation(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(5)), day=DAY)
        rows = store.ledger.assign(*SHARD, 1, 2)
        store.ledger.carry(*SHARD, 8, told=False)
        assert store.ledger.since(*SHARD, 0) == {}
        assert store.ledger.since(SHARD[0], 8, 0) == {1: rows}
        assert store.ledger.counts() == LedgerCounts(queued=3, unacknowledged=2, acknowledged=0, retractions=0)

    def test_carries_rows_over_as_told(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(6)), day=DAY)
        store.ledger.assign(*SHARD, 1, 3)
        store.forget(Selection(content_id="t0"))
        store.ledger.assign(*SHARD, 2, 1)
        store.forget(Selection(content_id="t1"))
        store.ledger.carry(*SHARD, 8, told=True)
        assert store.ledger.counts() == LedgerCounts(queued=0, unacknowledged=0, acknowledged=4, retractions=1)
        assert store.ledger.since(SHARD[0], 8, 0) == {}
        assert store.ledger.shards() == [Shared(SHARD[0], 8, 0, owes=True)]
        back = store.ledger.assign(SHARD[0], 8, 1, 9)
        assert [(row.title_key, row.retracts) for row in back] == [(title_key("t1"), True)]
        store.ledger.acknowledge(SHARD[0], 8, 1)
        assert store.forget(Selection()).retractions == 4

    def test_lets_go_of_what_no_backup_lacks(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(6)), day=DAY)
        for version in (1, 2):
            store.ledger.assign(*SHARD, version, 2)
        store.ledger.acknowledge(*SHARD, 1)
        store.ledger.drop_before(*SHARD, 2)  # the second is not acknowledged
        assert store.ledger.counts() == LedgerCounts(2, 2, 2, 0)
        assert list(store.ledger.since(*SHARD, 0)) == [2]
        store.forget(Selection(content_id="t2"))
        store.ledger.assign(*SHARD, 3, 9)
        store.ledger.acknowledge(*SHARD, 3)
        store.ledger.drop_before(*SHARD, 2)
        assert [row.title_key for row in store.ledger.since(*SHARD, 0)[3] if row.retracts] == [title_key("t2")]
        assert len(store.ledger.since(*SHARD, 0)[3]) == 3
        store.ledger.drop_before(*SHARD, 3)
        assert store.ledger.since(*SHARD, 0) == {}
        assert store.ledger.counts() == LedgerCounts(0, 0, 5, 0)

    def test_what_is_settled_can_still_be_taken_back(self, store: DeviceStore) -> None:
        tell(store, a_watch("t0"), a_watch("t1"), day=DAY)
        rows = store.ledger.assign(*SHARD, 1, 9)
        store.ledger.acknowledge(*SHARD, 1)
        store.ledger.drop_before(*SHARD, 1)
        assert store.ledger.since(*SHARD, 0) == {}
        tell(store, a_watch("t0", at=99), day=DAY)
        assert store.ledger.counts() == LedgerCounts(0, 0, 2, 0)
        assert store.forget(Selection(content_id="t0")).retractions == 1
        back = [msgspec.structs.replace(rows[0], retracts=True)]
        assert store.ledger.assign(*SHARD, 2, 9) == back
        assert store.ledger.since(*SHARD, 0) == {2: back}

    @staticmethod
    def line(row_id: int, content_id: str, slot: int, day: int, milli: int) -> Contribution:
        """Return a row that is to be shared."""
        return Contribution(row_id, title_key(content_id), slot, day, milli, b"")
