"""How a town's titles stand: in all shards' sums, merged as a round merges them, and in what a TV reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.shard_records import RANKED_BY
from omega.core.shard_sums import decode
from omega.device.others import heard
from omega.device.sync.trends import Trends
from omega.federation.board import heard_of
from omega.federation.collecting import Kin, Source
from omega.federation.merging import KEYS, merge, told, totals_of
from omega.federation.round import Federation, run_round
from omega.fleet.redteam.town import SPACE
from omega.shard.boards import Boards
from omega_plugins.strategies.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.errors import OmegaError
    from omega.core.ports import Doubles, Engine, Strategy
    from omega.federation.merging import Told
    from omega.fleet.redteam.speaker import Speaker
    from omega.fleet.redteam.town import Town


class Way(NamedTuple):
    """How rounds are made."""

    strategy: Strategy
    engine: Engine
    key: SigningKey
    """Signs boards."""


class Standing(NamedTuple):
    """All n titles of the catalog, by ordinal."""

    shares: Doubles
    """(n,) of the samples of all titles."""
    trends: Doubles
    """(n,) of all trends, each a number of samples that halves every day."""
    shown: Doubles
    """(n,) of what a TV takes for what is watched lately, once it has read a pull."""
    places: tuple[int, ...]
    """The titles of the board, most trending first."""
    codes: Doubles
    """(n,) how many taste codes of its viewers are counted."""
    audiences: Doubles
    """(n, TASTE_NUMBERS) the mean of these."""
    kept: tuple[float, float]
    """Of samples and of trends, the sum of all titles' shares before they are made to sum to 1; 1 where all count."""

    def place(self, title: int) -> int | None:
        """Return a title's place on the board, from 1; None where it isn't on it."""
        return self.places.index(title) + 1 if title in self.places else None


async def standing(town: Town, observer: Speaker, folder: Path, way: Way) -> Standing:
    """Run a round over the town's shards, let them tell its board, and return what it comes to.

    `folder` is the federation's, and is gone on with where it is there. Raises OmegaError.
    """
    files = await town.sums()
    catalog = town.place.catalog
    made = Federation(
        home=folder / "home",
        sources=[Source(f"shard-{number}", _reader(data)) for number, data in enumerate(files)],
        kin=Kin(catalog, SPACE),
        folder=folder / "shelf",
        key=way.key,
        strategy=way.strategy,
        engine=way.engine,
    )
    run_round(made, now=lambda: town.now)
    boards = Boards(folder / "shelf", Keyring([way.key.public]))
    boards.look(_unsound)
    merged = boards.told(town.header, "", town.now)
    await town.show(merged)
    pull = await observer.pull(town.apps[observer.shard], town.header)
    lately = heard(np.zeros(len(catalog), np.float32), Trends().after("shard", pull))
    places = tuple(row.title for row in merged.trending) if merged else ()
    return _summed(catalog, files, way, lately.shares.astype(np.float64), places)


def _summed(catalog: Catalog, files: list[bytes], way: Way, shown: Doubles, places: tuple[int, ...]) -> Standing:
    shards = [told(one, one.facts.day) for one in map(decode, files)]
    merged = merge(shards, way.strategy, way.engine)
    titles, whole = merged.keys[merged.whole] // KEYS, np.zeros((2, len(catalog)))
    whole[0, titles] = merged.samples[merged.whole]
    whole[1, titles] = merged.trends[merged.whole, RANKED_BY]
    shares = whole / np.maximum(whole.sum(axis=1, keepdims=True), 1e-300)
    found = heard_of(merged, np.arange(len(catalog)))
    codes = found[:, 0]
    means = np.divide(found[:, 1:], codes[:, None], out=np.zeros_like(found[:, 1:]), where=codes[:, None] > 0)
    return Standing(shares[0], shares[1], shown, places, codes, means, _kept(way.strategy, shards, whole))


def _kept(strategy: Strategy, shards: list[Told], whole: Doubles) -> tuple[float, float]:
    """Return the part of everything that the middle of shares tells; it tells the middle shard's for each shard."""
    if not isinstance(strategy, Shares):
        return 1.0, 1.0
    totals = totals_of(shards)
    cut = int(strategy.cut(np.asarray([len(shards)]))[0])
    ordered = np.sort([totals.samples, totals.trends[:, RANKED_BY]], axis=1)
    middle = ordered[:, cut : len(shards) - cut].mean(axis=1)
    samples, trends = (whole.sum(axis=1) / (len(shards) * middle)).tolist()
    return min(samples, 1.0), min(trends, 1.0)


def _reader(data: bytes) -> Callable[[float], bytes]:
    return lambda deadline_s: data


def _unsound(_file: str, error: OmegaError) -> None:
    raise error
