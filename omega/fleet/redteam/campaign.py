"""Every attack, with ever more bad devices: what each of them moves, and what it could have moved at most.

A town lives for a week without an enemy. Then it is copied for each attack: on one more day the honest go on, and the
bad devices tell the most that is taken of them. The same day without them is what all is compared with.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from omega.core.artifacts.keys import SigningKey
from omega.core.errors import InputError
from omega.core.shard_records import DAY_S, LEAST_TASTE, MOST_TASTE
from omega.fleet.redteam.attacks import ATTACKS, Aim
from omega.fleet.redteam.bounds import Heard, told_bound
from omega.fleet.redteam.crowd import Crowd
from omega.fleet.redteam.standing import Standing, Way, standing
from omega.fleet.redteam.town import SHARDS, Place, Town, speakers
from omega.shard.pacing import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.ports import Doubles, Engine, Integers, Strategy
    from omega.fleet.redteam.attacks import Attack, Told
    from omega.fleet.redteam.speaker import Speaker

POISONED = 0.01, 0.03, 0.1, 0.3
HOUSEHOLDS = 240
_WEEK = 7
_NOON = 1_790_000_000 // DAY_S * DAY_S + DAY_S // 2
_ATTACK_S = 20 * 3600
"""So long after noon the attack is over: on the next day, while tokens and the basis of that noon still count."""
_RANK = 60
"""The place of the title that is boosted, among all by samples: some have watched it."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one attack came to under one strategy. Shares are 0..1."""

    attack: str
    strategy: str
    seed: int
    devices: int
    """Bad ones, ..."""
    denied: int
    """... and others that a maker's quota kept out."""
    of_devices: float
    """The bad ones' share of all devices."""
    acts: int
    """Samples and retractions of theirs that shards counted."""
    poisoned: float
    """Their share of all that was ever told: see `bounds`."""
    poisoned_trend: float
    """Their share of what trends are made of, each act of theirs taken for one of today."""
    title: int
    """The ordinal that the attack is about; what follows, up to `audience_bound`, is of it."""
    share: tuple[float, float]
    """Of all samples, without the bad devices and with them."""
    trend: tuple[float, float]
    shown: tuple[float, float]
    """Of what a TV reads of trends in its pull."""
    place: tuple[int | None, int | None]
    """On the board, from 1."""
    audience_moved: float
    """How far the mean taste of its viewers moved; 1 is how far a household is from the mean of all, in the mean."""
    audience_bound: float
    """How far it could have moved towards the farthest taste: by its bad codes over all that are left of it.

    Where the middle of shards' means is told, all the way: few shards may have heard of the title.
    """
    moved: float
    """Half the sum of what all titles' shares differ by, ..."""
    moved_bound: float
    """... and what that can be at most."""
    moved_trend: float
    moved_trend_bound: float
    gain_bound: float
    """How much of all trends the title can gain at most."""

    def told(self) -> dict[str, Any]:
        """Return all of it by name, with what follows of it."""
        return msgspec.structs.asdict(self) | {"gained": self.gained, "of_bound": self.of_bound}

    @property
    def gained(self) -> float:
        """How much of all trends the title gained."""
        return self.trend[1] - self.trend[0]

    @property
    def of_bound(self) -> float:
        """The part of the bounds that was used: with more than 1 they would be none."""
        parts = (
            (self.moved, self.moved_bound),
            (self.moved_trend, self.moved_trend_bound),
            (self.gained, self.gain_bound),
            (self.audience_moved, self.audience_bound),
        )
        return max(moved / bound for moved, bound in parts)


@dataclass(frozen=True)
class Plan:
    """What is played."""

    catalog: Catalog
    folder: Path
    """Emptied of what was made in it when a seed is done."""
    strategies: Sequence[Strategy]
    engine: Engine
    poisoned: Sequence[float] = POISONED
    """Shares of all devices."""
    attacks: Sequence[Attack] = ATTACKS
    seeds: Sequence[int] = (1,)
    households: int = HOUSEHOLDS

    @property
    def steps(self) -> int:
        """How many times something is heard of."""
        return len(self.seeds) * (1 + len(self.attacks) * len(self.poisoned))


