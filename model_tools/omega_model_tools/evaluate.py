"""What a quantized model keeps of the fp32 one, and what it costs to run."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from omega.core.errors import InputError, OmegaError
from omega.core.model_folder import Cosine, read_model_folder
from omega_model_tools.folders import Progress, silent
from omega_model_tools.session import embed_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TOP: Final = 10
RUNS: Final[Mapping[int, int]] = {12: 200, 32: 200, 256: 50}
"""Texts timed of each length in tokens."""
THREADS: Final = (1, 2)
_PROBE_TIMEOUT_S: Final = 600


class Latency(msgspec.Struct, frozen=True):
    """Of one text at a time, without its tokenizing."""

    tokens: int
    threads: int
    p50_ms: float
    p99_ms: float


class Agreement(msgspec.Struct, frozen=True):
    """How far a model finds what the fp32 model finds; 1.0 is always."""

    own_index: float
    """Share of the top 10 in common, texts and queries both embedded by the model."""
    fp32_index: float
    """Share of the top 10 in common, the model's queries against texts embedded by fp32."""


class Bench(msgspec.Struct, frozen=True):
    """One model folder measured."""

    name: str
    space: str
    size_bytes: int
    load_ms: float
    rss_mb: float
    """Of a fresh Python process after all runs on one thread."""
    peak_rss_mb: float
    latency: tuple[Latency, ...]
    cosine: Cosine | None
    """Only with an fp32 folder to compare with, as is `agreement`."""
    agreement: Agreement | None


class _Probed(msgspec.Struct):
    load_ms: float
    latency: dict[int, dict[str, float]]
    rss_mb: float
    peak_rss_mb: float


def fidelity(reference: Floats, vectors: Floats) -> Cosine:
    """Return mean, first percentile and minimum of the cosines between rows of two (n, dimensions) arrays."""
    dots = np.einsum("nd,nd->n", reference, vectors, dtype=np.float64)
    lengths = np.linalg.norm(reference, axis=1) * np.linalg.norm(vectors, axis=1)
    cosines = dots / np.maximum(lengths, 1e-12)
    p1 = float(np.quantile(cosines, 0.01))
    return Cosine(round(float(cosines.mean()), 5), round(p1, 5), round(float(cosines.min()), 5), len(cosines))


def retrieval_agreement(reference: Floats, vectors: Floats) -> Agreement:
    """Return how far the 10 nearest others of each row agree between two (n, dimensions) arrays of unit rows, n > 10.

    Every text is a query against all others.
    """
    wanted = _nearest(reference, reference)
    return Agreement(_overlap(wanted, _nearest(vectors, vectors)), _overlap(wanted, _nearest(vectors, reference)))


def _nearest(queries: Floats, index: Floats) -> NDArray[np.int64]:
    similar = queries @ index.T
    np.fill_diagonal(similar, -2)
    return np.argpartition(-similar, TOP, axis=1)[:, :TOP]


def _overlap(left: NDArray[np.int64], right: NDArray[np.int64]) -> float:
    common = [len(np.intersect1d(a, b)) for a, b in zip(left, right, strict=True)]
    return round(float(np.mean(common)) / TOP, 4)


def bench(
    folder: Path,
    fp32_folder: Path | None,
    texts: Sequence[str],
    *,
    runs: Mapping[int, int] = RUNS,
    threads: Sequence[int] = THREADS,
    progress: Progress = silent,
) -> Bench:
    """Measure the model folder: size, memory and latency in fresh processes, and with `fp32_folder` what it lost.

    `texts`, more than 10, are embedded by both models. `runs` maps a length in tokens to the number of texts timed.
    Raises ModelError when a folder is damaged, InputError with too few texts, OmegaError when a process fails.
    """
    card = read_model_folder(folder)
    if fp32_folder is not None and len(texts) <= TOP:
        raise InputError(f"{len(texts)} texts were given, more than {TOP} are needed: give more texts")
    steps = len(threads) + 1
    probed: dict[int, _Probed] = {}
    for done, count in enumerate(threads):
        progress(done, steps, f"timing on {count} thread{'s' if count > 1 else ''}")
        probed[count] = _probe(folder, count, runs)
    progress(steps - 1, steps, "comparing with fp32")
    lost = None if fp32_folder is None else _lost(folder, fp32_folder, texts)
    progress(steps, steps, "done")
    first = probed[threads[0]]
    return Bench(
        name=card.name,
        space=card.space,
        size_bytes=sum(facts.size_bytes for facts in card.files.values()),
        load_ms=first.load_ms,
        rss_mb=first.rss_mb,
        peak_rss_mb=first.peak_rss_mb,
        latency=tuple(
            Latency(tokens, count, **times) for count, run in probed.items() for tokens, times in run.latency.items()
        ),
        cosine=lost[0] if lost else None,
        agreement=lost[1] if lost else None,
    )


def _lost(folder: Path, fp32_folder: Path, texts: Sequence[str]) -> tuple[Cosine, Agreement]:
    reference, vectors = embed_texts(fp32_folder, texts), embed_texts(folder, texts)
    return fidelity(reference, vectors), retrieval_agreement(reference, vectors)


def _probe(folder: Path, threads: int, runs: Mapping[int, int]) -> _Probed:
    asked = msgspec.json.encode({"folder": str(folder.absolute()), "threads": threads, "runs": dict(runs)})
    command = [sys.executable, "-m", "omega_model_tools.probe"]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=True)
    except subprocess.TimeoutExpired as error:
        raise OmegaError(f"measuring {folder} took over {_PROBE_TIMEOUT_S} s: ask for fewer runs") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise OmegaError(
            f"the process that measures {folder} failed ({' '.join(last)[:200]}): check the folder"
        ) from error
    return msgspec.json.decode(done.stdout, type=_Probed)
