"""A search over sequences of epochs for anything told of too few, and for what two epochs tell of too few together.

It reads what a TV, a reader of REST and a reader of boards can read: each shard's pull, its answer to a question, all
figures that it shows, and the federation's sections of each region and of both. Three TVs, each counted at each shard
that it told, must support whatever is named; and where figures differ from those before, three must have done something
in between. Beyond MAX_TAGS TVs at once a shard only estimates how many there are; of such crowds the second is counted,
not asked for.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import msgspec

from omega.core.shard_records import ALL_SLOTS, LEAST_HOUSEHOLDS, MAX_TAGS, TASTE_BYTES, Shown
from omega.core.shard_sums import Facts, ShardSums
from omega.federation.merging import merge, told
from omega.federation.showing import Showing, showing
from omega.fleet.redteam.epochs import TITLES, Place, Shards
from omega.fleet.redteam.moves import Moves
from omega.shard.aggregates import taste_vector
from omega.shard.pulls import Board
from omega_plugins.engines.process_pool import ProcessPool
from omega_plugins.strategies.weighted_mean import WeightedMean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from omega.core.catalog import Catalog
    from omega.core.ports import ShardStore
    from omega.core.shard_records import Figures
    from omega.federation.merging import Merged

    Shows = Callable[[Showing, Merged, int], Showing]

_REGIONS = {"": (0, 1), "first": (0,), "second": (1,)}
_MOST = 1_000
_WAITS = 1, 1, 1, 2, 3, 8


class Found(msgspec.Struct, frozen=True):
    """What a search came to."""

    steps: int
    epochs: int
    looked_at: int
    """Titles in contexts that were told, all epochs together."""
    changes: int
    """Of their figures."""
    below: int
    """Told of fewer than three TVs."""
    apart: int
    """Changes to which fewer than three TVs had come."""
    of_crowds: int
    """Such changes of crowds, whose TVs are estimated: not counted as `apart`."""
    of_people: int
    """Told by the federation of fewer than three TVs, since some told both shards: not counted as `below`."""
    remainders: int
    """Titles told of a region and of both together, with one or two TVs beside that region's."""
    done: dict[str, int]
    """How often what was done."""
    worst: str = ""
    """The first of `below` and `apart`, in words."""


