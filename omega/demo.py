"""The demonstration put together: households, their neighbors, and the shard at which they meet."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import UTC
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from omega.compose import STATIC, extra_module, open_brain, open_catalog, open_embedder, sync_now
from omega.core.clock import local_now
from omega.core.errors import InputError
from omega.core.files import atomic_folder
from omega.serving import Serving, serve_shard
from omega.shards import open_shard_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from omega.core.settings import Settings
    from omega.device.brain import Brain
    from omega.device.sync.report import Report as SyncReport
    from omega.fleet.report import Day, Report, Step
    from omega.fleet.street import Street

PULL_S = 1.0
"""How soon what was told is in the shard's pull: nobody watches a demonstration for longer."""


def run_demo(
    settings: Settings,
    *,
    seed: int = 1,
    weeks: int = 6,
    neighbors: int = 9,
    keep: Path | None = None,
    on_day: Callable[[Day], None] = lambda day: None,
    on_step: Callable[[Step], None] = lambda step: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Let simulated households watch for the last weeks and return what their TVs learned.

    With `neighbors`, 0..50, they meet at a shard in a process of its own and hear of each other; `on_step` sees what
    takes its time there. That process imports the caller's script, which must call this below
    `if __name__ == "__main__":`. The households' stores go to `keep`/<household>, or vanish at the end; all else
    vanishes. Raises InputError when `keep` is there already, OmegaError when no shard can be started.
    """
    demo = extra_module("omega.fleet.demo", "device")
    with ExitStack() as opened:
        scratch = Path(opened.enter_context(TemporaryDirectory(prefix="omega-demo-")))
        home = opened.enter_context(atomic_folder(keep)) if keep else scratch
        street = opened.enter_context(open_street(settings, home, scratch, neighbors, on_step)) if neighbors else None

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
    settings: Settings, home: Path, scratch: Path, neighbors: int, on_step: Callable[[Step], None]
) -> Iterator[Street]:
    """Give the street of a demonstration, whose shard serves in a process of its own until the block ends.

    The households' TVs are in `home`, the neighbors', which use the static table, and the shard in `scratch`. Raises
    InputError, MissingExtraError, OmegaError.
    """
    streets, processes = extra_module("omega.fleet.street", "device"), extra_module("omega.fleet.process", "device")
    extra_module("omega_plugins.transports.http.server", "shard")
    if not 0 < neighbors <= streets.MOST_NEIGHBORS:
        raise InputError(f"neighbors is {neighbors}, allowed: 0..{streets.MOST_NEIGHBORS}: name fewer")
    database = scratch / "shard" / "shard.db"
    serving = Serving(
        settings=settings,
        store=f"sqlite:///{database}",
        port=0,
        keys=scratch / "shard" / "keys",
        everybody=True,
        pull_s=PULL_S,
    )
    with processes.served(partial(serve_shard, serving)) as ports:
        url = f"http://127.0.0.1:{ports['http']}"

        def next_door(name: str, clock: Callable[[], datetime]) -> Brain:
            tv = msgspec.structs.replace(settings, store=scratch / name, embedder=STATIC, model=None)
            return open_brain(tv, now=clock)

        def synced(name: str, brain: Brain) -> SyncReport:
            folder = (home if (home / name).exists() else scratch) / name
            return sync_now(msgspec.structs.replace(settings, store=folder, shard_url=url, ca=None), brain)

        shard = streets.Shard(next_door, synced, partial(open_shard_store, f"sqlite:///{database}"), PULL_S)
        yield streets.Street(neighbors, shard, on_step)
