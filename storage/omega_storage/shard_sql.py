"""A shard's store on tables: what a tick does to them, and what is told of them."""

from __future__ import annotations

from abc import abstractmethod
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from omega.core.shard_records import (
    ALL_SLOTS,
    BUCKET_DAYS,
    LEAST_HOUSEHOLDS,
    MOMENT_TITLES,
    TASTE_NUMBERS,
    TRIAL_DAYS,
    Aggregate,
    DeviceRow,
    TrialSums,
    Verdict,
)
from omega_storage.shard_columns import columns_of
from omega_storage.shard_journal import SAMPLE, counted_of, counted_of_plain, packed, samples_of, told_of
from omega_storage.shard_likeness import KEYS, MOVED_AT_A_FOLD, ShardLikeness, figures_of, shown_of
from omega_storage.shard_moves import judged, moved_row, usual_ones
from omega_storage.shard_sums import Rows, Sketch, distinct, faded, since_of, totals
from omega_storage.shard_trials import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omega.core.ports import Doubles, Floats, Integers
    from omega.core.shard_records import Figures, Move, PlainMoves, Sample, Shown, Standing, Tick
    from omega.core.shard_sums import Columns
    from omega_storage.shard_journal import Counted, Records
    from omega_storage.shard_moves import Usual
    from omega_storage.shard_tables import Tables
    from omega_storage.shard_trials import Tried

_COUNTED = ("title", "slot", "sign", "success_milli", "day", "tag")


class _Judged(NamedTuple):
    """What became of some of a tick's moves."""

    standings: list[Standing]
    counted: Counted
    trials: list[Tried]