def played(plan: Plan, progress: Callable[[int, int, str], None] = lambda *_: None) -> Iterator[Outcome]:
    """Yield what every attack comes to, under every strategy. Raises InputError, and OmegaError for what must not be.

    `progress` hears of each attack.
    """
    _check(plan)
    done = 0
    for seed in plan.seeds:
        progress(done, plan.steps, "a week without an enemy")
        folder = plan.folder / f"seed-{seed}"
        world = _World(plan, folder, seed)
        asyncio.run(world.begin())
        done += 1
        for attack in plan.attacks:
            for share in plan.poisoned:
                progress(done, plan.steps, f"{attack.name}, {share:.0%} of all devices")
                yield from asyncio.run(world.attacked(attack, share))
                done += 1
        shutil.rmtree(folder)
    progress(done, plan.steps, "all attacks played")


def _check(plan: Plan) -> None:
    if bad := [share for share in plan.poisoned if not 0 < share <= 0.5]:
        raise InputError(f"poisoned is {bad[0]:g}, allowed: above 0 to .5, a share of all devices: give less")
    if not 4 * SHARDS <= plan.households <= 100_000:
        raise InputError(f"households is {plan.households}, allowed: {4 * SHARDS}..100000")


class _World:
    """One seed's town, and the copies of it that are attacked."""

    def __init__(self, plan: Plan, folder: Path, seed: int) -> None:
        self._plan, self._folder, self._seed = plan, folder, seed
        self._crowd = Crowd(plan.households, len(plan.catalog), seed)
        random = Random(seed)  # noqa: S311  (makes what is simulated, guards nothing)
        folder.mkdir(parents=True)
        (folder / "town").mkdir()
        self._place = Place.new(folder / "town", plan.catalog, _NOON, random)
        self._honest = speakers(plan.households, random)
        self._ways = [Way(strategy, plan.engine, SigningKey.generate()) for strategy in plan.strategies]
        self._today = int((_NOON + _ATTACK_S) // DAY_S)
        self._peace: list[Standing] = []

    async def begin(self) -> None:
        """Let the honest live for a week, run a round a strategy, and see what one more day comes to."""
        async with Town(self._place, _NOON) as town:
            await town.enrol(self._honest, self._place.maker)
            week = range(self._today - _WEEK, self._today)
            await town.tell(
                (one, [row for day in week for row in self._crowd.watched(who, day)], ())
                for who, one in enumerate(self._honest)
            )
            for way in self._ways:
                await standing(town, self._honest[0], self._folder / way.strategy.NAME, way)
        self._peace, _ = await self._lived("peace", [], 0, [])
        days = (*week, self._today)
        told = [
            (one.shard, [row for day in days for row in self._crowd.watched(who, day)])
            for who, one in enumerate(self._honest)
        ]
        self._heard = Heard.of(told, SHARDS, len(self._plan.catalog), self._today)

    async def attacked(self, attack: Attack, share: float) -> list[Outcome]:
        """Return what so large a share of bad devices comes to, by strategy."""
        random = Random(f"{self._seed} {attack.name} {share}")  # noqa: S311  (the same)
        count = max(round(share * len(self._crowd) / (1 - share)), 1)
        bad = speakers(2 * count, random, shard=0) if attack.stolen else speakers(count, random)
        aim = self._aim()
        drawn = np.random.default_rng(random.getrandbits(64))
        plans = [attack.told(aim, drawn) for _ in bad]
        stood, counted = await self._lived(f"{attack.name}-{share}", bad, count if attack.stolen else 0, plans)
        title = attack.target(aim)
        of_title = sum(
            sum(row.title == title for row in (*told.contributed, *told.retracted))
            for told, told_count in zip(plans, counted, strict=True)
            if told_count
        )
        acts, devices = np.zeros(SHARDS, np.int64), np.zeros(SHARDS, np.int64)
        for one, told_count in zip(bad, counted, strict=True):
            acts[one.shard] += told_count
            devices[one.shard] += told_count > 0
        many = int(devices.sum())
        facts: dict[str, Any] = {
            "attack": attack.name,
            "seed": self._seed,
            "devices": many,
            "denied": len(bad) - many,
            "of_devices": many / (many + len(self._crowd)),
            "acts": int(acts.sum()),
            "poisoned": self._heard.poisoned(acts, trends=False, pooled=True),
            "poisoned_trend": self._heard.poisoned(acts, trends=True, pooled=True),
            "title": title,
        }
        pairs = zip(self._ways, self._peace, stood, strict=True)
        return [
            Outcome(
                strategy=way.strategy.NAME,
                **facts,
                **self._compared(title, before, after, of_title),
                **self._bounds(title, before, acts, devices),
            )
            for way, before, after in pairs
        ]

    def _aim(self) -> Aim:
        order = np.argsort(-self._peace[0].shares, kind="stable")
        return Aim(
            boosted=int(order[min(_RANK, len(order) - 1)]),
            buried=int(order[0]),
            titles=len(self._plan.catalog),
            day=self._today,
            most=Service().day_samples,
        )

    async def _lived(
        self, name: str, bad: list[Speaker], quota: int, plans: list[Told]
    ) -> tuple[list[Standing], list[int]]:
        """Let one more day pass in a copy of the town; return how titles stand, and what each bad one had counted."""
        folder = self._folder / name
        folder.mkdir()
        place = self._place.copied(folder / "town", quota)
        honest = [one.again() for one in self._honest]
        stood = []
        async with Town(place, _NOON + _ATTACK_S) as town:
            maker = place.stolen if quota else place.maker
            admitted = {id(one) for one in await town.enrol(bad, maker)}
            await town.tell((one, self._crowd.watched(who, self._today), ()) for who, one in enumerate(honest))
            plots = [(one, *plan) for one, plan in zip(bad, plans, strict=True) if id(one) in admitted]
            await town.tell(plots)
            for way in self._ways:
                home = folder / way.strategy.NAME
                shutil.copytree(self._folder / way.strategy.NAME, home)
                stood.append(await standing(town, honest[0], home, way))
            counted = [await town.counted(one) for one in bad]
        shutil.rmtree(folder)
        return stood, counted

    def _bounds(self, title: int, before: Standing, acts: Integers, devices: Integers) -> dict[str, Any]:
        """Return what (s,) acts of (s,) bad devices can move at most."""
        pooled = before.kept == (1.0, 1.0)
        samples, trends = (
            told_bound(self._heard.poisoned(acts, trends=of_trends, pooled=pooled), kept)
            for of_trends, kept in zip((False, True), before.kept, strict=True)
        )
        crowded = told_bound(self._heard.crowded(title, devices, pooled=pooled), before.kept[1])
        return {"moved_bound": samples, "moved_trend_bound": trends, "gain_bound": min(trends, crowded)}

    def _compared(self, title: int, before: Standing, after: Standing, acts: int) -> dict[str, Any]:
        spread = float(np.sqrt(((self._crowd.tastes - self._crowd.tastes.mean(axis=0)) ** 2).sum(axis=1).mean()))
        mean = before.audiences[title]
        farthest = float(np.linalg.norm(np.maximum(np.abs(LEAST_TASTE - mean), np.abs(MOST_TASTE - mean))))
        left, pooled = float(after.codes[title]), before.kept == (1.0, 1.0)
        moved = float(np.linalg.norm(after.audiences[title] - mean)) if left > 0 else 0.0
        return {
            "share": (float(before.shares[title]), float(after.shares[title])),
            "trend": (float(before.trends[title]), float(after.trends[title])),
            "shown": (float(before.shown[title]), float(after.shown[title])),
            "place": (before.place(title), after.place(title)),
            "audience_moved": moved / spread,
            "audience_bound": (min(acts / left, 1.0) if pooled and left > 0 else 1.0) * farthest / spread,
            "moved": _apart(before.shares, after.shares),
            "moved_trend": _apart(before.trends, after.trends),
        }


def _apart(one: Doubles, other: Doubles) -> float:
    """Return half the sum of what two rows of shares differ by: 0 the same, 1 nothing in common."""
    return float(np.abs(one - other).sum() / 2)
