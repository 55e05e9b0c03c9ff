"""All claims, in the order in which they are shown."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from omega.claims import (
    bad_shard,
    cli,
    daemon,
    device,
    durability,
    exchange,
    federation,
    forgetting,
    generator,
    group_commit,
    grpc,
    http,
    identity,
    k_anonymity,
    lift,
    loads,
    loads_special,
    memory,
    model,
    no_history,
    once,
    pgvector,
    poison,
    quic,
    replays,
    sync_cost,
    wire,
)
from omega.claims.bench import Bench
from omega.claims.claim import Claims, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from omega.claims.claim import Result
    from omega.core.settings import Settings

claims = Claims()
for area in (
    model,
    device,
    daemon,
    durability,
    forgetting,
    memory,
    identity,
    wire,
    exchange,
    http,
    grpc,
    quic,
    replays,
    sync_cost,
    group_commit,
    generator,
    loads,
    loads_special,
    no_history,
    once,
    pgvector,
    federation,
    bad_shard,
    poison,
    k_anonymity,
    lift,
    cli,
):
    claims.all.update(area.claims.all)


def prove(
    settings: Settings,
    only: Iterable[str] = (),
    *,
    slow: bool = False,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Iterator[Result]:
    """Run the claims of these names, or all quick ones (and the slow ones). Raises InputError for an unknown name."""
    chosen = claims.chosen(only, slow=slow)
    with closing(Bench(settings, progress)) as bench:
        yield from run(chosen, bench)
