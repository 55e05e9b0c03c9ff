"""What a tick's trials add to the sums of experiments: by arm and day, with squares for their variance."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from omega.core.shard_records import BUCKET_DAYS
from omega.core.wire.trials import trial_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omega.core.wire import Trial

Tried: TypeAlias = "tuple[int, Trial]"
"""1 for a contribution, -1 for a retraction."""


def counted(trials: Iterable[Tried], sign: int, day: int) -> list[tuple[int, ...]]:
    """Return the rows, in the order of TrialSums' fields, that the trials of a sign come to, ascending.

    A contribution of a day long over, or of one after tomorrow, is none; a retraction is one whenever it comes.
    """
    found = [trial for of, trial in trials if of == sign and (sign < 0 or day - BUCKET_DAYS < trial.day <= day + 1)]
    return [_summed(list(group)) for _, group in groupby(sorted(found, key=trial_key), key=trial_key)]


def _summed(trials: Sequence[Trial]) -> tuple[int, ...]:
    values = [(trial.watched, trial.chosen, trial.minutes) for trial in trials]
    sums = (sum(column) for column in zip(*values, strict=True))
    squares = (sum(value * value for value in column) for column in zip(*values, strict=True))
    return trials[0].experiment, trials[0].arm, trials[0].day, len(trials), *sums, *squares
