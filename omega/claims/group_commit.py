"""A claim about a shard on Postgres: how many samples it counts durably, and how long a sync waits for that."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import tempfile
import time
from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.compose import EXAMPLE_CATALOG_PATH, extra_module
from omega.core.catalog import Catalog
from omega.core.machine import collector_spared
from omega.core.shard_records import ALL_SLOTS, DAY_S
from omega.core.types import SLOTS
from omega.core.wire import Ack, Header, Push, Row, lineage_code, space_code
from omega.shards import SHARD_SPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from omega.claims.bench import Bench
    from omega.shard.answers import Answer
    from omega.shard.shard import Shard

    Sums: TypeAlias = Counter[tuple[int, int]]

claims = Claims()
OFFERED_ROWS_S = 42_000
ROWS = 5
SECONDS = 12
DEVICES = 60_000
P99_MS = 150
_STEP_S = 0.005
_DRAWN = 4_096
_SEED = 1


@claims.add(
    "group-commit",
    what="samples a second that a shard on Postgres adds to shared sums, in syncs of 5, each acknowledged after its "
    "durable commit, p99 within 150 ms of when it was due; a checkpoint and autovacuum in it",
    target=40_000,
    unit="rows/s",
    bound="at least",
    oracle="the samples of the acknowledged syncs, counted in plain Python, are the sums to the integer; Postgres's "
    "own counters tell of the checkpoint and the autovacuum",
    slow=True,
)
def group_commit(bench: Bench) -> Measured:
    """Offer syncs at a fixed rate, and compare what they come to."""
    with tempfile.TemporaryDirectory(prefix="omega-pg-") as folder:  # not in the bench's own, which is closed to nobody
        Path(folder).chmod(0o755)
        return measured(bench, Path(folder), seconds=SECONDS, rows_s=OFFERED_ROWS_S)


def measured(bench: Bench, folder: Path, *, seconds: float, rows_s: int) -> Measured:
    """Offer so many rows a second, on a server in `folder` that nobody else uses."""
    dev = extra_module("omega_storage.postgres_dev", "postgres")
    stores, psycopg = extra_module("omega_storage.shard_postgres", "postgres"), extra_module("psycopg", "postgres")
    with dev.running(folder) as url, closing(psycopg.connect(url, autocommit=True)) as beside:
        for statement in ("ALTER SYSTEM SET autovacuum_naptime = '1s'", "SELECT pg_reload_conf()"):
            beside.execute(statement)
        store = stores.PostgresShardStore.open(url)
        ids = [hashlib.sha256(b"%d" % number).digest()[:16] for number in range(DEVICES)]
        store.enrol(ids, int(time.time()))
        with collector_spared():
            run = extra_module("uvloop", "shard").run(_offered(bench, store, beside, seconds, rows_s / ROWS))
        [(checkpoints,)] = beside.execute("SELECT num_done FROM pg_stat_checkpointer")
        vacuums = dict(beside.execute("SELECT relname, autovacuum_count FROM pg_stat_user_tables"))
        [(commits,)] = beside.execute("SELECT setting FROM pg_settings WHERE name = 'fsync'")
        store = stores.PostgresShardStore.open(url)
        with closing(store):
            sums = Counter({(row.title, row.slot): row.now.samples for row in store.aggregates()})
    p50_ms, p99_ms = (float(np.percentile(run.waits_ms, of)) for of in (50, 99))
    truth = run.truth(_pushes(Catalog.read(EXAMPLE_CATALOG_PATH)))
    off = sum(abs(count) for count in (sums - truth).values()) + sum((truth - sums).values())
    details = {
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
        "max_ms": float(np.max(run.waits_ms)),
        "syncs": len(run.waits_ms),
        "refused": run.refused,
        "samples_off": off,
        "checkpoints": checkpoints,
        "autovacuums": sum(vacuums.values()),
        "fsync": commits,
    }
    sound = off == 0 and run.refused == 0 and checkpoints > 0 and sum(vacuums.values()) > 0 and commits == "on"
    return Measured(len(run.waits_ms) * ROWS / run.seconds, details, agrees=sound and p99_ms <= P99_MS)


class _Run:
    """What was offered, and what became of it."""

    def __init__(self) -> None:
        self.waits_ms: list[float] = []
        self.counted: list[int] = []
        """Numbers of syncs: they themselves would keep the garbage collector busy, as no shard's do."""
        self.refused, self.seconds = 0, 0.0

    def note(self, due_s: float, answer: Answer, number: int) -> None:
        """Take note of the answer to a sync."""
        if isinstance(answer.receipt, Ack):
            self.waits_ms.append((time.perf_counter() - due_s) * 1e3)
            self.counted.append(number)
        else:
            self.refused += 1

    def truth(self, pushes: Iterable[Push]) -> Sums:
        """Return what the acknowledged syncs, of all that were offered, come to."""
        counted = set(self.counted)
        offered = islice(pushes, max(counted) + 1)
        rows = (row for number, push in enumerate(offered) if number in counted for row in push.contributed)
        return Counter(key for row in rows for key in ((row.title, row.slot), (row.title, ALL_SLOTS)))


