"""Claims about the embedding model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.errors import ModelError
from omega.core.model_folder import read_model_folder
from omega.models import open_model, quantize_model, tool

if TYPE_CHECKING:
    from omega.claims.bench import Bench
    from omega.core.ports import Embedder

claims = Claims()
_TOKENS_32 = " ".join(["quiet"] * 26) + " film number"
"""Prefix of texts that come to 32 tokens with two digits, [CLS] and [SEP]."""


@claims.add(
    "model-size",
    what="size of the INT4 model",
    target=20,
    unit="MB",
    bound="at most",
    oracle="the model card, whose SHA-256 of the file must be right",
)
def size(bench: Bench) -> Measured:
    """Count the graph's bytes, weights included."""
    card = read_model_folder(bench.model)
    sizes = {name: (bench.model / name).stat().st_size for name in card.files}
    weights = sum(size_bytes for name, size_bytes in sizes.items() if name != "vocab.txt")
    same = all(size_bytes == card.files[name].size_bytes for name, size_bytes in sizes.items())
    return Measured(weights / 1e6, {"folder_mb": sum(sizes.values()) / 1e6, "space": card.space}, agrees=same)


@claims.add(
    "model-fidelity",
    what="mean cosine of INT4 to fp32, catalog texts and 500 other sentences",
    target=0.99,
    unit="1",
    bound="at least",
    oracle="the fp32 model on the same texts",
)
def fidelity(bench: Bench) -> Measured:
    """Embed every catalog text and held-out sentence with both models."""
    texts = [t.text for t in Catalog.read(EXAMPLE_CATALOG_PATH)] + list(tool("quantize").sentences("heldout"))
    int4 = open_model(bench.settings, bench.model, threads=2).embed(texts)
    cosines = np.einsum("nd,nd->n", int4.astype(np.float64), bench.fp32.embed(texts).astype(np.float64))
    details = {
        "min": float(cosines.min()),
        "p1": float(np.quantile(cosines, 0.01)),
        "catalog": float(cosines[:-500].mean()),
        "held_out": float(cosines[-500:].mean()),
        "texts": len(texts),
    }
    return Measured(float(cosines.mean()), details)


@claims.add(
    "embed-latency",
    what="embedding a text of 32 tokens on one thread, p50",
    target=10,
    unit="ms",
    bound="at most",
    oracle="the fp32 model, call by call in turn",
)
def latency(bench: Bench) -> Measured:
    """Time both models in turn on texts that differ every time."""
    int4 = open_model(bench.settings, bench.model, threads=1)
    both: dict[str, list[float]] = {"int4": [], "fp32": []}
    for turn in range(120):
        text = f"{_TOKENS_32} {turn:02d}"
        for name, model in (("int4", int4), ("fp32", bench.fp32)):
            both[name].append(_ms(model, text))
    p50 = {name: float(np.median(times[20:])) for name, times in both.items()}
    p99 = float(np.percentile(both["int4"][20:], 99))
    return Measured(p50["int4"], {"p99_ms": p99, "fp32_p50_ms": p50["fp32"], "ratio": p50["int4"] / p50["fp32"]})


@claims.add(
    "quantize-repeat",
    what="mean cosine of a model quantized anew, apart from the shipped one's",
    target=0.001,
    unit="1",
    bound="at most",
    oracle="the shipped model's card",
    slow=True,
)
def repeat(bench: Bench) -> Measured:
    """Quantize again with the command's defaults and compare the cosines to fp32 on the held-out sentences."""
    _, card = quantize_model(bench.settings, bench.folder / "minilm-int4", progress=bench.progress)
    shipped = read_model_folder(bench.model)
    if card.cosine is None or shipped.cosine is None:
        raise ModelError(f"{bench.model} has no cosine on its card, allowed: a quantized model")
    details = {"shipped": shipped.cosine.mean, "anew": card.cosine.mean, "same_bytes": card.files == shipped.files}
    return Measured(abs(card.cosine.mean - shipped.cosine.mean), details)


def _ms(model: Embedder, text: str) -> float:
    started = time.perf_counter()
    model.embed([text])
    return 1000 * (time.perf_counter() - started)
