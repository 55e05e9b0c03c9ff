"""A shard's process, to be killed: `python -m omega.claims.once_shard GIVEN`, with `Given` as JSON.

For each line that it reads, the path of a catalog, it forks: the child serves and prints its process id; once it is
dead the parent prints `dead`. A fork spares each start the imports, and keeps the shard's secrets over its deaths.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import msgspec

from omega.core.catalog import Catalog
from omega.core.identity.keyring import KeyRing
from omega.core.wire import space_code
from omega.shard.app import ShardApp
from omega.shard.pacing import Pace, Service
from omega.shard.shard import Shard
from omega.shards import open_shard_store
from omega_plugins.transports.http.server import bind, run, serve_until_told

if TYPE_CHECKING:
    import socket

SPACE = "space-1"
HOST = "127.0.0.1"
_SERVICE = Service(tick_s=0.001, pace=Pace(burst=1_000, refill_s=0.001))
"""Short ticks, and as many syncs as come."""


class Given(msgspec.Struct, frozen=True):
    """What stays as it is over the shard's lives."""

    shard_id: int
    port: int
    store: str
    clock: str
    """A file whose time of change is now."""

    def now(self) -> float:
        """Return the unix time."""
        return Path(self.clock).stat().st_mtime


def serve_for_lines(given: Given) -> None:
    """Fork a child for each line of the input."""
    logging.disable()  # a store that fails is said in the log, and is what is played here
    ring, key = KeyRing.fresh(given.now()), secrets.token_bytes(32)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            with closing(bind(HOST, given.port)) as bound:
                run(_served(given, Catalog.read(Path(line.strip())), ring, key, bound))
            os._exit(0)
        os.waitpid(child, 0)
        _tell("dead")


async def _served(given: Given, catalog: Catalog, ring: KeyRing, key: bytes, bound: socket.socket) -> None:
    store = open_shard_store(given.store)
    shard = Shard(store, catalog, key, space=space_code(SPACE), service=_SERVICE, now=given.now)
    app = ShardApp(shard, given.shard_id, ring, everybody=True, now=given.now)
    Thread(target=_end_with_who_asked, daemon=True).start()
    try:
        await app.start()
        await serve_until_told(app, bound, ready=lambda: _tell(os.getpid()))
    finally:
        await shard.close()


def _end_with_who_asked() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing else comes; a loop that waited for it would let the parent not wait
    os._exit(1)


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve_for_lines(msgspec.json.decode(sys.argv[1], type=Given))
