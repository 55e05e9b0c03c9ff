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
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from omega.core.catalog import Catalog
from omega.core.catalog_rows import read_table
from omega.core.clock import local_now
from omega.core.errors import (
    InputError,
    MissingExtraError,
    OmegaError,
    PluginError,
    SettingsError,
    StoreError,
    on_one_line,
)
from omega.core.files import write_atomically
from omega.core.machine import return_freed_memory, single_blas_thread, trim_memory
from omega.core.ports import ResumingTransport
from omega.core.registry import Registry
from omega.core.settings import EXAMPLE_CATALOG

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from omega.core.artifacts.accepted import Accepted
    from omega.core.identity.device_key import DeviceKey
    from omega.core.ports import DeviceStore, Embedder, TransportClient
    from omega.core.settings import Settings
    from omega.device.brain import Brain
    from omega.device.daemon.client import Client
    from omega.device.fallback import Fallback, Which
    from omega.device.moving import Mover
    from omega.device.sync.entry import ShardLine
    from omega.device.sync.memberships import Membership
    from omega.device.sync.report import Report as SyncReport
    from omega.device.sync.runtime import Line, Syncer
    from omega_storage.device_sqlite import SqliteDeviceStore

EXAMPLE_CATALOG_PATH = Path(__file__).parent / "data" / "example.jsonl"
"""800 real titles that ship with Omega."""
STATIC = "static"
"""The embedder that needs no model, and so the one to fall back to."""
DEVICE_KEY_FILE = "device.key"
"""The file that makes a TV itself."""
DEVICE_CERTIFICATE_FILE = "device.cert"
"""Its maker's word for it, where there is one."""
MEMBERSHIPS_FILE = "shards.json"
"""The tokens that shards gave it."""
TICKETS_FILE = "tickets.json"
"""What makes its next QUIC connection quicker."""
STORE_FILE = "store.db"
"""The database's name in a TV's folder."""
ARTIFACTS_FOLDER = "artifacts"
"""Where a TV keeps what it took of its operator's files, in its folder."""
_BUILTINS = (
    "omega_plugins.embedders.onnx",
    "omega_plugins.embedders.static",
    "omega_plugins.engines.dask",
    "omega_plugins.engines.process_pool",
    "omega_plugins.strategies.median",
    "omega_plugins.strategies.private",
    "omega_plugins.strategies.trimmed_mean",
    "omega_plugins.strategies.weighted_mean",
    "omega_plugins.transports.grpc",
    "omega_plugins.transports.http",
    "omega_plugins.transports.loopback",
    "omega_plugins.transports.quic",
    "omega_storage.pgvector",
    "omega_storage.sqlite_vec",
)


def registry(*, strict: bool = False) -> Registry:
    """Return a registry with the built-in plugins; strangers' are found when asked for, fatal if broken and strict."""
    return Registry([extra_module(name, "device") for name in _BUILTINS], strict=strict)


def open_catalog(settings: Settings) -> Catalog:
    """Read the catalog that the settings name. Raises CatalogError."""
    return Catalog.read(_catalog_path(settings))


def _catalog_path(settings: Settings) -> Path:
    named = settings.catalog
    path = os.path.expanduser(named)  # noqa: PTH111  (leaves ~nobody as it is, where Path's raises RuntimeError)
    return EXAMPLE_CATALOG_PATH if named == EXAMPLE_CATALOG else Path(path)


def open_accepted(settings: Settings) -> Accepted | None:
    """Return what the TV has taken of its operator's files; None where no key is trusted. Raises ArtifactError."""
    if settings.trust is None:
        return None
    accepted = extra_module("omega.core.artifacts.accepted", "device")
    keys = extra_module("omega.core.artifacts.keys", "device").Keyring.read([settings.trust])
    found: Accepted = accepted.Accepted(settings.store / ARTIFACTS_FOLDER, keys, shipped=_catalog_path(settings))
    return found


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
    if accepted := open_accepted(settings):
        catalog = extra_module("omega.core.artifacts.catalogs", "device").accepted_catalog(catalog, accepted)
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
        if accepted:
            for found in extra_module("omega.device.sync.downloads", "device").taken(accepted):
                ready.adopt(found)
        if settings.memory == "lite":
            titles.unload(arrays)
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


