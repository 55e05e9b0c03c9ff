"""A shard's store in one SQLite file, for one machine; a tick is one transaction that waits for the disk."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from omega.core.errors import StoreError
from omega.core.shard_records import (
    ALL_SLOTS,
    BUCKET_DAYS,
    LEAST_HOUSEHOLDS,
    TASTE_NUMBERS,
    Aggregate,
    DeviceRow,
    Figures,
    Shown,
    Verdict,
)
from omega_storage.connection import apsw, connect, is_read_only, migrate, size_bytes, store_errors, transaction
from omega_storage.shard_devices import SqliteShardDevices
from omega_storage.shard_journal import packed, samples_of, told_of
from omega_storage.shard_moves import judged
from omega_storage.shard_sums import Rows, Sketch, faded
from omega_storage.sql import migrations, queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from omega.core.ports import Floats, Integers
    from omega.core.shard_records import Sample, Standing, Tick
    from omega_storage.shard_journal import Records

APPLICATION_ID = 0x4F4D4753
"""Marks the file as a shard's store of Omega: "OMGS"."""
_SQL = queries("shard")
_KEYS = 16
"""Keys of a title: 8 contexts, all of them, and room."""
_LOG_PAGES = 8_000
"""A checkpoint waits for the disk once more: with 1,000 pages every other full tick would."""

MOST_WAITING = 65_536
"""Samples that wait in the journal at most; a pull, made every few seconds, adds them up before."""
_COUNTED = ("title", "slot", "sign", "success_milli", "day", "tag")

Signed: TypeAlias = "tuple[int, Sample]"
"""1 for a contribution, -1 for a retraction."""