class SqlShardStore(ShardLikeness):
    """Devices and sums in one database; use it from one thread at a time."""

    MOST_WAITING: ClassVar[int] = 1 << 18
    """Samples that wait in the journal at most; a pull, made every few seconds, adds them up before."""

    def __init__(self, tables: Tables, *, max_devices: int, backup_days: int) -> None:
        """Work on tables of the newest schema."""
        super().__init__(tables, max_devices=max_devices)
        self._backup_days, self._swept_day, self._waiting = backup_days, 0, 0
        self._lags = False

    @property
    @abstractmethod
    def schema(self) -> int:
        """The number of the schema that it has."""

    # --- a tick ---

    def commit(self, tick: Tick) -> list[Standing]:
        """Judge the moves in order, and make versions and samples durable together."""
        with self._tables.transaction():
            standings, counted, trials = self._moved(tick)
            self._try_out(trials, tick.day)
            if samples := sum(len(of.samples) for of in counted):
                self._tables.read("add_journal", tick.day, *packed(counted, tick.day))
            waiting = self._waiting + samples
            if waiting >= self.MOST_WAITING:
                [(waiting,)] = self._tables.read("waiting", SAMPLE.itemsize)  # another session may have added them up
            if is_much := waiting >= self.MOST_WAITING:
                self._add_up()
            if tick.day != self._swept_day:
                self._tables.read("drop_buckets", tick.day - BUCKET_DAYS)
                self._tables.read("drop_trials", tick.day - TRIAL_DAYS)
        self._waiting = 0 if is_much else waiting
        self._swept_day = tick.day
        return standings

    def _moved(self, tick: Tick) -> tuple[list[Standing], list[Counted], list[Tried]]:
        """Move the versions; return the answers, and the samples and trials that count."""
        if (plain := tick.plain) is None:
            judged = self._judged(tick.moves, tick.day)
            return judged.standings, [judged.counted], judged.trials
        usual = self._take(plain, tick.day)
        unusual = np.flatnonzero(~usual.which).tolist()
        moves = plain.moves() if unusual else []
        if others := [*tick.moves, *(moves[place] for place in unusual)]:
            judged = self._judged(others, tick.day)
        else:
            judged = _Judged([], counted_of([]), [])
        count = len(tick.moves)
        standings = iter(usual.standings(plain)), iter(judged.standings[count:])
        in_order = [next(standings[not is_usual]) for is_usual in usual.which.tolist()]
        counted = [judged.counted, counted_of_plain(plain, usual.which)]
        return judged.standings[:count] + in_order, counted, judged.trials

    def _take(self, plain: PlainMoves, day: int) -> Usual:
        """Move the versions of the usual ones of plain moves."""
        held = self._tables.held("devices", np.sort(plain.slot).tolist())
        usual, rows = usual_ones(held, plain, day, self._backup_days)
        if len(usual.horizon):
            self._tables.write("move", *rows)
        return usual

    def _judged(self, moves: Sequence[Move], day: int) -> _Judged:
        """Judge moves one by one, and move their versions."""
        held = self._tables.held("devices", sorted({move.slot for move in moves}))
        rows = {row[0]: DeviceRow(*row) for row in held}
        before = dict(rows)
        standings: list[Standing] = []
        samples: list[tuple[int, Sample]] = []
        trials: list[Tried] = []
        for move in moves:
            row, standing = judged(rows.get(move.slot), move, day, self._backup_days)
            if row is not None:
                rows[move.slot] = row
            if standing.verdict is Verdict.ACCEPTED:
                samples += [(1, sample) for sample in move.contributed]
                trials += [(1, trial) for trial in move.trials]
                if taken := move.takes - standing.refused:
                    samples += [(-1, sample) for sample in move.retracted[:taken]]
                    trials += [(-1, trial) for trial in move.trials_retracted[: max(taken - len(move.retracted), 0)]]
            standings.append(standing)
        if moved := [moved_row(row) for slot, row in rows.items() if row is not before[slot]]:
            self._tables.write("move", *np.asarray(moved, np.int64).T)
        return _Judged(standings, counted_of(samples), trials)

    def _try_out(self, trials: list[Tried], day: int) -> None:
        """Add trials to the sums of their arms, and take others out, within the caller's transaction."""
        for sign, name in ((1, "add_trials"), (-1, "take_trials")):
            if rows := counted(trials, sign, day):
                self._tables.write(name, *zip(*rows, strict=True))

    def _settled(self) -> None:
        """Add to the sums what ticks have counted since the last time, before anything of them is read."""
        if not self._lags:
            self._settle()

    def _settle(self) -> None:
        [(waits,)] = self._tables.read("has_journal")
        if waits:
            with self._tables.transaction():
                self._add_up()
        self._waiting = 0

    def _add_up(self) -> None:
        """Add the journal to the sums, within the caller's transaction; ticks of one day together."""
        self._tables.lock("sums")
        ticks = self._tables.read("journal")
        for day, group in groupby(ticks, key=itemgetter(1)):
            _, _, samples, told = zip(*group, strict=True)
            self._count(samples_of(samples), day)
            if (heard := told_of(told)).size:
                self._hear(heard["title"], heard["numbers"], day)
        self._tables.read("drop_journal", self._tables.among([tick[0] for tick in ticks]))

    def _count(self, samples: Records, day: int) -> None:
        title, slot, sign, success, of_day, tag = (samples[name].astype(np.int64) for name in _COUNTED)
        keys, place = distinct(np.concatenate([title * KEYS + slot, title * KEYS + ALL_SLOTS]))
        rows = self._rows(keys)
        rows.age(day)
        rows.add(place, np.tile(sign, 2), np.tile(success, 2), np.tile(of_day, 2))
        rows.count(place, np.tile(sign, 2), np.tile(tag, 2))
        self._put(keys, rows)
        recent = (of_day > day - BUCKET_DAYS) & (of_day <= day + 1)
        if recent.any():
            self._put_buckets((title * KEYS + slot)[recent], of_day[recent], sign[recent], success[recent])

    def _rows(self, keys: Integers) -> Rows:
        """Return the rows of these ascending keys, empty where there is none."""
        rows = Rows.empty(len(keys))
        stored = self._tables.read("sums", self._tables.among(keys.tolist()))
        if stored:
            key, samples, success, households, theta, tags, day, trends, since, *shown = zip(*stored, strict=True)
            place = np.searchsorted(keys, key)
            for array, values in (
                (rows.samples, samples),
                (rows.success_milli, success),
                (rows.day, day),
                *zip(rows.shown, shown, strict=True),
            ):
                array[place] = values
            rows.turns[place], rows.since[place] = since_of(since)
            rows.trends[place] = np.frombuffer(b"".join(trends)).reshape(len(place), -1)
            for at, *sketch in zip(place.tolist(), households, theta, tags, strict=True):
                rows.sketches[at] = Sketch(*sketch)
        return rows

    def _put(self, keys: Integers, rows: Rows) -> None:
        """Write the rows, and what of them is to be shown from now on."""
        rows.settle()
        households, trends = rows.households(), _packed(rows.trends)
        places = rows.to_show()
        rows.mark_shown(places)
        self._tables.write(
            "put_sums",
            keys,
            rows.samples,
            rows.success_milli,
            households,
            [sketch.theta for sketch in rows.sketches],
            [sketch.packed for sketch in rows.sketches],
            rows.day,
            trends,
            rows.packed_since(),
        )
        if len(places):
            shown = households[places] >= LEAST_HOUSEHOLDS
            counts = [np.where(shown, of[places], 0) for of in (rows.samples, rows.success_milli, households)]
            told_trends = _packed(rows.told_trends())
            told = [told_trends[at] if shows else b"" for at, shows in zip(places, shown, strict=True)]
            ranks = np.where(shown, rows.ranks()[places], np.nan)
            self._tables.write("put_shown", keys[places], *counts, rows.day[places], told, ranks)
            self._replaced(keys[places], *counts[:2], shown=shown)

    def _put_buckets(self, keys: Integers, days: Integers, sign: Integers, success: Integers) -> None:
        """Add samples (n,) to their days, once for each day and key."""
        first, width = days.min(), np.ptp(days) + 1  # as one number: numpy sorts pairs ten times slower
        pairs, place = distinct(keys * width + (days - first))
        sums = [totals(place, values, len(pairs)) for values in (sign, sign * success)]
        self._tables.write("add_bucket", first + pairs % width, pairs // width, *sums)

    def _hear(self, title: Integers, told: Floats, day: int) -> None:
        """Add what taste codes came to, (n, 1 + TASTE_NUMBERS) as of `day`, to their titles' audiences."""
        titles, place = distinct(title)
        days, numbers = self._audiences(titles)
        later = np.maximum(days, day)
        numbers *= faded(later - days)[:, None]
        np.add.at(numbers, place, faded(later[place] - day)[:, None] * told)
        self._tables.write("put_audience", titles, later, _packed(numbers))

    def _audiences(self, titles: Integers) -> tuple[Integers, Any]:
        """Return (n,) days and (n, 1 + TASTE_NUMBERS) numbers of ascending titles, zeros where nothing was told."""
        days, numbers = np.zeros(len(titles), np.int64), np.zeros((len(titles), 1 + TASTE_NUMBERS))
        for title, day, told in self._tables.read("audiences", self._tables.among(titles.tolist())):
            place = np.searchsorted(titles, title)
            days[place], numbers[place] = day, np.frombuffer(told)
        return days, numbers

    # --- what is told ---

    def aggregates(self) -> list[Aggregate]:
        """Return all rows of sums, by title and context."""
        self._settled()
        rows = self._tables.read("aggregates")
        return [Aggregate(row[0], row[1], figures_of(row[2:7]), _shown_figures(row[7:])) for row in rows]

    def buckets(self, title: int, slot: int) -> dict[int, tuple[int, int]]:
        """Return samples and success of a title in a context by day."""
        self._settled()
        rows = self._tables.read("buckets", title * KEYS + slot)
        return {day: (samples, success) for day, samples, success in rows}

    def trials(self) -> list[TrialSums]:
        """Return what experiments came to so far."""
        return [TrialSums(*row) for row in self._tables.read("trials")]

    def audiences(self, titles: Sequence[int]) -> Floats:
        """Return (n, 1 + TASTE_NUMBERS) float32: count and sums of the taste codes."""
        self._settled()
        ascending, place = np.unique(np.asarray(titles, np.int64), return_inverse=True)
        numbers: Floats = self._audiences(ascending)[1][place].astype(np.float32)
        return numbers

    def moments(self, day: int) -> Doubles:
        """Return (1 + TASTE_NUMBERS, 1 + TASTE_NUMBERS) float64: the second moments of the taste codes."""
        self._settled()
        days, numbers = self._audiences(np.sort(np.asarray(MOMENT_TITLES)))
        told: Doubles = (numbers * faded(day - days)[:, None])[::-1]
        return told

    def sums(self, titles: range, day: int) -> Columns:
        """Return all rows and audiences of these titles."""
        self._settled()
        between = titles.start, titles.stop
        rows, audiences = (self._tables.read(name, *between) for name in ("sums_between", "audiences_between"))
        return columns_of(rows, audiences, day)

    def trending(self, most: int, titles: int) -> list[Shown]:
        """Return the trendiest of what may be shown in all contexts."""
        self._settled()
        return [shown_of(row) for row in self._tables.read("trending", most, titles)]

    def successful(self, most: int, least_rate: float) -> list[Shown]:
        """Return the trendiest of what may be shown by context and goes well."""
        self._settled()
        return [shown_of(row) for row in self._tables.read("successful", most, least_rate)]

    def shown_of(self, title: int) -> list[Shown]:
        """Return what may be shown of a title, by context."""
        self._settled()
        return [shown_of(row) for row in self._tables.read("shown_of", title)]

    def shown_totals(self) -> tuple[int, int]:
        """Return how many catalog titles may be shown, and their shown samples."""
        self._settled()
        [(titles, samples)] = self._tables.read("shown_totals")
        return titles, samples

    def hidden(self, since: int) -> list[int]:
        """Return the catalog titles that lost their households."""
        self._settled()
        return [title for (title,) in self._tables.read("hidden", since)]

    # --- what is done now and then ---

    def fold(self, known: Mapping[int, int]) -> int:
        """Add the rows of unknown titles to those of the catalog."""
        self._settle()
        self._move(MOVED_AT_A_FOLD)
        hashes = [(title, -1 - title) for (title,) in self._tables.read("unknown_titles")]
        found = [(title, known[hashed]) for title, hashed in hashes if hashed in known]
        for old, new in found:
            with self._tables.transaction():
                self._tables.lock("sums")
                self._fold(old, new)
        return len(found)

    def _fold(self, old: int, new: int) -> None:
        keys = np.asarray([key for (key,) in self._tables.read("keys_of", old)], np.int64)
        theirs, ours = self._rows(keys), self._rows(keys + (new - old) * KEYS)
        ours.merge(theirs)
        self._put(keys + (new - old) * KEYS, ours)
        among = self._tables.among(keys.tolist())
        self._tables.read("move_buckets", among, old, new)
        days, numbers = self._audiences(np.sort(np.asarray([old, new])))
        if days[0]:  # a title that is known by hash has the smaller number
            later = days.max()
            total = (numbers * faded(later - days)[:, None]).sum(axis=0)
            self._tables.write("put_audience", [new], [int(later)], [total.tobytes()])
        for name in ("drop_sums", "drop_shown", "drop_title_buckets"):
            self._tables.read(name, among)
        self._tables.read("drop_audience", old)

    def close(self) -> None:
        """Release the database."""
        self._tables.close()


def _packed(numbers: Any) -> list[bytes]:
    """Return the bytes of each row of (m, k) doubles."""
    width, whole = numbers.shape[1] * 8, numbers.tobytes()
    return [whole[at : at + width] for at in range(0, len(whole), width)]


def _shown_figures(columns: Sequence[Any]) -> Figures | None:
    return None if columns[0] is None else figures_of(columns)