class Search:
    """One sequence; `run` it."""

    def __init__(
        self,
        stores: Sequence[ShardStore],
        catalog: Catalog,
        *,
        seed: int,
        shows: Shows = showing,
        waits: Sequence[int] = _WAITS,
    ) -> None:
        """Begin with two empty stores; `shows` is what the federation shows.

        It looks after so many steps as it draws from `waits`: after each where a store replaces figures at once, since
        what came after they were replaced and before they were seen would pass for what they changed by.
        """
        random = Random(seed)  # noqa: S311  (chooses what happens, guards nothing)
        self._shards = Shards(stores, catalog, random, MAX_TAGS)
        self._moves, self._random, self._shows = iter(Moves(self._shards, random)), random, shows
        self._showing = {region: Showing.empty() for region in _REGIONS}
        self._last: dict[tuple[str, int, int], tuple[Figures, list[int]]] = {}
        self._counts: Counter[str] = Counter()
        self._worst, self._waits = "", waits
        self._strategy, self._engine = WeightedMean(), ProcessPool.open()

    def run(self, steps: int, progress: Callable[[int, int, str], None] = lambda *_: None) -> Found:
        """Take so many steps, and look at what is told after every few of them."""
        done: Counter[str] = Counter()
        until_look = 1
        for step in range(steps):
            done[next(self._moves)] += 1
            until_look -= 1
            if not until_look:
                self._look()
                until_look = self._random.choice(self._waits)
            if step % 500 == 0:
                progress(step, steps, "looking for what is told of too few")
        told_of = {
            name: self._counts[name] for name in Found.__struct_fields__ if name not in ("steps", "done", "worst")
        }
        return Found(steps=steps, done=dict(done), worst=self._worst, **told_of)

    def _look(self) -> None:
        self._counts["epochs"] += 1
        for shard, store in enumerate(self._shards.stores):
            self._look_at(shard, store)
        self._look_at_federation()

    # --- a shard ---

    def _look_at(self, shard: int, store: ShardStore) -> None:
        """Hold what a shard tells against the truth."""
        store.fold({})
        titles = len(self._shards.catalog)
        board = Board.read(store, self._shards.day, self._shards.intakes[shard].counts)
        pull = board.pull(self._shards.header, titles)
        asks = self._random.randbytes(TASTE_BYTES)
        named = [
            *((one.title, one.slot) for one in pull.trending),
            *((one.title, one.slot) for one in board.similar(asks, titles)),
            *((row.title, row.slot) for row in store.nearest(taste_vector(asks), _MOST)),
        ]
        for title, slot in named:
            self._supported(f"shard {shard}", [Place(shard, title, ALL_SLOTS if slot is None else slot)])
        rows = [Shown(row.title, row.slot, row.shown) for row in store.aggregates() if row.shown]
        for row in rows:
            self._figures(f"shard {shard}", row, [Place(shard, row.title, row.slot)])
        asked = self._random.randrange(TITLES)
        for row in store.shown_of(asked):
            if row not in rows:
                self._broken("below", f"shard {shard} tells {row} of a title that it is asked for, and not else")

    # --- the federation ---

    def _look_at_federation(self) -> None:
        """Run a round over both shards, and hold each region's section against the truth."""
        shards = [told(self._sums(shard), self._shards.day) for shard in range(len(self._shards.stores))]
        for region, of in _REGIONS.items():
            merged = merge([shards[shard] for shard in of], self._strategy, self._engine)
            self._showing[region] = self._shows(self._showing[region], merged, self._shards.day)
            for row in self._showing[region].trending(_MOST):
                places = [Place(shard, row.title, ALL_SLOTS) for shard in of]
                self._figures(f"region {region!r}", row, places)
                people = set().union(*(self._shards.truth.support(place) for place in places))
                self._counts["of_people"] += len(people) < LEAST_HOUSEHOLDS
        self._compare_regions()

    def _compare_regions(self) -> None:
        whole = {row.title for row in self._showing[""].trending(_MOST)}
        for shard, region in enumerate(("first", "second")):
            for row in self._showing[region].trending(_MOST):
                beside = len(self._shards.truth.support(Place(1 - shard, row.title, ALL_SLOTS)))
                self._counts["remainders"] += row.title in whole and 0 < beside < LEAST_HOUSEHOLDS

    def _sums(self, shard: int) -> ShardSums:
        catalog, day = self._shards.catalog, self._shards.day
        facts = Facts(
            shard=shard,
            region="",
            lineage=catalog.lineage,
            epoch=catalog.epoch,
            titles=len(catalog),
            space=0,
            day=day,
            made_at=0,
        )
        return ShardSums(facts, self._shards.stores[shard].sums(range(len(catalog)), day))

    # --- what must hold ---

    def _supported(self, where: str, places: Sequence[Place]) -> None:
        """Count a row that is told, and whether three TVs support it."""
        self._counts["looked_at"] += 1
        support = sum(len(self._shards.truth.support(place)) for place in places)
        if support < LEAST_HOUSEHOLDS:
            self._broken("below", f"{where} tells {places[0]} of {support} TVs")

    def _figures(self, where: str, row: Shown, places: Sequence[Place]) -> None:
        """Count a row's figures, and whether three TVs did what they changed by."""
        self._supported(where, places)
        truth, key = self._shards.truth, (where, row.title, row.slot)
        before, since = self._last.get(key, (None, [0] * len(places)))
        if before == row.figures:
            return
        self._last[key] = row.figures, [truth.acts(place) for place in places]
        self._counts["changes"] += 1
        acted = sum(len(truth.acted(place, first)) for place, first in zip(places, since, strict=True))
        if acted >= LEAST_HOUSEHOLDS:
            return
        if any(truth.is_crowd(place) for place in places):
            self._counts["of_crowds"] += 1
        else:
            self._broken("apart", f"{where} tells {places[0]} anew when {acted} TVs did something")

    def _broken(self, what: str, told_: str) -> None:
        self._counts[what] += 1
        self._worst = self._worst or told_


def searched(
    make: Callable[[int], ShardStore],
    catalog: Catalog,
    seeds: Iterable[int],
    steps: int,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> list[Found]:
    """Run a search for each seed over stores that `make` opens by their number, and close them."""
    found = []
    for seed in seeds:
        stores = [make(number) for number in range(2)]
        try:
            found.append(Search(stores, catalog, seed=seed).run(steps, progress))
        finally:
            for store in stores:
                store.close()
    return found
