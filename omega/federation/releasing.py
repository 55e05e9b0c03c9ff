"""Releases with noise: what is paid for, when, and what is told from then on.

Each release adds noise to what came, to every title of the catalog, since the one before. All that is told later is
made of released numbers alone, and costs nothing more. A shard's sums count up to the most that it ever said, so that
a sample which is counted moves one release, and one which is taken back another at most.

Pure functions on arrays; of n titles of the catalog.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from omega.core.privacy import Account
from omega.core.shard_records import ALL_SLOTS, DAY_S, HALF_LIVES_DAYS
from omega.federation.merging import KEYS
from omega.federation.showing import HIDDEN_DAYS, Showing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omega.core.ports import Doubles, Integers, Releasing
    from omega.federation.merging import Told

LEAST_SAMPLES: Final = 30
"""Of a title, whatever the noise: the plan's floor."""
DEVIATIONS: Final = 4.5
"""Noise alone passes these once in 300,000 titles."""
RELEASE_S: Final = 23 * 3600
"""From one release to the next at least: a day, for rounds that come an hour early."""
YEAR_S: Final = 365 * DAY_S
_HALF_LIVES = np.asarray(HALF_LIVES_DAYS)
_LONGEST = int(np.argmax(_HALF_LIVES))


class Released(NamedTuple):
    """All that was released, and what it cost."""

    at: Doubles
    """(r,) when, Unix seconds, of the releases of the last year."""
    rho: Doubles
    """(r,) what each cost."""
    number: Integers
    """() how many there ever were."""
    samples: Doubles
    """(n, half-lives) as of the last release."""
    success_milli: Doubles
    """(n,) by the longest half-life."""
    variance: Doubles
    """(half-lives,) of the noise in each number of samples."""

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Released:
        """Return what was kept, or nothing."""
        if kept:
            return cls(**kept)
        none, lives = np.zeros(0), len(_HALF_LIVES)
        return cls(none, none, np.asarray(0), np.zeros((0, lives)), none, np.zeros(lives))

    def spent(self, now: float) -> float:
        """Return the rho of the year up to now; what a clock that was set back calls the future is in it."""
        return float(self.rho[self.at > now - YEAR_S].sum())

    @property
    def floor(self) -> int:
        """The least number of samples that is told, by the longest half-life."""
        return max(LEAST_SAMPLES, math.ceil(DEVIATIONS * math.sqrt(self.variance[_LONGEST])))


def highest(before: Integers, shard: Told, titles: int) -> Integers:
    """Return (n, 2) the most samples and success that a shard ever said of each title, in thousandths."""
    found = np.zeros((titles, 2), np.int64)
    found[: len(before)] = before
    whole = shard.keys % KEYS == ALL_SLOTS
    now = np.stack([1000 * shard.sums[0, whole], shard.sums[1, whole]], axis=1)
    place = shard.keys[whole] // KEYS
    found[place] = np.maximum(found[place], now)
    return found


def reason(released: Released, releasing: Releasing, now: float) -> str:
    """Return why nothing is to be released now; empty when something is."""
    if len(released.at) and now - released.at.max() < RELEASE_S:
        return "a day has one release"
    if released.spent(now) + releasing.rho > releasing.budget * (1 + 1e-9):
        return "the year's budget is spent: what was released last is told"
    return ""


def release(released: Released, came: Integers, releasing: Releasing, now: float) -> Released:
    """Return what is released from now on, with noise on what came (n, 2); the cost is in it."""
    noised = releasing.noised(came).astype(np.float64) / 1000
    days = max(now - released.at.max(), 0.0) / DAY_S if len(released.at) else 0.0
    fading = np.exp2(-days / _HALF_LIVES)
    samples, success = np.zeros((len(came), len(_HALF_LIVES))), np.zeros(len(came))
    samples[: len(released.samples)] = released.samples * fading
    success[: len(released.success_milli)] = released.success_milli * fading[_LONGEST]
    recent = released.at > now - YEAR_S
    return Released(
        np.append(released.at[recent], now),
        np.append(released.rho[recent], releasing.rho),
        released.number + 1,
        samples + noised[:, :1],
        success + 1000 * noised[:, 1],
        released.variance * fading**2 + releasing.deviation**2,
    )


def shown_of(released: Released, before: Showing, day: int) -> Showing:
    """Return what a release shows: titles at or above its floor; those that fell below it are hidden."""
    numbers = np.rint(released.samples[:, _LONGEST]).astype(np.int64)
    titles = np.flatnonzero(numbers >= released.floor)
    success = np.clip(np.rint(released.success_milli[titles]).astype(np.int64), 0, 1000 * numbers[titles])
    trends = np.clip(released.samples[titles], 0.0, numbers[titles, None])
    shown = titles, numbers[titles], success, numbers[titles], np.full(len(titles), day), trends
    kept = ~np.isin(before.titles, titles) & ((before.households > 0) | (before.day > day - HIDDEN_DAYS))
    if not kept.any():
        return Showing.alone(*shown)
    zeros = np.zeros(int(kept.sum()), np.int64)
    since = np.where(before.households[kept] > 0, day, before.day[kept])
    hidden = before.titles[kept], zeros, zeros, zeros, since, np.zeros((len(zeros), len(_HALF_LIVES)))
    order = np.argsort(np.concatenate([shown[0], hidden[0]]))
    return Showing.alone(*(np.concatenate([mine, theirs])[order] for mine, theirs in zip(shown, hidden, strict=True)))


def privacy(released: Released, releasing: Releasing, now: float, why: str) -> Account:
    """Return the account as it is told."""
    return Account(
        releases=int(released.number),
        released_at=int(released.at.max()) if len(released.at) else 0,
        epsilon_spent=round(epsilon_of(released.spent(now), releasing.delta), 6),
        epsilon_a_year=round(epsilon_of(releasing.budget, releasing.delta), 6),
        delta=releasing.delta,
        floor=released.floor,
        why=why,
    )


def epsilon_of(rho: float, delta: float) -> float:
    """Return the epsilon of a rho (Bun and Steinke 2016, proposition 1.3)."""
    return rho + 2 * math.sqrt(rho * math.log(1 / delta)) if rho > 0 else 0.0
