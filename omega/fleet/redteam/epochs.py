"""What two shards and their federation tell, epoch after epoch, while people and attackers do all that they can.

The shards' stores, their boards and pulls, the merge and what it shows are the product's own; TVs speak to a store
through its intake, so that their tags are made as they are always made. What they did is noted apart, TV by TV, and is
the truth that everything told is held against.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from omega.core.shard_records import ALL_SLOTS, DAY_S, DEVICE_ID_BYTES, TASTE_BYTES, Tick, Verdict
from omega.core.wire import Header, Push, Row
from omega.shard.intake import KEY_BYTES, Intake

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from omega.core.catalog import Catalog
    from omega.core.ports import ShardStore

TITLES = 10
"""So few that TVs meet, and so many that few of them do."""
CONTEXTS = 2
PEOPLE, OF_ONE_HOUSEHOLD, SYBILS = 17, 3, 2
"""TVs: one a household, several of one more household, and those of an attacker."""
TVS = PEOPLE + OF_ONE_HOUSEHOLD + SYBILS
_FIRST_DAY = 20_700


class Place(NamedTuple):
    """What is counted for itself: a title in a context, or in all of them, at a shard."""

    shard: int
    title: int
    slot: int


class Truth:
    """Who supports what, and who did anything since it was last told."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._samples: defaultdict[Place, Counter[int]] = defaultdict(Counter)
        self._log: defaultdict[Place, list[int]] = defaultdict(list)
        self._crowds: set[Place] = set()

    def did(self, tv: int, place: Place, sign: int, most: int) -> None:
        """Note a sample, one of its own that it takes back, or (sign 0) one that it never told.

        With more than `most` TVs a place is a crowd for good.
        """
        self._samples[place][tv] += sign
        self._log[place].append(tv)
        if len(self.support(place)) > most:
            self._crowds.add(place)

    def support(self, place: Place) -> set[int]:
        """Return the TVs that told something of it which they didn't take back."""
        return {tv for tv, count in self._samples[place].items() if count > 0}

    def is_crowd(self, place: Place) -> bool:
        """Whether so many ever supported it at once that a shard only estimates how many."""
        return place in self._crowds

    def acts(self, place: Place) -> int:
        """Return how many acts there have been."""
        return len(self._log[place])

    def acted(self, place: Place, since: int) -> set[int]:
        """Return the TVs that did anything from that act on."""
        return set(self._log[place][since:])


class Tv:
    """One TV, which may be an attacker's: what it told each shard, and where it is at home."""

    def __init__(self, number: int, random: Random) -> None:
        """Take a number, which is its slot at each shard, too."""
        self.number, self.home = number, 0 if number >= PEOPLE else number % 2
        self.is_sybil = number >= TVS - SYBILS
        self.taste = random.randbytes(TASTE_BYTES)
        self.told: defaultdict[int, list[Row]] = defaultdict(list)
        """By shard, what could be taken back."""
        self.incarnation, self.version = Counter[int](), Counter[int]()


class Shards:
    """Two stores, their intakes, and the TVs that speak to them."""

    def __init__(self, stores: Sequence[ShardStore], catalog: Catalog, random: Random, most_exact: int) -> None:
        """Enrol all TVs at each store; up to `most_exact` TVs are counted exactly."""
        self.stores, self.catalog, self.truth = stores, catalog, Truth()
        self.day, self._most_exact = _FIRST_DAY, most_exact
        self.intakes = [Intake(catalog, random.randbytes(KEY_BYTES)) for _ in stores]
        self.tvs = [Tv(number, random) for number in range(TVS)]
        self.header = Header(space=0, lineage=self.intakes[0].lineage, epoch=catalog.epoch)
        for store in stores:
            store.enrol([bytes([number]) * DEVICE_ID_BYTES for number in range(TVS)], self.day * DAY_S)

    def watch(self, tv: Tv, title: int, slot: int, success: int, *, late: int = 0, tells_taste: bool = True) -> None:
        """Let a TV tell its shard of a sample."""
        row = Row(title, slot, self.day - late, success, tv.taste if tells_taste else b"")
        if self._pushed(tv, tv.home, (row,), ()):
            tv.told[tv.home].append(row)

    def take_back(self, tv: Tv, shard: int, row: Row) -> None:
        """Let a TV take a sample back, were it one that it never told."""
        if self._pushed(tv, shard, (), (row,)) and row in tv.told[shard]:
            tv.told[shard].remove(row)

    def reset(self, tv: Tv) -> None:
        """Let a TV begin anew, as one does whose store was lost; what it told stays told."""
        tv.incarnation[tv.home] += 1
        tv.version[tv.home] = 0

    def _pushed(self, tv: Tv, shard: int, given: tuple[Row, ...], back: tuple[Row, ...]) -> bool:
        base = tv.version[shard]
        push = Push(
            header=self.header, incarnation=1 + tv.incarnation[shard], base=base, contributed=given, retracted=back
        )
        [standing] = self.stores[shard].commit(Tick(self.day, [self.intakes[shard].move(tv.number, push)]))
        if standing.verdict is not Verdict.ACCEPTED:
            return False
        tv.version[shard] = push.version
        taken = back[: len(back) - standing.refused]
        counted = [*((1, row) for row in given), *((-int(row in tv.told[shard]), row) for row in taken)]
        for sign, row in counted:
            for slot in (row.slot, ALL_SLOTS):
                self.truth.did(tv.number, Place(shard, row.title, slot), sign, self._most_exact)
        return bool(counted)
