"""A claim about bad devices: what titles gain, lose and are said to be watched by moves within the bounds."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from omega.claims.claim import Claims, Measured
from omega.compose import EXAMPLE_CATALOG_PATH, extra_module, registry
from omega.core.catalog import Catalog

if TYPE_CHECKING:
    from omega.claims.bench import Bench

claims = Claims()
STRATEGIES = "weighted-mean", "median", "trimmed-mean"
_SHOULD_MOVE = 0.5
"""The strongest attack must use so much of its bound, or it is none."""


@claims.add(
    "poison-bound",
    what="how far 1 to 30 % bad devices of five kinds move titles' shares of samples and trends, what one title gains, "
    "and the tastes of its viewers, over what their share of all acts, and of its households, allows; worst",
    target=1,
    unit="times",
    bound="at most",
    oracle="bounds from what was told alone, without a shard or a round; shards' own counts of the devices' acts; the "
    "same day without the bad devices",
    slow=True,
)
def poison_bound(bench: Bench) -> Measured:
    """Play every attack against real shards and rounds."""
    campaign = extra_module("omega.fleet.redteam.campaign", "shard")
    plugins = registry()
    with closing(plugins.engine("process-pool").open(1, "")) as engine:
        plan = campaign.Plan(
            catalog=Catalog.read(EXAMPLE_CATALOG_PATH),
            folder=bench.folder / "poison",
            strategies=[plugins.strategy(name)() for name in STRATEGIES],
            engine=engine,
        )
        outcomes = list(campaign.played(plan, bench.progress))
    details: dict[str, Any] = {}
    for attack in dict.fromkeys(one.attack for one in outcomes):
        for name in STRATEGIES:
            some = [one for one in outcomes if (one.attack, one.strategy) == (attack, name)]
            details[f"{attack}_{name}"] = round(max(one.of_bound for one in some), 4)
    worst = max(one.of_bound for one in outcomes)
    quotas = all(one.denied >= one.devices for one in outcomes if one.attack == "sybils")
    return Measured(worst, details, agrees=worst >= _SHOULD_MOVE and quotas)
