"""What must hold, worked out from the TVs' ledgers by counting, and compared with what the shards have."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from omega.core.shard_records import ALL_SLOTS, LEAST_HOUSEHOLDS
from omega.core.types import title_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omega.core.catalog import Catalog
    from omega.core.records import Contribution
    from omega.core.shard_records import DeviceRow
    from omega.core.wire import Pull
    from omega.simulation.greedy import Greedy
    from omega.simulation.shards import SimulatedShard
    from omega.simulation.tvs import TV
    from omega_storage.ledger_memory import MemoryLedger

_MOST_TOLD = 5


class Counted(NamedTuple):
    """What one shard must hold: by (ordinal, context), all contexts among them."""

    samples: Counter[tuple[int, int]]
    success_milli: Counter[tuple[int, int]]
    households: defaultdict[tuple[int, int], set[int]]

    @classmethod
    def nothing(cls) -> Counted:
        """Return that of a shard that nobody told anything."""
        return cls(Counter(), Counter(), defaultdict(set))

    def add(self, household: int, ordinal: int, slot: int, success_milli: int) -> None:
        """Count a sample of a household."""
        for key in ((ordinal, slot), (ordinal, ALL_SLOTS)):
            self.samples[key] += 1
            self.success_milli[key] += success_milli
            self.households[key].add(household)


class Checks:
    """Compares shards with TVs."""

    def __init__(
        self, catalog: Catalog, tvs: Sequence[TV], greedy: Sequence[Greedy], shards: Sequence[SimulatedShard]
    ) -> None:
        """Remember how titles are numbered; each shard has one `greedy` device."""
        self._tvs, self._greedy, self._shards = tvs, greedy, shards
        self._ordinals: Mapping[int, int] = {title_key(title.id): at for at, title in enumerate(catalog)}
        self._ended = [Counted.nothing() for _ in shards]
        """What the lives that ended by a reset had told, which stays."""

    def end_life(self, tv: TV) -> None:
        """Keep what a TV told that is about to begin anew; all of it is acknowledged, and in every backup."""
        for shard, ended in zip(self._shards, self._ended, strict=True):
            for row in _counted(tv.ledger, shard.name, shard.row(tv.slots[shard.number])):
                ended.add(tv.number, self._ordinals[row.title_key], row.slot, row.success_milli)

    def offences(self, pulls: Sequence[Pull]) -> list[str]:
        """Return what is wrong now, in words; shards must have answered all that they were asked.

        `pulls` are what they tell now, one a shard.
        """
        pairs = zip(self._shards, pulls, strict=True)
        return [offence for shard, pull in pairs for offence in (*shard.offences, *self._of(shard, pull))]

    def _of(self, shard: SimulatedShard, pull: Pull) -> list[str]:
        ended = self._ended[shard.number]
        must = Counted(ended.samples.copy(), ended.success_milli.copy(), defaultdict(set))
        for key, told in ended.households.items():
            must.households[key] |= told
        found: list[str] = []
        for tv in self._tvs:
            row = shard.row(tv.slots[shard.number])
            heard = tv.acked.get(shard.number, (0, 0))
            if (row.incarnation, row.version) < heard:
                found.append(f"{shard.name} told TV {tv.number} {heard}, and stands at {row.incarnation, row.version}")
            for line in _counted(tv.ledger, shard.name, row):
                must.add(tv.number, self._ordinals[line.title_key], line.slot, line.success_milli)
        greedy = self._greedy[shard.number]
        for claim in greedy.counted(shard.row(greedy.slot).version):
            must.add(greedy.number, claim.title, claim.slot, claim.success)
        found += self._sums(shard, must)
        found += [f"{shard.name} tells {told}" for told in shown_of_too_few(pull, must.households)]
        return found[:_MOST_TOLD]

    def _sums(self, shard: SimulatedShard, must: Counted) -> Iterator[str]:
        """Yield which sums are other than what was told, and what is shown of too few."""
        held = {(row.title, row.slot): row for row in shard.store.aggregates()}
        for key in sorted(held.keys() | +must.samples):
            row = held.get(key)
            has = (row.now.samples, row.now.success_milli) if row else (0, 0)
            if has != (told := (must.samples[key], must.success_milli[key])):
                yield f"{shard.name} counts {has} samples and thousandths of (title, context) {key}, told were {told}"
            if row and row.shown and len(must.households[key]) < LEAST_HOUSEHOLDS:
                yield f"{shard.name} shows (title, context) {key} of {len(must.households[key])} households"


def _counted(ledger: MemoryLedger, shard: str, row: DeviceRow) -> Iterator[Contribution]:
    """Yield the rows that a shard has counted which has this row of the device, and that weren't taken back there."""
    at = row.incarnation, row.version
    for line in ledger.lines:
        if line.bound is None or line.bound[0] != shard or not line.bound[1:] <= at:
            continue
        if line.retracted_in is None or (line.bound[1], line.retracted_in) > at:
            yield line.row


def shown_of_too_few(pull: Pull, households: Mapping[tuple[int, int], set[int]]) -> Iterator[str]:
    """Yield what a pull tells though too few households watched it; `households` by (ordinal, context)."""
    for trend in pull.trending:
        key = trend.title, ALL_SLOTS if trend.slot is None else trend.slot
        if (watched := len(households.get(key, ()))) < LEAST_HOUSEHOLDS:
            yield f"every TV of (title, context) {key}, which {watched} households watched"


def unsettled(tvs: Sequence[TV]) -> list[str]:
    """Return which TVs still have something to tell, once all were heard."""
    found = []
    for tv in tvs:
        counts = tv.ledger.counts()
        if left := counts.queued + counts.unacknowledged + counts.retractions:
            found.append(f"TV {tv.number} has {left} rows left that nobody took")
    return found[:_MOST_TOLD]
