"""Puts the rooms together: from settings to an open catalog, embedder and brain. Library users start here.

>>> from omega.compose import open_brain
>>> with closing(open_brain(resolve({"home": "/tmp/omega"}).settings)) as brain:
...     brain.recommend()
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from omega.core.catalog import Catalog
from omega.core.catalog_rows import read_table
from omega.core.clock import local_now
from omega.core.errors import MissingExtraError, OmegaError, PluginError, StoreError, on_one_line
from omega.core.files import atomic_folder
from omega.core.machine import single_blas_thread
from omega.core.registry import Registry
from omega.core.settings import EXAMPLE_CATALOG

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from omega.core.ports import DeviceStore, Embedder
    from omega.core.settings import Settings
    from omega.device.brain import Brain
    from omega.fleet.demo import Day, Report
    from omega_storage.device_sqlite import SqliteDeviceStore

EXAMPLE_CATALOG_PATH = Path(__file__).parent / "data" / "example.jsonl"
"""800 real titles that ship with Omega."""
STORE_FILE = "store.db"
"""The database's name in a TV's folder."""
_BUILTINS = (
    "omega_plugins.embedders.onnx",
    "omega_plugins.embedders.static",
    "omega_storage.sqlite_vec",
)


def registry(*, strict: bool = False) -> Registry:
    """Return a registry with the built-in plugins; strangers' are found when asked for, fatal if broken and strict."""
    return Registry([extra_module(name, "device") for name in _BUILTINS], strict=strict)


def open_catalog(settings: Settings) -> Catalog:
    """Read the catalog that the settings name. Raises CatalogError."""
    named = settings.catalog
    path = os.path.expanduser(named)  # noqa: PTH111  (leaves ~nobody as it is, where Path's raises RuntimeError)
    return Catalog.read(EXAMPLE_CATALOG_PATH if named == EXAMPLE_CATALOG else Path(path))


def open_embedder(settings: Settings) -> Embedder:
    """Load the embedder that the settings name. Raises PluginError, also for what a plugin raises; ModelError."""
    return load_embedder(settings.embedder, settings.model, settings.threads)


def load_embedder(name: str, model: Path | None, threads: int) -> Embedder:
    """Load a model folder, or the plugin's own, with the embedder of this name; raises as `open_embedder` does."""
    plugin = registry().embedder(name)
    try:
        return plugin.open(model, threads=threads)
    except OmegaError:
        raise
    except Exception as error:
        found = on_one_line(f"{type(error).__name__}: {error}")
        message = f"embedder {plugin.NAME} failed to open ({found}): repair its plugin, or choose another embedder"
        raise PluginError(message) from error


def open_store(settings: Settings, dimensions: int, *, in_memory: bool = True, create: bool = True) -> DeviceStore:
    """Open the TV's store; without `in_memory` sqlite-vec itself searches. Raises StoreError.

    With `create` a store that isn't there is made.
    """
    file = settings.store / STORE_FILE
    if not create and not file.exists():
        raise StoreError(
            f"{settings.store} holds no TV's store: make one with omega device init, or name another folder"
        )
    sqlite: type[SqliteDeviceStore] = extra_module("omega_storage.device_sqlite", "device").SqliteDeviceStore
    return sqlite.open(file, dimensions=dimensions, in_memory=in_memory)


def open_brain(
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    now: Callable[[], datetime] | None = None,
    in_memory: bool = True,
    create: bool = True,
) -> Brain:
    """Open the TV's brain; the caller closes it.

    `progress` gets titles done and in all while a new catalog is embedded; `now` replaces the clock and gives aware
    local time; without `in_memory` the store searches on disk; without `create` there must be a store. Raises
    InputError, StoreError, PluginError.
    """
    titles = extra_module("omega.device.titles", "device")
    brain: type[Brain] = extra_module("omega.device.brain", "device").Brain
    catalog = open_catalog(settings)
    with ExitStack() as opened:
        embedder = opened.enter_context(closing(open_embedder(settings)))
        store = opened.enter_context(
            closing(open_store(settings, embedder.dimensions, in_memory=in_memory, create=create))
        )
        arrays = titles.load_or_embed(catalog, embedder, settings.cache / "titles", progress)
        ready = brain(store, embedder, catalog, arrays, now=now or (lambda: local_now(settings.zone)))
        opened.pop_all()
    return ready


def build_catalog(source: Path, out: Path, previous: Path | None = None) -> Catalog:
    """Build a catalog file from a table, or the next epoch of `previous`, and return it. Raises CatalogError."""
    catalog = Catalog.build(read_table(source), Catalog.read(previous) if previous else None)
    catalog.write(out)
    return catalog


def run_demo(
    settings: Settings,
    *,
    seed: int = 1,
    weeks: int = 6,
    keep: Path | None = None,
    on_day: Callable[[Day], None] = lambda day: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Let simulated households watch for some weeks and return what their TVs learned.

    The stores go to `keep`/<household>, or vanish at the end. Raises InputError when `keep` is there already.
    """
    demo = extra_module("omega.fleet.demo", "device")
    with atomic_folder(keep) if keep else tempfile.TemporaryDirectory(prefix="omega-demo-") as folder:

        def opened(name: str, clock: Callable[[], datetime]) -> Brain:
            at_home = msgspec.structs.replace(settings, store=Path(folder) / name)
            return open_brain(at_home, progress=progress, now=clock)

        report: Report = demo.run(
            opened,
            lambda: open_embedder(settings),
            open_catalog(settings),
            seed=seed,
            weeks=weeks,
            on_day=on_day,
        )
        return report


def extra_module(name: str, extra: str) -> Any:
    """Import a module whose dependencies are an extra of the distribution; raises MissingExtraError."""
    if extra == "device":
        single_blas_thread()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("omega"):
            raise
        raise MissingExtraError(error.name or name, extra) from error
