"""What neighbors are worth on real viewers: how often both of a pair are watched, against titles watched as often."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.compose import open_embedder
from omega.core.audience import age_class
from omega.core.catalog import Catalog
from omega.core.settings import resolve
from omega.core.shard_records import AUDIENCE_HALF_LIFE_DAYS, TASTE_NUMBERS, TASTE_SPACE
from omega.device import taste_code
from omega.device.titles import load_or_embed
from omega.evaluation.log import DAY_S
from omega.evaluation.reading import read_log
from omega.federation.neighbors import Audiences, neighbors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Doubles, Floats
    from omega.evaluation.log import Log

END_S = 1_370_736_000
"""9 June 2013: figures are tuned on what came before."""
LEAST_VIEWERS = 5
"""Titles that fewer watched are left out, so that 1,900 are embedded and not 10,500."""


def audiences(log: Log, centered: Floats, used: NDArray[np.bool_]) -> Audiences:
    """Add up, as shards do, the taste codes of who watched each title: of what was watched before that day."""
    axes = taste_code.axes_of(TASTE_SPACE)
    assert axes is not None
    heard = np.zeros((len(log.titles), 1 + TASTE_NUMBERS))
    known: dict[int, list[tuple[int, int]]] = {}
    for event in np.flatnonzero(used & (log.times_s < END_S)).tolist():
        at_s, title = int(log.times_s[event]), int(log.watched[event])
        past = known.setdefault(int(log.viewers[event]), [])
        latest = [one for one in reversed(past) if one[0] < at_s // DAY_S * DAY_S][: taste_code.LATEST_TITLES]
        if latest:
            years = [1970 + seen_s // 31_556_952 - log.titles[seen].year for seen_s, seen in latest]
            told = taste_code.told_by(axes, None, centered[[seen for _, seen in latest]], [])
            code = taste_code.code_of(taste_code.standing(told, [age_class(year) for year in years]))
            steps: Doubles = np.rint(taste_code.numbers_of(code) / taste_code.STEPS)
            heard[title] += 2.0 ** (-(END_S - at_s) / DAY_S / AUDIENCE_HALF_LIFE_DAYS) * np.array([1.0, *steps])
        past.append((at_s, title))
    shown = np.flatnonzero(heard[:, 0] >= 3)
    return Audiences(shown, heard[shown])


def lift(watched: NDArray[np.bool_], pairs: list[tuple[int, int]], seed: int = 0) -> float:
    """Return how often both of a pair (title, neighbor) were watched, over the same with one watched as often."""
    random, viewers = np.random.default_rng(seed), watched.astype(np.float32)
    titles = np.unique([one for pair in pairs for one in pair])
    order = titles[np.argsort(viewers[:, titles].sum(axis=0), kind="stable")]
    place = {int(title): at for at, title in enumerate(order)}
    both, like = 0.0, 0.0
    for title, near in pairs:
        around = np.arange(max(place[near] - 8, 0), min(place[near] + 9, len(order)))
        others = [one for one in order[around].tolist() if one not in (title, near)]
        both += float(viewers[:, title] @ viewers[:, near])
        like += float(viewers[:, title] @ viewers[:, random.choice(others, 5)].sum(axis=1)) / 5
    return both / like


@pytest.mark.slow
@pytest.mark.skipif("OMEGA_EVAL_DATA" not in os.environ, reason="OMEGA_EVAL_DATA names no folder of real ratings")
def test_who_watches_a_title_watches_its_neighbors_more_often_than_titles_of_their_popularity(tmp_path: Path) -> None:
    folder = Path(os.environ["OMEGA_EVAL_DATA"])
    log = read_log(folder / "ratings.dat", folder / "movies.dat", "movietweetings", seed=0).log
    counts = np.bincount(log.watched[log.times_s < END_S], minlength=len(log.titles))
    kept = np.flatnonzero(counts >= LEAST_VIEWERS)
    catalog = Catalog.build([msgspec.structs.replace(log.titles[row], popularity=0.0) for row in kept])
    settings = resolve({"home": tmp_path}, {}).settings
    embedder = open_embedder(settings)
    arrays = load_or_embed(catalog, embedder, tmp_path, lambda done, total: None)
    embedder.close()
    centered = np.zeros((len(log.titles), arrays.centered.shape[1]), np.float32)
    centered[kept] = arrays.centered
    found = neighbors(catalog.lineage, audiences(log, centered, np.isin(log.watched, kept)))
    pairs = [(title, near) for title in found.titles for near in found.near(title)]
    watched = np.zeros((2, log.viewer_count, len(log.titles)), np.bool_)
    later = (log.times_s >= END_S).astype(np.int64)
    watched[later, log.viewers, log.watched] = True
    before = lift(watched[0], pairs)
    told = f"{len(found.titles)} titles, {len(pairs)} pairs: {before:.2f} times as often"
    print(f"{told}; {lift(watched[1], pairs):.2f} among what was watched later")
    assert len(found.titles) > 400
    assert before > 1.3
