"""Random lives of a shard and its devices: whatever is lost, doubled, late, reset or restored, the sums are the truth.

Frames wait in a network that delivers them in any order, again, or never; answers get lost; devices are reset; the
server goes back to a backup of the last days. Devices keep to the protocol: rows are bound to a version, a gap makes
them send again from where the shard stands, and they let go of what is before the horizon. The store and the plain
fake never differ.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from omega.core.shard_records import ALL_SLOTS, TASTE_NUMBERS, Move, Sample, Tick, Verdict
from omega.core.testing.shard_contract import NOW, TASTE, TODAY, a_tag, an_id, plain_of
from omega.core.testing.shard_fake import MemoryShardStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omega.core.ports import ShardStore
    from omega.core.shard_records import Standing

DEVICES, BACKUP_DAYS = 5, 3
DEVICE = st.integers(0, DEVICES - 1)
ROWS = st.lists(
    st.tuples(st.integers(-2, 2), st.integers(0, 1), st.integers(0, 1000), st.booleans()), min_size=0, max_size=3
)
ADOPTED = Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.BEHIND


@dataclass(frozen=True)
class Bound:
    """The rows of one version."""

    contributed: tuple[Sample, ...]
    retracted: tuple[Sample, ...]


@dataclass
class Device:
    """A TV that keeps to the protocol."""

    slot: int
    incarnation: int = 1
    acknowledged: int = 0
    latest: int = 0
    ledger: dict[int, Bound] = field(default_factory=dict)
    owned: list[tuple[int, Sample]] = field(default_factory=list)

    def bind(self, contributed: tuple[Sample, ...], *, retract: bool) -> Bound:
        """Bind rows to the next version; what is taken back was acknowledged."""
        taken = next((owned for owned in self.owned if owned[0] <= self.acknowledged), None) if retract else None
        if taken:
            self.owned.remove(taken)
        self.latest += 1
        self.owned += [(self.latest, sample) for sample in contributed]
        self.ledger[self.latest] = Bound(contributed, (taken[1],) if taken else ())
        return self.ledger[self.latest]

    def push(self, most: int) -> Move:
        """Return the frame of up to so many versions after the acknowledged one."""
        end = min(self.acknowledged + most, self.latest)
        rows = [self.ledger[version] for version in range(self.acknowledged + 1, end + 1)]  # a KeyError is a lost row
        given = tuple(sample for bound in rows for sample in bound.contributed)
        taken = tuple(sample for bound in rows for sample in bound.retracted)
        return Move(self.slot, self.incarnation, self.acknowledged, end, given, taken)

    def hear(self, standing: Standing) -> None:
        """Adopt what the shard says, if it speaks of this life."""
        if standing.incarnation != self.incarnation:
            return
        if standing.verdict in ADOPTED:
            self.acknowledged = max(self.acknowledged, standing.version)
            self.ledger = {version: rows for version, rows in self.ledger.items() if version > standing.horizon}
        elif standing.verdict is Verdict.GAP:
            self.acknowledged = standing.version

    def reset(self) -> None:
        """Lose everything but that there was a life before."""
        self.incarnation, self.acknowledged, self.latest = self.incarnation + 3, 0, 0
        self.ledger, self.owned = {}, []


class ShardLife(RuleBasedStateMachine):
    """Both stores, told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.day = TODAY
        self.real, self.fake = self.made(), MemoryShardStore(backup_days=BACKUP_DAYS)
        self.devices = [Device(slot) for slot in range(DEVICES)]
        for store in (self.real, self.fake):
            store.enrol([an_id(slot) for slot in range(DEVICES)], NOW)
        self.network: list[Move] = []
        self.catalog: dict[int, int] = {}
        self.bound: dict[tuple[int, int, int], Bound] = {}
        self.ended: dict[tuple[int, int], int] = {}  # where the shard stood when a life of a device ended for it
        self.backup: tuple[int, MemoryShardStore, dict[tuple[int, int], int]] | None = None

    @abstractmethod
    def made(self) -> ShardStore:
        """Return the store under test, empty, with backups of BACKUP_DAYS."""

    @abstractmethod
    def save(self) -> None:
        """Back the store up, in place of the backup before."""

    @abstractmethod
    def saved(self) -> ShardStore:
        """Close the store, and return one that begins where the backup was made."""

    def teardown(self) -> None:
        self.settle()
        self.real.close()

    # --- what happens ---

    @rule(slot=DEVICE, rows=ROWS, retract=st.booleans(), most=st.integers(1, 3), late=st.integers(0, 2))
    def watch(self, slot: int, rows: list[tuple[int, int, int, bool]], *, retract: bool, most: int, late: int) -> None:
        device = self.devices[slot]
        samples = tuple(
            Sample(title, context, self.day - late, milli, a_tag(slot, title), TASTE if taste else b"")
            for title, context, milli, taste in rows
        )
        bound = device.bind(samples, retract=retract)
        self.bound[slot, device.incarnation, device.latest] = bound
        self.network.append(device.push(most))

    @rule(slot=DEVICE, times=st.integers(1, 3))
    def sync_undisturbed(self, slot: int, times: int) -> None:
        device = self.devices[slot]
        for _ in range(times):
            sample = Sample(0, 0, self.day, 600, a_tag(slot))
            bound = device.bind((sample,), retract=False)
            self.bound[slot, device.incarnation, device.latest] = bound
            [standing] = self.commit(device.push(2))
            device.hear(standing)

    @rule(slot=DEVICE, most=st.integers(1, 9))
    def send_again(self, slot: int, most: int) -> None:
        self.network.append(self.devices[slot].push(most))

    @precondition(lambda self: self.network)
    @rule(data=st.data(), stays=st.booleans(), heard=st.booleans(), many=st.integers(1, 4))
    def deliver(self, data: st.DataObject, *, stays: bool, heard: bool, many: int) -> None:
        places = [data.draw(st.integers(0, len(self.network) - 1)) for _ in range(many)]
        moves = [self.network[place] for place in places]
        if not stays:
            self.network = [move for place, move in enumerate(self.network) if place not in places]
        for move, standing in zip(moves, self.commit(*moves), strict=True):
            if heard:
                self.devices[move.slot].hear(standing)

    @precondition(lambda self: self.network)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        self.network.pop(data.draw(st.integers(0, len(self.network) - 1)))

    @rule(slot=DEVICE)
    def reset(self, slot: int) -> None:
        self.devices[slot].reset()

    @rule(days=st.integers(1, 2))
    def sleep(self, days: int) -> None:
        self.day += days
        if self.backup and self.day >= self.backup[0] + BACKUP_DAYS:
            self.backup = None

    @rule()
    def back_up(self) -> None:
        self.save()
        self.backup = self.day, copy.deepcopy(self.fake), dict(self.ended)

    @precondition(lambda self: self.backup)
    @rule()
    def restore(self) -> None:
        assert self.backup
        self.real = self.saved()
        self.fake, self.ended = copy.deepcopy(self.backup[1]), dict(self.backup[2])
        assert self.real.fold(self.catalog) == self.fake.fold(self.catalog)

    @rule()
    def fold(self) -> None:
        """From now on the catalog has a title that was known by hash: its rows are folded before any other tick."""
        self.catalog = {0: 1}
        assert self.real.fold(self.catalog) == self.fake.fold(self.catalog)

    @rule()
    def rest(self) -> None:
        self.real.rest()
        self.fake.rest()

    # --- what must hold ---

    def commit(self, *moves: Move) -> list[Standing]:
        """Commit one tick to both, and note which lives ended."""
        moves = tuple(self.resolved(move) for move in moves)
        rows = [row for slot in range(DEVICES) if (row := self.fake.device(slot))]
        stood = {row.slot: (row.incarnation, row.version) for row in rows}
        slots = [move.slot for move in moves]
        is_plain = [not move.retracted and slots.count(move.slot) == 1 for move in moves]
        places = sorted(range(len(moves)), key=is_plain.__getitem__)
        order, plain = [moves[place] for place in places], [moves[place] for place in places if is_plain[place]]
        told = self.fake.commit(Tick(self.day, order))
        assert self.real.commit(Tick(self.day, order[: len(order) - len(plain)], plain_of(plain))) == told
        standings = [told[places.index(at)] for at in range(len(moves))]
        self.real.aggregates()  # else it may add several ticks up as one, and show what came between
        for move, standing in zip(moves, standings, strict=True):
            assert standing.refused == 0
            if standing.verdict is Verdict.ACCEPTED:
                incarnation, version = stood[move.slot]
                if standing.incarnation != incarnation:
                    self.ended[move.slot, incarnation] = version
                stood[move.slot] = standing.incarnation, standing.version
        return standings

    def resolved(self, move: Move) -> Move:
        """Return the move as the shard reads it by its catalog."""
        given, taken = (
            tuple(replace(row, title=self.catalog.get(-1 - row.title, row.title)) for row in rows)
            for rows in (move.contributed, move.retracted)
        )
        return replace(move, contributed=given, retracted=taken)

    @invariant()
    def the_sums_are_the_truth(self) -> None:
        expected = self.truth()
        found = {
            (row.title, row.slot): (row.now.samples, row.now.success_milli)
            for row in self.fake.aggregates()
            if row.now.samples
        }
        merged: Counter[tuple[int, int]] = Counter()
        success: Counter[tuple[int, int]] = Counter()
        for (title, slot), (samples, milli) in found.items():
            folded = 1 if title == -1 else title
            merged[folded, slot] += samples
            success[folded, slot] += milli
        assert {key: (merged[key], success[key]) for key in merged} == expected

    @invariant()
    def the_stores_are_equal(self) -> None:
        slots = range(DEVICES)
        assert [self.real.device(slot) for slot in slots] == [self.fake.device(slot) for slot in slots]
        theirs = self.real.aggregates()
        ours = self.fake.aggregates()
        assert len(theirs) == len(ours)
        for one, other in zip(theirs, ours, strict=True):
            assert (one.title, one.slot, one.now.samples) == (other.title, other.slot, other.now.samples)
            assert (one.now.success_milli, one.now.households) == (other.now.success_milli, other.now.households)
            assert one.now.trends == pytest.approx(other.now.trends, abs=1e-9)
            assert (one.shown is None) == (other.shown is None)
            if one.shown and other.shown:
                assert one.shown.households == other.shown.households
                assert one.shown.samples == other.shown.samples
                assert one.shown.trends == pytest.approx(other.shown.trends, abs=1e-9)
            assert self.real.buckets(one.title, one.slot) == self.fake.buckets(one.title, one.slot)
        assert self.real.audiences([-2, 0, 1, 2]) == pytest.approx(self.fake.audiences([-2, 0, 1, 2]), abs=1e-4)
        assert self.real.moments(TODAY) == pytest.approx(self.fake.moments(TODAY), abs=1e-3)
        near, expected = (store.nearest(np.ones(TASTE_NUMBERS, np.float32), 9) for store in (self.real, self.fake))
        assert {row.title for row in near} == {row.title for row in expected}
        assert self.real.hidden(TODAY) == self.fake.hidden(TODAY)

    def truth(self) -> Mapping[tuple[int, int], tuple[int, int]]:
        """Return samples and success by title and context, of all versions up to which the shard counted each life."""
        counted = dict(self.ended)
        for slot in range(DEVICES):
            device = self.fake.device(slot)
            assert device
            counted[slot, device.incarnation] = device.version
        samples: Counter[tuple[int, int]] = Counter()
        success: Counter[tuple[int, int]] = Counter()
        for (slot, incarnation, version), bound in self.bound.items():
            if version <= counted.get((slot, incarnation), 0):
                for sign, rows in ((1, bound.contributed), (-1, bound.retracted)):
                    for row in rows:
                        title = 1 if row.title == -1 else row.title
                        for key in ((title, row.slot), (title, ALL_SLOTS)):
                            samples[key] += sign
                            success[key] += sign * row.success_milli
        return {key: (count, success[key]) for key, count in samples.items() if count}

    def settle(self) -> None:
        """Let every device tell all that it has: then nothing of a life that goes on is missing."""
        for device in self.devices:
            for _ in range(20):
                [standing] = self.commit(device.push(4))
                device.hear(standing)
                if standing.verdict in ADOPTED and device.acknowledged == device.latest == standing.version:
                    break
            row = self.real.device(device.slot)
            assert row
            assert (row.incarnation, row.version) == (device.incarnation, device.latest)
        self.the_sums_are_the_truth()
        self.the_stores_are_equal()


def thorough(examples: int) -> settings:
    """Return how so many lives are tried."""
    return settings(
        max_examples=examples,
        stateful_step_count=70,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),  # shrinking takes minutes
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
