"""Stores that a simulation meets: one that can be killed, and some with a bug in it, to see that it is found."""

from __future__ import annotations

from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from msgspec.structs import replace

from omega.core.errors import StoreError
from omega.core.shard_records import ALL_SLOTS, HALF_LIVES_DAYS, LEAST_HOUSEHOLDS, Shown, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from omega.core.shard_records import Move, Standing
    from omega_storage.shard_sqlite import SqliteShardStore

    StoreOf: TypeAlias = Callable[[SqliteShardStore, Path], "Killable"]

EVERY = 10_000
"""One contribution in so many meets the first bug."""
_UNSAFE_EVERY = 3
_HIGH = (1e6,) * len(HALF_LIVES_DAYS)


class Killable:
    """A shard's store until the shard is killed; then every call fails, as those of a process that is gone."""

    def __init__(self, store: SqliteShardStore, file: Path) -> None:
        """Pass all calls on to a store that is kept in a file."""
        self._store, self._file, self.is_dead = store, file, False
        self.committed: Callable[[Tick, Sequence[Standing]], None] = lambda tick, standings: None
        """Called when a tick is stored, before anybody hears of it."""

    def __getattr__(self, name: str) -> Any:
        """Return the store's own method."""
        return getattr(self._store, name)

    def commit(self, tick: Tick) -> list[Standing]:
        """Commit a tick."""
        standings = self._stored(tick)
        self.committed(tick, standings)
        return standings

    def _stored(self, tick: Tick) -> list[Standing]:
        return self._store.commit(tick)

    def kill(self) -> None:
        """Let the file as it is on the disk be all that is left."""
        self._store.close()
        self._store, self.is_dead = _Gone(), True  # type: ignore[assignment]

    def close(self) -> None:
        """Close the store, unless that is done."""
        if not self.is_dead:
            self.kill()

    def another(self) -> None:
        """Have no second session."""


class DropsOne(Killable):
    """Forgets one contribution in EVERY, and moves the version all the same."""

    def __init__(self, store: SqliteShardStore, file: Path, seen: Iterator[int]) -> None:
        """`seen` goes on counting through all lives of all shards."""
        super().__init__(store, file)
        self._seen = seen

    def _stored(self, tick: Tick) -> list[Standing]:
        return self._store.commit(Tick(tick.day, [self._without(move) for move in tick.all_moves()]))

    def _without(self, move: Move) -> Move:
        kept = tuple(sample for sample in move.contributed if (next(self._seen) + 1) % EVERY)
        return move if len(kept) == len(move.contributed) else replace(move, contributed=kept)


class TakesTwice(Killable):
    """Takes back twice what a TV takes back once."""

    def _stored(self, tick: Tick) -> list[Standing]:
        return self._store.commit(Tick(tick.day, [_doubled(move) for move in tick.all_moves()]))


class AnswersEarly(Killable):
    """Answers one tick in some before it is on the disk: a kill before the next one loses it."""

    def __init__(self, store: SqliteShardStore, file: Path) -> None:
        """Lose nothing yet."""
        super().__init__(store, file)
        self._ticks, self._is_unsafe = 0, False
        self._before = file.with_suffix(".before")

    def _stored(self, tick: Tick) -> list[Standing]:
        self._ticks += 1
        self._is_unsafe = self._ticks % _UNSAFE_EVERY == 0
        if self._is_unsafe:
            self._before.unlink(missing_ok=True)  # the file as it was stays, if this tick isn't to be durable
            self._store.backup(self._before)
        return self._store.commit(tick)

    def kill(self) -> None:
        """Leave what is on the disk."""
        super().kill()
        if self._is_unsafe:
            self._before.replace(self._file)


class TellsOfTwo(Killable):
    """Has a title told of two households, as if it were the trendiest."""

    def trending(self, most: int, titles: int) -> list[Shown]:
        """Return what may be shown, and such a title."""
        two = (row for row in self.aggregates() if row.slot == ALL_SLOTS and row.now.households == LEAST_HOUSEHOLDS - 1)
        high = [Shown(row.title, row.slot, replace(row.now, trends=_HIGH)) for row in islice(two, 1)]
        return [*high, *self._store.trending(most, titles)][:most]


def _fail(*_: object, **__: object) -> NoReturn:
    raise StoreError("the simulated shard is gone: this is never seen outside")


class _Gone:
    """In place of a store whose shard was killed."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        """Return a method that fails."""
        return _fail


def _doubled(move: Move) -> Move:
    return replace(move, retracted=2 * move.retracted) if move.retracted else move


def planted(bug: str | None) -> StoreOf:
    """Return what wraps the stores of one simulation: with a bug of BUGS, or none."""
    if bug == "aggregate":
        return partial(DropsOne, seen=count())
    return {"early-ack": AnswersEarly, "double-retraction": TakesTwice, "crowd": TellsOfTwo}.get(bug or "", Killable)


BUGS = "aggregate", "early-ack", "double-retraction", "limit", "crowd"
"""The fourth is one of a shard's budgets, which aren't kept."""