async def _offered(bench: Bench, store: Any, beside: Any, seconds: float, syncs_s: float) -> _Run:
    shards = extra_module("omega.shard.shard", "shard")
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    shard = shards.Shard(store, catalog, secrets.token_bytes(32), space=space_code(SHARD_SPACE))
    await shard.start()
    run, loop = _Run(), asyncio.get_running_loop()
    pushes = _pushes(catalog)
    began_s, given = time.perf_counter(), 0
    asked: set[asyncio.Task[None]] = set()
    checkpoint = asyncio.create_task(asyncio.to_thread(_checkpoint_at, began_s + seconds / 2, beside))
    while (passed_s := time.perf_counter() - began_s) < seconds:
        due = int(passed_s * syncs_s)
        for number in range(given, due):
            task = loop.create_task(_asked(shard, run, began_s + number / syncs_s, number, next(pushes)))
            asked.add(task)
            task.add_done_callback(asked.discard)
        given = due
        bench.progress(round(passed_s), round(seconds), "syncing with a shard on Postgres")
        await asyncio.sleep(_STEP_S)
    await asyncio.gather(*asked)
    run.seconds = time.perf_counter() - began_s
    await checkpoint
    await shard.close()
    return run


def _pushes(catalog: Catalog) -> Iterator[Push]:
    """Yield syncs of ROWS samples each, of titles as unevenly watched as real ones are; each device's in order."""
    random, titles = np.random.default_rng(_SEED), len(catalog.titles)
    header = Header(space=space_code(SHARD_SPACE), lineage=lineage_code(catalog.lineage), epoch=catalog.epoch)
    odds = 1 / np.arange(1, titles + 1)
    day, number = int(time.time() // DAY_S), 0
    while True:
        drawn = random.choice(titles, (_DRAWN, ROWS), p=odds / odds.sum()).tolist()
        told = random.integers(0, [SLOTS, 1001], (_DRAWN, ROWS, 2)).tolist()
        for mine, facts in zip(drawn, told, strict=True):
            rows = tuple(Row(title, slot, day, milli, b"") for title, (slot, milli) in zip(mine, facts, strict=True))
            yield Push(header=header, incarnation=1, base=number // DEVICES, step=1, contributed=rows)
            number += 1


async def _asked(shard: Shard, run: _Run, due_s: float, number: int, push: Push) -> None:
    run.note(due_s, await shard.sync(number % DEVICES, push), number)


def _checkpoint_at(moment_s: float, beside: Any) -> None:
    time.sleep(max(moment_s - time.perf_counter(), 0))
    beside.execute("CHECKPOINT")
