"""The demonstration put together: households, their neighbors, and the shard at which they meet."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import UTC
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from omega.compose import STATIC, extra_module, open_brain, open_catalog, open_embedder, sync_now
from omega.core.clock import local_now
from omega.core.errors import InputError, shown
from omega.core.files import atomic_folder
from omega.serving import Serving, serve_shard
from omega.shards import make_certificates, open_shard_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from omega.core.settings import Settings
    from omega.device.brain import Brain
    from omega.device.sync.report import Report as SyncReport
    from omega.fleet.report import Day, Report, Step
    from omega.fleet.street import Street

PULL_S = 0.1
"""How soon what was told is in the shard's pull: nobody watches a demonstration for longer."""


TRANSPORTS = {"http": ("http",), "grpc": ("grpc",), "quic": ("quic",), "mix": ("http", "grpc", "quic")}
"""How TVs may speak to the shard; in a mix each TV keeps to one of these."""


class Meeting(NamedTuple):
    """How households meet at the shard."""

    transport: str = "http"
    """One of TRANSPORTS."""
    postgres: bool = False
    """Whether the shard keeps its sums in a Postgres of its own, instead of a file."""


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

    With `neighbors`, 0..50, they meet at a shard in a process of its own, as `meeting` says, and hear of each other;
    `on_step` sees what takes its time there. That process imports the caller's script, which must call this below
    `if __name__ == "__main__":`. The households' stores go to `keep`/<household>, or vanish at the end; all else
    vanishes. Raises InputError when `keep` is there already, OmegaError when no shard can be started.
    """
    demo = extra_module("omega.fleet.demo", "device")
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(TemporaryDirectory(prefix="omega-demo-")))
        home = opened.enter_context(atomic_folder(keep)) if keep else scratch
        street = None
        if neighbors:
            met = open_street(settings, home, scratch, neighbors, meeting or Meeting(), on_step)
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
) -> Iterator[Street]:
    """Give the street of a demonstration, whose shard serves in a process of its own until the block ends.

    The households' TVs are in `home`, the neighbors', which use the static table, and the shard in `scratch`. Raises
    InputError, MissingExtraError, OmegaError.
    """
    if meeting.transport not in TRANSPORTS:
        raise InputError(f"transport is {shown(meeting.transport)}, allowed: {', '.join(TRANSPORTS)}")
    streets, processes = extra_module("omega.fleet.street", "device"), extra_module("omega.fleet.process", "device")
    extra_module("omega_plugins.transports.http.server", "shard")
    if not 0 < neighbors <= streets.MOST_NEIGHBORS:
        raise InputError(f"neighbors is {neighbors}, allowed: 0..{streets.MOST_NEIGHBORS}: name fewer")
    with ExitStack() as held:
        at = scratch / "shard"
        store = held.enter_context(_postgres()) if meeting.postgres else f"sqlite:///{at / 'shard.db'}"
        spoken = TRANSPORTS[meeting.transport]
        pki = make_certificates(at / "pki") if "quic" in spoken else None
        serving = Serving(
            settings=settings,
            store=store,
            port=0,
            grpc_port=0 if "grpc" in spoken else None,
            quic_port=0 if "quic" in spoken else None,
            certificate=(pki.certificate, pki.key) if pki else None,
            keys=at / "keys",
            everybody=True,
            pull_s=PULL_S,
        )
        ports = held.enter_context(processes.served(partial(serve_shard, serving)))
        secure = "s" if pki else ""
        schemes = {"http": f"http{secure}", "grpc": f"grpc{secure}", "quic": "quic"}
        urls = cycle(f"{schemes[name]}://127.0.0.1:{ports[name]}" for name in spoken)
        ways: dict[str, str] = {}

        def next_door(name: str, clock: Callable[[], datetime]) -> Brain:
            tv = msgspec.structs.replace(settings, store=scratch / name, embedder=STATIC, model=None)
            return open_brain(tv, now=clock)

        def synced(name: str, brain: Brain) -> SyncReport:
            folder = (home if (home / name).exists() else scratch) / name
            way = ways.setdefault(name, next(urls))
            tv = msgspec.structs.replace(settings, store=folder, shard_url=way, ca=pki.ca if pki else None)
            return sync_now(tv, brain)

        shard = streets.Shard(next_door, synced, partial(open_shard_store, store), PULL_S)
        yield streets.Street(neighbors, shard, on_step)


@contextmanager
def _postgres() -> Iterator[str]:
    """Run a Postgres within the block, and give its address."""
    dev = extra_module("omega_storage.postgres_dev", "postgres")
    with TemporaryDirectory(prefix="omega-pg-") as folder:
        Path(folder).chmod(0o755)  # started by root, Postgres runs as nobody, who must get in
        with dev.running(Path(folder)) as url:
            yield url