def connect(
    url: str, *, token: Callable[[], str], ca: Path | None = None, timeout_s: float = 10, kept: Path | None = None
) -> TransportClient:
    """Return a client of the shard at `url`, by the transport of its scheme. Raises PluginError, InputError.

    `kept` is a file for what makes the next connection quicker, where a transport can do that.
    """
    transport = registry().transport_for(url.partition(":")[0].lower())
    if issubclass(transport, ResumingTransport):
        return transport.connect(url, token=token, ca=ca, timeout_s=timeout_s, kept=kept)
    return transport.connect(url, token=token, ca=ca, timeout_s=timeout_s)


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
        brain.syncer = open_syncer(settings, brain) if settings.shard_url else None
        chores = [brain.syncer.run] if brain.syncer else []
        server.run(brain, bound, limits, tend=brain.tend, ready=lambda: ready(address), chores=chores)


def open_syncer(settings: Settings, brain: Brain, line: Line | None = None) -> Syncer:
    """Return what syncs a brain with the shard of the settings, or over a line that is given; the caller closes it.

    Raises SettingsError when no shard is set, PluginError when no transport knows its URL, ArtifactError for a bad file
    of trusted keys.
    """
    runtime, files = (extra_module(f"omega.device.sync.{name}", "device") for name in ("runtime", "downloads"))
    line, accepted = line or open_line(settings), open_accepted(settings)
    downloads = accepted and files.Downloads(brain, accepted, settings.cache / "titles")
    syncer: Syncer = runtime.Syncer(brain, line, random=SystemRandom(), downloads=downloads)
    return syncer


def open_line(settings: Settings, *, code: str | None = None) -> ShardLine:
    """Return the way to the shard of the settings; a `code` speaks for a TV that it doesn't know.

    Raises SettingsError, PluginError, InputError.
    """
    if not settings.shard_url:
        raise SettingsError("shard_url is not set, allowed: a URL like https://shard.example:8443: set it")
    entry = extra_module("omega.device.sync.entry", "device")
    memberships = extra_module("omega.device.sync.memberships", "device")
    vouchers = extra_module("omega.core.identity.vouchers", "device")
    key, certificate = device_key(settings), settings.store / DEVICE_CERTIFICATE_FILE
    passport = entry.Passport(
        key,
        memberships.Memberships(settings.store / MEMBERSHIPS_FILE),
        certificate=vouchers.read_certificate(certificate) if certificate.exists() else None,
        code=code,
    )

    def opened(url: str, token: Callable[[], str]) -> TransportClient:
        return connect(url, token=token, ca=settings.ca, kept=settings.store / TICKETS_FILE)

    opened(settings.shard_url, str)  # no connection yet, but an address that is none ends it here
    line: ShardLine = entry.ShardLine(settings.shard_url, passport, opened)
    return line


def device_key(settings: Settings) -> DeviceKey:
    """Return the key that makes a TV itself, made on first use. Raises InputError."""
    key: DeviceKey = extra_module("omega.core.identity.device_key", "device").DeviceKey.open(
        settings.store / DEVICE_KEY_FILE
    )
    return key


def certify_device(settings: Settings, maker_key: Path) -> Path:
    """Let a maker's key vouch for this TV's, as a factory does; return the file beside it. Raises InputError."""
    vouchers = extra_module("omega.core.identity.vouchers", "device")
    keys = extra_module("omega.core.identity.device_key", "device")
    if not maker_key.exists():
        raise InputError(f"{maker_key} isn't there, allowed: a maker's key: make one with omega shard maker")
    certificate = vouchers.certify(keys.DeviceKey.open(maker_key), device_key(settings).public_key)
    file = settings.store / DEVICE_CERTIFICATE_FILE
    write_atomically(file, vouchers.encode_certificate(certificate))
    return file


def enrol(settings: Settings, *, code: str | None = None) -> Membership:
    """Let the shard of the settings admit this TV, now. Raises SettingsError, InputError, TransportError."""
    import asyncio  # noqa: PLC0415  (20 ms that few commands need)

    return asyncio.run(open_line(settings, code=code).enrol())


def sync_now(settings: Settings, brain: Brain | Client, line: Line | None = None) -> SyncReport:
    """Sync once, now, and return what came of it; a daemon is asked to. Raises what prevents it from the start.

    What goes wrong on the way is in the report.
    """
    import asyncio  # noqa: PLC0415  (20 ms that no other command needs)

    from omega.device.daemon.client import Client  # noqa: PLC0415  (it comes with the extra)

    if isinstance(brain, Client):
        return brain.sync()
    syncer = open_syncer(settings, brain, line)

    async def once() -> SyncReport:
        try:
            return await syncer.sync()
        finally:
            await syncer.close()

    return asyncio.run(once())
