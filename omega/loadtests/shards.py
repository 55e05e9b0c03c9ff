"""The shard that a load meets: one of its own, in a process beside, or one that runs already."""

from __future__ import annotations

import os
import time
import urllib.request
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from omega.compose import extra_module
from omega.core.errors import InputError, OmegaError, StoreError
from omega.core.identity.keyring import KeyRing, open_ring
from omega.core.shard_records import ALL_SLOTS
from omega.loadtests.rows import behind, rows_of
from omega.serving import KEYS_FILE, Serving, serve_shard
from omega.shards import make_certificates, open_shard_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from omega.core.child import Child
    from omega.core.ports import Integers, ShardStore
    from omega.loadtests.asked import Asked

_ENROLLED_AT_ONCE = 10_000
_END_S = 30.0
_SCRAPE_S = 10.0
_ANSWERED = "omega_syncs_total{"


class Stored(NamedTuple):
    """What the database of a shard holds."""

    rows: int | None
    """Samples of its sums, over all titles; None for a target, which others may use too."""
    behind: int
    """TVs that were acknowledged more than their row has."""


class Met(NamedTuple):
    """A shard, as a load needs it."""

    url: str
    ca: Path | None
    ring: KeyRing
    shard_id: int
    slots: Integers
    """(n,) the shard's numbers of the TVs."""
    counts_from: Callable[[int], int]
    """Since when a slot's tokens count."""
    stored: Callable[[NDArray[np.uint64]], Stored]
    """Ends it, unless it is a target, and holds its database against what each TV was acknowledged.

    Raises StoreError.
    """
    store: str
    """The kind, for the report,"""
    location: str
    """and where it is."""
    pids: tuple[int, ...] = ()
    """Of the shard, if it was started here,"""
    store_pids: tuple[int, ...] = ()
    """and of its Postgres."""
    answered: Callable[[], int | None] = lambda: None
    """Asks the shard how many syncs it answered."""
    ended: Callable[[], int | None] = lambda: None
    """Says with what code it ended; None while it runs."""


