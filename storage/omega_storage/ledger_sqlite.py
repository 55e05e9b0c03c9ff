"""The ledger in the device's SQLite file: what was shared, in the transactions of the events that it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from omega.core.ports import Ledger
from omega.core.records import Contribution, LedgerCounts, Shared
from omega.core.types import shared_milli, title_key
from omega_storage.connection import store_errors, transaction
from omega_storage.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.records import WatchRecord
    from omega.core.wire import Trial
    from omega_storage.connection import apsw

_SQL = queries("device")


class SqliteLedger(Ledger):
    """Rows of the table `contribution`; the connection is the store's, and as durable."""

    def __init__(self, connection: apsw.Connection, check: Callable[[], None]) -> None:
        """Use the store's connection; `check` raises when what is written would be lost."""
        self._connection = connection
        self._check = check
        self._location = connection.filename

    def takes(self, event: WatchRecord, day: int) -> bool:
        """Say whether an event would be its day's first of its title and context; one that was shared never is."""
        key = title_key(event.content_id), event.slot, day
        return not event.shared and not self._connection.execute(_SQL["contributed"], key).get

    def queue(self, event_id: int, event: WatchRecord, day: int, taste: bytes) -> None:
        """Within the caller's transaction, let an event that `takes` allows wait to be shared."""
        row = event_id, title_key(event.content_id), event.slot, day, shared_milli(event.watched_milli), taste
        self._connection.execute(_SQL["queue"], row)

    def try_out(self, trial: Trial) -> bool:
        """Let a household's day in an experiment wait to be shared, unless it has a line."""
        line = Contribution.of_trial(0, trial)
        key = line.title_key, line.day
        with store_errors(self._location), transaction(self._connection):
            if self._connection.execute(_SQL["tried"], key).get:
                return False
            row = None, line.title_key, line.slot, line.day, line.success_milli, line.taste
            self._connection.execute(_SQL["queue"], row)
            self._check()
        return True

    def counts(self) -> LedgerCounts:
        """Return the ledger in figures."""
        with store_errors(self._location):
            counts: Any = self._connection.execute(_SQL["ledger_counts"]).get
        return LedgerCounts(*counts)

    def waiting(self, shard: str, incarnation: int, most: int, *, fresh: bool = True) -> list[Contribution]:
        """Return the first `most` rows that `assign` would bind, in its order."""
        asked = shard, incarnation, most, fresh
        with store_errors(self._location):
            rows: list[Any] = self._connection.execute(_SQL["waiting"], asked).fetchall()
        return [_contribution(*row) for row in rows]

    def assign(
        self, shard: str, incarnation: int, version: int, most: int, *, fresh: bool = True
    ) -> list[Contribution]:
        """Bind up to `most` rows to a version, retractions first, and return them once that is on the disk."""
        named = shard, incarnation, version
        with store_errors(self._location), transaction(self._connection):
            if not (rows := self._bound(*named)):
                self._connection.execute(_SQL["bind_retractions"], (*named, most))
                left = most - len(self._bound(*named)) if fresh else 0
                self._connection.execute(_SQL["bind_queued"], (*named, left))
                rows = self._bound(*named)
                self._check()
        return rows

    def acknowledge(self, shard: str, incarnation: int, version: int) -> None:
        """Take note that the shard counted everything up to this version."""
        self._mark(("acknowledge", "acknowledge_retractions"), shard, incarnation, version)

    def since(self, shard: str, incarnation: int, version: int) -> dict[int, list[Contribution]]:
        """Return the rows of all versions after this one, by version."""
        with store_errors(self._location):
            versions: list[Any] = self._connection.execute(
                _SQL["bound_after"], (shard, incarnation, version)
            ).fetchall()
            return {later: self._bound(shard, incarnation, later) for (later,) in versions}

    def drop_before(self, shard: str, incarnation: int, version: int) -> None:
        """Never again tell what was acknowledged up to a version, and let go of what was taken back."""
        self._mark(("settle", "drop_before"), shard, incarnation, version)

    def shards(self) -> list[Shared]:
        """Return what is held of each shard that rows are bound to, by name."""
        with store_errors(self._location):
            rows: list[Any] = self._connection.execute(_SQL["shards"]).fetchall()
        return [Shared(shard, incarnation, version, bool(owes)) for shard, incarnation, version, owes in rows]

    def carry(self, shard: str, incarnation: int, to: int, *, told: bool) -> None:
        """Hand what is bound to an incarnation over to another; as `told`, with all that waits for a frame."""
        names = ("carry_told", "carry_taken_back", "tell_queued") if told else ("carry",)
        self._mark(names, shard, incarnation, to)

    def _mark(self, names: tuple[str, ...], *named: str | int) -> None:
        with store_errors(self._location), transaction(self._connection):
            for name in names:
                self._connection.execute(_SQL[name], named)
            self._check()

    def _bound(self, *named: str | int) -> list[Contribution]:
        rows: list[Any] = self._connection.execute(_SQL["bound"], named).fetchall()
        return [_contribution(*row) for row in rows]


def _contribution(*values: Any) -> Contribution:
    row = Contribution(*values)
    return msgspec.structs.replace(row, retracts=bool(row.retracts))
