"""Claims about a TV that holds 10,000 patterns."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from omega.claims.bench import PATTERNS
from omega.claims.claim import Claims, Measured
from omega.compose import open_brain, open_store
from omega.core.clock import local_now
from omega.core.machine import run_fresh
from omega.core.text import context_text
from omega.core.types import DIMENSIONS, DayType, TimeSlot, ViewContext
from omega.models import open_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from omega.claims.bench import Bench
    from omega.core.ports import DeviceStore, Floats, PatternRecord

claims = Claims()
_QUALITIES = ("calm", "wild", "gentle", "grim", "bright", "odd", "tender", "loud", "clever", "slow", "bold", "warm")
_SUBJECTS = ("love story", "family night", "mystery", "adventure", "true story", "laugh", "chase", "dream", "journey")


def moods() -> Iterator[ViewContext]:
    """Give contexts whose mood is new each time."""
    for subject, quality, time_, day in product(_SUBJECTS, _QUALITIES, TimeSlot, DayType):
        yield ViewContext(time=time_, day=day, mood=f"{quality} {subject}")


@claims.add(
    "recommend-latency",
    what="recommend with 10,000 patterns in a context never asked for, embedding inside, p99",
    target=15,
    unit="ms",
    bound="at most",
    oracle="the same lists from sqlite-vec's own search instead of the matrix",
)
def recommend(bench: Bench) -> Measured:
    """Time each call; compare 40 lists with those of a brain whose store keeps nothing in memory."""
    cold: list[float] = []
    warm: list[float] = []
    lists = []
    contexts = list(moods())[:400]
    moment = local_now(bench.tv.zone)
    with closing(open_brain(bench.tv, now=lambda: moment)) as brain:
        status = brain.status()
        for context in contexts:
            for times in (cold, warm):
                started = time.perf_counter()
                titles = brain.recommend(context)
                times.append(1000 * (time.perf_counter() - started))
            lists.append([title.content_id for title in titles])
    with closing(open_brain(bench.tv, now=lambda: moment, in_memory=False)) as brain:
        same = [[t.content_id for t in brain.recommend(context)] for context in contexts[::10]] == lists[::10]
    int4 = status.space.startswith("minilm-int4-") and status.patterns == PATTERNS
    details = {
        "p50_ms": float(np.median(cold)),
        "warm_p50_ms": float(np.median(warm)),
        "warm_p99_ms": float(np.percentile(warm, 99)),
        "space": status.space,
        "patterns": status.patterns,
        "lists_equal": same,
    }
    return Measured(float(np.percentile(cold, 99)), details, agrees=same and int4)


@claims.add(
    "search-exact",
    what="top 50 of 10,000 with their rows, CPU p99",
    target=1,
    unit="ms",
    bound="at most",
    oracle="numpy brute force over the vectors on disk: recall must be 1",
)
def search(bench: Bench) -> Measured:
    """Search with 400 contexts' vectors in turn, 5 times; compute each answer again from all vectors."""
    queries = open_model(bench.settings, bench.model).embed([_context_words(c) for c in islice(moods(), 400)])
    with closing(open_store(bench.tv, DIMENSIONS)) as store:
        space = store.space() or ""
        ids = [pattern.id for pattern in store.patterns()]
        vectors = store.vectors(ids).astype(np.float64)
        answers = [_answer(store, query, space) for query in queries]
        cpu_ms = np.empty((5, len(queries)))
        for at in np.ndindex(cpu_ms.shape):
            started = time.process_time()
            _answer(store, queries[at[1]], space)
            cpu_ms[at] = 1000 * (time.process_time() - started)
    recalls = [_recall(ids, vectors @ query, answer) for query, answer in zip(queries, answers, strict=True)]
    details = {
        "cpu_p50_ms": float(np.median(cpu_ms)),
        "recall": float(np.mean(recalls)),
        "patterns": len(ids),
    }
    return Measured(float(np.percentile(cpu_ms, 99)), details, agrees=min(recalls) == 1.0)


def _answer(store: DeviceStore, query: Floats, space: str) -> list[PatternRecord]:
    return store.patterns([hit.id for hit in store.search(query, 50, space)])


def _context_words(context: ViewContext) -> str:
    return context_text(context.time or TimeSlot.EVENING, context.day or DayType.WEEKDAY, context.mood)


def _recall(ids: list[int], exact: NDArray[np.float64], answer: list[PatternRecord]) -> float:
    """Return the share of the 50 best, among all (n,) exact cosines, that the answer holds; ties count."""
    floor = np.sort(exact)[-50] - 1e-6
    return len({row.id for row in answer if exact[ids.index(row.id)] >= floor}) / 50


@claims.add(
    "device-memory",
    what="memory of a fresh process with 10,000 patterns after 100 recommendations",
    target=200,
    unit="MiB",
    bound="at most",
    oracle="the peak that the kernel counted (VmHWM)",
)
def memory(bench: Bench) -> Measured:
    """Open the TV in a process of its own, recommend, and read its memory there."""
    found = _fresh(bench, recommendations=100)
    return Measured(found["rss_mib"], found, agrees=found["rss_mib"] <= found["peak_mib"] <= 200)


@claims.add(
    "cold-start",
    what="from starting python to a brain with 10,000 patterns, median of 5",
    target=1000,
    unit="ms",
    bound="at most",
    oracle="a python that only imports numpy, in turn",
)
def start(bench: Bench) -> Measured:
    """Start fresh processes in turn and take the clock from before the start."""
    bench.options()  # builds the TV, before any clock runs
    ours, bare = [], []
    for _ in range(5):
        began = time.time()
        found = _fresh(bench, recommendations=1)
        ours.append(1000 * (found["opened_at"] - began))
        began = time.time()
        run_fresh([sys.executable, "-c", "import numpy"])
        bare.append(1000 * (time.time() - began))
    return Measured(float(np.median(ours)), {"all_ms": ours, "import_numpy_ms": float(np.median(bare))})


def _fresh(bench: Bench, *, recommendations: int) -> dict[str, Any]:
    options = msgspec.json.encode({"settings": bench.options(), "recommendations": recommendations}).decode()
    output = run_fresh([sys.executable, "-m", "omega.claims.fresh", options])
    found: dict[str, Any] = msgspec.json.decode(output)
    return found
