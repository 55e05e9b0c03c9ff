"""The sections of experiments in a push: what a household's days in their arms came to, or what is taken back of it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from omega.core.errors import WireCode, WireError
from omega.core.wire.messages import MAX_DAY, MOST_ARMS, MOST_MINUTES, MOST_WATCHED, Trial
from omega.core.wire.numbers import checked, put_varint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.wire.numbers import Reader

MAX_TRIALS = 512
"""In one section at most, as of rows."""
_CODE_BYTES = 4
_MOST_CODE = (1 << 8 * _CODE_BYTES) - 1


def put_trials(out: bytearray, trials: Sequence[Trial]) -> None:
    """Append n, then experiment, arm, day, titles watched and chosen, and minutes of each, ascending."""
    put_varint(out, checked(len(trials), "trials of a section", MAX_TRIALS))
    for trial in sorted(trials, key=trial_key):
        out += checked(trial.experiment, "code of an experiment", _MOST_CODE).to_bytes(_CODE_BYTES, "little")
        out.append(checked(trial.arm, "arm", MOST_ARMS - 1))
        put_varint(out, checked(trial.day, "day", MAX_DAY))
        out.append(checked(trial.watched, "titles watched", MOST_WATCHED))
        out.append(checked(trial.chosen, "titles chosen", trial.watched))
        put_varint(out, checked(trial.minutes, "minutes", MOST_MINUTES))
    _refuse_unsorted(sorted(trials, key=trial_key))


def read_trials(reader: Reader) -> tuple[Trial, ...]:
    """Return what `put_trials` wrote. Raises WireError."""
    n = reader.varint("count of a section")
    if not 1 <= n <= MAX_TRIALS:
        raise WireError(
            WireCode.COUNT, f"a section has {n} trials, allowed 1..{MAX_TRIALS}: send so many, or no section"
        )
    trials = tuple([_read_trial(reader) for _ in range(n)])
    _refuse_unsorted(trials)
    return trials


def trial_key(trial: Trial) -> tuple[int, int, int]:
    """Return what trials are ordered by, and what tells them apart."""
    return trial.experiment, trial.day, trial.arm


def _read_trial(reader: Reader) -> Trial:
    experiment = reader.fixed(_CODE_BYTES, "code of an experiment")
    arm = checked(reader.fixed(1, "arm"), "arm", MOST_ARMS - 1)
    day = reader.varint("day", MAX_DAY)
    watched = reader.fixed(1, "titles watched")
    chosen = checked(reader.fixed(1, "titles chosen"), "titles chosen", watched)
    return Trial(experiment, arm, day, watched, chosen, reader.varint("minutes", MOST_MINUTES))


def _refuse_unsorted(trials: Sequence[Trial]) -> None:
    if any(trial_key(low) >= trial_key(high) for low, high in pairwise(trials)):
        raise WireError(WireCode.ORDER, "trials don't ascend: sort them by experiment, day, arm; send each once")
