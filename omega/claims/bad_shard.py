"""A claim about one shard of eight that lies: how far it moves what the median of them tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.compose import registry
from omega.core.ports import SumsOfShards, TotalsOfShards

if TYPE_CHECKING:
    from omega.claims.bench import Bench

claims = Claims()
SHARDS, TITLES, SAMPLES = 8, 500, 20_000
_LIE = 10**9
_RARE, _COMMON = TITLES - 1, 0
_SEED = 9


@claims.add(
    "bad-shard",
    what="how far one shard of eight that boosts a title by 10^9 samples, buries one, or sends noise moves any title's "
    "share by the strategy median, over what the honest ones differ by there",
    target=1,
    unit="times",
    bound="at most",
    oracle="the same shards, all honest; pooled sums must be moved a hundred times as far, so that the lies are ones",
)
def bad_shard(bench: Bench) -> Measured:
    """Draw shards alike, let the last one lie in three ways, and compare."""
    random = np.random.default_rng(_SEED)
    odds = 1 / np.arange(1, TITLES + 1)
    honest = random.poisson(SAMPLES * odds / odds.sum(), (SHARDS, TITLES))
    shares = honest / honest.sum(axis=1, keepdims=True)
    spread = np.maximum(np.ptp(shares, axis=0), 1 / SAMPLES)  # no finer than one sample
    details: dict[str, Any] = {}
    lies = (("boost", _boosted), ("bury", _buried), ("noise", _noisy))
    for done, (name, lie) in enumerate(lies):
        bench.progress(done, len(lies), f"letting a shard lie: {name}")
        lied = honest.copy()
        lied[-1] = lie(honest[-1], random)
        for strategy in ("median", "trimmed-mean", "weighted-mean"):
            moved = np.abs(_share(strategy, lied) - _share(strategy, honest)) / spread
            details[f"{name}_{strategy}"] = float(moved.max())
    worst = max(value for name, value in details.items() if name.endswith("_median"))
    return Measured(worst, details, agrees=details["boost_weighted-mean"] >= 100 * worst)


def _boosted(samples: Any, _: np.random.Generator) -> Any:
    told = samples.copy()
    told[_RARE] = _LIE
    return told


def _buried(samples: Any, _: np.random.Generator) -> Any:
    told = samples.copy()
    told[_COMMON] = 0
    return told


def _noisy(samples: Any, random: np.random.Generator) -> Any:
    return random.permutation(samples)


def _share(strategy: str, samples: Any) -> Any:
    """Return (n,) each title's share of what is told of all shards."""
    sums = SumsOfShards(samples, 800 * samples, samples, np.repeat(samples[:, :, None], 4, axis=2).astype(np.float64))
    totals = TotalsOfShards(samples.sum(axis=1), sums.trends.sum(axis=1), np.ones(len(samples)))
    told = registry().strategy(strategy)().merge(sums, totals).samples[0]
    return told / told.sum()
