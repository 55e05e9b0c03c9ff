"""A shard as it is served: its store, its doors, its workers, and what an operator changes beside them."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time
from contextlib import AsyncExitStack, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from omega.compose import extra_module, open_catalog
from omega.core.errors import InputError
from omega.core.machine import single_blas_thread, spare_collector, switch_often
from omega.core.settings import Settings
from omega.core.shard_records import TASTE_SPACE
from omega.doors import grpc_door, kept_secret, quic_door, quic_sockets
from omega.management import Management
from omega.shards import MAX_DEVICES, is_one_process, open_shard_store
from omega.title_search import TitleSearch

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from omega.core.catalog import Catalog
    from omega.core.identity.keyring import KeyRing
    from omega.core.identity.vouchers import Maker
    from omega.doors import Door
    from omega.shard.app import ShardApp
    from omega.shard.shelves import Published

    Ready: TypeAlias = Callable[[Mapping[str, int]], None]
    """Hears where a shard listens: http, and what else was asked for."""

KEYS_FILE, TAGS_FILE = "keys.json", "tags.key"
MOST_WORKERS = 64
_TAG_KEY_BYTES = 32


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, and how."""

    settings: Settings
    store: str
    """As for `open_shard_store`."""
    shard_id: int = 0
    region: str = ""
    max_devices: int = MAX_DEVICES
    host: str = "127.0.0.1"
    port: int = 8443
    """For HTTP; 0 takes a free one."""
    grpc_port: int | None = None
    """For gRPC, if any."""
    quic_port: int | None = None
    """For QUIC, if any; it takes a certificate."""
    rest_port: int | None = None
    """For its management, if any."""
    metrics_port: int | None = None
    """For Prometheus, if any; the first worker's, each other has the next."""
    certificate: tuple[Path, Path] | None = None
    """Chain and key, PEM: it speaks https and grpcs."""
    keys: Path | None = None
    """The folder of its secrets; by default shard in the home."""
    makers: Path | None = None
    """A file of those whose certificates admit a TV."""
    everybody: bool = False
    """Admit whoever has a key, on loopback alone."""
    artifacts: Path | None = None
    """A folder of files to give out,"""
    trust: tuple[Path, ...] = ()
    """that the public keys in these files signed."""
    pull_s: float = 5.0
    """The pull is made again at most so often."""
    workers: int = 1
    """Processes that serve it; more than one share a Postgres."""

    @property
    def secrets(self) -> Path:
        """The folder of its secrets."""
        return self.keys or self.settings.home / "shard"


def _nothing(*_: object) -> None:
    pass


def serve_shard(serving: Serving, *, ready: Ready = _nothing, prepare: Callable[[], None] = _nothing) -> None:
    """Serve until SIGTERM or SIGINT, in this process, or in workers that it keeps up and replaces at SIGHUP.

    Keys, makers, revoked TVs and files may change while it runs. `ready` gets the ports; `prepare` is called first in
    each process, and must be picklable for workers. Raises StoreError, InputError, TransportError, OmegaError.
    """
    prepare()
    if not 1 <= serving.workers <= MOST_WORKERS:
        raise InputError(f"workers is {serving.workers}, allowed: 1..{MOST_WORKERS}")
    if serving.workers > 1 and is_one_process(serving.store):
        told = f"workers is {serving.workers}, allowed: 1 on a file, which one process at a time writes"
        raise InputError(f"{told}: name a postgresql:// store")
    checked = _checked(serving)
    with ExitStack() as held:
        serving, places = _places(serving, held)
        if serving.workers == 1:
            _serve(serving, checked, places[0], ready)
        else:
            _keep_workers(serving, places, ready, prepare)


def _keep_workers(serving: Serving, places: list[_Place], ready: Ready, prepare: Callable[[], None]) -> None:
    """Keep them up; a store that can't be opened is told before any begins."""
    child, workers = extra_module("omega.core.child", "shard"), extra_module("omega.shard.workers", "shard")

    def started(number: int) -> Any:
        return child.Child(partial(_work, prepare, serving, places[number]))

    with closing(open_shard_store(serving.store, home=serving.settings.home)):
        asyncio.run(_kept_up(workers.Workers(started, serving.workers), ready))


async def _kept_up(workers: Any, ready: Ready) -> None:
    loop, rolling = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, workers.stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: rolling.add(asyncio.create_task(workers.roll())))
    await workers.run(lambda told: ready(told[0]))


class _Place(NamedTuple):
    """Where a worker listens; its parent keeps the sockets while it is away."""

    worker: int
    http: socket.socket
    quic: socket.socket | None


def _places(serving: Serving, held: ExitStack) -> tuple[Serving, list[_Place]]:
    """Return the place of each worker, and what is served with the ports that were taken for all of them."""
    several = serving.workers > 1
    for port in filter(None, (serving.port, serving.grpc_port, serving.rest_port) if several else ()):
        _bind(serving.host, port, listening=False).close()  # a shared one wouldn't notice another shard there
    http: list[socket.socket] = []
    for _ in range(serving.workers):
        port = http[0].getsockname()[1] if http else serving.port
        http.append(held.enter_context(closing(_bind(serving.host, port, shared=several))))
    ports = {"port": http[0].getsockname()[1]}
    for name, asked in (("grpc_port", serving.grpc_port), ("rest_port", serving.rest_port)) if several else ():
        if asked is not None:
            kept = held.enter_context(closing(_bind(serving.host, asked, shared=True, listening=False)))
            ports[name] = kept.getsockname()[1]
    quic: list[socket.socket] | list[None] = [None] * serving.workers
    if serving.quic_port is not None:
        quic = quic_sockets(serving.host, serving.quic_port, serving.certificate, serving.workers)
        for bound in quic:
            held.enter_context(closing(bound))
    places = [_Place(number, *sockets) for number, sockets in enumerate(zip(http, quic, strict=True))]
    return msgspec.structs.replace(serving, **ports), places


