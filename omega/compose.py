"""Puts the rooms together: from settings to an open catalog, embedder and brain. Library users start here.

>>> from omega.compose import open_brain
>>> with closing(open_brain(resolve({"home": "/tmp/omega"}).settings)) as brain:
...     brain.recommend()
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from datetime import UTC
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from omega.core.catalog import Catalog
from omega.core.catalog_rows import read_table
from omega.core.clock import local_now
from omega.core.errors import MissingExtraError, OmegaError, PluginError, StoreError, on_one_line
from omega.core.files import atomic_folder
from omega.core.machine import return_freed_memory, single_blas_thread, trim_memory
from omega.core.registry import Registry
from omega.core.settings import EXAMPLE_CATALOG

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from omega.core.ports import DeviceStore, Embedder
    from omega.core.settings import Settings
    from omega.device.brain import Brain
    from omega.device.daemon.client import Client
    from omega.device.fallback import Fallback, Which
    from omega.device.moving import Mover
    from omega.fleet.demo import Day, Report
    from omega_storage.device_sqlite import SqliteDeviceStore

EXAMPLE_CATALOG_PATH = Path(__file__).parent / "data" / "example.jsonl"
"""800 real titles that ship with Omega."""
STATIC = "static"
"""The embedder that needs no model, and so the one to fall back to."""
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


def open_available(settings: Settings, now_s: float) -> tuple[Embedder, Fallback | None]:
    """Load the settings' embedder, or the static table when that can't be used, and the policy that goes on from there.

    Who names a model folder wants that and no other: then there is no policy, and what is wrong with it is raised, as
    by `open_embedder`. So it is for `static` itself, and for an embedder that isn't there.
    """
    if settings.model is not None or settings.embedder == STATIC:
        return open_embedder(settings), None
    registry().embedder(settings.embedder)
    fallback: Fallback = extra_module("omega.device.fallback", "device").Fallback(now_s)
    try:
        return open_embedder(settings), fallback
    except OmegaError as error:
        fallback.failed(str(error), now_s)
        return load_embedder(STATIC, None, settings.threads), fallback


def load_embedder(name: str, model: Path | None, threads: int) -> Embedder:
    """Load a model folder, or the plugin's own, with the embedder of this name; raises as `open_embedder` does."""
    plugin = registry().embedder(name)
    try:
        return plugin.open(model, threads=threads)
    except OmegaError:
        raise
    except MemoryError as error:
        message = f"embedder {plugin.NAME} needs more memory than there is: free some, or set memory = lite"
        raise OmegaError(message) from error
    except Exception as error:
        found = on_one_line(f"{type(error).__name__}: {error}")
        message = f"embedder {plugin.NAME} failed to open ({found}): repair its plugin, or choose another embedder"
        raise PluginError(message) from error


def open_store(
    settings: Settings, dimensions: int, *, in_memory: bool = True, create: bool = True, rescue: bool = True
) -> DeviceStore:
    """Open the TV's store; without `in_memory` sqlite-vec itself searches. Raises StoreError.

    With `create` a store that isn't there is made. The file is looked at, 1 ms a MB, and a damaged one is rebuilt from
    all that can be read of it, unless `rescue` is False, with a warning in the log that says what was saved.
    """
    file = settings.store / STORE_FILE
    if not create and not file.exists():
        raise StoreError(
            f"{settings.store} holds no TV's store: make one with omega device init, or name another folder"
        )
    sqlite: type[SqliteDeviceStore] = extra_module("omega_storage.device_sqlite", "device").SqliteDeviceStore
    if rescue:
        rescue_store(settings, thorough=False)
    return sqlite.open(file, dimensions=dimensions, in_memory=in_memory)


def rescue_store(settings: Settings, *, thorough: bool = True) -> bool:
    """Rebuild the TV's store if it is damaged, with a warning in the log, and say whether it was. Raises StoreError."""
    file = settings.store / STORE_FILE
    sqlite: type[SqliteDeviceStore] = extra_module("omega_storage.device_sqlite", "device").SqliteDeviceStore
    rescued = sqlite.rescue(file, local_now(UTC), thorough=thorough) if file.exists() else None
    if rescued:
        import logging  # noqa: PLC0415  (1.5 MB that a sound store doesn't need)

        logging.getLogger(__name__).warning("%s was damaged: %s", file, rescued)
    return rescued is not None


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
    if settings.memory == "lite":
        return_freed_memory()
    brain: type[Brain] = extra_module("omega.device.brain", "device").Brain
    catalog = open_catalog(settings)
    clock = now or (lambda: local_now(settings.zone))
    with ExitStack() as opened:
        embedder, fallback = open_available(settings, clock().timestamp())
        opened.callback(embedder.close)
        store = opened.enter_context(
            closing(open_store(settings, embedder.dimensions, in_memory=in_memory, create=create))
        )
        arrays = titles.load_or_embed(catalog, embedder, settings.cache / "titles", progress)
        mover = _mover(settings, fallback, catalog) if fallback else None
        try:
            ready = brain(store, embedder, catalog, arrays, now=clock, mover=mover)
        except StoreError:  # damage that only reading meets
            store.close()
            if not rescue_store(settings):
                raise
            store = opened.enter_context(closing(open_store(settings, embedder.dimensions, in_memory=in_memory)))
            ready = brain(store, embedder, catalog, arrays, now=clock, mover=mover)
        if settings.memory == "lite":
            trim_memory()
        opened.pop_all()
    return ready


def _mover(settings: Settings, fallback: Fallback, catalog: Catalog) -> Mover:
    def load(which: Which) -> Embedder:
        return open_embedder(settings) if which == "model" else load_embedder(STATIC, None, settings.threads)

    mover: Mover = extra_module("omega.device.moving", "device").Mover(
        fallback, load, catalog, settings.cache / "titles"
    )
    return mover


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
    from tempfile import TemporaryDirectory  # noqa: PLC0415  (1 MB that a TV doesn't need)

    demo = extra_module("omega.fleet.demo", "device")
    with atomic_folder(keep) if keep else TemporaryDirectory(prefix="omega-demo-") as folder:

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


def find_daemon(settings: Settings) -> Client | None:
    """Return a client of the daemon that serves the TV's store, None when none does; raises DaemonError."""
    found: Client | None = extra_module("omega.device.daemon.client", "device").find(settings.store)
    return found


def run_daemon(
    settings: Settings,
    *,
    address: Path | None = None,
    group: str | None = None,
    clients: int = 64,
    create: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
    ready: Callable[[Path], None] = lambda address: None,
) -> None:
    """Open the TV's brain and serve it on a unix socket until SIGTERM, SIGINT or a shutdown request, then close it.

    The socket is `address`, by default in the TV's folder, and open to a `group` if one is named; `ready` gets it once
    clients can come. Raises what `open_brain` does, StoreError when another daemon serves the store, InputError for a
    socket that can't be made.
    """
    place = extra_module("omega.device.daemon.place", "device")
    server = extra_module("omega.device.daemon.server", "device")
    address = address.absolute() if address else place.socket_path(settings.store)
    make = create or (settings.store / STORE_FILE).exists()
    with (
        place.held(settings.store, address, create=make),
        closing(open_brain(settings, progress=progress, create=create)) as brain,
        place.listening(address, group) as bound,
    ):
        limits = server.Limits(clients=clients)
        server.run(brain, bound, limits, tend=brain.tend, ready=lambda: ready(address))
