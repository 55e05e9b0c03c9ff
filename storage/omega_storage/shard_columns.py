"""A store's rows of sums as the columns that a shard tells its federation, all as of one day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from omega.core.shard_records import HALF_LIVES_DAYS
from omega.core.shard_sums import Columns
from omega_storage.shard_likeness import KEYS
from omega_storage.shard_sums import believed, faded, progress_of

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

_HALF_LIVES = np.asarray(HALF_LIVES_DAYS)


def columns_of(rows: Sequence[Sequence[Any]], audiences: Sequence[Sequence[Any]], day: int) -> Columns:
    """Return columns of rows (key, samples, success, households, day, trends, since) and (title, day, numbers) by key.

    An audience that retractions left with no code at all is left out.
    """
    found = Columns.empty()
    if rows:
        key, samples, success, households, days, trends, since = zip(*rows, strict=True)
        keys = np.asarray(key, np.int64)
        worth = np.exp2(-np.maximum(day - np.asarray(days, np.int64), 0)[:, None] / _HALF_LIVES)
        found.title.frombytes((keys // KEYS).astype("<u4").tobytes())
        found.slot.frombytes((keys % KEYS).astype("u1").tobytes())
        for column, values in (
            (found.samples, samples),
            (found.success_milli, success),
            (found.households, households),
        ):
            column.extend(values)
        found.progress.frombytes(progress_of(since).astype("<i8").tobytes())
        told = believed(np.frombuffer(b"".join(trends)).reshape(len(keys), -1), np.asarray(households, np.int64))
        _extend(found.trends, told * worth)
    if audiences:
        title, days, numbers = zip(*audiences, strict=True)
        told = np.frombuffer(b"".join(numbers)).reshape(len(title), -1)
        told = told * faded(day - np.asarray(days, np.int64))[:, None]
        heard = told[:, 0] > 0
        found.audience_title.extend(np.asarray(title, np.int64)[heard].tolist())
        _extend(found.audience, told[heard].astype(np.float32))
    return found


def _extend(column: array[float], numbers: Any) -> None:
    column.frombytes(np.ascontiguousarray(numbers).tobytes())
