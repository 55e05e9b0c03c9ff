"""Claims about what travels: bytes, time, and that a reference says all that an embedding would."""

from __future__ import annotations

import time
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import zstandard

from omega.claims.claim import Claims, Measured
from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.text import context_text
from omega.core.types import (
    CONTEXT_SHARE,
    SLOTS,
    PatternContext,
    ViewingPattern,
    pattern_id,
    time_and_day,
    title_key,
)
from omega.core.wire.frames import PULL_LIMIT, PUSH_LIMIT, decode, encode
from omega.core.wire.messages import TASTE_BYTES, Push, Row, in_wire_order, quantized, title_hash
from omega.core.wire.planner import plan_push
from omega.core.wire.samples import TODAY, pulled, pushed
from omega.device.titles import load_or_embed
from omega.models import open_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.claims.bench import Bench
    from omega.core.ports import Floats
    from omega.core.wire.messages import Message

claims = Claims()
SEEDS = range(1, 201)
_FEW, _MANY = 5, 100
_FEW_BYTES = 64
"""What a push of 5 patterns may take."""
_PATTERNS = 1_000
_READ_BACK = "each frame is decoded again and must hold the same"


@claims.add(
    "push-bytes",
    what="longest frame of 100 patterns, titles newer than the server's catalog included",
    target=PUSH_LIMIT - 1,
    unit="B",
    bound="at most",
    oracle=f"{_READ_BACK}; 5 patterns take at most {_FEW_BYTES} B",
)
def push_bytes(_bench: Bench) -> Measured:
    """Push 5 and 100 patterns of a taste code in 200 ways, by ordinals and by hashes of the real catalog's titles."""
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    hashes = [title_hash(title_key(title.id)) for title in catalog]
    ordinals = range(len(catalog))
    sizes: dict[str, list[int]] = {"5": [], "100": [], "100_of_30_days": [], "100_hashed": []}
    agrees = True
    for seed in SEEDS:
        random = Random(seed)  # noqa: S311 -- data, no secret
        for name, push in (
            ("5", pushed(random, ordinals, _FEW)),
            ("100", pushed(random, ordinals, _MANY)),
            ("100_of_30_days", pushed(random, ordinals, _MANY, days=30)),
            ("100_hashed", pushed(random, hashes, _MANY, hashed=True)),
        ):
            frame = encode(push)
            sizes[name].append(len(frame))
            agrees &= in_wire_order(decode(frame, max_bytes=PUSH_LIMIT)) == in_wire_order(push)
    random = Random(0)  # noqa: S311 -- data, no secret
    apart = [_with_own_taste(row, random) for row in pushed(random, ordinals, _MANY).contributed]
    planned = plan_push(msgspec.structs.replace(pushed(random, ordinals, 1), contributed=tuple(apart)))
    details: dict[str, Any] = {f"{name}_mean": fmean(found) for name, found in sizes.items()}
    details |= {f"{name}_worst": max(found) for name, found in sizes.items()}
    details["rows_of_a_frame_when_each_has_its_own_taste_code"] = len(planned.contributed)
    worst = max(max(found) for name, found in sizes.items() if name != "5")
    return Measured(worst, details, agrees=agrees and details["5_worst"] <= _FEW_BYTES)


@claims.add(
    "pull-bytes",
    what="longest frame of 100 similar titles and 20 trends with audience codes",
    target=PULL_LIMIT - 1,
    unit="B",
    bound="at most",
    oracle=_READ_BACK,
)
def pull_bytes(_bench: Bench) -> Measured:
    """Pull in 200 ways, with removed titles and artifacts, and with 200 trends for the details."""
    ordinals = range(len(Catalog.read(EXAMPLE_CATALOG_PATH)))
    sizes: dict[str, list[int]] = {"100_and_20": [], "100_and_200": []}
    agrees = True
    for seed in SEEDS:
        random = Random(seed)  # noqa: S311 -- data, no secret
        for name, trends in (("100_and_20", 20), ("100_and_200", 200)):
            pull = pulled(random, ordinals, trending=trends, similar=100)
            frame = encode(pull)
            sizes[name].append(len(frame))
            agrees &= in_wire_order(decode(frame, max_bytes=PULL_LIMIT)) == in_wire_order(pull)
    details = {f"{name}_mean": fmean(found) for name, found in sizes.items()}
    details["100_and_200_worst"] = max(sizes["100_and_200"])
    return Measured(max(sizes["100_and_20"]), details, agrees=agrees)


