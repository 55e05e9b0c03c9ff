"""The claim about the search for titles with an audience like a taste, in Postgres by pgvector."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.claims.http import cpu_s
from omega.compose import extra_module
from omega.core.shard_records import ALL_SLOTS, HALF_LIVES_DAYS, TASTE_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from omega.claims.bench import Bench
    from omega.core.ports import Floats, ShardStore

claims = Claims()
_TITLES, _GOOD, _MOST, _QUESTIONS = 100_000, 0.15, 100, 500
_CLUSTERS, _DAY = 200, 20_000
_LEAST_RECALL = 0.97
_SHOWN = "COPY shown (key, samples, success_milli, households, day, rank, trends) FROM STDIN (FORMAT binary)"
_AUDIENCE = "COPY audience (title, day, numbers) FROM STDIN (FORMAT binary)"
_DUE = "INSERT INTO due SELECT key >> 4 FROM shown WHERE success_milli >= 900 * samples"
_OTHERS = """INSERT INTO likeness SELECT title, FALSE, array_agg(number ORDER BY place)
    FROM unnest($1::bigint[], $2::real[]) WITH ORDINALITY AS u (title, number, place) GROUP BY title
    ON CONFLICT DO NOTHING"""
_TRAP = (
    "SET statement_timeout = 0",
    "DROP INDEX likeness_nearest",
    "CREATE INDEX ON likeness USING hnsw ((direction::halfvec(44)) halfvec_cosine_ops)",
    "SET hnsw.iterative_scan = off",
    "SET enable_seqscan = off",
    "SET enable_sort = off",
)
_BACKEND = """SELECT pid FROM pg_stat_activity
    WHERE application_name = 'omega-shard' AND pid <> pg_backend_pid() AND datname = current_database()"""
_FILTERED = """SELECT title FROM likeness WHERE good
    ORDER BY direction::halfvec(44) <=> $1::real[]::halfvec(44) LIMIT 100"""


class Audiences(NamedTuple):
    """Made-up audiences: clusters of very different sizes, as genres have them."""

    numbers: NDArray[np.float64]
    """(n, 1 + TASTE_NUMBERS): how many taste codes came, and their sum."""
    good: NDArray[np.bool_]
    """(n,) whether the title goes well."""
    questions: Floats
    """(m, TASTE_NUMBERS) taste codes of viewers, whole numbers -8..7."""


@claims.add(
    "pgvector-search",
    what="the 100 titles with the audience nearest to a taste, of 100,000 of which 15 % may be told, "
    "in Postgres, CPU p99 of client and server",
    target=10,
    unit="ms",
    bound="at most",
    oracle="numpy brute force over all audiences: recall at least 0.97, always 100 rows, none that may not be told; "
    "an index over all titles, filtered, must return fewer",
    slow=True,
)
def search(bench: Bench) -> Measured:
    """Ask a store of 100,000 titles on a server of one's own."""
    postgres_dev = extra_module("omega_storage.postgres_dev", "postgres")
    with tempfile.TemporaryDirectory(prefix="omega-pg-") as folder:
        Path(folder).chmod(0o755)  # started by root Postgres runs as nobody
        with postgres_dev.running(Path(folder)) as url:
            return measured(url, audiences(_TITLES, _QUESTIONS), bench.progress)


def measured(url: str, made: Audiences, progress: Callable[[int, int, str], None]) -> Measured:
    """Ask a store over one connection; then put an index without the condition in the place of its own."""
    session = extra_module("omega_storage.postgres_session", "postgres")
    reach = extra_module("omega_storage.postgres_vectors", "postgres").reach
    open_store = extra_module("omega_storage.shard_postgres", "postgres").PostgresShardStore.open
    with closing(open_store(url)) as store, closing(session.Session(url, reach)) as beside:
        connection = beside.usable()
        _fill(store, made, connection, progress)
        cpu_ms, took_ms, found = _asked(store, made.questions, _backend(connection))
        trapped = _trapped(connection, made)
    recalls = [recall(made, taste, titles) for taste, titles in zip(made.questions, found, strict=True)]
    rows = [len(titles) for titles in found]
    told = all(made.good[titles].all() for titles in found)
    details: dict[str, Any] = {
        "cpu_p50_ms": float(np.median(cpu_ms)),
        "p50_ms": float(np.median(took_ms)),
        "p99_ms": float(np.percentile(took_ms, 99)),
        "recall": float(np.mean(recalls)),
        "least_rows": min(rows),
        "questions": len(rows),
        "may_be_told": int(made.good.sum()),
        "plain_index_mean_rows": float(np.mean(trapped)),
        "plain_index_least_rows": min(trapped),
    }
    agrees = min(rows) == _MOST and told and details["recall"] >= _LEAST_RECALL and min(trapped) < _MOST
    return Measured(float(np.percentile(cpu_ms, 99)), details, agrees=agrees)


