"""Claims about what a TV remembers: what it brings, and that it doesn't grow without end."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from omega.claims.claim import Claims, Measured
from omega.compose import open_catalog, open_embedder, open_store
from omega.core.machine import run_fresh
from omega.core.settings import EXAMPLE_CATALOG
from omega.device.brain import Brain
from omega.device.titles import load_or_embed
from omega.fleet.ablation import MEMORIES, ablation, variants
from omega.fleet.soak import Soaked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.claims.bench import Bench
    from omega.core.catalog import Catalog
    from omega.core.ports import Embedder
    from omega.core.settings import Settings
    from omega.device.titles import TitleArrays
    from omega.fleet.ablation import Table
    from omega.fleet.demo import Clock

claims = Claims()
SEEDS = range(1, 49)
"""The households of the quick claim; no weight was ever chosen by looking at them."""
MANY_SEEDS = range(1, 301)
WEEKS = 12
SOAKED_EVENTS = 50_000
_SOAK_BUDGET_S = 570
_ORACLE = "the households' hidden appeal, which no brain ever sees"


@claims.add(
    "memory-ablation",
    what="least low end of the 95 % intervals of what a memory adds to the appeal of ten titles, 48 households",
    target=0.0005,
    unit="appeal",
    bound="at least",
    oracle=_ORACLE,
)
def memory_ablation(bench: Bench) -> Measured:
    """Let households watch, then ask their TVs with all memories and without each."""
    return _least(households(bench, SEEDS))


@claims.add(
    "memory-ablation-300",
    what="the same with 300 households",
    target=0.0005,
    unit="appeal",
    bound="at least",
    oracle=_ORACLE,
    slow=True,
)
def memory_ablation_300(bench: Bench) -> Measured:
    """Do the same for more households."""
    return _least(households(bench, MANY_SEEDS))


@claims.add(
    "soak",
    what="growth of memory per 10,000 events after warm-up, 50,000 events of households that come and go",
    target=1,
    unit="MiB",
    bound="at most",
    oracle="the kernel's count of a fresh process's pages; the file at most twice the size of a fresh copy of its data",
    slow=True,
)
def soaked(bench: Bench) -> Measured:
    """Soak a TV in a process of its own, ten minutes at most."""
    settings = {"home": str(bench.settings.home), "store": str(bench.folder / "soak")}
    options = {"settings": settings, "events": SOAKED_EVENTS, "seed": 1, "budget_s": _SOAK_BUDGET_S}
    command = [sys.executable, "-m", "omega.claims.soaked", msgspec.json.encode(options).decode()]
    found = msgspec.json.decode(run_fresh(command, timeout_s=_SOAK_BUDGET_S + 60), type=Soaked)
    whole = found.events == SOAKED_EVENTS and found.file_ratio <= 2
    return Measured(found.slope_mib, msgspec.to_builtins(found), agrees=whole)


def households(bench: Bench, seeds: Sequence[int]) -> Table:
    """Compare the variants on the households of these seeds, with the settings' model and the example catalog."""
    settings = msgspec.structs.replace(bench.settings, catalog=EXAMPLE_CATALOG)
    catalog = open_catalog(settings)
    with (
        closing(open_embedder(settings)) as embedder,
        tempfile.TemporaryDirectory(prefix="omega-prove-", dir=_fastest()) as folder,
    ):
        titles = load_or_embed(catalog, embedder, settings.cache / "titles")
        opened = partial(_open, settings, Path(folder), embedder, catalog, titles)
        return ablation(
            opened,
            catalog,
            seeds=seeds,
            weeks=WEEKS,
            asked=variants(),
            progress=lambda done, total: bench.progress(done, total, "households watching"),
        )


def _fastest() -> Path | None:
    """Return a folder in memory where there is one: what is judged here are lists, not disks."""
    shared = Path("/dev/shm")  # noqa: S108  (a fresh folder is made in it)
    return shared if os.access(shared, os.W_OK) else None


def _open(
    settings: Settings, folder: Path, embedder: Embedder, catalog: Catalog, titles: TitleArrays, name: str, clock: Clock
) -> Brain:
    """Return the brain of one household; they share the embedder, which none of them needs: all titles are known."""
    store = open_store(msgspec.structs.replace(settings, store=folder / name), embedder.dimensions)
    return Brain(store, embedder, catalog, titles, now=clock)


def _least(table: Table) -> Measured:
    details: dict[str, Any] = msgspec.to_builtins(table)
    return Measured(min(table.row(memory).low for memory in MEMORIES), details)