def _work(prepare: Callable[[], None], serving: Serving, place: _Place, *, ready: Ready) -> None:
    """Be the worker of this place."""
    prepare()
    _serve(serving, _checked(serving), place, ready)


def _bind(host: str, port: int, **how: bool) -> socket.socket:
    bound: socket.socket = extra_module("omega_plugins.transports.http.server", "shard").bind(host, port, **how)
    return bound


def _serve(serving: Serving, checked: _Checked, place: _Place, ready: Ready) -> None:
    """Serve in this process, until it is told to end."""
    single_blas_thread()
    spare_collector()
    switch_often()
    ports, shared = (serving.rest_port, serving.metrics_port), serving.workers > 1
    manage = Management(serving.host, *ports, serving.secrets, checked.context, worker=place.worker, shared=shared)
    with manage:
        served = _served(serving, checked, manage, place, ready)
        extra_module("omega_plugins.transports.http.server", "shard").run(served)


async def _served(serving: Serving, checked: _Checked, manage: Management, place: _Place, ready: Ready) -> None:
    server = extra_module("omega_plugins.transports.http.server", "shard")
    rooms = ("shard", "app", "upkeep", "metered", "pacing")
    shards, apps, upkeep, meters, pacing = (extra_module(f"omega.shard.{room}", "shard") for room in rooms)
    space = extra_module("omega.core.wire", "shard").space_code(TASTE_SPACE)
    store = open_shard_store(serving.store, max_devices=serving.max_devices, home=serving.settings.home)
    service = pacing.Service(pull_s=serving.pull_s)
    shard = shards.Shard(store, checked.catalog, checked.tag_key, space=space, service=service)
    ring, makers = checked.read_trust()
    files = checked.files
    app: ShardApp = apps.ShardApp(
        shard, serving.shard_id, ring, region=serving.region, makers=makers, everybody=serving.everybody, files=files
    )

    metered = partial(meters.Metered, app, shard.recorder)

    async def look() -> None:
        app.entrance.use(*checked.read_trust())
        await app.entrance.look()

    try:
        store.bind(serving.shard_id, hashlib.sha256(checked.tag_key).digest()[:8])
        await app.start()
        async with AsyncExitStack() as beside:
            await beside.enter_async_context(upkeep.kept_up(look))
            if files:
                await beside.enter_async_context(files.watched(shard))
            ports = {"http": place.http.getsockname()[1]}
            for name, door in _doors(serving, checked, place):
                ports[name] = (await beside.enter_async_context(door(metered(name)))).port
            search = beside.enter_context(TitleSearch(serving.settings))
            managed = manage.beside(app, shard, checked.catalog, files, store.schema, search)
            ports |= await beside.enter_async_context(managed)
            told = partial(ready, ports)
            await server.serve_until_told(metered("http"), place.http, context=checked.context, ready=told)
    finally:
        await shard.close()


class _Checked(NamedTuple):
    """What a shard needs of files and addresses, found good before its store is opened."""

    catalog: Catalog
    tag_key: bytes
    read_trust: Callable[[], tuple[KeyRing, tuple[Maker, ...]]]
    """Returns the keys that sign tokens, and the makers, as they are then."""
    files: Published | None
    context: ssl.SSLContext | None
    grpc_door: Door | None


def _checked(serving: Serving) -> _Checked:
    """Read what it needs; secrets are made on first use. Raises InputError, ArtifactError, TransportError."""
    if serving.everybody:
        extra_module("omega.core.identity.gate", "shard").refuse_unless_loopback(serving.host)
    folder, tls = serving.secrets, extra_module("omega_plugins.transports.http.server", "shard").tls
    keyring, vouchers = (extra_module(f"omega.core.identity.{name}", "shard") for name in ("keyring", "vouchers"))
    keyring.open_ring(folder / KEYS_FILE, time.time())

    def read_trust() -> tuple[KeyRing, tuple[Maker, ...]]:
        ring: KeyRing = keyring.KeyRing.read(folder / KEYS_FILE)
        return ring, vouchers.read_makers(serving.makers) if serving.makers else ()

    read_trust()
    catalog, port = open_catalog(serving.settings), serving.grpc_port
    return _Checked(
        catalog,
        kept_secret(folder / TAGS_FILE, _TAG_KEY_BYTES),
        read_trust,
        _files(serving, catalog),
        tls(*serving.certificate) if serving.certificate else None,
        None if port is None else grpc_door(serving.host, port, serving.certificate, shared=serving.workers > 1),
    )


def _doors(serving: Serving, checked: _Checked, place: _Place) -> Iterator[tuple[str, Door]]:
    """Yield what is spoken beside HTTP, by name."""
    if checked.grpc_door:
        yield "grpc", checked.grpc_door
    if place.quic and serving.certificate:
        route = {"worker": place.worker, "workers": serving.workers}
        yield "quic", quic_door(place.quic, serving.certificate, serving.secrets, **route)


def _files(serving: Serving, catalog: Catalog) -> Published | None:
    if serving.trust and not serving.artifacts:
        told = f"trust is {serving.trust[0]}, without artifacts"
        raise InputError(f"{told}: name their folder with --artifacts, or leave it out")
    if not serving.artifacts:
        return None
    shelves = extra_module("omega.shard.shelves", "shard")
    files: Published = shelves.Published.open(serving.artifacts, serving.trust, catalog, serving.region)
    return files
