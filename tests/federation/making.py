"""Shards' sums as tests want them, and a federation of them in a folder."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import BOARDS_FOLDER, decode_board
from omega.core.catalog import Catalog
from omega.core.shard_records import ALL_SLOTS
from omega.core.shard_sums import Columns, Facts, ShardSums
from omega.core.testing.watching import a_title
from omega.federation.collecting import Kin, Source
from omega.federation.round import Federation
from omega_plugins.engines.process_pool import ProcessPool
from omega_plugins.strategies.weighted_mean import WeightedMean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from omega.core.audience import Board

NOW = 1_790_000_000.0
DAY = int(NOW // 86_400)
SPACE = 0xABCDEF
FIRST = Catalog.build([a_title(f"t{i}") for i in range(30)])
CATALOG = Catalog.build([*FIRST.titles, *(a_title(f"t{i}") for i in range(30, 60))], FIRST)
KIN = Kin(CATALOG, SPACE)
KEY = SigningKey.generate()
KEYS = Keyring([KEY.public])


def facts(shard: int = 0, **changed: Any) -> Facts:
    told: dict[str, Any] = {
        "shard": shard,
        "region": "",
        "lineage": CATALOG.lineage,
        "epoch": CATALOG.epoch,
        "titles": len(CATALOG),
        "space": SPACE,
        "day": DAY,
        "made_at": int(NOW),
    }
    return Facts(**(told | changed))


def sums_of(
    households: Mapping[int, int],
    shard: int = 0,
    *,
    each: int = 2,
    progress: int = 0,
    milli: int = 900,
    trend: float | None = None,
    tastes: Mapping[int, np.ndarray[Any, Any]] | None = None,
    **changed: Any,
) -> ShardSums:
    """Return sums of so many households a title, `each` samples a household, in slot 4 and in all."""
    columns = Columns.empty()
    for title, count in sorted(households.items()):
        for slot in (4, ALL_SLOTS):
            columns.title.append(title)
            columns.slot.append(slot)
            columns.samples.append(each * count)
            columns.success_milli.append(milli * each * count)
            columns.households.append(count)
            columns.progress.append(progress)
            columns.trends.extend([each * count if trend is None else trend] * 4)
    for title, heard in sorted((tastes or {}).items()):
        columns.audience_title.append(title)
        columns.audience.extend(float(number) for number in heard)
    return ShardSums(facts(shard, **changed), columns)


def drawn(shard: int, rows: int, random: np.random.Generator, titles: int | None = None, **changed: Any) -> ShardSums:
    """Return random sums of about so many rows, in all contexts, with audiences."""
    many = titles or rows // 3
    keys = np.unique(random.integers(0, 16 * many, 4 * rows))
    keys = np.sort(random.permutation(keys[keys % 16 <= ALL_SLOTS])[:rows])
    samples = random.geometric(0.02, len(keys))
    heard = np.unique(keys // 16)[::2]
    counts = random.random((len(heard), 1)).astype(np.float32) * 50
    columns = Columns(
        title=array("I", (keys // 16).tolist()),
        slot=array("B", (keys % 16).tolist()),
        samples=array("q", samples.tolist()),
        success_milli=array("q", random.integers(0, 1000 * samples + 1).tolist()),
        households=array("q", random.integers(0, samples + 1).tolist()),
        progress=array("q", (samples // 3).tolist()),
        trends=array("d", (random.random((len(keys), 4)) * samples[:, None]).ravel().tolist()),
        audience_title=array("I", heard.tolist()),
        audience=array("f", np.hstack([counts, counts * random.normal(0, 3, (len(heard), 44))]).ravel().tolist()),
    )
    return ShardSums(facts(shard, titles=many, **changed), columns)


def source(sums: ShardSums | bytes | Exception, name: str = "") -> Source:
    """Return a shard that answers with these sums, these bytes or this error."""

    def read(_deadline_s: float) -> bytes:
        if isinstance(sums, Exception):
            raise sums
        return sums if isinstance(sums, bytes) else sums.encode()

    return Source(name or (f"shard-{sums.facts.shard}" if isinstance(sums, ShardSums) else "other"), read)


def federation(folder: Path, *told: ShardSums | Source, **changed: Any) -> Federation:
    sources = [source(one) if isinstance(one, ShardSums) else one for one in told]
    given: dict[str, Any] = {
        "home": folder / "home",
        "sources": sources,
        "kin": KIN,
        "folder": folder / "shelf",
        "key": KEY,
        "strategy": WeightedMean(),
        "engine": ProcessPool.open(),
        "deadline_s": 10.0,
    }
    return Federation(**(given | changed))


def boards(folder: Path) -> dict[int, Board]:
    """Return all boards on the shelf, each checked, by version."""
    shelf = Shelf(folder / "shelf" / BOARDS_FOLDER)
    if not shelf.folder.is_dir():
        return {}
    return {found.version: decode_board(shelf.read(found)) for found in shelf.verify(KEYS)}


def clock(at: float) -> Callable[[], float]:
    return lambda: at
