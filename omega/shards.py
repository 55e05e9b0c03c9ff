"""Shards: serve one, let devices in, shut them out. What `omega shard` does, for library users too."""

from __future__ import annotations

import hashlib
import time
from contextlib import AsyncExitStack, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omega.compose import extra_module, open_catalog
from omega.core.errors import InputError, StoreError, shown
from omega.core.machine import spare_collector
from omega.core.settings import resolve
from omega.doors import doors, kept_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from omega.core.identity.device_key import DeviceKey
    from omega.core.identity.keyring import KeyRing
    from omega.core.identity.vouchers import Code, Maker
    from omega.core.settings import Settings
    from omega.doors import Doors
    from omega.shard.app import ShardApp
    from omega_plugins.transports.certificates import Certificates
    from omega_storage.shard_sql import SqlShardStore
    from omega_storage.shard_sqlite import SqliteShardStore

SHARD_SPACE = "minilm-int4"
"""What taste codes are of."""
KEYS_FILE, TAGS_FILE, TICKETS_FILE = "keys.json", "tags.key", "tickets.key"
MAX_DEVICES = 4_000_000
_SQLITE, _POSTGRES, _DEV = "sqlite:///", "postgresql://", "postgres-dev"
_DEV_FOLDER = "postgres"
_TAG_KEY_BYTES = 32


def serve_shard(
    settings: Settings,
    location: str,
    *,
    shard_id: int = 0,
    region: str = "",
    max_devices: int = MAX_DEVICES,
    host: str = "127.0.0.1",
    port: int = 8443,
    grpc_port: int | None = None,
    quic_port: int | None = None,
    certificate: tuple[Path, Path] | None = None,
    keys: Path | None = None,
    makers: Path | None = None,
    everybody: bool = False,
    artifacts: Path | None = None,
    trust: Sequence[Path] = (),
    pull_s: float = 5.0,
    ready: Callable[[int, Mapping[str, int]], None] = lambda port, others: None,
) -> None:
    """Serve a shard over HTTP until SIGTERM or SIGINT; `location` is as for `open_shard_store`.

    With a `grpc_port` it serves gRPC as well, with a `quic_port` QUIC; with a `certificate` (chain and key), without
    which there is no QUIC, it speaks https and grpcs. `keys` is the folder of its secrets, by default home/shard,
    `makers` a file of those whose certificates admit a TV; `everybody` admits whoever has a key, on loopback alone.
    `artifacts` is a folder of files to give out that the public keys in the files of `trust` signed. All of these may
    change while it runs. The pull is made again at most every `pull_s`; `ready` gets the port, and the others by name.
    Raises StoreError, InputError, TransportError.
    """
    server = extra_module("omega_plugins.transports.http.server", "shard")
    shards, apps, upkeep = (extra_module(f"omega.shard.{name}", "shard") for name in ("shard", "app", "upkeep"))
    if everybody:
        extra_module("omega.core.identity.gate", "shard").refuse_unless_loopback(host)
    folder = keys or settings.home / "shard"
    tag_key, read_trust = _tag_key(folder), _trust(folder, makers)
    ring, trusted = read_trust()
    catalog = open_catalog(settings)
    if trust and not artifacts:
        raise InputError(f"trust is {trust[0]}, without artifacts: name their folder with --artifacts, or leave it out")
    shelves = extra_module("omega.shard.shelves", "shard")
    files = shelves.Published.open(artifacts, trust, catalog) if artifacts else None
    context = server.tls(*certificate) if certificate else None

    async def served(bound: Any, others: Doors) -> None:
        store = open_shard_store(location, max_devices=max_devices, home=settings.home)
        service = shards.Service(pull_s=pull_s)
        space = extra_module("omega.core.wire", "shard").space_code(SHARD_SPACE)
        shard = shards.Shard(store, catalog, tag_key, space=space, service=service)
        app: ShardApp = apps.ShardApp(
            shard, shard_id, ring, region=region, makers=trusted, everybody=everybody, files=files
        )

        async def look() -> None:
            app.entrance.use(*read_trust())
            await app.entrance.look()

        try:
            store.bind(shard_id, hashlib.sha256(tag_key).digest()[:8])
            await app.start()
            async with AsyncExitStack() as beside:
                await beside.enter_async_context(upkeep.kept_up(look))
                if files:
                    await beside.enter_async_context(files.watched(shard))
                found = {name: (await beside.enter_async_context(door(app))).port for name, door in others.items()}
                told = partial(ready, bound.getsockname()[1], found)
                await server.serve_until_told(app, bound, context=context, ready=told)
        finally:
            await shard.close()

    spare_collector()
    with ExitStack() as held:
        others = doors(held, host, grpc_port, quic_port, certificate, folder / TICKETS_FILE)
        bound = held.enter_context(closing(server.bind(host, port)))
        server.run(served(bound, others))


def open_shard_store(
    location: str, *, max_devices: int = MAX_DEVICES, create: bool = True, home: Path | None = None
) -> SqlShardStore:
    """Open a shard's store: sqlite:/// and a path, an address postgresql://, or postgres-dev; made on first use.

    postgres-dev is a server of one's own, for development, in `home`/postgres, by default OMEGA_HOME's; the last one to
    close it stops it. Without `create` a file must be there. Raises InputError, StoreError.
    """
    if location.startswith(_POSTGRES):
        return _postgres().PostgresShardStore.open(location, max_devices=max_devices)  # type: ignore[no-any-return]
    if location == _DEV:
        return _postgres_dev().open_dev(_dev_folder(home), max_devices=max_devices)  # type: ignore[no-any-return]
    return _open_file(location, max_devices, create=create)