def audiences(titles: int, questions: int) -> Audiences:
    """Make audiences up: clusters by Zipf's law, the fewer viewers the farther from the cluster's middle."""
    random = np.random.default_rng(44)
    middles = random.normal(0, 2, (_CLUSTERS, TASTE_NUMBERS))
    shares = 1 / np.arange(1, _CLUSTERS + 1)
    cluster = random.choice(_CLUSTERS, titles, p=shares / shares.sum())
    counts = np.floor(4 + 20 * random.pareto(1.2, titles))
    means = middles[cluster] + random.normal(0, 1, (titles, TASTE_NUMBERS)) * (1 + 3 / np.sqrt(counts))[:, None]
    asked = middles[random.choice(_CLUSTERS, questions, p=shares / shares.sum())]
    codes = np.clip(np.rint(asked + random.normal(0, 2, asked.shape)), -8, 7).astype(np.float32)
    numbers = np.concatenate([counts[:, None], means * counts[:, None]], axis=1)
    return Audiences(numbers, random.random(titles) < _GOOD, codes)


def recall(made: Audiences, taste: Floats, titles: list[int]) -> float:
    """Return which share of the nearest titles that may be told was found."""
    sums = made.numbers[made.good, 1:]
    cosines = sums @ taste.astype(np.float64) / np.linalg.norm(sums, axis=1)
    best = np.flatnonzero(made.good)[np.argsort(-cosines)[:_MOST]]
    return len(set(best.tolist()) & set(titles)) / _MOST


def _fill(store: ShardStore, made: Audiences, connection: Any, progress: Callable[[int, int, str], None]) -> None:
    """Show all these titles, and let the store move those that may be told into its index by itself."""
    trends = np.ones(len(HALF_LIVES_DAYS)).tobytes()
    with connection.cursor() as cursor:
        with cursor.copy(_SHOWN) as copy:
            copy.set_types(["int8", "int8", "int8", "int8", "int4", "float8", "bytea"])
            for title, (count, good) in enumerate(zip(made.numbers[:, 0].astype(int).tolist(), made.good, strict=True)):
                sums = 10 * count, 10 * count * (950 if good else 600), count
                copy.write_row((title * 16 + ALL_SLOTS, *sums, _DAY, float(title), trends))
        with cursor.copy(_AUDIENCE) as copy:
            copy.set_types(["int8", "int4", "bytea"])
            for title, numbers in enumerate(made.numbers):
                copy.write_row((title, _DAY, numbers.tobytes()))
        cursor.execute(_DUE)
        while left := cursor.execute("SELECT count(*) FROM due").fetchone()[0]:
            store.nearest(made.questions[0], 1)
            progress(int(made.good.sum()) - left, int(made.good.sum()), "putting titles into the index")
        cursor.execute("VACUUM ANALYZE likeness, shown")


def _backend(connection: Any) -> int:
    """Return the process that serves the store: the session beside this one."""
    [(pid,)] = connection.execute(_BACKEND)
    return int(pid)


def _asked(store: ShardStore, questions: Floats, backend: int) -> tuple[list[float], list[float], list[list[int]]]:
    """Return what each question took of both processes and by the clock, ms, and the titles that it found."""
    cpu_ms: list[float] = []
    took_ms: list[float] = []
    found: list[list[int]] = []
    for taste in questions[:20]:  # warms up
        store.nearest(taste, _MOST)
    for taste in questions:
        cpu, started = time.process_time() + cpu_s(backend), time.perf_counter()
        rows = store.nearest(taste, _MOST)
        took_ms.append(1000 * (time.perf_counter() - started))
        cpu_ms.append(1000 * (time.process_time() + cpu_s(backend) - cpu))
        found.append([row.title for row in rows])
    return cpu_ms, took_ms, found


def _trapped(connection: Any, made: Audiences) -> list[int]:
    """Return how many rows some questions get of an index over all titles that are filtered afterwards."""
    others = np.flatnonzero(~made.good)
    numbers = made.numbers[others, 1:] / np.linalg.norm(made.numbers[others, 1:], axis=1, keepdims=True)
    connection.execute(_OTHERS, (np.repeat(others, TASTE_NUMBERS).tolist(), numbers.reshape(-1).tolist()))
    for statement in _TRAP:
        connection.execute(statement)
    return [len(connection.execute(_FILTERED, (taste.tolist(),)).fetchall()) for taste in made.questions[:100]]
