"""The claim that whatever fails on the way, what the shards hold is what the TVs shared, each sample once."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omega.claims.claim import Claims, Measured
from omega.compose import EXAMPLE_CATALOG_PATH, extra_module
from omega.core.catalog import Catalog

if TYPE_CHECKING:
    from omega.claims.bench import Bench

claims = Claims()
STEPS, EVERY, SEED = 10_000, 1_000, 1
CONTROL_STEPS = 300
POSTGRES_STEPS, POSTGRES_EVERY = 2_000, 500
TITLES = 30


@claims.add(
    "exactly-once",
    what="what two shards are off, samples and thousandths of success, from what four TVs shared: 10,000 random steps "
    "with lost, late and repeated frames, kills -9 on both sides, resets, moves, backups put back",
    target=0,
    unit="counts",
    bound="at most",
    oracle="the TVs' own events, added up in plain Python; shards that a kill makes forget where TVs stood must be off",
    slow=True,
)
def exactly_once(bench: Bench) -> Measured:
    """Let everything fail, and compare the sums every 1,000 steps."""
    return measured(bench, steps=STEPS, every=EVERY, seed=SEED)


def measured(bench: Bench, *, steps: int, every: int, seed: int) -> Measured:
    """Play so many steps, and some with shards that forget; `seed` gives the steps, though no kill's exact moment."""
    extra_module("omega.claims.once_shard", "shard")
    world = extra_module("omega.claims.once_world", "device")
    titles = Catalog.read(EXAMPLE_CATALOG_PATH).titles[:TITLES]
    folder = Path(tempfile.mkdtemp(prefix="once", dir=bench.folder))
    found = world.played(folder / "sound", titles, steps=steps, every=every, seed=seed, progress=bench.progress)
    forgets = world.Chances(forgets=True)
    control = world.played(
        folder / "forgetful", titles, steps=CONTROL_STEPS, every=CONTROL_STEPS, seed=seed, chances=forgets
    )
    details: dict[str, Any] = {"steps": steps, "checks": found.checks, "samples": found.samples, "off": found.off}
    details |= found.done | {"off_with_shards_that_forget": control.off}
    return Measured(sum(found.off.values()), details, agrees=control.off["samples"] > 0)


@claims.add(
    "exactly-once-postgres",
    what="the same with two shards on Postgres, which is killed -9 in the midst of syncs as well: 2,000 steps",
    target=0,
    unit="counts",
    bound="at most",
    oracle="the TVs' own events, added up in plain Python",
    slow=True,
)
def exactly_once_on_postgres(bench: Bench) -> Measured:
    """Let everything fail, the database too; backups are pg_dump's."""
    return measured_on_postgres(bench, steps=POSTGRES_STEPS, every=POSTGRES_EVERY, seed=SEED)


def measured_on_postgres(bench: Bench, *, steps: int, every: int, seed: int) -> Measured:
    """Play so many steps on a server that nobody else uses."""
    extra_module("omega.claims.once_shard", "shard")
    world, stores = (extra_module(f"omega.claims.once_{name}", "device") for name in ("world", "store"))
    titles = Catalog.read(EXAMPLE_CATALOG_PATH).titles[:TITLES]
    with tempfile.TemporaryDirectory(prefix="omega-pg-") as place:  # the bench's folder is closed to Postgres's user
        Path(place).chmod(0o755)
        with stores.a_server(Path(place)) as server:
            chances = world.Chances(
                keep=lambda _, name: stores.PostgresKeeper(server, name), crash=partial(stores.crash, server)
            )
            folder = Path(tempfile.mkdtemp(prefix="once", dir=bench.folder)) / "sound"
            found = world.played(
                folder, titles, steps=steps, every=every, seed=seed, chances=chances, progress=bench.progress
            )
    details = {"steps": steps, "checks": found.checks, "samples": found.samples, "off": found.off} | found.done
    return Measured(sum(found.off.values()), details, agrees=found.done["databases_died"] > 0)
