"""A shard's store in memory, one sample after the other: the oracle that the real ones are compared with."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from msgspec.structs import replace

from omega.core.errors import InputError, StoreError
from omega.core.identity.admission import Standing as Known
from omega.core.identity.admission import Way, judged
from omega.core.ports import ShardStore
from omega.core.shard_records import (
    ALL_SLOTS,
    AUDIENCE_HALF_LIFE_DAYS,
    BUCKET_DAYS,
    DAY_S,
    DEVICE_ID_BYTES,
    FOR_GOOD,
    HALF_LIVES_DAYS,
    LEAST_AGAIN,
    LEAST_HOUSEHOLDS,
    LEAST_SUCCESS,
    MAX_TAGS,
    MOMENT_TITLES,
    MOST_TRENDS,
    RANKED_BY,
    TAG_RANGE,
    TASTE_NUMBERS,
    TRIAL_DAYS,
    Aggregate,
    DeviceRow,
    Figures,
    Shown,
    Standing,
    TrialSums,
    Verdict,
    unknown_title,
)
from omega.core.shard_sums import Columns
from omega.core.types import success_rate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omega.core.identity.admission import Candidate
    from omega.core.identity.vouchers import Code
    from omega.core.ports import Doubles, Floats, Integers
    from omega.core.shard_records import Move, Sample, Tick
    from omega.core.wire import Trial


class _Row:
    """The sums of one title and context."""

    def __init__(self) -> None:
        self.samples = self.success = self.households = self.day = 0
        self.trends = [0.0] * len(HALF_LIVES_DAYS)
        self.theta, self.tags = TAG_RANGE, set[int]()
        self.shown: Figures | None = None
        self.turns, self.since = 0, set[int]()
        self.hidden_day = 0

    def age(self, day: int) -> None:
        """Bring the trends to a day."""
        past, self.day = max(day - self.day, 0), max(day, self.day)
        self.trends = [t * 2 ** (-past / h) for t, h in zip(self.trends, HALF_LIVES_DAYS, strict=True)]

    def add(self, sample: Sample, sign: int) -> None:
        """Count a sample, or the opposite."""
        self.since.add(sample.tag)
        self.samples += sign
        self.success += sign * sample.success_milli
        age = max(self.day - sample.day, 0)
        self.trends = [t + sign * 2 ** (-age / h) for t, h in zip(self.trends, HALF_LIVES_DAYS, strict=True)]
        worth = (TAG_RANGE + self.theta // 2) // self.theta
        if sign < 0 and sample.tag in self.tags:
            self.tags.remove(sample.tag)
            self.households -= worth
        elif sign > 0 and sample.tag < self.theta and sample.tag not in self.tags:
            self.tags.add(sample.tag)
            self.households += worth
            if len(self.tags) > MAX_TAGS:
                self.theta = max(self.tags)
                self.tags.remove(self.theta)

    def settle(self) -> None:
        """Bring the sums within their bounds, and replace what is shown where it is time to."""
        self.turns += max(len(self.since) // LEAST_HOUSEHOLDS - 1, 0)
        self.since = set(sorted(self.since)[:LEAST_HOUSEHOLDS])
        self.samples = max(self.samples, 0)
        self.success = min(max(self.success, 0), 1000 * self.samples)
        self.trends = [max(trend, 0.0) for trend in self.trends]
        self.households = max(self.households, len(self.tags))
        if len(self.tags) < LEAST_HOUSEHOLDS:
            self.households, self.theta = len(self.tags), TAG_RANGE
        if self.households < LEAST_HOUSEHOLDS:
            if self.shown:
                self.hidden_day = self.day
                self._show(None)
        elif self._moved():
            self._show(replace(self.figures(), trends=self.told_trends()))

    def _moved(self) -> bool:
        shown = self.shown
        if shown is None:
            return self.households >= (LEAST_AGAIN if self.hidden_day else LEAST_HOUSEHOLDS)
        if self.theta == TAG_RANGE:
            return abs(self.households - shown.households) >= LEAST_HOUSEHOLDS
        news = self.day > shown.day or 16 * abs(self.samples - shown.samples) >= self.trends[RANKED_BY]
        return len(self.since) >= LEAST_HOUSEHOLDS and news

    def _show(self, figures: Figures | None) -> None:
        self.shown, self.turns = figures, self.turns + (len(self.since) >= LEAST_HOUSEHOLDS)
        self.since.clear()

    def figures(self) -> Figures:
        return Figures(self.samples, self.success, self.households, self.day, tuple(self.trends))

    def told_trends(self) -> tuple[float, ...]:
        """Return the trends as far as so many households can have come to them."""
        return tuple(min(trend, self.households * most) for trend, most in zip(self.trends, MOST_TRENDS, strict=True))

    def merge(self, other: _Row) -> None:
        """Take over what another row counted."""
        day = max(self.day, other.day)
        self.age(day)
        other.age(day)
        self.since |= other.since
        self.samples += other.samples
        self.success += other.success
        self.trends = [a + b for a, b in zip(self.trends, other.trends, strict=True)]
        theta = min(self.theta, other.theta)
        tags = sorted(tag for tag in self.tags | other.tags if tag < theta)
        if len(tags) > MAX_TAGS:
            theta = tags[MAX_TAGS]
        self.theta, self.tags = theta, set(tags[:MAX_TAGS])
        estimate = (len(self.tags) * TAG_RANGE + theta // 2) // theta
        self.households = max(self.households, other.households, estimate) if theta < TAG_RANGE else len(self.tags)


class MemoryShardStore(ShardStore):
    """Everything in dictionaries; lost when it closes."""

    NAME: ClassVar[str] = "memory"

    def __init__(self, *, max_devices: int = 1_000_000, backup_days: int = 7) -> None:
        """`max_devices` may enrol; a backup older than `backup_days` is never restored."""
        self._max_devices, self._backup_days = max_devices, backup_days
        self._devices: list[DeviceRow] = []
        self._rows: defaultdict[tuple[int, int], _Row] = defaultdict(_Row)
        self._buckets: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
        self._audiences: dict[int, tuple[int, list[float]]] = {}
        self._trials: dict[tuple[int, int, int], list[int]] = {}
        self._identity: tuple[int, bytes] | None = None
        self._admitted: Counter[bytes] = Counter()
        self._codes: dict[bytes, Code] = {}
        self._due = set[int]()
        self._directions: dict[int, Floats] = {}

    def enrol(self, device_ids: Sequence[bytes], now: int) -> list[int | None]:
        """Return the number of each device, None for who may not come in."""
        if bad := next((one for one in device_ids if len(one) != DEVICE_ID_BYTES), None):
            raise InputError(f"a device id has {len(bad)} bytes, allowed {DEVICE_ID_BYTES}: hash its public key")
        return [self._enrolled(device_id, now) for device_id in device_ids]

    def _enrolled(self, device_id: bytes, now: int) -> int | None:
        row = next((row for row in self._devices if row.device_id == device_id), None)
        if row is None and len(self._devices) < self._max_devices:
            row = DeviceRow(len(self._devices), device_id, now, seen_day=now // DAY_S, mark_day=now // DAY_S)
            self._devices.append(row)
        return None if row is None or row.revoked else row.slot

    def bind(self, shard_id: int, key_mark: bytes) -> None:
        """Be this shard's store from now on, with tags by the key of this mark."""
        self._identity = self._identity or (shard_id, key_mark)
        if self._identity != (shard_id, key_mark):
            raise StoreError(f"the sums are of shard {self._identity[0]}, or counted by another tag key")

    def admit(self, candidate: Candidate, now: int) -> tuple[int, int] | None:
        """Return the number of a device that may come in, and since when its tokens count; None without room."""
        row = next((row for row in self._devices if row.device_id == candidate.device), None)
        maker = candidate.maker.id if candidate.maker else b""
        code = self._codes.get(candidate.code or b"")
        slot, since = (row.slot, row.counts_from) if row else (None, 0)
        way = judged(candidate, Known(slot, since, self._admitted[maker], code), now)
        slot = self._enrolled(candidate.device, now)
        if slot is not None and way is Way.MAKER:
            self._admitted[maker] += 1
        if slot is not None and way is Way.CODE and code:
            self._codes[code.digest] = replace(code, uses=code.uses - 1)
        return None if slot is None else (slot, self._devices[slot].counts_from)

    def add_code(self, code: Code, now: int) -> None:
        """Admit as many devices as the code has uses."""
        self._codes = {key: held for key, held in self._codes.items() if held.live(now)} | {code.digest: code}

    def revoke(self, device_id: bytes) -> bool:
        """Shut a device out for good."""
        for row in self._devices:
            if row.device_id == device_id:
                self._devices[row.slot] = replace(row, counts_from=FOR_GOOD)
                return True
        return False

    def commit(self, tick: Tick) -> list[Standing]:
        """Judge the moves in order."""
        touched: set[tuple[int, int]] = set()
        taken: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
        standings = [self._judge(move, tick.day, touched, taken) for move in tick.all_moves()]
        for key in touched:
            self._settle(*key)
        for bucket, (samples, success) in taken.items():
            sums = self._buckets[bucket]
            sums[0] = max(sums[0] + samples, 0)
            sums[1] = max(sums[1] + success, 0)
        self._trials = {key: sums for key, sums in self._trials.items() if key[1] > tick.day - TRIAL_DAYS}
        for bucket in [bucket for bucket in self._buckets if bucket[2] <= tick.day - BUCKET_DAYS]:
            del self._buckets[bucket]
        return standings

    def _settle(self, title: int, slot: int) -> None:
        """Settle a row; a title whose shown figures were replaced is to be compared anew, or no more."""
        row = self._rows[title, slot]
        before = row.shown
        row.settle()
        if slot == ALL_SLOTS and title >= 0 and row.shown is not before:
            if row.shown and _rate(row.shown) >= LEAST_SUCCESS:
                self._due.add(title)
            else:
                self._due.discard(title)
                self._directions.pop(title, None)

    def _judge(
        self, move: Move, day: int, touched: set[tuple[int, int]], taken: dict[tuple[int, int, int], list[int]]
    ) -> Standing:
        row = self.device(move.slot)
        if row is None or row.revoked:
            return Standing(Verdict.STRANGER)
        self._devices[row.slot] = row = replace(row, seen_day=max(row.seen_day, day))
        if move.incarnation < row.incarnation:
            return Standing(Verdict.STALE, row.incarnation, row.version, row.horizon)
        is_new = move.incarnation > row.incarnation
        if is_new and move.base > 0:
            return Standing(Verdict.GAP, move.incarnation, 0, 0)
        if not is_new and day >= row.mark_day + self._backup_days:
            row = replace(row, horizon=row.mark_version, mark_day=day, mark_version=row.version)
            self._devices[row.slot] = row
        if not is_new and move.version <= row.version:
            verdict = Verdict.DUPLICATE if move.version == row.version else Verdict.BEHIND
            return Standing(verdict, row.incarnation, row.version, row.horizon)
        if not is_new and move.base != row.version:
            return Standing(Verdict.GAP, row.incarnation, row.version, row.horizon)
        if is_new:
            row = replace(row, incarnation=move.incarnation, version=0, horizon=0, mark_day=day, mark_version=0)
        contributed = row.contributed + len(move.contributed) + len(move.trials)
        asked = len(move.retracted) + len(move.trials_retracted)
        allowed = min(asked, contributed - row.retracted)
        row = replace(row, version=move.version, contributed=contributed, retracted=row.retracted + allowed)
        self._devices[row.slot] = row
        for sign, samples in ((1, move.contributed), (-1, move.retracted[:allowed])):
            for sample in samples:
                touched |= self._count(sample, sign, day, taken)
        self._try_out(move, day, max(allowed - len(move.retracted), 0))
        refused = asked - allowed
        return Standing(Verdict.ACCEPTED, row.incarnation, row.version, row.horizon, refused)

    def _try_out(self, move: Move, day: int, taken: int) -> None:
        for trial in move.trials:
            if day - BUCKET_DAYS < trial.day <= day + 1:
                self._try(trial, 1)
        for trial in move.trials_retracted[:taken]:
            self._try(trial, -1)

    def _try(self, trial: Trial, sign: int) -> None:
        key = trial.experiment, trial.day, trial.arm
        if sign > 0 or key in self._trials:
            held = self._trials.setdefault(key, [0] * 7)
            values = trial.watched, trial.chosen, trial.minutes
            told = 1, *values, *(value**2 for value in values)
            self._trials[key] = [max(old + sign * new, 0) for old, new in zip(held, told, strict=True)]

    def trials(self) -> list[TrialSums]:
        """Return what experiments came to."""
        held = sorted(self._trials.items())
        return [TrialSums(one, arm, day, *sums) for (one, day, arm), sums in held if sums[0]]

    def _count(
        self, sample: Sample, sign: int, day: int, taken: dict[tuple[int, int, int], list[int]]
    ) -> set[tuple[int, int]]:
        keys = {(sample.title, sample.slot), (sample.title, ALL_SLOTS)}
        for key in keys:
            self._rows[key].age(day)
            self._rows[key].add(sample, sign)
        if day - BUCKET_DAYS < sample.day <= day + 1:
            sums = taken[(sample.title, sample.slot, sample.day)]
            sums[0] += sign
            sums[1] += sign * sample.success_milli
        if sample.taste:
            numbers = [1.0, *(nibble - 8.0 for byte in sample.taste for nibble in (byte & 15, byte >> 4))]
            for title, factor in ((sample.title, 1.0), *zip(MOMENT_TITLES, numbers, strict=True)):
                at = max(day, self._audiences.get(title, (day,))[0])
                self._hear(title, at, [sign * factor * n * _faded(at - sample.day) for n in numbers])
        return keys

    def _hear(self, title: int, day: int, numbers: Sequence[float]) -> None:
        """Add a taste code with its count to a title's audience."""
        at, sums = self._audiences.get(title, (day, [0.0] * (1 + TASTE_NUMBERS)))
        faded = _faded(day - at)
        added = [a * faded + b for a, b in zip(sums, numbers, strict=True)]
        self._audiences[title] = max(day, at), added

    def revoked(self) -> list[int]:
        """Return the numbers of the devices that were shut out."""
        return [row.slot for row in self._devices if row.revoked]

    def counts_from(self, first: int = 0) -> Integers:
        """Return (n,) since when the tokens of each device count."""
        return np.asarray([row.counts_from for row in self._devices[first:]], np.int64)

    def device(self, slot: int) -> DeviceRow | None:
        """Return what is known of a device."""
        return self._devices[slot] if 0 <= slot < len(self._devices) else None

    def find(self, device_id: bytes) -> DeviceRow | None:
        """Return what is known of the device with this id."""
        return next((row for row in self._devices if row.device_id == device_id), None)

    def device_count(self) -> int:
        """Return how many devices are enrolled."""
        return len(self._devices)

    def aggregates(self) -> list[Aggregate]:
        """Return all rows of sums, by title and context."""
        return [Aggregate(*key, row.figures(), row.shown) for key, row in sorted(self._rows.items())]

    def buckets(self, title: int, slot: int) -> dict[int, tuple[int, int]]:
        """Return samples and success of a title in a context by day."""
        kept = {key: sums for key, sums in self._buckets.items() if key[:2] == (title, slot) and sums[0]}
        return {day: (samples, success) for (_, _, day), (samples, success) in sorted(kept.items())}

    def audiences(self, titles: Sequence[int]) -> Floats:
        """Return (n, 1 + TASTE_NUMBERS) float32: count and sums of the taste codes."""
        nothing = 0, [0.0] * (1 + TASTE_NUMBERS)
        rows = [self._audiences.get(title, nothing)[1] for title in titles]
        return np.asarray(rows, np.float32).reshape(len(titles), 1 + TASTE_NUMBERS)

    def moments(self, day: int) -> Doubles:
        """Return (1 + TASTE_NUMBERS, 1 + TASTE_NUMBERS) float64: the second moments of the taste codes."""
        nothing = day, [0.0] * (1 + TASTE_NUMBERS)
        rows = [self._audiences.get(title, nothing) for title in MOMENT_TITLES]
        return np.asarray([[n * _faded(day - at) for n in numbers] for at, numbers in rows])

    def sums(self, titles: range, day: int) -> Columns:
        """Return all rows and audiences of these titles."""
        found = Columns.empty()
        for (title, slot), row in sorted(self._rows.items()):
            if title in titles:
                found.title.append(title)
                found.slot.append(slot)
                found.samples.append(row.samples)
                found.success_milli.append(row.success)
                found.households.append(row.households)
                found.progress.append(row.turns << 2 | len(row.since))
                age = max(day - row.day, 0)
                told = zip(row.told_trends(), HALF_LIVES_DAYS, strict=True)
                found.trends.extend(trend * 2 ** (-age / days) for trend, days in told)
        for title, (at, numbers) in sorted(self._audiences.items()):
            if title in titles and numbers[0] > 0:
                found.audience_title.append(title)
                found.audience.extend(number * _faded(day - at) for number in numbers)
        return found

    def identity(self) -> int | None:
        """Return the number of the shard that the store is bound to."""
        return self._identity[0] if self._identity else None

    def trending(self, most: int, titles: int) -> list[Shown]:
        """Return the trendiest of what may be shown in all contexts."""
        return [row for row in self._shown() if row.slot == ALL_SLOTS and row.title < titles][:most]

    def successful(self, most: int, least_rate: float) -> list[Shown]:
        """Return the trendiest of what may be shown by context and goes well."""
        rows = [row for row in self._shown() if row.slot < ALL_SLOTS]
        return [row for row in rows if _rate(row.figures) >= least_rate][:most]

    def nearest(self, taste: Floats, most: int) -> list[Shown]:
        """Return what goes well and whose audience is nearest to a taste."""
        if most < 1 or taste.shape != (TASTE_NUMBERS,) or not 0 < np.linalg.norm(taste) < np.inf:
            raise InputError(f"taste is {taste}, most {most}, allowed: {TASTE_NUMBERS} numbers not all 0; 1 and more")
        self._move()
        cosines = {title: float(direction @ taste) for title, direction in self._directions.items()}
        best = sorted(cosines, key=lambda title: (-cosines[title], title))[:most]
        rows = {row.title: row for row in self._shown() if row.slot == ALL_SLOTS}
        return [rows[title] for title in best]

    def _move(self) -> None:
        for title in self._due:
            self._directions.pop(title, None)
            count, *numbers = self._audiences.get(title, (0, [0.0]))[1]
            if count >= LEAST_HOUSEHOLDS and any(numbers):
                self._directions[title] = np.asarray(numbers, np.float32) / np.float32(np.linalg.norm(numbers))
        self._due.clear()

    def shown_of(self, title: int) -> list[Shown]:
        """Return what may be shown of a title, by context."""
        return [Shown(*key, row.shown) for key, row in sorted(self._rows.items()) if key[0] == title and row.shown]

    def shown_totals(self) -> tuple[int, int]:
        """Return how many catalog titles may be shown, and their shown samples."""
        rows = [row.figures.samples for row in self._shown() if row.slot == ALL_SLOTS]
        return len(rows), sum(rows)

    def hidden(self, since: int) -> list[int]:
        """Return the catalog titles that lost their households."""
        rows = sorted(self._rows.items())
        lost = [key for key, row in rows if row.shown is None and max(since, 1) <= row.hidden_day]
        return [title for title, slot in lost if title >= 0 and slot == ALL_SLOTS]

    def _shown(self) -> list[Shown]:
        rows = [Shown(*key, row.shown) for key, row in self._rows.items() if key[0] >= 0 and row.shown]
        return sorted(rows, key=lambda row: (-_rank(row.figures), row.title, row.slot))

    def fold(self, known: Mapping[int, int]) -> int:
        """Add the rows of unknown titles to those of the catalog."""
        self._move()
        folded: set[int] = set()
        for hashed, ordinal in known.items():
            old = unknown_title(hashed)
            for _, slot in [key for key in self._rows if key[0] == old]:
                self._rows[(ordinal, slot)].merge(self._rows.pop((old, slot)))
                self._settle(ordinal, slot)
                folded.add(old)
            for key in [key for key in self._buckets if key[0] == old]:
                samples, success = self._buckets.pop(key)
                sums = self._buckets[(ordinal, *key[1:])]
                sums[0] += samples
                sums[1] += success
            if old in self._audiences:
                self._hear_all(ordinal, *self._audiences.pop(old))
        return len(folded)

    def _hear_all(self, title: int, at: int, sums: Sequence[float]) -> None:
        day = max(at, self._audiences.get(title, (at, []))[0])
        self._hear(title, day, [number * _faded(day - at) for number in sums])

    def rest(self) -> None:
        """Do what waits: there is no log."""
        self._move()

    def close(self) -> None:
        """Forget everything."""
        self.__init__()  # type: ignore[misc]


def _faded(age: int) -> float:
    return float(2 ** (-max(age, 0) / AUDIENCE_HALF_LIFE_DAYS))


def _rate(figures: Figures) -> float:
    return success_rate(figures.samples, figures.success_milli)


def _rank(figures: Figures) -> float:
    trend = figures.trends[RANKED_BY]
    return math.log2(trend) + figures.day / HALF_LIVES_DAYS[RANKED_BY] if trend > 0 else -math.inf
