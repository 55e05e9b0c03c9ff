"""The demonstration put together: households, their neighbors, the two shards at which they meet, and their round."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import UTC
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from omega.compose import extra_module, open_brain, open_catalog, open_embedder, sync_now
from omega.core.clock import local_now
from omega.core.errors import InputError, shown
from omega.core.files import atomic_folder
from omega.federations import Federating, run_once
from omega.serving import Serving, serve_shard
from omega.shards import make_certificates, open_shard_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from omega.core.ports import ShardStore
    from omega.core.settings import Settings
    from omega.device.brain import Brain
    from omega.device.sync.report import Report as SyncReport
    from omega.fleet.report import Day, Report, Step
    from omega.fleet.street import Held, Street

PULL_S = 0.1
"""How soon what was told is in a shard's pull: nobody watches a demonstration for longer."""
SHARDS = 2
"""So few that a minute is enough, and so many that none of them knows enough alone."""

TRANSPORTS = {"http": ("http",), "grpc": ("grpc",), "quic": ("quic",), "mix": ("http", "grpc", "quic")}
"""How TVs may speak to a shard; in a mix each TV keeps to one of these."""


class Meeting(NamedTuple):
    """How households meet at the shards."""

    transport: str = "http"
    """One of TRANSPORTS."""
    postgres: bool = False
    """Whether the first shard keeps its sums in a Postgres of its own, instead of a file."""


def run_demo(
    settings: Settings,
    *,
    seed: int = 1,
    weeks: int = 6,
    neighbors: int = 9,
    keep: Path | None = None,
    meeting: Meeting | None = None,
    on_day: Callable[[Day], None] = lambda day: None,
    on_step: Callable[[Step], None] = lambda step: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Let simulated households watch for the last weeks and return what their TVs learned.

    With `neighbors`, 0..50, they meet at two shards in processes of their own, as `meeting` says, a federation round
    makes one of what these know, and they hear of each other; `on_step` sees what takes its time there. Those processes
    import the caller's script, which must call this below `if __name__ == "__main__":`. The households' stores go to
    `keep`/<household>, or vanish at the end; all else vanishes. Raises InputError when `keep` is there already,
    OmegaError when no shard can be started.
    """
    demo = extra_module("omega.fleet.demo", "device")
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(TemporaryDirectory(prefix="omega-demo-")))
        home = opened.enter_context(atomic_folder(keep)) if keep else scratch
        street = None
        if neighbors:
            met = open_street(settings, home, scratch, neighbors, meeting or Meeting(), on_step, progress)
            street = opened.enter_context(met)

        def at_home(name: str, clock: Callable[[], datetime]) -> Brain:
            tv = msgspec.structs.replace(settings, store=home / name)
            return open_brain(tv, progress=progress, now=clock)

        report: Report = demo.run(
            at_home,
            lambda: open_embedder(settings),
            open_catalog(settings),
            seed=seed,
            weeks=weeks,
            on_day=on_day,
            start=demo.latest_start(weeks, local_now(UTC)),
            street=street,
        )
        return report


@contextmanager
def open_street(
    settings: Settings,
    home: Path,
    scratch: Path,
    neighbors: int,
    meeting: Meeting,
    on_step: Callable[[Step], None],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Street]:
    """Give the street of a demonstration, whose shards serve in processes of their own until the block ends.

    The households' TVs are in `home`, the neighbors' and all else in `scratch`. Raises InputError, MissingExtraError,
    OmegaError.
    """
    if meeting.transport not in TRANSPORTS:
        raise InputError(f"transport is {shown(meeting.transport)}, allowed: {', '.join(TRANSPORTS)}")
    streets = extra_module("omega.fleet.street", "device")
    extra_module("omega_plugins.transports.http.server", "shard")
    if not 0 < neighbors <= streets.MOST_NEIGHBORS:
        raise InputError(f"neighbors is {neighbors}, allowed: 0..{streets.MOST_NEIGHBORS}: name fewer")
    with ExitStack() as held:
        shelf, key = scratch / "shelf", scratch / "operator.key"
        shelf.mkdir()
        trust = extra_module("omega.core.artifacts.keys", "shard").SigningKey.generate().write(key)
        spoken = TRANSPORTS[meeting.transport]
        pki = make_certificates(scratch / "pki") if "quic" in spoken else None
        stores = [f"sqlite:///{scratch / f'shard-{number}' / 'shard.db'}" for number in range(SHARDS)]
        if meeting.postgres:
            stores[0] = held.enter_context(_postgres())
        places = []
        for number, store in enumerate(stores):
            serving = Serving(
                settings=settings,
                store=store,
                shard_id=number,
                port=0,
                grpc_port=0 if "grpc" in spoken else None,
                quic_port=0 if "quic" in spoken else None,
                certificate=(pki.certificate, pki.key) if pki else None,
                keys=scratch / f"shard-{number}" / "keys",
                everybody=True,
                artifacts=shelf,
                trust=(trust,),
                pull_s=PULL_S,
            )
            places.append(held.enter_context(_served(serving)))
        secure = "s" if pki else ""
        schemes = {"http": f"http{secure}", "grpc": f"grpc{secure}", "quic": "quic"}
        ways: dict[str, tuple[int, str]] = {}

        def way_of(name: str) -> tuple[int, str]:
            if name not in ways:
                turn, shard = divmod(len(ways), SHARDS)
                by = spoken[turn % len(spoken)]
                ways[name] = shard, f"{schemes[by]}://127.0.0.1:{places[shard][by]}"
            return ways[name]

        def next_door(name: str, clock: Callable[[], datetime]) -> Brain:
            tv = msgspec.structs.replace(settings, store=scratch / name)
            return open_brain(tv, progress=progress, now=clock)

        def synced(name: str, brain: Brain) -> SyncReport:
            folder = (home if (home / name).exists() else scratch) / name
            ca = pki.ca if pki else None
            tv = msgspec.structs.replace(settings, store=folder, shard_url=way_of(name)[1], ca=ca, trust=trust)
            return sync_now(tv, brain)

        def round_held() -> Held:
            folder = scratch / "federation"
            federating = Federating(settings=settings, shards=tuple(stores), artifacts=shelf, key=key, home=folder)
            held_: Held = streets.held(run_once(federating), shelf)
            return held_

        shards = streets.Shards(
            next_door, synced, lambda name: way_of(name)[0], _opened(stores), round_held, PULL_S, _look_s()
        )
        yield streets.Street(neighbors, shards, on_step)


def _served(serving: Serving) -> AbstractContextManager[Any]:
    """Run a shard in a process of its own within the block; gives its ports."""
    processes = extra_module("omega.fleet.process", "device")
    made: AbstractContextManager[Any] = processes.served(partial(serve_shard, serving))
    return made


def _opened(stores: list[str]) -> list[Callable[[], ShardStore]]:
    return [partial(open_shard_store, store) for store in stores]


def _look_s() -> float:
    """Return how soon a shard sees what was published."""
    look_s: float = extra_module("omega.shard.shelves", "shard").LOOK_S
    return look_s


@contextmanager
def _postgres() -> Iterator[str]:
    """Run a Postgres within the block, and give its address."""
    dev = extra_module("omega_storage.postgres_dev", "postgres")
    with TemporaryDirectory(prefix="omega-pg-") as folder:
        Path(folder).chmod(0o755)  # started by root, Postgres runs as nobody, who must get in
        with dev.running(Path(folder)) as url:
            yield url