def migrate_shard_store(location: str, *, back: bool = False) -> int:
    """Bring a store's schema up to this release's, or back by one script; return its number.

    `back` is for Postgres alone, and for the release before this one: whatever opens the store brings it up again.
    Raises InputError, StoreError.
    """
    if location == _DEV and back:
        with _postgres_dev().running(_dev_folder(None)) as url:
            return int(extra_module("omega_storage.postgres_schema", "postgres").migrate_back(url))
    if location.startswith(_POSTGRES) and back:
        return int(extra_module("omega_storage.postgres_schema", "postgres").migrate_back(location))
    if back:
        raise InputError(f"store is {shown(location)}, allowed with --back: {_POSTGRES}: put a copy of the file back")
    with closing(open_shard_store(location)) as store:
        return store.schema


def _open_file(location: str, max_devices: int, *, create: bool) -> SqliteShardStore:
    if not location.startswith(_SQLITE) or location == _SQLITE:
        allowed = f"{_SQLITE} and a path, {_POSTGRES}user@host/database, {_DEV}"
        raise InputError(f"store is {shown(location)}, allowed: {allowed}")
    path = Path(location.removeprefix(_SQLITE))
    if not create and not path.exists():
        raise StoreError(f"{path} holds no shard's store: name the one that omega shard serve uses")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent} can't be made ({error.strerror}): name another folder") from error
    sqlite: type[SqliteShardStore] = extra_module("omega_storage.shard_sqlite", "shard").SqliteShardStore
    return sqlite.open(path, max_devices=max_devices)


def _postgres() -> Any:
    return extra_module("omega_storage.shard_postgres", "postgres")


def _postgres_dev() -> Any:
    return extra_module("omega_storage.postgres_dev", "postgres")


def _dev_folder(home: Path | None) -> Path:
    return (home or resolve().settings.home) / _DEV_FOLDER


def make_code(location: str, *, uses: int = 1, lifetime_s: int = 86_400) -> tuple[str, Code]:
    """Return a new code that admits `uses` TVs to the shard of this store within `lifetime_s`.

    What the store keeps of it comes with it. Raises InputError, StoreError; a shard that runs takes it at once.
    """
    vouchers, now = extra_module("omega.core.identity.vouchers", "shard"), int(time.time())
    text, code = vouchers.new_code(now, uses=uses, lifetime_s=lifetime_s)
    with closing(open_shard_store(location, create=False)) as store:
        store.add_code(code, now)
    return text, code


def revoke_device(location: str, device: str) -> bool:
    """Shut a device out for good by its id, 32 hex digits, and say whether it was known. Raises InputError, StoreError.

    A shard that runs refuses it within 5 seconds.
    """
    try:
        device_id = bytes.fromhex(device)
    except ValueError:
        device_id = b""
    if len(device_id) != 16:
        raise InputError(f"device is {shown(device)}, allowed: 32 hex digits, as omega device enrol prints them")
    with closing(open_shard_store(location, create=False)) as store:
        return store.revoke(device_id)


def add_maker(key: Path, makers: Path, *, name: str, quota: int) -> Maker:
    """Make a maker's key, unless the file is there, and add the maker to a file of makers, or change name and quota.

    Raises InputError.
    """
    vouchers = extra_module("omega.core.identity.vouchers", "shard")
    device_key = extra_module("omega.core.identity.device_key", "shard")
    files = extra_module("omega.core.files", "shard")
    if not (0 < len(name) <= 64 and 0 <= quota < 1 << 32):
        raise InputError(f"name is {shown(name)}, quota {quota}, allowed: 1..64 letters, 0..{(1 << 32) - 1:,}")
    pair: DeviceKey = device_key.DeviceKey.open(key)
    maker: Maker = vouchers.Maker(name, pair.public_key, quota)
    others: Sequence[Maker] = vouchers.read_makers(makers) if makers.exists() else ()
    kept = [other for other in others if other.id != maker.id]
    files.write_atomically(makers, vouchers.encode_makers([*kept, maker]))
    return maker


def make_certificates(
    folder: Path, hosts: Sequence[str] | None = None, *, days: int = 365, force: bool = False
) -> Certificates:
    """Write a development CA and a server's certificate for `hosts`, by default localhost. Raises InputError."""
    certificates = extra_module("omega_plugins.transports.certificates", "shard")
    made: Certificates = certificates.make(folder, hosts=hosts or certificates.HOSTS, days=days, force=force)
    return made


def _trust(folder: Path, makers: Path | None) -> Callable[[], tuple[KeyRing, tuple[Maker, ...]]]:
    """Return what reads the keys that sign tokens, made on first use, and the makers, as they are then."""
    keyring, vouchers = (extra_module(f"omega.core.identity.{name}", "shard") for name in ("keyring", "vouchers"))
    keyring.open_ring(folder / KEYS_FILE, time.time())
    return lambda: (keyring.KeyRing.read(folder / KEYS_FILE), vouchers.read_makers(makers) if makers else ())


def _tag_key(folder: Path) -> bytes:
    """Return the key that turns households into tags, made on first use."""
    return kept_secret(folder / TAGS_FILE, _TAG_KEY_BYTES)
