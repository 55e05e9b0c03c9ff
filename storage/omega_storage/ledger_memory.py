"""A device's ledger as a list of lines, slow and plainly right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from omega.core.ports import Ledger
from omega.core.records import Contribution, LedgerCounts, Shared
from omega.core.types import shared_milli, title_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega.core.records import WatchRecord
    from omega.core.wire import Trial


class _Line(msgspec.Struct):
    row: Contribution
    event_id: int | None
    bound: tuple[str, int, int] | None = None
    acknowledged: bool = False
    settled: bool = False
    retract: bool = False
    retracted_in: int | None = None
    taken_back: bool = False


class MemoryLedger(Ledger):
    """The ledger as a list of lines."""

    def __init__(self) -> None:
        """Start empty."""
        self.lines: list[_Line] = []

    def queue(self, event_id: int, event: WatchRecord, day: int, taste: bytes) -> bool:
        """Let an event wait, if it is the day's first of its kind; say whether it was."""
        key = title_key(event.content_id), event.slot, day
        if any((line.row.title_key, line.row.slot, line.row.day) == key for line in self.lines):
            return False
        row_id = max((line.row.id for line in self.lines), default=0) + 1
        self.lines.append(_Line(Contribution(row_id, *key, shared_milli(event.watched_milli), taste), event_id))
        return True

    def try_out(self, trial: Trial) -> bool:
        """Let a household's day in an experiment wait to be shared, unless it has a line."""
        row = Contribution.of_trial(max((line.row.id for line in self.lines), default=0) + 1, trial)
        if any((line.row.title_key, line.row.day) == (row.title_key, row.day) for line in self.lines):
            return False
        self.lines.append(_Line(row, None))
        return True

    def forget_trials(self, at_s: Iterable[int], *, everything: bool) -> None:
        """Take back the days of experiments near these moments, or all."""
        days = {moment // 86_400 + near for moment in at_s for near in (-1, 0, 1)}
        doomed = [line for line in self.lines if line.row.title_key < 0 and (everything or line.row.day in days)]
        self.lines = [line for line in self.lines if line.bound is not None or line not in doomed]
        for line in doomed:
            line.retract = line.bound is not None

    def correct(self, event_id: int, watched_milli: int) -> None:
        """Change what waits; what has left stays as it is."""
        for line in self.lines:
            if line.event_id == event_id and line.bound is None:
                line.row = msgspec.structs.replace(line.row, success_milli=shared_milli(watched_milli))

    def forget(self, event_ids: set[int], known: set[int], keys: set[int]) -> None:
        """Drop what waits, and have what has left taken back: of these events, and of these titles' unknown ones."""
        kept: list[_Line] = []
        for line in self.lines:
            is_pruned = line.event_id is not None and line.event_id not in known and line.row.title_key in keys
            if line.event_id in event_ids or is_pruned:
                if line.bound is None:
                    continue
                line.retract, line.event_id = True, None
            kept.append(line)
        self.lines = kept

    def counts(self) -> LedgerCounts:
        """Return the ledger in figures."""
        return LedgerCounts(
            queued=sum(line.bound is None for line in self.lines),
            unacknowledged=sum(bool(line.bound) and not (line.acknowledged or line.retract) for line in self.lines),
            acknowledged=sum(line.acknowledged and not line.retract for line in self.lines),
            retractions=sum(line.retract and not line.taken_back for line in self.lines),
        )

    def waiting(self, shard: str, incarnation: int, most: int, *, fresh: bool = True) -> list[Contribution]:
        """Return the first `most` rows that `assign` would bind, in its order."""
        lines = self._waiting(shard, incarnation, fresh=fresh)[:most]
        return [msgspec.structs.replace(line.row, retracts=line.bound is not None) for line in lines]

    def assign(
        self, shard: str, incarnation: int, version: int, most: int, *, fresh: bool = True
    ) -> list[Contribution]:
        """Bind up to `most` rows to a version, retractions first, and return them."""
        if not (rows := self._rows(shard, incarnation, version)):
            for line in self._waiting(shard, incarnation, fresh=fresh)[:most]:
                if line.bound:
                    line.retracted_in = version
                else:
                    line.bound = shard, incarnation, version
            rows = self._rows(shard, incarnation, version)
        return rows

    def acknowledge(self, shard: str, incarnation: int, version: int) -> None:
        """Take note that the shard counted everything up to this version."""
        for line in self.lines:
            if line.bound and line.bound[:2] == (shard, incarnation):
                line.acknowledged |= line.bound[2] <= version
                line.taken_back |= line.retracted_in is not None and line.retracted_in <= version

    def since(self, shard: str, incarnation: int, version: int) -> dict[int, list[Contribution]]:
        """Return the rows of all versions after this one, by version."""
        here = [line for line in self.lines if line.bound and line.bound[:2] == (shard, incarnation)]
        versions = {line.bound[2] for line in here if line.bound and not line.settled}
        versions |= {line.retracted_in or 0 for line in here}
        return {later: self._rows(shard, incarnation, later) for later in sorted(versions) if later > version}

    def drop_before(self, shard: str, incarnation: int, version: int) -> None:
        """Never again tell what was acknowledged up to a version, and let go of what was taken back."""
        kept: list[_Line] = []
        for line in self.lines:
            if line.bound and line.bound[:2] == (shard, incarnation):
                if line.taken_back and (line.retracted_in or 0) <= version:
                    continue
                line.settled |= line.acknowledged and line.bound[2] <= version
            kept.append(line)
        self.lines = kept

    def shards(self) -> list[Shared]:
        """Return what is held of each shard that rows are bound to, by name."""
        found: list[Shared] = []
        for shard in sorted({line.bound[0] for line in self.lines if line.bound}):
            lines = [(line, line.bound) for line in self.lines if line.bound and line.bound[0] == shard]
            newest = max(bound[1] for _, bound in lines)
            version = max(max(bound[2], line.retracted_in or 0) for line, bound in lines if bound[1] == newest)
            owes = any(not line.settled or line.retract for line, _ in lines)
            found.append(Shared(shard, newest, version, owes))
        return found

    def carry(self, shard: str, incarnation: int, to: int, *, told: bool) -> None:
        """Hand what is bound to an incarnation over to another; as `told`, with all that waits for a frame."""
        for line in self.lines:
            if line.bound and line.bound[:2] == (shard, incarnation):
                line.bound = shard, to, 0 if told else line.bound[2]
                line.acknowledged, line.settled = line.acknowledged or told, line.settled or told
                if told and line.retracted_in is not None:
                    line.taken_back, line.retracted_in = True, 0
            elif told and line.bound is None:
                line.bound, line.acknowledged, line.settled = (shard, to, 0), True, True

    def _waiting(self, shard: str, incarnation: int, *, fresh: bool) -> list[_Line]:
        here = [line for line in self.lines if line.bound and line.bound[:2] == (shard, incarnation)]
        back = [line for line in here if line.retract and line.retracted_in is None]
        queued = sorted((line for line in self.lines if line.bound is None), key=lambda line: -line.row.day)
        return back + (queued if fresh else [])

    def _rows(self, shard: str, incarnation: int, version: int) -> list[Contribution]:
        here = [line for line in self.lines if line.bound and line.bound[:2] == (shard, incarnation)]
        return [
            msgspec.structs.replace(line.row, retracts=line.retracted_in == version)
            for line in here
            if version in (line.bound and line.bound[2], line.retracted_in)
        ]