@contextmanager
def own_shard(asked: Asked, folder: Path, progress: Callable[[int, int, str], None]) -> Iterator[Met]:
    """Have a shard serve until the block ends, which knows all TVs of the load. Raises OmegaError, StoreError."""
    extra_module("omega_plugins.transports.http.server", "shard")
    with ExitStack() as held:
        store, store_pids = held.enter_context(own_store(folder, postgres=asked.postgres))
        keys = folder / "keys"
        ring, now_s = open_ring(keys / KEYS_FILE, time.time()), int(time.time())
        with closing(open_shard_store(store)) as opened:
            known = enrolled(opened, max(asked.load.devices, asked.enrolled), now_s, progress)
            slots = known[np.arange(asked.load.devices) * len(known) // asked.load.devices]
        secure = asked.tls != "none" or asked.transport == "quic"
        pki = make_certificates(folder / "pki") if secure else None
        serving = Serving(
            settings=asked.settings,
            store=store,
            port=0,
            grpc_port=0 if asked.transport == "grpc" else None,
            quic_port=0 if asked.transport == "quic" else None,
            metrics_port=0,
            certificate=(pki.certificate, pki.key) if pki else None,
            keys=keys,
            max_devices=len(known),
            workers=asked.workers,
        )
        child, (pid, ports) = held.enter_context(_started(serving))
        scheme = {"http": "https" if pki else "http", "grpc": "grpc", "quic": "quic"}[asked.transport]

        def stored(acknowledged: NDArray[np.uint64]) -> Stored:
            child.end(_END_S)
            late = behind(acknowledged, slots, rows_of(store))  # before a store of ours is opened, and mends it
            return Stored(stored_rows(store), late)

        yield Met(
            url=f"{scheme}://127.0.0.1:{ports[asked.transport]}",
            ca=pki.ca if pki else None,
            ring=ring,
            shard_id=0,
            slots=slots,
            counts_from=lambda slot: now_s,
            store="postgres" if asked.postgres else "sqlite",
            location=store,
            pids=(pid,),
            store_pids=store_pids,
            answered=partial(_answered, ports["metrics"]) if asked.workers == 1 else lambda: None,
            ended=lambda: child.exit_code,
            stored=stored,
        )


def known_shard(asked: Asked, progress: Callable[[int, int, str], None]) -> Met:
    """Return a shard that runs already; all TVs of the load enrol in its store. Raises InputError, StoreError."""
    if asked.target is None or asked.keys is None or asked.store is None:
        raise InputError("target, keys or store is missing, allowed: all three")
    ring = KeyRing.read(asked.keys / KEYS_FILE)
    with closing(open_shard_store(asked.store, create=False)) as opened:
        shard_id = opened.identity()
        slots = enrolled(opened, asked.load.devices, int(time.time()), progress)
        since = opened.counts_from().astype(np.uint32)
    location = asked.store
    if shard_id is None:
        raise StoreError(f"{asked.store} is nobody's store yet, allowed: the one that the target serves")
    return Met(
        url=asked.target,
        ca=asked.settings.ca,
        ring=ring,
        shard_id=shard_id,
        slots=slots,
        counts_from=lambda slot: int(since[slot]),
        store="target",
        location=location,
        stored=lambda acknowledged: Stored(None, behind(acknowledged, slots, rows_of(location))),
    )


def enrolled(
    store: ShardStore,
    count: int,
    now_s: int,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Integers:
    """Let so many TVs enrol, always the same ones; return (count,) their numbers. Raises StoreError without room."""
    slots: list[int | None] = []
    for first in range(0, count, _ENROLLED_AT_ONCE):
        numbers = range(first, min(first + _ENROLLED_AT_ONCE, count))
        slots += store.enrol([b"load" + number.to_bytes(12, "big") for number in numbers], now_s)
        progress(len(slots), count, "TVs enrol")
    if (room := sum(slot is not None for slot in slots)) < count:
        raise StoreError(f"the shard has room for {room:,} of {count:,} TVs: ask for fewer, or raise its --max-devices")
    return np.asarray(slots, np.int64)


def stored_rows(location: str) -> int:
    """Return how many samples a shard's sums hold, over all titles."""
    with closing(open_shard_store(location)) as store:
        return sum(row.now.samples for row in store.aggregates() if row.slot == ALL_SLOTS)


@contextmanager
def own_store(folder: Path, *, postgres: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the location of a store in a folder, or on a Postgres of its own with its process. Raises StoreError."""
    if not postgres:
        yield f"sqlite:///{folder / 'shard.db'}", ()
        return
    dev = extra_module("omega_storage.postgres_dev", "postgres")
    with TemporaryDirectory(prefix="omega-pg-") as place:
        Path(place).chmod(0o755)  # started by root, Postgres runs as nobody, who must get in
        server = dev.DevServer(Path(place), busy=True)
        server.start()
        try:
            yield server.url(), (server.pid,)
        finally:
            server.stop()


@contextmanager
def _started(serving: Serving) -> Iterator[tuple[Child, Any]]:
    """Run the shard in a process of its own, and end it with the block."""
    child: Child = extra_module("omega.core.child", "shard").Child(
        partial(_serve, serving), has_children=serving.workers > 1
    )
    try:
        try:
            told = child.told()
        except OmegaError as error:
            raise OmegaError(f"no shard could be started on this machine ({error}): name one with --target") from error
        yield child, told
    finally:
        child.end(_END_S)


def _serve(serving: Serving, *, ready: Callable[[Any], None]) -> None:
    def told(ports: Mapping[str, int]) -> None:
        ready((os.getpid(), dict(ports)))

    serve_shard(serving, ready=told)


def _answered(port: int) -> int | None:
    """Return how many syncs a shard says that it answered; None when it can't be asked."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_SCRAPE_S) as page:
            lines = page.read().decode().splitlines()
    except OSError:
        return None
    return sum(
        int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(_ANSWERED) and '"answered"' in line
    )