class SqliteShardStore(SqliteShardDevices):
    """Devices and sums in one file; use it from one thread at a time."""

    NAME: ClassVar[str] = "sqlite"

    def __init__(self, connection: apsw.Connection, *, max_devices: int, backup_days: int) -> None:
        """Take over an open connection, which `close` closes; raises as `open` does."""
        location = connection.filename
        if is_read_only(connection):
            raise StoreError(f"{location} can't be written, a shard must: make it and its folder writable")
        with store_errors(location):
            migrate(connection, migrations("shard"), APPLICATION_ID, location)
            connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        super().__init__(connection, max_devices=max_devices)
        self._backup_days, self._swept_day, self._waiting = backup_days, 0, 0

    @classmethod
    def open(cls, location: Path | str, *, max_devices: int = 4_000_000, backup_days: int = 7) -> Self:
        """Open or create the file; `max_devices` may enrol, a backup older than `backup_days` is never restored.

        Raises StoreError, for a file that can't be written too, and DamagedStoreError.
        """
        connection = connect(str(location))
        try:
            return cls(connection, max_devices=max_devices, backup_days=backup_days)
        except BaseException:
            connection.close()
            raise

    # --- a tick ---

    def commit(self, tick: Tick) -> list[Standing]:
        """Judge the moves in order, and make versions and samples durable together."""
        with store_errors(self._location), transaction(self._connection):
            standings, samples = self._moved(tick)
            if samples:
                self._connection.execute(_SQL["add_journal"], (tick.day, *packed(samples, tick.day)))
            if is_much := self._waiting + len(samples) >= MOST_WAITING:
                self._add_up()
            if tick.day != self._swept_day:
                self._connection.execute(_SQL["drop_buckets"], (tick.day - BUCKET_DAYS,))
        self._waiting = 0 if is_much else self._waiting + len(samples)
        self._swept_day = tick.day
        return standings

    def _moved(self, tick: Tick) -> tuple[list[Standing], list[Signed]]:
        """Move the versions; return the answers and the samples that count, in order."""
        rows = self._device_rows({move.slot for move in tick.moves})
        before = dict(rows)
        standings: list[Standing] = []
        samples: list[Signed] = []
        for move in tick.moves:
            row, standing = judged(rows.get(move.slot), move, tick.day, self._backup_days)
            if row is not None:
                rows[move.slot] = row
            if standing.verdict is Verdict.ACCEPTED:
                samples += [(1, sample) for sample in move.contributed]
                samples += [(-1, sample) for sample in move.retracted[: len(move.retracted) - standing.refused]]
            standings.append(standing)
        moved = [_standing_row(row) for slot, row in rows.items() if row is not before[slot]]
        self._connection.executemany(_SQL["move"], moved)
        return standings, samples

    def _settled(self) -> None:
        """Add to the sums what ticks have counted since the last time: before anything of them is read."""
        with store_errors(self._location):
            if self._connection.execute(_SQL["has_journal"]).get:
                with transaction(self._connection):
                    self._add_up()
        self._waiting = 0

    def _add_up(self) -> None:
        """Add the journal to the sums, within the caller's transaction; ticks of one day together."""
        ticks: list[Any] = self._connection.execute(_SQL["journal"]).fetchall()
        for day, group in groupby(ticks, key=itemgetter(0)):
            _, samples, told = zip(*group, strict=True)
            self._count(samples_of(samples), day)
            if (heard := told_of(told)).size:
                self._hear(heard["title"], heard["numbers"], day)
        self._connection.execute(_SQL["drop_journal"])

    def _count(self, samples: Records, day: int) -> None:
        title, slot, sign, success, of_day, tag = (samples[name].astype(np.int64) for name in _COUNTED)
        keys, place = np.unique([title * _KEYS + slot, title * _KEYS + ALL_SLOTS], return_inverse=True)
        place = place.reshape(-1)
        rows = self._rows(keys)
        rows.age(day)
        rows.add(place, np.tile(sign, 2), np.tile(success, 2), np.tile(of_day, 2))
        rows.count(place, np.tile(sign, 2), np.tile(tag, 2))
        self._put(keys, rows)
        recent = (of_day > day - BUCKET_DAYS) & (of_day <= day + 1)
        self._put_buckets((title * _KEYS + slot)[recent], of_day[recent], sign[recent], success[recent])

    def _rows(self, keys: Integers) -> Rows:
        """Return the rows of these ascending keys, empty where there is none."""
        rows = Rows.empty(len(keys))
        stored: list[Any] = self._connection.execute(_SQL["sums"], (json.dumps(keys.tolist()),)).fetchall()
        if stored:
            key, samples, success, households, theta, tags, day, trends, shown = zip(*stored, strict=True)
            place = np.searchsorted(keys, key)
            for array, values in (
                (rows.samples, samples),
                (rows.success_milli, success),
                (rows.day, day),
                (rows.shown, shown),
            ):
                array[place] = values
            rows.trends[place] = np.frombuffer(b"".join(trends)).reshape(len(place), -1)
            for at, *sketch in zip(place.tolist(), households, theta, tags, strict=True):
                rows.sketches[at] = Sketch(*sketch)
        return rows

    def _put(self, keys: Integers, rows: Rows) -> None:
        """Write the rows, and what of them is to be shown from now on."""
        rows.settle()
        key, samples, success, day = (array.tolist() for array in (keys, rows.samples, rows.success_milli, rows.day))
        trends = [row.tobytes() for row in rows.trends]
        sketches = rows.sketches
        self._connection.executemany(
            _SQL["put_sums"],
            [
                (key[i], samples[i], success[i], sketch.households, sketch.theta, sketch.packed, day[i], trends[i])
                for i, sketch in enumerate(sketches)
            ],
        )
        ranks = rows.ranks().tolist()
        self._connection.executemany(
            _SQL["put_shown"],
            [
                (key[i], samples[i], success[i], households, day[i], trends[i], ranks[i])
                if (households := sketches[i].households) >= LEAST_HOUSEHOLDS
                else (key[i], 0, 0, 0, day[i], b"", None)
                for i in rows.to_show().tolist()
            ],
        )

    def _put_buckets(self, keys: Integers, days: Integers, sign: Integers, success: Integers) -> None:
        """Add samples (n,) to their days, once for each day and key."""
        pairs, place = np.unique(np.stack([days, keys], axis=1), axis=0, return_inverse=True)
        sums = np.zeros((len(pairs), 2), np.int64)
        np.add.at(sums, place.reshape(-1), np.stack([sign, sign * success], axis=1))
        self._connection.executemany(_SQL["add_bucket"], np.hstack([pairs, sums]).tolist())

    def _hear(self, title: Integers, told: Floats, day: int) -> None:
        """Add what taste codes came to, (n, 1 + TASTE_NUMBERS) as of `day`, to their titles' audiences."""
        titles, place = np.unique(title, return_inverse=True)
        days, numbers = self._audiences(titles)
        later = np.maximum(days, day)
        numbers *= faded(later - days)[:, None]
        np.add.at(numbers, place, faded(later[place] - day)[:, None] * told)
        rows = zip(titles.tolist(), later.tolist(), (row.tobytes() for row in numbers), strict=True)
        self._connection.executemany(_SQL["put_audience"], list(rows))

    def _audiences(self, titles: Integers) -> tuple[Integers, Any]:
        """Return (n,) days and (n, 1 + TASTE_NUMBERS) numbers of ascending titles, zeros where nothing was told."""
        days, numbers = np.zeros(len(titles), np.int64), np.zeros((len(titles), 1 + TASTE_NUMBERS))
        stored: Iterable[Any] = self._connection.execute(_SQL["audiences"], (json.dumps(titles.tolist()),))
        for title, day, told in stored:
            place = np.searchsorted(titles, title)
            days[place], numbers[place] = day, np.frombuffer(told)
        return days, numbers

    # --- what is told ---

    def aggregates(self) -> list[Aggregate]:
        """Return all rows of sums, by title and context."""
        self._settled()
        rows = self._read("aggregates")
        return [Aggregate(row[0], row[1], _figures(row[2:7]), _shown_figures(row[7:])) for row in rows]

    def buckets(self, title: int, slot: int) -> dict[int, tuple[int, int]]:
        """Return samples and success of a title in a context by day."""
        self._settled()
        return {day: (samples, success) for day, samples, success in self._read("buckets", title * _KEYS + slot)}

    def audiences(self, titles: Sequence[int]) -> Floats:
        """Return (n, 1 + TASTE_NUMBERS) float32: count and sums of the taste codes."""
        self._settled()
        ascending, place = np.unique(np.asarray(titles, np.int64), return_inverse=True)
        with store_errors(self._location):
            numbers: Floats = self._audiences(ascending)[1][place].astype(np.float32)
        return numbers

    def trending(self, most: int, titles: int) -> list[Shown]:
        """Return the trendiest of what may be shown in all contexts."""
        self._settled()
        return [_shown(row) for row in self._read("trending", most, titles)]

    def successful(self, most: int, least_rate: float) -> list[Shown]:
        """Return the trendiest of what may be shown by context and goes well."""
        self._settled()
        return [_shown(row) for row in self._read("successful", most, least_rate)]

    def hidden(self, since: int) -> list[int]:
        """Return the catalog titles that lost their households."""
        self._settled()
        return [title for (title,) in self._read("hidden", since)]

    # --- what is done now and then ---

    def fold(self, known: Mapping[int, int]) -> int:
        """Add the rows of unknown titles to those of the catalog."""
        self._settled()
        hashes = [(title, -1 - title) for (title,) in self._read("unknown_titles")]
        found = [(title, known[hashed]) for title, hashed in hashes if hashed in known]
        for old, new in found:
            with store_errors(self._location), transaction(self._connection):
                self._fold(old, new)
        return len(found)

    def _fold(self, old: int, new: int) -> None:
        keys = np.asarray([key for (key,) in self._read("keys_of", old)], np.int64)
        theirs, ours = self._rows(keys), self._rows(keys + (new - old) * _KEYS)
        for rows, other in ((ours, theirs), (theirs, ours)):
            rows.age(other.day)
        ours.samples += theirs.samples
        ours.success_milli += theirs.success_milli
        ours.trends += theirs.trends
        for sketch, more in zip(ours.sketches, theirs.sketches, strict=True):
            sketch.merge(more)
        self._put(keys + (new - old) * _KEYS, ours)
        self._connection.execute(_SQL["move_buckets"], (old, new))
        days, numbers = self._audiences(np.sort(np.asarray([old, new])))
        if days[0]:  # a title that is known by hash has the smaller number
            later = days.max()
            total = (numbers * faded(later - days)[:, None]).sum(axis=0)
            self._connection.execute(_SQL["put_audience"], (new, int(later), total.tobytes()))
        for name in ("drop_sums", "drop_shown", "drop_title_buckets", "drop_audience"):
            self._connection.execute(_SQL[name], (old,))

    def rest(self) -> None:
        """Write the log into the file and empty it: it shows which sums moved together with which device."""
        self._settled()
        self._read("empty_log")

    def backup(self, to: Path) -> None:
        """Copy the database as it is now into a new file. Raises StoreError.

        Whoever puts it back throws away those that were made after it: what a device was told of the horizon since
        then, and the slots and tokens that were given, wouldn't hold there.
        """
        with store_errors(str(to)):
            target = apsw.Connection(str(to))
            try:
                with target.backup("main", self._connection, "main") as copying:
                    copying.step()
            finally:
                target.close()

    def size_bytes(self) -> int:
        """Return what the file takes on disk, its log included."""
        return size_bytes(self._location)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _standing_row(row: DeviceRow) -> tuple[int, ...]:
    moved = row.incarnation, row.version, row.seen_day, row.contributed, row.retracted, row.horizon
    return row.slot, *moved, row.mark_day, row.mark_version


def _figures(columns: Sequence[Any]) -> Figures:
    samples, success, households, day, trends = columns
    return Figures(samples, success, households, day, tuple(np.frombuffer(trends).tolist()))


def _shown_figures(columns: Sequence[Any]) -> Figures | None:
    return None if columns[0] is None else _figures(columns)


def _shown(row: Sequence[Any]) -> Shown:
    return Shown(row[0], row[1], _figures(row[2:]))
