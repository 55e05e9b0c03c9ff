"""Stores that a simulation meets: one that can be killed, and three with a bug in it, to see that it is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from omega.core.errors import StoreError
from omega.core.shard_records import Tick

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.shard_records import Move, Standing
    from omega_storage.shard_sqlite import SqliteShardStore

EVERY = 10_000
"""One contribution in so many meets the first bug."""
_TAKEN_TWICE_EVERY, _UNSAFE_EVERY = 5, 3


class Killable:
    """A shard's store until the shard is killed; then every call fails, as those of a process that is gone."""

    def __init__(self, store: SqliteShardStore, file: Path) -> None:
        """Pass all calls on to a store that is kept in a file."""
        self._store, self._file, self.is_dead = store, file, False

    def __getattr__(self, name: str) -> Any:
        """Return the store's own method."""
        if self.is_dead:
            raise StoreError("the simulated shard is gone: this is never seen outside")
        return getattr(self._store, name)

    def kill(self) -> None:
        """Let the file as it is on the disk be all that is left."""
        self._store.close()
        self.is_dead = True

    def close(self) -> None:
        """Close the store, unless that is done."""
        if not self.is_dead:
            self.kill()

    def another(self) -> None:
        """Have no second session."""


class DropsOne(Killable):
    """Forgets one contribution in EVERY, and moves the version all the same."""

    def __init__(self, store: SqliteShardStore, file: Path) -> None:
        """Count contributions."""
        super().__init__(store, file)
        self._seen = 0

    def commit(self, tick: Tick) -> list[Standing]:
        """Commit a tick without one of its contributions, now and then."""
        return self._store.commit(Tick(tick.day, [self._without(move) for move in tick.moves]))

    def _without(self, move: Move) -> Move:
        before, self._seen = self._seen, self._seen + len(move.contributed)
        return replace(move, contributed=move.contributed[1:]) if before // EVERY != self._seen // EVERY else move


class TakesTwice(Killable):
    """Takes back twice what one retraction in some takes back once."""

    def __init__(self, store: SqliteShardStore, file: Path) -> None:
        """Count retractions."""
        super().__init__(store, file)
        self._seen = 0

    def commit(self, tick: Tick) -> list[Standing]:
        """Commit a tick with some retractions doubled."""
        return self._store.commit(Tick(tick.day, [self._doubled(move) for move in tick.moves]))

    def _doubled(self, move: Move) -> Move:
        self._seen += bool(move.retracted)
        twice = move.retracted and self._seen % _TAKEN_TWICE_EVERY == 0
        return replace(move, retracted=(*move.retracted, move.retracted[0])) if twice else move


class AnswersEarly(Killable):
    """Answers one tick in some before it is on the disk: a kill before the next one loses it."""

    def __init__(self, store: SqliteShardStore, file: Path) -> None:
        """Lose nothing yet."""
        super().__init__(store, file)
        self._ticks, self._is_unsafe = 0, False
        self._before = file.with_suffix(".before")

    def commit(self, tick: Tick) -> list[Standing]:
        """Commit a tick; keep the file as it was before, if this one isn't to be durable."""
        self._ticks += 1
        self._is_unsafe = self._ticks % _UNSAFE_EVERY == 0
        if self._is_unsafe:
            self._before.unlink(missing_ok=True)
            self._store.backup(self._before)
        return self._store.commit(tick)

    def kill(self) -> None:
        """Leave what is on the disk."""
        super().kill()
        if self._is_unsafe:
            self._before.replace(self._file)


BUGS: dict[str, Callable[[SqliteShardStore, Path], Killable]] = {
    "aggregate": DropsOne,
    "early-ack": AnswersEarly,
    "double-retraction": TakesTwice,
}
