"""Shards: their stores, who is let in, who is shut out. What `omega shard` does, for library users too."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omega.compose import extra_module
from omega.core.errors import InputError, StoreError, shown
from omega.core.settings import resolve
from omega.core.shard_records import DAY_S, TASTE_SPACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.catalog import Catalog
    from omega.core.identity.device_key import DeviceKey
    from omega.core.identity.vouchers import Code, Maker
    from omega.core.shard_sums import ShardSums
    from omega_plugins.transports.certificates import Certificates
    from omega_storage.shard_sql import SqlShardStore
    from omega_storage.shard_sqlite import SqliteShardStore

MAX_DEVICES = 4_000_000
_SQLITE, _POSTGRES, _DEV = "sqlite:///", "postgresql://", "postgres-dev"
_DEV_FOLDER = "postgres"


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


def is_one_process(location: str) -> bool:
    """Say whether one process at a time is to use the store at this location."""
    return not location.startswith(_POSTGRES) and location != _DEV


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


def sums_of(location: str, catalog: Catalog, *, region: str = "") -> ShardSums:
    """Return what the shard of this store tells its federation; it may be running. Raises InputError, StoreError."""
    sums, wire = extra_module("omega.core.shard_sums", "shard"), extra_module("omega.core.wire", "shard")
    now = int(time.time())
    with closing(open_shard_store(location, create=False)) as store:
        shard, columns = store.identity(), sums.Columns.empty()
        if shard is None:
            raise StoreError(f"{shown(location)} holds nobody's sums yet: name the one that omega shard serve uses")
        for page in sums.pages(len(catalog)):
            columns.extend(store.sums(page, now // DAY_S))
        moments = sums.may_be_told(store.moments(now // DAY_S).ravel().tolist(), columns)
    facts = sums.Facts(
        shard=shard,
        region=region,
        lineage=catalog.lineage,
        epoch=catalog.epoch,
        titles=len(catalog),
        space=wire.space_code(TASTE_SPACE),
        day=now // DAY_S,
        made_at=now,
    )
    found: ShardSums = sums.ShardSums(facts, columns, moments)
    return found


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
