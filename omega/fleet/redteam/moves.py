"""What people and attackers do in the search: by chance, and in sequences that aim at what is told of few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.wire import Row
from omega.fleet.redteam.epochs import CONTEXTS, PEOPLE, SYBILS, TITLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from omega.fleet.redteam.epochs import Shards, Tv

_ENDED = 1000
_CROWD = 9
"""More than a shard counts exactly."""


class Moves:
    """Chooses what happens next; yields after each step."""

    def __init__(self, shards: Shards, random: Random) -> None:
        """`random` chooses."""
        self._shards, self._random = shards, random
        self._sybils = shards.tvs[-SYBILS:]
        self._household = shards.tvs[PEOPLE:-SYBILS]
        self._people = shards.tvs[:PEOPLE]

    def __iter__(self) -> Iterator[str]:
        """Yield what was done, step by step, for ever."""
        acts: list[tuple[int, Callable[[], Iterator[str]]]] = [
            (40, self._anybody_watches),
            (40, self._anybody_forgets),
            (4, self._anybody_resets),
            (3, self._anybody_moves),
            (3, self._a_day_passes),
            (6, self._a_sybil_lies),
            (6, self._one_comes_and_goes),
            (2, self._a_crowd_leaves),
            (2, self._a_household_alone),
            (4, self._sybils_at_both_shards),
        ]
        odds, choices = zip(*acts, strict=True)
        while True:
            yield from self._random.choices(choices, odds)[0]()

    # --- by chance ---

    def _anybody_watches(self) -> Iterator[str]:
        self._watches(self._random.choice(self._shards.tvs))
        yield "watches"

    def _anybody_forgets(self) -> Iterator[str]:
        tv = self._random.choice(self._shards.tvs)
        told = [(shard, row) for shard, rows in tv.told.items() for row in rows]
        if told:
            self._shards.take_back(tv, *self._random.choice(told))
        yield "forgets"

    def _anybody_resets(self) -> Iterator[str]:
        self._shards.reset(self._random.choice(self._shards.tvs))
        yield "resets"

    def _anybody_moves(self) -> Iterator[str]:
        tv = self._random.choice(self._shards.tvs)
        tv.home = 1 - tv.home
        yield "moves"

    def _a_day_passes(self) -> Iterator[str]:
        self._shards.day += 1
        yield "day"

    # --- attacks ---

    def _a_sybil_lies(self) -> Iterator[str]:
        """Take back what others said."""
        tv = self._random.choice(self._sybils)
        title, slot = self._random.randrange(TITLES), self._random.randrange(CONTEXTS)
        self._watches(tv, tells_taste=False)
        yield "lies"
        self._shards.take_back(tv, tv.home, Row(title, slot, self._shards.day, _ENDED, tv.taste))
        yield "lies"

    def _one_comes_and_goes(self) -> Iterator[str]:
        """Have the same title hidden and shown over and over, while others go on watching it."""
        tv, title, slot = self._random.choice(self._sybils), self._random.randrange(TITLES), 0
        for _ in range(self._random.randrange(2, 6)):
            self._shards.watch(tv, title, slot, _ENDED)
            yield "comes"
            if self._random.random() < 0.5:
                self._watches(self._random.choice(self._people), title=title)
                yield "watches"
            self._shards.take_back(tv, tv.home, Row(title, slot, self._shards.day, _ENDED, tv.taste))
            yield "goes"

    def _a_crowd_leaves(self) -> Iterator[str]:
        """Let many watch a title, and all but one or two of those take it back."""
        title, slot, shard = self._random.randrange(TITLES), self._random.randrange(CONTEXTS), self._random.randrange(2)
        near = [tv for tv in self._shards.tvs if tv.home == shard]
        crowd = self._random.sample(near, min(_CROWD, len(near)))
        for tv in crowd:
            self._shards.watch(tv, title, slot, 4 * self._random.randrange(251))
            yield "watches"
        for tv in self._shards.tvs:
            if tv not in crowd[:2]:
                for row in [row for row in tv.told[shard] if row.title == title]:
                    self._shards.take_back(tv, shard, row)
                    yield "forgets"

    def _a_household_alone(self) -> Iterator[str]:
        """Let all TVs of one household watch the same title."""
        title = self._random.randrange(TITLES)
        for tv in self._household:
            self._watches(tv, title=title)
            yield "watches"

    def _sybils_at_both_shards(self) -> Iterator[str]:
        """Let an attacker's few TVs tell every shard of the same title."""
        title = self._random.randrange(TITLES)
        for tv in self._sybils:
            for _ in range(2):
                self._watches(tv, title=title)
                tv.home = 1 - tv.home
                yield "watches"

    def _watches(self, tv: Tv, *, title: int | None = None, tells_taste: bool = True) -> None:
        title = self._random.randrange(TITLES) if title is None else title
        slot, late = self._random.randrange(CONTEXTS), self._random.choice((0, 0, 0, 1, 5))
        success = 4 * self._random.randrange(150, 251)
        self._shards.watch(tv, title, slot, success, late=late, tells_taste=tells_taste)
