"""How a shard's store judges a move: what makes every contribution count once, whatever was lost or sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from omega.core.shard_records import Standing, Verdict

if TYPE_CHECKING:
    from omega.core.shard_records import DeviceRow, Move


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
