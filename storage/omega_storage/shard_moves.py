"""How a shard's store judges a move: what makes every contribution count once, whatever was lost or sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from omega.core.shard_records import FOR_GOOD, DeviceRow, Standing, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Bits, Integers
    from omega.core.shard_records import Move, PlainMoves


class Usual(NamedTuple):
    """Those of a tick's plain moves that are accepted as they are: they begin a life, or go on where the device is."""

    which: Bits
    """(n,) of all plain moves."""
    horizon: Integers
    """(k,) of the devices of these."""

    def standings(self, plain: PlainMoves) -> list[Standing]:
        """Return the k answers."""
        told = (of.tolist() for of in (plain.incarnation[self.which], plain.version[self.which], self.horizon))
        return [Standing(Verdict.ACCEPTED, *one) for one in zip(*told, strict=True)]


def usual_ones(
    held: Sequence[Sequence[Any]], plain: PlainMoves, day: int, backup_days: int
) -> tuple[Usual, tuple[Integers, ...]]:
    """Judge the usual ones of plain moves at once, as `judged` does one by one; `held` are device rows by slot.

    Their devices' new rows are returned, too: (k,) each, in the order of `moved_row`.
    """
    if not held:
        return Usual(np.zeros(len(plain), bool), np.zeros(0, np.int64)), ()
    by_name = zip(_FIELDS, zip(*held, strict=True), strict=True)
    columns = [np.asarray(of, np.int64) for name, of in by_name if name != _ID]
    place = np.minimum(np.searchsorted(columns[0], plain.slot), len(held) - 1)
    known, since, incarnation, version, seen, given, taken, horizon, marked, mark = (of[place] for of in columns)
    anew = (incarnation < plain.incarnation) & (plain.base == 0)
    goes_on = (incarnation == plain.incarnation) & (version == plain.base) & (day < marked + backup_days)
    which = (known == plain.slot) & (since != FOR_GOOD) & (plain.base < plain.version) & (anew | goes_on)
    horizon, marked, mark = (np.where(anew, new, of) for new, of in ((0, horizon), (day, marked), (0, mark)))
    moved = plain.slot, plain.incarnation, plain.version, np.maximum(seen, day), given + plain.count, taken
    rows = tuple(of[which] for of in (*moved, horizon, marked, mark))
    return Usual(which, horizon[which]), rows


def moved_row(row: DeviceRow) -> tuple[int, ...]:
    """Return what a move can change of a row, behind its slot."""
    moved = row.incarnation, row.version, row.seen_day, row.contributed, row.retracted, row.horizon
    return row.slot, *moved, row.mark_day, row.mark_version


_FIELDS = DeviceRow.__struct_fields__
_ID = "device_id"


def judged(row: DeviceRow | None, move: Move, day: int, backup_days: int) -> tuple[DeviceRow | None, Standing]:  # noqa: PLR0911  (a verdict each)
    """Return the device's row after the move, and the answer; the row is the same object where nothing changed."""
    if row is None or row.revoked:
        return row, Standing(Verdict.STRANGER)
    if row.seen_day < day:
        row = replace(row, seen_day=day)
    if move.incarnation < row.incarnation:
        return row, _standing(Verdict.STALE, row)
    if move.incarnation > row.incarnation:
        if move.base:
            return row, Standing(Verdict.GAP, move.incarnation)
        row = replace(row, incarnation=move.incarnation, version=0, horizon=0, mark_day=day, mark_version=0)
        return _accepted(row, move)
    if day >= row.mark_day + backup_days:  # what it stood at on mark_day is in every backup by now
        row = replace(row, horizon=row.mark_version, mark_day=day, mark_version=row.version)
    if move.version <= row.version:
        return row, _standing(Verdict.DUPLICATE if move.version == row.version else Verdict.BEHIND, row)
    if move.base != row.version:
        return row, _standing(Verdict.GAP, row)
    return _accepted(row, move)


def _accepted(row: DeviceRow, move: Move) -> tuple[DeviceRow, Standing]:
    contributed = row.contributed + move.gives
    takes = move.takes
    taken = min(takes, contributed - row.retracted)
    row = replace(row, version=move.version, contributed=contributed, retracted=row.retracted + taken)
    return row, _standing(Verdict.ACCEPTED, row, takes - taken)


def _standing(verdict: Verdict, row: DeviceRow, refused: int = 0) -> Standing:
    return Standing(verdict, row.incarnation, row.version, row.horizon, refused)