@claims.add(
    "wire-ratio",
    what="JSON of 100 patterns with their embeddings over their frame",
    target=10,
    unit="x",
    bound="at least",
    oracle="every pattern is found again by its reference, with its success to 2 thousandths",
)
def wire_ratio(bench: Bench) -> Measured:
    """Write 100 patterns as the plan's structure in JSON, in the shortest digits of float32, and push the same."""
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    random = Random(1)  # noqa: S311 -- data, no secret
    keys = random.sample(range(len(catalog) * SLOTS), _MANY)
    shares = {key: random.randrange(1001) for key in keys}
    model = open_model(bench.settings, bench.model, threads=1)
    vectors = model.embed([catalog.titles[key // SLOTS].text for key in keys])
    patterns = [_pattern(catalog, key, shares[key], row) for key, row in zip(keys, vectors, strict=True)]
    json = msgspec.json.encode(patterns)
    taste = random.randbytes(TASTE_BYTES)
    rows = [Row(key // SLOTS, key % SLOTS, TODAY, quantized(shares[key]), taste) for key in keys]
    push = msgspec.structs.replace(pushed(random, range(len(catalog)), 1), contributed=tuple(rows))
    frame = encode(push)
    found = {row.title * SLOTS + row.slot: row.success for row in _push(frame).contributed}
    agrees = found.keys() == shares.keys() and all(abs(found[key] - shares[key]) <= 2 for key in keys)
    packed = len(zstandard.ZstdCompressor(level=19).compress(json))
    details = {"json_bytes": len(json), "json_zstd19_bytes": packed, "frame_bytes": len(frame)}
    return Measured(len(json) / len(frame), details, agrees=agrees)


@claims.add(
    "codec-time",
    what="encoding or decoding 100 patterns, the slower of both, p50",
    target=100,
    unit="us",
    bound="at most",
    oracle=_READ_BACK,
)
def codec_time(_bench: Bench) -> Measured:
    """Time pushes that differ every time, both ways, and the pull of 100 + 20."""
    ordinals = range(len(Catalog.read(EXAMPLE_CATALOG_PATH)))
    makes: dict[str, Callable[[Random], Message]] = {
        "push_5": lambda random: pushed(random, ordinals, _FEW),
        "push_100": lambda random: pushed(random, ordinals, _MANY),
        "pull_120": lambda random: pulled(random, ordinals, trending=20, similar=100),
    }
    details: dict[str, float] = {}
    agrees = True
    for name, make in makes.items():
        messages = [make(Random(seed)) for seed in SEEDS]  # noqa: S311 -- data, no secret
        frames = [encode(message) for message in messages]
        agrees &= all(
            in_wire_order(decode(frame, max_bytes=PULL_LIMIT)) == in_wire_order(message)
            for frame, message in zip(frames, messages, strict=True)
        )
        details[f"encode_{name}"] = _p50_us(encode, messages)
        details[f"decode_{name}"] = _p50_us(lambda frame: decode(frame, max_bytes=PULL_LIMIT), frames)
    return Measured(max(details["encode_push_100"], details["decode_push_100"]), details, agrees=agrees)


@claims.add(
    "reference-fidelity",
    what="least cosine of 1,000 patterns' vectors, looked up by what travelled, to those of their texts",
    target=0.999_999,
    unit="1",
    bound="at least",
    oracle="each text embedded anew, alone, by the same model",
)
def reference_fidelity(bench: Bench) -> Measured:
    """Send 1,000 patterns in as many frames as it takes; the receiver works their vectors out from its own arrays."""
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    random = Random(2)  # noqa: S311 -- data, no secret
    keys = random.sample(range(len(catalog) * SLOTS), _PATTERNS)
    rows = [Row(key // SLOTS, key % SLOTS, TODAY, 1000) for key in keys]
    frames = _sent(msgspec.structs.replace(pushed(random, range(len(catalog)), 1), contributed=tuple(rows)))
    model = open_model(bench.settings, bench.model, threads=2)
    arrays = load_or_embed(catalog, model, None)
    received = [(row.title, row.slot) for frame in frames for row in _push(frame).contributed]
    there = _vectors(arrays.vectors, arrays.contexts, received)
    titles = np.vstack([model.embed([title.text]) for title in catalog])
    contexts = np.vstack([model.embed([context_text(*time_and_day(slot))]) for slot in range(SLOTS)])
    cosines = np.einsum("nd,nd->n", there, _vectors(titles, contexts, received))
    details = {"mean": float(cosines.mean()), "frames": len(frames), "bytes": sum(map(len, frames))}
    agrees = sorted(received) == sorted((key // SLOTS, key % SLOTS) for key in keys)
    return Measured(float(cosines.min()), details, agrees=agrees)


def _vectors(titles: Floats, contexts: Floats, keys: Sequence[tuple[int, int]]) -> Any:
    """Return (n, 384) float64: the patterns' vectors of (ordinal, context)."""
    ordinals, slots = np.array(keys).T
    summed = titles[ordinals].astype(np.float64) + CONTEXT_SHARE * contexts[slots]
    return summed / np.linalg.norm(summed, axis=1, keepdims=True)


def _sent(push: Push) -> list[bytes]:
    """Return the frames that it takes to send all rows of a push."""
    frames = []
    while push.contributed:
        planned = plan_push(push)
        frames.append(planned.frame)
        taken = set(planned.contributed)
        left = [row for place, row in enumerate(push.contributed) if place not in taken]
        push = msgspec.structs.replace(push, base=push.version, contributed=tuple(left))
    return frames


def _push(frame: bytes) -> Push:
    message = decode(frame, max_bytes=PUSH_LIMIT)
    if not isinstance(message, Push):
        raise TypeError(message)
    return message


def _pattern(catalog: Catalog, key: int, success_milli: int, vector: Floats) -> ViewingPattern:
    title, slot = catalog.titles[key // SLOTS], key % SLOTS
    watched_at, day_type = time_and_day(slot)
    context = PatternContext(
        time_of_day=watched_at, day_of_week=day_type, content_type=title.kind, genre_hints=title.genres
    )
    return ViewingPattern(
        id=pattern_id(title.id, slot),
        content_id=title.id,
        context=context,
        sample_count=1,
        success_milli=success_milli,
        created_at=TODAY * 86_400,
        updated_at=TODAY * 86_400,
        embedding=tuple([float(str(number)) for number in vector]),
    )


def _with_own_taste(row: Row, random: Random) -> Row:
    return msgspec.structs.replace(row, taste=random.randbytes(TASTE_BYTES))


def _p50_us(call: Callable[[Any], object], values: Sequence[object]) -> float:
    """Return the median time of a call, all values in turn, five rounds."""
    times = []
    for value in [*values] * 5:
        started = time.perf_counter_ns()
        call(value)
        times.append(time.perf_counter_ns() - started)
    return float(np.median(times)) / 1000
