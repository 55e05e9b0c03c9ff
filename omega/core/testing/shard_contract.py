"""The promises of ShardStore in `omega.core.ports` as tests: derive a class Test*, say how to make one.

class TestMyStore(ShardStoreContract):
    def make(self, tmp_path, *, max_devices=100, backup_days=7):
        return MyStore.open(tmp_path / "store", max_devices=max_devices, backup_days=backup_days)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from random import Random
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.errors import DeniedError, InputError, StoreError
from omega.core.identity.admission import Candidate
from omega.core.identity.vouchers import Maker, code_digest, new_code
from omega.core.shard_records import (
    ALL_SLOTS,
    AUDIENCE_HALF_LIFE_DAYS,
    BUCKET_DAYS,
    DAY_S,
    DEVICE_ID_BYTES,
    FOR_GOOD,
    HALF_LIVES_DAYS,
    MAX_TAGS,
    RANKED_BY,
    TAG_RANGE,
    TASTE_BYTES,
    TASTE_NUMBERS,
    TRIAL_DAYS,
    Aggregate,
    DeviceRow,
    Figures,
    Move,
    PlainMoves,
    Sample,
    Standing,
    Tick,
    TrialSums,
    Verdict,
    unknown_title,
)
from omega.core.wire import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from omega.core.ports import Floats, ShardStore

TODAY = 20_000
NOW = TODAY * DAY_S + 77
TASTE = bytes([0x9A]) + bytes([0x88]) * (TASTE_BYTES - 1)
"""2, 1 and 42 zeros."""


def an_id(slot: int) -> bytes:
    """Return the id of the device that enrols under this number."""
    return slot.to_bytes(4, "big") * (DEVICE_ID_BYTES // 4)


def a_tag(household: int, title: int = 0) -> int:
    """Return the tag of a household and title: well spread, none twice."""
    return (household * 2_654_435_761 + title * 40_503 + 12_345) % TAG_RANGE


def a_sample(
    title: int = 7, slot: int = 4, milli: int = 900, *, by: int = 0, day: int = TODAY, taste: bytes = b""
) -> Sample:
    """Return a sample of household `by`."""
    return Sample(title, slot, day, milli, a_tag(by, title), taste)


def a_move(slot: int, version: int, *given: Sample, base: int | None = None, incarnation: int = 1) -> Move:
    """Return the move of a device to `version`, from the one before."""
    return Move(slot, incarnation, version - 1 if base is None else base, version, given)


def told(store: ShardStore, *moves: Move, day: int = TODAY) -> list[Standing]:
    """Commit the moves in one tick."""
    return store.commit(Tick(day, moves))


def plain_of(moves: Sequence[Move]) -> PlainMoves:
    """Return moves of different devices, which only contribute, as columns."""
    heads = [(move.slot, move.incarnation, move.base, move.version, len(move.contributed)) for move in moves]
    rows = [(of.title, of.slot, of.day, of.success_milli, of.tag) for move in moves for of in move.contributed]
    tastes = [of.taste for move in moves for of in move.contributed]
    taste = np.frombuffer(b"".join(code or bytes(TASTE_BYTES) for code in tastes), np.uint8).reshape(-1, TASTE_BYTES)
    slot, incarnation, base, version, count = np.asarray(heads, np.int64).reshape(-1, 5).T
    title, context, day, success, tag = np.asarray(rows, np.int64).reshape(-1, 5).T
    heard = np.asarray([bool(code) for code in tastes], bool)
    return PlainMoves(
        *(slot, incarnation, base, version, count), *(title, context, day, success, tag), taste=taste, heard=heard
    )


def row_of(store: ShardStore, title: int = 7, slot: int = 4) -> Aggregate:
    """Return the row of a title in a context."""
    [row] = [row for row in store.aggregates() if (row.title, row.slot) == (title, slot)]
    return row


def sums_of(store: ShardStore) -> dict[tuple[int, int], tuple[int, int, int]]:
    """Return samples, success and households of all rows with any."""
    rows = [(row.title, row.slot, row.now) for row in store.aggregates()]
    return {(title, slot): (now.samples, now.success_milli, now.households) for title, slot, now in rows if now.samples}


def visits(store: ShardStore, households: Sequence[int], title: int = 7, milli: int = 900, day: int = TODAY) -> None:
    """Let each household, which is a device too, contribute one more sample of a title."""
    for household in households:
        row = store.device(household)
        assert row
        sample = a_sample(title, milli=milli, by=household, day=day)
        [standing] = told(store, a_move(household, row.version + 1, sample), day=day)
        assert standing.verdict is Verdict.ACCEPTED
        store.aggregates()  # else the store may add several ticks up as one


def a_taste(at: int) -> Floats:
    """Return one of 17 tastes, -8..8, the nearer to each other the nearer their numbers are."""
    angle = at * math.pi / 20
    taste = np.zeros(TASTE_NUMBERS, np.float32)
    taste[3], taste[40] = math.cos(angle), math.sin(angle)
    return taste


def code(at: int) -> bytes:
    """Return the taste code of one of them."""
    nibbles = np.clip(np.rint(7 * a_taste(at)) + 8, 0, 15).astype(np.uint8)
    return bytes((nibbles[::2] | nibbles[1::2] << 4).tolist())


def hear(
    store: ShardStore, households: Sequence[int], title: int, at: int, *, milli: int = 1000, times: int = 1
) -> None:
    """Let each household, which is a device too, contribute samples of a title with a taste."""
    for household in [*households] * times:
        row = store.device(household)
        assert row
        sample = a_sample(title, milli=milli, by=household, taste=code(at))
        told(store, a_move(household, row.version + 1, sample))
        store.aggregates()  # else the store may add several ticks up as one


class ShardStoreContract(ABC):
    """What every ShardStore promises."""

    @abstractmethod
    def make(self, tmp_path: Path, *, max_devices: int = 100, backup_days: int = 7) -> ShardStore:
        """Open the store under `tmp_path`."""

    @pytest.fixture
    def empty(self, tmp_path: Path) -> Iterator[ShardStore]:
        """A store that nobody enrolled at."""
        store = self.make(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def store(self, empty: ShardStore) -> ShardStore:
        """A store with 50 devices."""
        assert empty.enrol([an_id(slot) for slot in range(50)], NOW) == list(range(50))
        return empty

    # --- experiments ---

    def test_trials_add_up_by_arm_and_day_and_are_taken_back(self, store: ShardStore) -> None:
        given = Trial(77, 1, TODAY, 3, 2, 120), Trial(77, 1, TODAY - 1, 0, 0, 0)
        other = Trial(77, 1, TODAY, 5, 0, 10)
        first, second = Move(0, 1, 0, 1, trials=given), Move(1, 1, 0, 1, trials=(other,))
        assert {standing.verdict for standing in told(store, first, second)} == {Verdict.ACCEPTED}
        both = TrialSums(77, 1, TODAY, 2, 8, 2, 130, 34, 4, 14_500)
        idle = TrialSums(77, 1, TODAY - 1, 1, 0, 0, 0, 0, 0, 0)
        assert store.trials() == [idle, both]
        [again] = told(store, first)
        assert (again.verdict, store.trials()) == (Verdict.DUPLICATE, [idle, both]), "counted once"
        [taken] = told(store, Move(0, 1, 1, 2, trials_retracted=given))
        assert (taken.verdict, taken.refused) == (Verdict.ACCEPTED, 0)
        assert store.trials() == [TrialSums(77, 1, TODAY, 1, 5, 0, 10, 25, 0, 100)]
        row = store.device(0)
        assert row
        assert (row.contributed, row.retracted) == (2, 2)
        [refused] = told(store, Move(0, 1, 2, 3, trials_retracted=(other,)))
        assert (refused.refused, store.trials()[0].households) == (1, 1), "nobody takes more than it gave"

    def test_samples_and_trials_share_what_may_be_taken_back(self, store: ShardStore) -> None:
        sample, trial = a_sample(), Trial(5, 0, TODAY, 1, 1, 60)
        told(store, Move(0, 1, 0, 1, (sample,), trials=(trial,)), Move(1, 1, 0, 1, (a_sample(by=1),), trials=(trial,)))
        twice = Move(0, 1, 1, 2, retracted=(sample,), trials_retracted=(trial, trial))
        [standing] = told(store, twice)
        assert standing.refused == 1
        assert [(one.households, one.minutes_squares) for one in store.trials()] == [(1, 3_600)]
        assert sums_of(store)[7, 4] == (1, 900, 1)

    def test_trials_of_one_tick_add_up_like_those_of_many(self, tmp_path: Path) -> None:
        random, moves = Random(4), list[Move]()  # noqa: S311  (samples)
        for slot in range(40):
            keys = random.sample([(one, arm, day) for one in (3, 2**32 - 1) for arm in (0, 7) for day in range(4)], 5)
            values = [(random.randrange(9), random.randrange(3), random.randrange(1_441)) for _ in keys]
            told_of = [
                Trial(one, arm, TODAY - day, most + less, less, minutes)
                for (one, arm, day), (most, less, minutes) in zip(keys, values, strict=True)
            ]
            moves.append(Move(slot, 1, 0, 1, trials=tuple(told_of)))
            moves.append(Move(slot, 1, 1, 2, trials_retracted=tuple(told_of[:2])))
        counts: dict[tuple[int, int, int], list[int]] = {}
        for move in moves:
            for sign, trials in ((1, move.trials), (-1, move.trials_retracted)):
                for trial in trials:
                    sums = counts.setdefault((trial.experiment, trial.day, trial.arm), [0] * 7)
                    values_of = trial.watched, trial.chosen, trial.minutes
                    for at, value in enumerate((1, *values_of, *(value * value for value in values_of))):
                        sums[at] += sign * value
        expected = [TrialSums(one, arm, day, *sums) for (one, day, arm), sums in sorted(counts.items()) if sums[0]]
        for folder, ticks in (("one", [moves]), ("many", [[move] for move in moves])):
            (tmp_path / folder).mkdir()
            store = self.make(tmp_path / folder)
            store.enrol([an_id(slot) for slot in range(40)], NOW)
            for tick in ticks:
                told(store, *tick)
            assert store.trials() == expected
            store.close()

    def test_trials_of_days_out_of_bounds_count_nothing_and_old_ones_go(self, store: ShardStore) -> None:
        days = TODAY - BUCKET_DAYS, TODAY - BUCKET_DAYS + 1, TODAY + 1, TODAY + 2
        told(store, Move(0, 1, 0, 1, trials=tuple(Trial(5, 0, day, 1, 0, 0) for day in days)))
        assert [one.day for one in store.trials()] == [days[1], days[2]]
        told(store, Move(0, 1, 1, 2, trials_retracted=(Trial(5, 0, days[0], 1, 0, 0), Trial(6, 0, TODAY, 1, 0, 0))))
        assert [one.day for one in store.trials()] == [days[1], days[2]], "what no row holds is not taken"
        told(store, a_move(0, 3), day=TODAY + TRIAL_DAYS)
        assert [one.day for one in store.trials()] == [days[2]]

    # --- devices ---

    def test_is_empty_at_first(self, empty: ShardStore) -> None:
        assert empty.device_count() == 0
        assert empty.device(0) is None
        assert [empty.aggregates(), empty.trending(9, 99), empty.successful(9, 0), empty.hidden(0)] == [[]] * 4
        assert len(empty.counts_from()) == 0
        assert empty.buckets(7, 4) == {}
        assert empty.audiences([7]).tolist() == [[0.0] * (1 + TASTE_NUMBERS)]
        assert empty.audiences([]).shape == (0, 1 + TASTE_NUMBERS)
        assert told(empty) == []

    def test_numbers_devices_without_gaps_and_knows_them_again(self, empty: ShardStore) -> None:
        assert empty.enrol([an_id(5), an_id(6)], NOW) == [0, 1]
        assert empty.enrol([an_id(7), an_id(5), an_id(7)], NOW + 1) == [2, 0, 2]
        assert empty.device_count() == 3
        assert empty.device(0) == DeviceRow(0, an_id(5), NOW, seen_day=TODAY, mark_day=TODAY)
        with pytest.raises(InputError):
            empty.enrol([an_id(8), b"short"], NOW)
        assert empty.device_count() == 3

    def test_takes_no_more_devices_than_it_may(self, tmp_path: Path) -> None:
        store = self.make(tmp_path, max_devices=2)
        assert store.enrol([an_id(0), an_id(1), an_id(2), an_id(0)], NOW) == [0, 1, None, 0]
        assert store.device_count() == 2
        store.close()

    def test_shuts_out_who_was_revoked(self, store: ShardStore) -> None:
        assert store.revoke(an_id(3))
        assert not store.revoke(an_id(77))
        assert store.enrol([an_id(3), an_id(4)], NOW + 9) == [None, 4]
        assert store.counts_from()[2:5].tolist() == [NOW, FOR_GOOD, NOW]
        assert store.counts_from(first=3).tolist() == [FOR_GOOD] + [NOW] * 46
        assert store.counts_from(first=50).tolist() == []
        assert [s.verdict for s in told(store, a_move(3, 1, a_sample()))] == [Verdict.STRANGER]
        assert sums_of(store) == {}

    def test_finds_a_device_by_its_id_also_once_it_was_shut_out(self, store: ShardStore) -> None:
        assert (store.find(an_id(4)), store.find(an_id(9_999))) == (store.device(4), None)
        store.revoke(an_id(4))
        found = store.find(an_id(4))
        assert found == store.device(4)
        assert found is not None
        assert found.revoked

    def test_knows_who_was_shut_out(self, store: ShardStore) -> None:
        assert store.revoked() == []
        for slot in (31, 4):
            assert store.revoke(an_id(slot))
        assert store.revoked() == [4, 31]
        with pytest.raises(DeniedError):
            store.admit(Candidate(an_id(4), everybody=True), NOW)

    def test_admits_whom_it_knows_and_nobody_unvouched(self, store: ShardStore) -> None:
        assert store.admit(Candidate(an_id(4)), NOW + 5) == (4, NOW)
        with pytest.raises(DeniedError):
            store.admit(Candidate(an_id(50)), NOW)
        assert store.admit(Candidate(an_id(50), everybody=True), NOW + 7) == (50, NOW + 7)
        assert store.counts_from()[[4, 50]].tolist() == [NOW, NOW + 7]
        assert store.device_count() == 51

    def test_a_code_admits_as_many_as_it_has_uses_until_it_ends(self, store: ShardStore) -> None:
        text, code = new_code(NOW, uses=2, lifetime_s=100)
        store.add_code(code, NOW)
        by_code = [Candidate(an_id(slot), code=code_digest(text)) for slot in range(50, 54)]
        with pytest.raises(DeniedError):
            store.admit(by_code[0], NOW + 100)
        with pytest.raises(DeniedError):
            store.admit(Candidate(an_id(50), code=code_digest("0000-0000-0000-0000")), NOW)
        assert [store.admit(one, NOW + 99) for one in (*by_code[:2], by_code[0])] == [
            (n, NOW + 99) for n in (50, 51, 50)
        ]
        with pytest.raises(DeniedError):
            store.admit(by_code[2], NOW)
        more, another = new_code(NOW, uses=1, lifetime_s=9)
        store.add_code(another, NOW)
        assert store.admit(Candidate(an_id(53), code=code_digest(more)), NOW) == (52, NOW)

    def test_a_maker_admits_up_to_its_quota(self, store: ShardStore) -> None:
        acme, other = (Maker(name, bytes([at]) * 32, quota=2) for at, name in enumerate(("Acme", "Other")))
        assert [store.admit(Candidate(an_id(n), acme), NOW) for n in (50, 51, 50)] == [(n, NOW) for n in (50, 51, 50)]
        with pytest.raises(DeniedError):
            store.admit(Candidate(an_id(52), acme), NOW)
        text, code = new_code(NOW, uses=1, lifetime_s=9)
        store.add_code(code, NOW)
        by_both = Candidate(an_id(52), acme, code_digest(text))
        assert store.admit(by_both, NOW) == (52, NOW), "what the quota lacks, a code has"
        assert store.admit(Candidate(an_id(53), other), NOW) == (53, NOW)

    def test_who_finds_no_room_spends_nothing(self, tmp_path: Path) -> None:
        store = self.make(tmp_path, max_devices=1)
        text, code = new_code(NOW, uses=1, lifetime_s=9)
        store.add_code(code, NOW)
        store.enrol([an_id(0)], NOW)
        by_code = Candidate(an_id(1), code=code_digest(text))
        assert store.admit(by_code, NOW) is None
        assert store.admit(by_code, NOW) is None
        store.close()

    def test_belongs_to_one_shard_and_one_tag_key(self, empty: ShardStore) -> None:
        empty.bind(3, b"mark")
        empty.bind(3, b"mark")
        for wrong in ((4, b"mark"), (3, b"mork")):
            with pytest.raises(StoreError):
                empty.bind(*wrong)

    def test_a_household_is_heard_in_its_order_across_contexts(self, store: ShardStore) -> None:
        told(store, a_move(5, 1, a_sample(slot=1)))
        told(store, Move(5, 1, 1, 2, (a_sample(slot=4),), (a_sample(slot=1),)))
        assert row_of(store, slot=ALL_SLOTS).now.households == 0, "it gave first, and then took back"
        told(store, a_move(5, 3, a_sample(slot=6)))
        assert row_of(store, slot=ALL_SLOTS).now.households == 1

    def test_knows_a_stranger(self, store: ShardStore) -> None:
        assert told(store, a_move(99, 1, a_sample())) == [Standing(Verdict.STRANGER)]
        assert sums_of(store) == {}

    # --- exactly once ---

    def test_adds_up_by_title_and_context(self, store: ShardStore) -> None:
        mine = a_sample(7, 4, 900, by=1), a_sample(7, 5, 100, by=1), a_sample(8, 4, 1000, by=1)
        first, second = told(store, a_move(1, 1, *mine), a_move(2, 1, a_sample(7, 4, 800, by=2)))
        assert first == second == Standing(Verdict.ACCEPTED, 1, 1)
        assert sums_of(store) == {
            (7, 4): (2, 1700, 2),
            (7, 5): (1, 100, 1),
            (7, ALL_SLOTS): (3, 1800, 2),
            (8, 4): (1, 1000, 1),
            (8, ALL_SLOTS): (1, 1000, 1),
        }
        assert store.device(1) == DeviceRow(1, an_id(1), NOW, 1, 1, TODAY, contributed=3, mark_day=TODAY)

    def test_a_repeat_changes_nothing(self, store: ShardStore) -> None:
        move = a_move(1, 1, a_sample())
        assert [s.verdict for s in told(store, move, move)] == [Verdict.ACCEPTED, Verdict.DUPLICATE]
        assert told(store, move) == [Standing(Verdict.DUPLICATE, 1, 1)]
        assert sums_of(store)[7, 4] == (1, 900, 1)
        assert store.device(1) == DeviceRow(1, an_id(1), NOW, 1, 1, TODAY, contributed=1, mark_day=TODAY)

    def test_moves_of_one_device_in_one_tick_are_judged_in_order(self, store: ShardStore) -> None:
        moves = a_move(1, 2, a_sample()), a_move(1, 1, a_sample()), a_move(1, 2, a_sample()), a_move(1, 1, a_sample())
        verdicts = [(s.verdict, s.version) for s in told(store, *moves)]
        accepted, gap, behind = Verdict.ACCEPTED, Verdict.GAP, Verdict.BEHIND
        assert verdicts == [(gap, 0), (accepted, 1), (accepted, 2), (behind, 2)]
        assert sums_of(store)[7, 4] == (2, 1800, 1)

    @pytest.mark.parametrize(
        ("incarnation", "base", "version", "expected"),
        [
            (5, 3, 4, Standing(Verdict.ACCEPTED, 5, 4)),
            (5, 3, 9, Standing(Verdict.ACCEPTED, 5, 9)),
            (5, 3, 3, Standing(Verdict.DUPLICATE, 5, 3)),
            (5, 2, 3, Standing(Verdict.DUPLICATE, 5, 3)),
            (5, 1, 2, Standing(Verdict.BEHIND, 5, 3)),
            (5, 4, 5, Standing(Verdict.GAP, 5, 3)),
            (5, 2, 4, Standing(Verdict.GAP, 5, 3)),
            (6, 0, 1, Standing(Verdict.ACCEPTED, 6, 1)),
            (6, 0, 0, Standing(Verdict.ACCEPTED, 6, 0)),
            (6, 3, 4, Standing(Verdict.GAP, 6, 0)),
            (4, 0, 1, Standing(Verdict.STALE, 5, 3)),
            (4, 3, 4, Standing(Verdict.STALE, 5, 3)),
        ],
    )
    def test_judges_by_incarnation_and_base(
        self, store: ShardStore, incarnation: int, base: int, version: int, expected: Standing
    ) -> None:
        told(store, a_move(1, 3, a_sample(), base=0, incarnation=5))
        before = store.device(1)
        given = () if base == version else (a_sample(8),)
        assert told(store, a_move(1, version, *given, base=base, incarnation=incarnation)) == [expected]
        counted = expected.verdict is Verdict.ACCEPTED
        assert ((8, 4) in sums_of(store)) == (counted and bool(given))
        assert (store.device(1) == before) == (not counted)

    def test_plain_moves_are_judged_and_counted_as_if_they_came_one_by_one(self, tmp_path: Path) -> None:
        (tmp_path / "plain").mkdir()
        at_once, singly = (self.make(folder, max_devices=40) for folder in (tmp_path / "plain", tmp_path))
        drawn, verdicts = Random(3), set[Verdict]()  # noqa: S311  (samples)
        for store in (at_once, singly):
            store.enrol([an_id(slot) for slot in range(30)], NOW)
            store.revoke(an_id(29))
        for day in range(TODAY, TODAY + 24):
            ticks = [self._drawn(singly, drawn, slots, day) for slots in (range(10), range(10, 33))]
            found = at_once.commit(Tick(day, ticks[0], plain_of(ticks[1])))
            assert found == singly.commit(Tick(day, [*ticks[0], *ticks[1]]))
            verdicts.update(standing.verdict for standing in found[10:])
            assert at_once.aggregates() == singly.aggregates()
        assert verdicts == set(Verdict)
        assert [at_once.device(slot) for slot in range(33)] == [singly.device(slot) for slot in range(33)]
        assert np.array_equal(at_once.audiences(range(6)), singly.audiences(range(6)))
        assert np.allclose(at_once.moments(day), singly.moments(day))
        for store in (at_once, singly):
            store.close()

    def _drawn(self, store: ShardStore, drawn: Random, slots: range, day: int) -> list[Move]:
        """Return a move of each device, mostly from where it stands."""
        moves = []
        for slot in slots:
            row = store.device(slot)
            incarnation, version = (row.incarnation, row.version) if row else (0, 0)
            incarnation += drawn.choice((0, 0, 0, 0, 0, 0, 1, -1)) if incarnation else 1
            base = max(version + drawn.choice((0, 0, 0, 0, 0, 0, 1, -1, -2)), 0)
            keys = {(drawn.randrange(-2, 6), drawn.randrange(8)) for _ in range(drawn.randrange(4))}
            taste = drawn.choice((b"", code(drawn.randrange(17))))
            given = tuple(
                Sample(title, slot_, day - drawn.randrange(3), 900, a_tag(slot, title), taste) for title, slot_ in keys
            )
            moves.append(Move(slot, incarnation, base, base + 1, given))
        return moves

    def test_a_new_incarnation_keeps_what_was_counted(self, store: ShardStore) -> None:
        told(store, a_move(1, 3, a_sample(), base=0, incarnation=5))
        told(store, a_move(1, 1, a_sample(8), incarnation=9))
        assert store.device(1) == DeviceRow(1, an_id(1), NOW, 9, 1, TODAY, contributed=2, mark_day=TODAY)
        assert sums_of(store)[7, 4] == sums_of(store)[8, 4] == (1, 900, 1)

    def test_the_horizon_follows_once_no_backup_is_older(self, tmp_path: Path) -> None:
        store = self.make(tmp_path, backup_days=7)
        store.enrol([an_id(0)], NOW)
        horizons = []
        for version, after in enumerate((0, 1, 6, 7, 8, 13, 14, 30, 31), 1):
            [standing] = told(store, a_move(0, version), day=TODAY + after)
            horizons.append(standing.horizon)
        assert horizons == [0, 0, 0, 0, 0, 0, 3, 6, 6]
        for after, horizon in ((60, 7), (66, 7), (67, 9)):  # a device that only asks is told as well
            [repeated] = told(store, a_move(0, 9), day=TODAY + after)
            assert (repeated.verdict, repeated.horizon) == (Verdict.DUPLICATE, horizon)
        [new] = told(store, a_move(0, 1, incarnation=2), day=TODAY + 60)
        assert new.horizon == 0
        store.close()

    @pytest.mark.parametrize("seed", range(5))
    def test_no_backup_that_may_be_restored_is_older_than_the_horizon(self, tmp_path: Path, seed: int) -> None:
        store, random = self.make(tmp_path, backup_days=3), Random(seed)  # noqa: S311
        store.enrol([an_id(0)], TODAY * DAY_S)
        backups: list[tuple[int, int]] = []
        version, horizons = 0, []
        for day in range(TODAY, TODAY + 40):
            for _ in range(random.randrange(5)):
                version += 1
                [standing] = told(store, a_move(0, version), day=day)
                horizons.append(standing.horizon)
                assert all(standing.horizon <= held for made, held in backups if day - made < 3)
                if random.random() < 0.5:
                    backups.append((day, version))
        assert horizons == sorted(horizons)
        assert horizons[-1] > version / 2
        store.close()

    def test_remembers_the_day_of_any_visit(self, store: ShardStore) -> None:
        told(store, a_move(1, 0, base=0), day=TODAY + 3)
        told(store, a_move(2, 9, base=8), day=TODAY + 4)
        told(store, a_move(1, 0, base=0), day=TODAY + 2)
        assert [row and row.seen_day for row in (store.device(1), store.device(2))] == [TODAY + 3, TODAY + 4]

    # --- retractions ---

    def test_a_retraction_takes_back(self, store: ShardStore) -> None:
        taken = a_sample(7, 4, 900, by=1)
        told(store, a_move(1, 1, taken, a_sample(7, 5, 100, by=1)), a_move(2, 1, a_sample(7, 4, 300, by=2)))
        back = msgspec.structs.replace(a_move(1, 2), retracted=(taken,))
        assert told(store, back) == [Standing(Verdict.ACCEPTED, 1, 2)]
        assert sums_of(store) == {(7, 4): (1, 300, 1), (7, 5): (1, 100, 1), (7, ALL_SLOTS): (2, 400, 1)}
        assert store.buckets(7, 4) == {TODAY: (1, 300)}
        row = store.device(1)
        assert row
        assert (row.contributed, row.retracted) == (2, 1)

    def test_takes_back_no_more_than_was_given(self, store: ShardStore) -> None:
        told(store, *(a_move(household, 1, a_sample(by=household)) for household in range(2, 5)))
        greedy = msgspec.structs.replace(a_move(1, 1, a_sample(8, by=1)), retracted=(a_sample(by=1),) * 3)
        assert told(store, greedy) == [Standing(Verdict.ACCEPTED, 1, 1, refused=2)]
        assert sums_of(store)[7, 4] == (2, 1800, 3)
        again = msgspec.structs.replace(a_move(1, 2), retracted=(a_sample(by=1),))
        assert told(store, again) == [Standing(Verdict.ACCEPTED, 1, 2, refused=1)]
        assert sums_of(store)[7, 4] == (2, 1800, 3)

    def test_no_sum_leaves_its_bounds(self, store: ShardStore) -> None:
        told(store, a_move(1, 1, *(a_sample(8, milli=0, by=1) for _ in range(5))), a_move(2, 1, a_sample(by=2)))
        lies = tuple(a_sample(7, milli=0, by=1) for _ in range(3))
        told(store, msgspec.structs.replace(a_move(1, 2), retracted=lies))
        now = row_of(store).now
        assert (now.samples, now.success_milli, now.trends) == (0, 0, (0.0,) * len(HALF_LIVES_DAYS))
        told(store, a_move(2, 2, a_sample(by=2, milli=500)))
        assert sums_of(store)[7, 4][:2] == (1, 500)

    # --- households ---

    def test_a_repeat_adds_no_household(self, store: ShardStore) -> None:
        for day in range(4):
            for household in range(MAX_TAGS):
                visits(store, [household], day=TODAY + day)
        assert sums_of(store)[7, 4] == (4 * MAX_TAGS, 900 * 4 * MAX_TAGS, MAX_TAGS)
        before = None
        for day in range(4, 7):
            visits(store, range(40), day=TODAY + day)
            households = row_of(store).now.households
            assert before in (None, households)
            assert 16 <= households <= 100
            before = households

    def test_a_household_counts_once_in_all_contexts(self, store: ShardStore) -> None:
        told(store, a_move(1, 1, *(a_sample(slot=slot, by=1) for slot in range(8))))
        assert sums_of(store)[7, ALL_SLOTS] == (8, 7200, 1)

    # --- what may be shown ---

    @pytest.mark.parametrize(
        ("households", "shown"), [(1, None), (2, None), (3, 3), (4, 3), (5, 3), (6, 6), (8, 6), (9, 9)]
    )
    def test_shows_from_three_households_on_and_changes_after_three_more(
        self, store: ShardStore, households: int, shown: int | None
    ) -> None:
        visits(store, range(households), milli=1000)
        for slot in (4, ALL_SLOTS):
            figures = row_of(store, slot=slot).shown
            if shown is None or figures is None:
                assert (shown, figures) == (None, None)
            elif households < 9:  # beyond 8 it is an estimate
                assert (figures.households, figures.samples, figures.success_milli) == (shown, shown, 1000 * shown)
        assert len(store.trending(9, 99)) == len(store.successful(9, 0.79)) == (shown is not None)

    def test_more_samples_of_the_same_households_show_nothing_new(self, store: ShardStore) -> None:
        visits(store, range(3))
        before = row_of(store).shown
        for day in range(1, 5):
            visits(store, range(5), milli=100, day=TODAY + day)
        assert row_of(store).shown == before
        visits(store, [5], milli=100, day=TODAY + 5)
        after = row_of(store).shown
        assert after
        assert (after.households, after.samples, after.success_milli) == (6, 24, 3 * 900 + 21 * 100)

    def test_what_is_counted_by_estimate_changes_with_any_three_households(self, store: ShardStore) -> None:
        visits(store, range(40))
        first = row_of(store).shown
        for household in range(3):  # some came after it was shown last
            visits(store, [household], day=TODAY + 1)
            if (before := row_of(store).shown) != first:
                break
        assert before
        assert before != first
        for household in (13, 11, 13, 11):
            visits(store, [household], day=TODAY + 2)
        assert row_of(store).shown == before, "two households"
        visits(store, [30], day=TODAY + 2)
        after = row_of(store).shown
        assert after
        assert (after.samples, after.day) == (before.samples + 5, TODAY + 2)
        assert after.households == before.households, "who comes again is counted already"

    def test_a_change_too_small_to_be_told_waits_for_the_next_day(self, store: ShardStore) -> None:
        for day in range(4):
            visits(store, range(40), day=TODAY + day)
        before = row_of(store).shown
        assert before
        assert before.day == TODAY + 3
        assert row_of(store).now.samples - before.samples < row_of(store).now.trends[RANKED_BY] / 16 + 1
        visits(store, range(3), day=TODAY + 4)
        after = row_of(store).shown
        assert after
        assert after.day == TODAY + 4

    def test_hides_what_loses_its_households(self, store: ShardStore) -> None:
        visits(store, range(3))
        assert [row.title for row in store.trending(9, 99)] == [7]
        back = msgspec.structs.replace(a_move(1, 2), retracted=(a_sample(by=1),))
        told(store, back, day=TODAY + 1)
        assert row_of(store).shown is None
        assert store.trending(9, 99) == store.successful(9, 0) == []
        assert store.hidden(TODAY + 1) == [7]
        assert store.hidden(TODAY + 2) == []
        visits(store, [9, 10], day=TODAY + 2)
        assert store.trending(9, 99) == [], "one that comes and goes would have the others' figures told each time"
        visits(store, [11], day=TODAY + 2)
        assert [row.figures.households for row in store.trending(9, 99)] == [5]
        assert store.hidden(TODAY) == []

    def test_tells_no_more_of_a_trend_than_its_households_can_watch(self, store: ShardStore) -> None:
        visits(store, range(2))
        told(store, a_move(9, 1, *(a_sample(by=8, day=TODAY + ahead) for ahead in range(99))))
        [row] = store.trending(9, 99)
        assert row.figures.samples == 101
        most = [4 / (1 - 2 ** (-1 / days)) for days in HALF_LIVES_DAYS]
        expected = [min(101.0, 3 * each) for each in most]
        assert row.figures.trends == pytest.approx(expected)
        assert list(store.sums(range(7, 8), TODAY).trends) == pytest.approx(2 * expected)
        assert row_of(store).now.trends == pytest.approx((101.0,) * len(HALF_LIVES_DAYS))

    @pytest.mark.parametrize("stays", [0, 9, 29])
    def test_one_that_is_left_of_many_is_never_shown(self, store: ShardStore, stays: int) -> None:
        visits(store, range(30))
        for by in (by for by in range(30) if by != stays):
            told(store, msgspec.structs.replace(a_move(by, 2), retracted=(a_sample(by=by),)))
            store.trending(1, 99)
        assert row_of(store).shown is None
        assert store.trending(9, 99) == []

    def test_shows_a_title_by_context_and_totals_of_what_is_shown(self, store: ShardStore) -> None:
        assert (store.shown_of(7), store.shown_totals()) == ([], (0, 0))
        told(store, *(a_move(by, 1, a_sample(by=by), a_sample(8, by=by)) for by in range(2)))
        assert (store.shown_of(7), store.shown_totals()) == ([], (0, 0))
        unknown = a_sample(unknown_title(5), by=2)
        told(store, a_move(2, 1, a_sample(by=2), unknown), *(a_move(by, 1, unknown) for by in (3, 4)))
        shown = store.shown_of(7)
        assert [(row.title, row.slot, row.figures.households) for row in shown] == [(7, 4, 3), (7, ALL_SLOTS, 3)]
        assert shown == [row for row in shown if row.figures == row_of(store, row.title, row.slot).shown]
        assert (store.shown_of(8), store.shown_totals()) == ([], (1, 3))
        told(store, *(a_move(by, 2, a_sample(8, 1, by=by)) for by in range(3)))
        assert [row.slot for row in store.shown_of(8)] == [1, ALL_SLOTS]
        assert store.shown_totals() == (2, 3 + store.shown_of(8)[1].figures.samples)
        told(store, Move(0, 1, 2, 3, (), (a_sample(by=0),)))
        assert (store.shown_of(7), store.shown_totals()[0]) == ([], 1)

    def test_orders_by_the_decayed_trend(self, store: ShardStore) -> None:
        visits(store, range(12), title=1, day=TODAY - 4)
        visits(store, range(6), title=2, day=TODAY - 2)
        visits(store, range(6), title=3)
        visits(store, range(3), title=4)
        visits(store, range(2), title=5)
        visits(store, range(3), title=unknown_title(99))
        assert [row.title for row in store.trending(9, 99)] == [3, 4, 2, 1]
        assert [row.title for row in store.trending(1, 99)] == [3]
        assert [row.title for row in store.trending(9, 3)] == [2, 1]
        assert {row.slot for row in store.trending(9, 99)} == {ALL_SLOTS}

    def test_what_goes_well_is_by_context_and_posterior_rate(self, store: ShardStore) -> None:
        visits(store, range(3), title=1, milli=1000)
        visits(store, range(3), title=2, milli=990)
        visits(store, range(6), title=3, milli=950)
        assert [(row.title, row.slot) for row in store.successful(9, 0.8)] == [(3, 4), (1, 4)]
        assert [row.title for row in store.successful(1, 0.8)] == [3]

    # --- days ---

    def test_trends_halve_with_their_half_lives(self, store: ShardStore) -> None:
        visits(store, [0])
        visits(store, [1], day=TODAY + 2)
        now = row_of(store).now
        assert now.day == TODAY + 2
        assert now.trends == pytest.approx([1 + 2 ** (-2 / half_life) for half_life in HALF_LIVES_DAYS])
        late = a_move(2, 1, a_sample(by=2, day=TODAY - 28))
        told(store, late, day=TODAY + 2)
        assert row_of(store).now.trends[3] == pytest.approx(1 + 2 ** (-2 / 30) + 0.5)

    def test_a_wrong_clock_moves_no_trend_ahead(self, store: ShardStore) -> None:
        told(store, a_move(0, 1, a_sample(by=0, day=TODAY + 999), a_sample(by=0, day=0)))
        now = row_of(store).now
        assert (now.samples, now.day, now.trends[0]) == (2, TODAY, 1.0)
        assert store.buckets(7, 4) == {}

    def test_counts_by_day_and_lets_go_of_old_days(self, store: ShardStore) -> None:
        days = [TODAY - BUCKET_DAYS, TODAY - BUCKET_DAYS + 1, TODAY, TODAY, TODAY + 1, TODAY + 2]
        told(store, a_move(1, 1, *(a_sample(milli=milli, day=day) for milli, day in enumerate(days, 100))))
        assert store.buckets(7, 4) == {days[1]: (1, 101), TODAY: (2, 205), TODAY + 1: (1, 104)}
        assert store.buckets(7, 5) == {}
        told(store, day=TODAY + 1)
        assert store.buckets(7, 4) == {TODAY: (2, 205), TODAY + 1: (1, 104)}

    # --- audiences ---

    def test_adds_taste_codes_and_forgets_whose_they_were(self, store: ShardStore) -> None:
        told(store, a_move(1, 1, a_sample(taste=TASTE)), a_move(2, 1, a_sample(taste=TASTE), a_sample(8)))
        counts = store.audiences([8, 7, 9])
        assert counts.dtype == np.float32
        assert counts.tolist() == [[0.0] * 45, [2.0, 4.0, 2.0] + [0.0] * 42, [0.0] * 45]
        back = msgspec.structs.replace(a_move(1, 2), retracted=(a_sample(taste=TASTE),))
        told(store, back, day=TODAY + 20)
        assert store.audiences([7])[0, :3].tolist() == pytest.approx([0.5, 1.0, 0.5])

    def test_adds_up_how_taste_codes_vary(self, store: ShardStore) -> None:
        random = np.random.default_rng(3)
        codes = [random.integers(0, 256, TASTE_BYTES, np.uint8).tobytes() for _ in range(6)]
        days = [TODAY - day for day in (0, 5, 20, 0, 1, 40)]
        samples = [
            a_sample(title, taste=code, day=day)
            for title, code, day in zip((7, 8, 9, 7, 8, -3), codes, days, strict=True)
        ]
        told(store, a_move(1, 1, *samples[:4]), a_move(2, 1, samples[4], a_sample(9)))
        told(
            store,
            a_move(3, 1, samples[5]),
            msgspec.structs.replace(a_move(1, 2), retracted=(samples[0],)),
            day=TODAY + 2,
        )
        expected = np.zeros((1 + TASTE_NUMBERS,) * 2)
        for code, day in list(zip(codes, days, strict=True))[1:]:
            e = np.array([1, *(nibble - 8 for byte in code for nibble in (byte & 15, byte >> 4))])
            expected += 2.0 ** ((day - TODAY - 10) / AUDIENCE_HALF_LIFE_DAYS) * np.outer(e, e)
        found = store.moments(TODAY + 10)
        assert found.dtype == np.float64
        assert np.allclose(found, expected, rtol=1e-6, atol=1e-4)
        audiences = store.audiences([7, 8, 9, -3])
        assert audiences.any(axis=1).all(), "titles have theirs beside it"
        assert store.fold({2: 11}) == 1
        assert np.allclose(store.moments(TODAY + 10), expected, rtol=1e-6, atol=1e-4), "no title is in it"

    # --- whose audiences are alike ---

    def test_finds_the_nearest_audiences_in_order(self, store: ShardStore) -> None:
        for title in range(1, 7):
            hear(store, range(3), title, 3 * title - 10)
        for at, expected in ((8, [6, 5, 4, 3, 2, 1]), (-8, [1, 2, 3, 4, 5, 6]), (-2, [3, 2, 4, 1, 5, 6])):
            found = store.nearest(a_taste(at), 9)
            assert [row.title for row in found] == expected
            assert {(row.slot, row.figures.households) for row in found} == {(ALL_SLOTS, 3)}
            assert store.nearest(a_taste(at), 2) == found[:2]
            assert store.nearest(1e-3 * a_taste(at), 9) == found
        shown = {row.title: row for row in store.trending(9, 99)}
        assert all(shown[row.title] == row for row in found)

    def test_asks_whether_it_may_be_told_before_it_takes_the_nearest(self, store: ShardStore) -> None:
        hear(store, range(3), 1, 8)
        hear(store, range(2), 2, 5)  # too few households
        hear(store, range(3), 3, 5, milli=900)  # doesn't go well enough
        hear(store, range(3), unknown_title(4), 5)
        visits(store, range(3), 5, milli=1000)  # nobody's taste came with it
        hear(store, range(6), 6, -5, milli=950)
        visits(store, range(9), 7, milli=1000)
        hear(store, [9, 10], 7, 5)  # too few tastes
        for most in (1, 2, 9):
            assert [row.title for row in store.nearest(a_taste(5), most)] == [1, 6][:most]

    def test_what_is_near_moves_with_three_further_households(self, store: ShardStore) -> None:
        hear(store, range(3), 1, 3)
        hear(store, range(3), 2, -3)
        before = store.nearest(a_taste(7), 9)
        assert [row.title for row in before] == [1, 2]
        hear(store, [3, 4], 2, 7, times=3)
        store.rest()
        assert store.nearest(a_taste(7), 9) == before
        hear(store, [5], 2, 7, times=2)
        assert [row.title for row in store.nearest(a_taste(7), 9)] == [2, 1]

    def test_what_may_no_longer_be_told_is_near_nobody(self, store: ShardStore) -> None:
        for title in (1, 2, 3):
            hear(store, range(3), title, 2 * title)
        assert len(store.nearest(a_taste(6), 9)) == 3
        told(
            store,
            msgspec.structs.replace(a_move(0, 4), retracted=(a_sample(1, by=0, taste=code(2)),)),
        )
        visits(store, range(10, 20), 2, milli=0)
        assert [row.title for row in store.nearest(a_taste(6), 9)] == [3]
        hear(store, [6, 7, 8], 1, 2)  # it comes back
        assert [row.title for row in store.nearest(a_taste(6), 9)] == [3, 1]

    def test_a_title_known_by_hash_is_near_once_the_catalog_knows_it(self, store: ShardStore) -> None:
        hear(store, range(3), unknown_title(5), 4)
        assert store.nearest(a_taste(4), 9) == []
        store.fold({5: 8})
        assert [row.title for row in store.nearest(a_taste(4), 9)] == [8]

    def test_refuses_a_taste_without_a_direction(self, store: ShardStore) -> None:
        assert store.nearest(a_taste(3), 9) == []
        bad = np.zeros(TASTE_NUMBERS), a_taste(3)[1:], np.full(TASTE_NUMBERS, np.nan), np.full(TASTE_NUMBERS, np.inf)
        for taste, most in (*((one.astype(np.float32), 9) for one in bad), (a_taste(3), 0)):
            with pytest.raises(InputError):
                store.nearest(taste, most)

    # --- titles that the catalog learns later ---

    def test_folds_what_was_known_by_hash(self, store: ShardStore) -> None:
        new, other = unknown_title(2**40 - 1), unknown_title(5)
        for household in range(2):
            told(store, a_move(household, 1, Sample(new, 4, TODAY, 500, a_tag(household), TASTE)))
        told(store, a_move(2, 1, Sample(7, 4, TODAY, 800, a_tag(2), TASTE), Sample(other, 1, TODAY, 1, a_tag(2))))
        told(store, a_move(0, 2, Sample(7, 4, TODAY, 900, a_tag(0))))
        assert store.trending(9, 99) == []
        assert store.fold({2**40 - 1: 7, 6: 8}) == 1
        assert store.fold({2**40 - 1: 7, 6: 8}) == 0
        expected = {(other, 1): (1, 1, 1), (other, 8): (1, 1, 1), (7, 4): (4, 2700, 3), (7, 8): (4, 2700, 3)}
        assert sums_of(store) == expected
        assert store.buckets(7, 4) == {TODAY: (4, 2700)}
        assert store.buckets(new, 4) == {}
        assert store.audiences([7, new])[:, :2].tolist() == [[3.0, 6.0], [0.0, 0.0]]
        assert [(row.title, row.figures.households) for row in store.trending(9, 99)] == [(7, 3)]

    def test_folds_large_counts(self, store: ShardStore) -> None:
        visits(store, range(30), title=7)
        for household in range(20, 50):
            row = store.device(household)
            assert row
            told(store, a_move(household, row.version + 1, Sample(-5, 4, TODAY, 900, a_tag(household, 7))))
        store.fold({4: 7})
        now = row_of(store).now
        assert isinstance(now, Figures)
        assert now.samples == 60
        assert 20 <= now.households <= 120

    def test_tells_sums_of_all_households_as_of_a_day(self, store: ShardStore) -> None:
        visits(store, range(2), title=7)
        visits(store, range(5), title=9)
        for household, milli, title in ((10, 500, 7), (11, 250, unknown_title(5))):
            told(store, a_move(household, 1, Sample(title, 2, TODAY - 3, milli, a_tag(household), TASTE)))
        found = store.sums(range(7, 9), TODAY + 2)
        rows = [row for row in store.aggregates() if row.title == 7]
        assert list(zip(found.title, found.slot, strict=True)) == [(row.title, row.slot) for row in rows]
        assert list(found.samples) == [row.now.samples for row in rows]
        assert list(found.success_milli) == [row.now.success_milli for row in rows]
        assert list(found.households) == [row.now.households for row in rows] == [1, 2, 3]
        for at, row in enumerate(rows):
            aged = [t * 2 ** (-2 / h) for t, h in zip(row.now.trends, HALF_LIVES_DAYS, strict=True)]
            assert list(found.trends[4 * at : 4 * at + 4]) == pytest.approx(aged)
        assert list(found.audience_title) == [7]
        aged = [number * 2 ** (-5 / 20) for number in (1.0, 2.0, 1.0, *[0.0] * 42)]
        assert list(found.audience) == pytest.approx(aged, rel=1e-6)
        assert list(store.sums(range(99), TODAY).title) == [7, 7, 7, 9, 9]
        assert not store.sums(range(10, 99), TODAY).title
        told(store, Move(10, 1, 1, 2, retracted=(Sample(7, 2, TODAY - 3, 500, a_tag(10), TASTE),)))
        assert not store.sums(range(7, 8), TODAY).audience

    def test_says_whose_it_is(self, store: ShardStore) -> None:
        assert store.identity() is None
        store.bind(3, b"mark")
        assert store.identity() == 3

    def test_rests_without_a_change(self, store: ShardStore) -> None:
        visits(store, range(5))
        before = store.aggregates()
        store.rest()
        assert store.aggregates() == before


class DurableShardStoreContract(ShardStoreContract):
    """What a ShardStore on a disk promises besides."""

    def test_finds_everything_again(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        store.enrol([an_id(slot) for slot in range(20)], NOW)
        store.revoke(an_id(19))
        store.bind(3, b"mark")
        acme = Maker("Acme", bytes(32), quota=0)
        text, code = new_code(NOW, uses=2, lifetime_s=9)
        store.add_code(code, NOW)
        visits(store, range(12))
        told(store, a_move(15, 1, a_sample(taste=TASTE)))
        before = self.everything(store)
        store.close()
        again = self.make(tmp_path)
        assert self.everything(again) == before
        assert again.enrol([an_id(19), an_id(20)], NOW) == [None, 20]
        assert again.admit(Candidate(an_id(21), acme, code_digest(text)), NOW) == (21, NOW)
        with pytest.raises(StoreError):
            again.bind(4, b"mark")
        again.close()

    @staticmethod
    def everything(store: ShardStore) -> list[object]:
        """Return all that a store can be asked."""
        devices = [store.device(slot) for slot in range(store.device_count())]
        reads = store.trending(99, 99), store.successful(99, 0), store.hidden(0), store.nearest(a_taste(0), 9)
        return [devices, store.aggregates(), *reads, store.buckets(7, 4), store.audiences([7]).tolist()]
