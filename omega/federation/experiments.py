"""Experiments of a federation: begun and ended on its shelf, and what came of them, summed over its shards.

What an arm came to is told by each shard as sums over its households' days, three and more. A round adds them up and
keeps them; `outcomes` reads them by the names that the shelf has for arms.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from omega.core.artifacts.keys import Keyring
from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.errors import InputError, StoreError, shown
from omega.core.experiments import Experiments, decode_experiments, encode_experiments
from omega.core.shard_records import TrialSums
from omega.core.shard_sums import beyond
from omega.federation.history import FILE, History
from omega.federation.sequential import ALPHA, Day, Difference, difference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.artifacts.keys import SigningKey
    from omega.core.experiments import Arm, Experiment
    from omega.core.ports import Integers
    from omega.core.shard_sums import ShardSums

OUTCOMES = "minutes", "watched", "chosen"
"""What a household's day in an arm is judged by."""
COUNTED_DAYS = 7
"""A shard counts late days of an experiment as long as it lies on the shelf: so long after its last one."""
KEPT = "trials"
"""Under this name a round keeps the sums."""
_EPOCH = date(1970, 1, 1)
_WIDTH = len(TrialSums.__struct_fields__)


class ArmOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one arm until now."""

    name: str
    share: float
    days: int
    household_days: int
    mean: float
    """Of the outcome, a household and day."""
    effect: float | None = None
    """By how much that differs from the first arm's, on the days that both have; None for the first, or without any."""
    low: float | None = None
    high: float | None = None
    verdict: str = ""
    """`better`, `worse`, or `open`; empty for the first."""


class ExperimentOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one experiment until now."""

    id: str
    first_day: date
    last_day: date
    outcome: str
    alpha: float
    """How probable any wrong verdict is at most, however often one looks."""
    arms: tuple[ArmOutcome, ...]


class Published(NamedTuple):
    """The experiments on a shelf."""

    version: int
    """0: none were published."""
    experiments: Experiments


def merged_trials(shards: Sequence[ShardSums]) -> Integers:
    """Return (t, 10) what arms' days came to at all shards, as TrialSums' fields, by experiment, day and arm."""
    rows = np.concatenate([np.asarray(sums.trials, np.int64).reshape(-1, _WIDTH) for sums in shards])
    keys, place = np.unique(rows[:, :3], axis=0, return_inverse=True)
    found = np.zeros((len(keys), _WIDTH), np.int64)
    found[:, :3] = keys
    np.add.at(found[:, 3:], place.reshape(-1), rows[:, 3:])
    return found[np.lexsort((found[:, 1], found[:, 2], found[:, 0]))]


def published(folder: Path, keyring: Keyring) -> Published:
    """Return the newest experiments of an operator on a shelf. Raises ArtifactError, InputError."""
    shelf = Shelf(folder)
    found = shelf.current(keyring) if folder.is_dir() else []
    named = Kind.EXPERIMENTS, Kind.EXPERIMENTS.value
    newest = [one for one in found if (one.kind, one.name) == named]
    if not newest:
        return Published(0, Experiments())
    return Published(newest[0].version, decode_experiments(shelf.read(newest[0])))


def begin(folder: Path, key: SigningKey, added: Experiments, now: float) -> Published:
    """Publish further experiments beside those that run; what ended COUNTED_DAYS ago is left out.

    Raises InputError where two don't go together, ArtifactError.
    """
    before = published(folder, Keyring([key.public])).experiments.experiments
    return _publish(folder, key, (*_current(before, now), *added.experiments), now)


def end(folder: Path, key: SigningKey, name: str, now: float) -> Published:
    """Let today be the last day of an experiment, or forget one that hasn't begun.

    Raises InputError for one that isn't there, or that ended; ArtifactError.
    """
    running, today = published(folder, Keyring([key.public])).experiments.experiments, _today(now)
    found = next((one for one in running if one.id == name and one.last_day >= today), None)
    if found is None:
        known = ", ".join(one.id for one in running if one.last_day >= today) or "none runs"
        raise InputError(f"experiment is {shown(name)}, allowed: {known}: see omega federation experiment status")
    rest = tuple(one for one in running if one is not found)
    if found.first_day <= today:
        rest = (*rest, msgspec.structs.replace(found, last_day=today))
    return _publish(folder, key, _current(rest, now), now)


def outcomes(home: Path, experiments: Experiments, outcome: str) -> list[ExperimentOutcome]:
    """Return what came of experiments until the last round in a federation's home. Raises InputError, StoreError."""
    if outcome not in OUTCOMES:
        raise InputError(f"outcome is {shown(outcome)}, allowed: {', '.join(OUTCOMES)}")
    days: dict[tuple[int, int], list[Day]] = defaultdict(list)
    for row in _kept(home):
        sums = getattr(row, outcome), getattr(row, f"{outcome}_squares")
        days[row.experiment, row.arm].append(Day(row.day, row.households, *sums))
    return [
        _outcome(one, outcome, [days[one.code, arm] for arm in range(len(one.arms))]) for one in experiments.experiments
    ]


def _outcome(one: Experiment, outcome: str, days: Sequence[Sequence[Day]]) -> ExperimentOutcome:
    alpha, first_day = ALPHA / (len(one.arms) - 1), (one.first_day - _EPOCH).days
    found = [None, *(difference(days[0], of, first_day, alpha) for of in days[1:])]
    arms = tuple(_arm(arm, of, against) for arm, of, against in zip(one.arms, days, found, strict=True))
    return ExperimentOutcome(
        id=one.id, first_day=one.first_day, last_day=one.last_day, outcome=outcome, alpha=ALPHA, arms=arms
    )


def _arm(arm: Arm, days: Sequence[Day], against: Difference | None) -> ArmOutcome:
    households = sum(day.households for day in days)
    told: dict[str, Any] = {}
    if against is not None:
        told = {"verdict": against.verdict}
        if against.days:
            told |= {"effect": against.effect, "low": against.low, "high": against.high}
    mean = sum(day.total for day in days) / max(households, 1)
    return ArmOutcome(name=arm.name, share=arm.share, days=len(days), household_days=households, mean=mean, **told)


def _kept(home: Path) -> list[TrialSums]:
    if not (home / FILE).exists():
        return []
    with closing(History.open(home)) as history:
        kept = history.kept(KEPT)
    found = [TrialSums(*row) for row in kept["rows"].tolist()] if kept else []
    for told in (told for row in found for told in beyond(row)):
        raise StoreError(f"sums of experiments in {home / FILE}: {told}: hold a round, which adds them up anew")
    return found


def _publish(folder: Path, key: SigningKey, experiments: tuple[Experiment, ...], now: float) -> Published:
    made = Experiments(experiments)
    manifest = Shelf(folder).publish(encode_experiments(made), Kind.EXPERIMENTS, key, made_at=int(now))
    return Published(manifest.version, made)


def _current(experiments: tuple[Experiment, ...], now: float) -> tuple[Experiment, ...]:
    return tuple(one for one in experiments if one.last_day + timedelta(days=COUNTED_DAYS) >= _today(now))


def _today(now: float) -> date:
    return _EPOCH + timedelta(seconds=now)
