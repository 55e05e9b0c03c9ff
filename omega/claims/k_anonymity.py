"""A claim about what is told of few: a search over sequences of epochs finds nothing of fewer than three TVs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omega.claims.claim import Claims, Measured
from omega.compose import EXAMPLE_CATALOG_PATH, extra_module
from omega.core.catalog import Catalog

if TYPE_CHECKING:
    from pathlib import Path

    from omega.claims.bench import Bench
    from omega.core.ports import ShardStore

claims = Claims()
SEEDS = 5
STEPS = 2_400
"""Of each seed."""
_LEAST_CHANGES = 500
"""With fewer there was little to find anything in."""


@claims.add(
    "k-anonymity",
    what="what two shards and their federation told of fewer than three TVs, or, of up to eight, changed after fewer "
    "than three did anything, in 12,000 steps of watching, forgetting, resets, moves, sybils and lies",
    target=0,
    unit="times",
    bound="at most",
    oracle="a ledger of what each TV did; tests plant bugs in shard and federation that the same search finds",
    slow=True,
)
def k_anonymity(bench: Bench) -> Measured:
    """Search over real stores, boards, pulls and merges."""
    search = extra_module("omega.fleet.redteam.search", "shard")
    sqlite = extra_module("omega_storage.shard_sqlite", "shard").SqliteShardStore
    found = []
    for seed in range(SEEDS):
        folder = bench.folder / f"k-anonymity-{seed}"
        folder.mkdir()

        def made(number: int, folder: Path = folder) -> ShardStore:
            store: ShardStore = sqlite.open(folder / f"{number}.db")
            return store

        def told(done: int, _: int, what: str, seed: int = seed) -> None:
            bench.progress(seed * STEPS + done, SEEDS * STEPS, what)

        found += search.searched(made, Catalog.read(EXAMPLE_CATALOG_PATH), [seed], STEPS, told)
    names = "steps", "epochs", "looked_at", "changes", "below", "apart", "of_crowds", "of_people", "remainders"
    details: dict[str, Any] = {name: sum(getattr(one, name) for one in found) for name in names}
    details |= {"worst": next((one.worst for one in found if one.worst), "")}
    enough = details["changes"] >= _LEAST_CHANGES and details["steps"] >= 10_000
    return Measured(details["below"] + details["apart"], details, agrees=enough)
