"""Claims about a TV that holds 10,000 patterns."""

from __future__ import annotations

import shutil
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
from omega.core.types import CONTEXT_SHARE, DIMENSIONS, SLOTS, DayType, TimeSlot, ViewContext, time_and_day
from omega.models import open_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from omega.claims.bench import Bench
    from omega.core.ports import DeviceStore, Floats
    from omega.core.records import Near

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
    what="top 50 of 10,000 patterns of 1,400 titles, with their rows, CPU p99",
    target=1,
    unit="ms",
    bound="at most",
    oracle="numpy brute force over the vectors on disk: recall must be 1",
)
def search(bench: Bench) -> Measured:
    """Search with 400 contexts' vectors in turn, 5 times; compute each answer again from all vectors."""
    queries = open_model(bench.settings, bench.model).embed([_context_words(c) for c in islice(moods(), 400)])
    with closing(open_store(bench.tv, DIMENSIONS)) as store:
        contexts = open_model(bench.settings, bench.model).embed([context_text(*time_and_day(s)) for s in range(SLOTS)])
        store.bind(store.space() or "", contexts)
        ids, vectors = _pattern_vectors(store, contexts)
        answers = [store.search(query, 50) for query in queries]
        cpu_ms = np.empty((5, len(queries)))
        for at in np.ndindex(cpu_ms.shape):
            started = time.process_time()
            store.search(queries[at[1]], 50)
            cpu_ms[at] = 1000 * (time.process_time() - started)
    recalls = [_recall(ids, vectors @ query, answer) for query, answer in zip(queries, answers, strict=True)]
    details = {
        "cpu_p50_ms": float(np.median(cpu_ms)),
        "recall": float(np.mean(recalls)),
        "patterns": len(ids),
    }
    return Measured(float(np.percentile(cpu_ms, 99)), details, agrees=min(recalls) == 1.0)


def _pattern_vectors(store: DeviceStore, contexts: Floats) -> tuple[list[int], NDArray[np.float64]]:
    """Return all patterns' ids and (n, 384) vectors, from the titles' on disk."""
    patterns = store.patterns()
    titles = store.vectors([pattern.content_id for pattern in patterns]).astype(np.float64)
    vectors = titles + CONTEXT_SHARE * contexts[[pattern.slot for pattern in patterns]]
    return [pattern.id for pattern in patterns], vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _context_words(context: ViewContext) -> str:
    return context_text(context.time or TimeSlot.EVENING, context.day or DayType.WEEKDAY, context.mood)


def _recall(ids: list[int], exact: NDArray[np.float64], answer: list[Near]) -> float:
    """Return the share of the 50 best, among all (n,) exact cosines, that the answer holds; ties count."""
    floor = np.sort(exact)[-50] - 1e-6
    places = {row_id: place for place, row_id in enumerate(ids)}
    return len({near.pattern.id for near in answer if exact[places[near.pattern.id]] >= floor}) / 50


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
    found = _fresh(bench.options(), recommendations=100)
    return Measured(found["rss_mib"], found, agrees=found["rss_mib"] <= found["peak_mib"] <= 200)


@claims.add(
    "lite-memory",
    what="memory of a fresh process with 10,000 patterns and memory = lite, after 100 recommendations with moods",
    target=64,
    unit="MiB",
    bound="at most",
    oracle="the peak that the kernel counted (VmHWM), also at the first start, which embeds catalog and household anew",
)
def lite_memory(bench: Bench) -> Measured:
    """Give a copy of the TV to a process that has never seen it, with an empty cache; then to a second one."""
    home = bench.folder / "lite"
    shutil.copytree(bench.tv.store, home / "tv")
    options = {**bench.options(), "home": str(home), "store": str(home / "tv"), "memory": "lite"}
    for given in ("embedder", "model"):  # lite brings its own
        options.pop(given, None)
    first, found = (_fresh(options, recommendations=100) for _ in range(2))
    shutil.rmtree(home)
    peaks = first["peak_mib"], found["peak_mib"]
    agrees = found["rss_mib"] <= found["peak_mib"] and max(peaks) <= 64 and found["patterns"] == PATTERNS
    return Measured(found["rss_mib"], {**found, "first_start_peak_mib": peaks[0]}, agrees=agrees)


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
    options = bench.options()  # builds the TV, before any clock runs
    ours, bare = [], []
    for _ in range(5):
        began = time.time()
        found = _fresh(options, recommendations=1)
        ours.append(1000 * (found["opened_at"] - began))
        began = time.time()
        run_fresh([sys.executable, "-c", "import numpy"])
        bare.append(1000 * (time.time() - began))
    return Measured(float(np.median(ours)), {"all_ms": ours, "import_numpy_ms": float(np.median(bare))})


def _fresh(settings: Mapping[str, str], *, recommendations: int) -> dict[str, Any]:
    options = msgspec.json.encode({"settings": settings, "recommendations": recommendations}).decode()
    output = run_fresh([sys.executable, "-m", "omega.claims.fresh", options])
    found: dict[str, Any] = msgspec.json.decode(output)
    return found
