"""Puts the rooms together: from settings to an open catalog, embedder and brain. Library users start here.

>>> from omega.compose import open_brain
>>> with closing(open_brain(resolve({"home": "/tmp/omega"}).settings)) as brain:
...     brain.recommend()
"""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from omega.core.catalog import Catalog
from omega.core.errors import InputError, MissingExtraError, ModelError, shown
from omega.core.files import atomic_folder, atomic_path
from omega.core.machine import single_blas_thread
from omega.core.model_folder import read_model_folder
from omega.core.parsing import local_now
from omega.core.registry import Registry
from omega.core.settings import EXAMPLE_CATALOG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from omega.core.ports import DeviceStore, Embedder, Floats
    from omega.core.settings import Settings
    from omega.device.brain import Brain
    from omega.fleet.demo import Day, Report
    from omega_model_tools.evaluate import Bench
    from omega_storage.device_sqlite import SqliteDeviceStore

EXAMPLE_CATALOG_PATH = Path(__file__).parent / "data" / "example.jsonl"
"""800 real titles that ship with Omega."""
DEFAULT_MODEL = "minilm-int4"
"""The model that ships for the device."""
FALLBACK_MODEL = "minilm-static"
"""The table that ships for TVs on which no model runs."""
STORE_FILE = "store.db"
"""The database's name in a TV's folder."""
_BUILTINS = (
    "omega_plugins.embedders.onnx",
    "omega_plugins.embedders.static",
    "omega_storage.sqlite_vec",
)


def registry() -> Registry:
    """Return a registry with the built-in plugins; strangers' are found when asked for, and fatal if broken in CI."""
    return Registry([_extra_module(name, "device") for name in _BUILTINS], strict=bool(os.environ.get("CI")))


def open_catalog(settings: Settings) -> Catalog:
    """Read the catalog that the settings name. Raises CatalogError."""
    named = settings.catalog
    path = os.path.expanduser(named)  # noqa: PTH111  (leaves ~nobody as it is, where Path's raises RuntimeError)
    return Catalog.read(EXAMPLE_CATALOG_PATH if named == EXAMPLE_CATALOG else Path(path))


def open_embedder(settings: Settings, plugins: Registry | None = None) -> Embedder:
    """Load the embedder that the settings name. Raises PluginError, ModelError."""
    return (plugins or registry()).embedder(settings.embedder).open(settings.model, threads=settings.threads)


def open_store(settings: Settings, dimensions: int, *, in_memory: bool = True) -> DeviceStore:
    """Open or create the TV's store; without `in_memory` sqlite-vec itself searches. Raises StoreError."""
    sqlite: type[SqliteDeviceStore] = _extra_module("omega_storage.device_sqlite", "device").SqliteDeviceStore
    return sqlite.open(settings.store / STORE_FILE, dimensions=dimensions, in_memory=in_memory)


def open_brain(
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    now: Callable[[], datetime] | None = None,
    in_memory: bool = True,
) -> Brain:
    """Open the TV's brain; the caller closes it.

    `progress` gets titles done and in all while a new catalog is embedded; `now` replaces the clock and gives aware
    local time; without `in_memory` the store searches on disk. Raises InputError, StoreError, PluginError.
    """
    titles = _extra_module("omega.device.titles", "device")
    brain: type[Brain] = _extra_module("omega.device.brain", "device").Brain
    catalog = open_catalog(settings)
    embedder = open_embedder(settings)
    arrays = titles.load_or_embed(catalog, embedder, settings.cache / "titles", progress)
    store = open_store(settings, embedder.dimensions, in_memory=in_memory)
    return brain(store, embedder, catalog, arrays, now=now or (lambda: local_now(settings.zone)))


def run_demo(
    settings: Settings,
    *,
    seed: int = 1,
    weeks: int = 6,
    keep: Path | None = None,
    on_day: Callable[[Day], None] = lambda day: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Let simulated households watch for some weeks and return what their TVs learned.

    The stores go to `keep`/<household>, or vanish at the end. Raises InputError when `keep` is there already.
    """
    demo = _extra_module("omega.fleet.demo", "device")
    with atomic_folder(keep) if keep else tempfile.TemporaryDirectory(prefix="omega-demo-") as folder:

        def opened(name: str, clock: Callable[[], datetime]) -> Brain:
            at_home = msgspec.structs.replace(settings, store=Path(folder) / name)
            return open_brain(at_home, progress=progress, now=clock)

        report: Report = demo.run(
            opened,
            lambda: open_embedder(settings),
            open_catalog(settings),
            seed=seed,
            weeks=weeks,
            on_day=on_day,
        )
        return report


def find_model(settings: Settings, named: str | Path) -> Path:
    """Return the folder of a model's name (one that ships, else one in the home), or of a path. Raises ModelError."""
    shipped = _extra_module("omega_plugins.embedders", "device").MODELS
    places = (shipped / named, settings.models / named, Path(named))
    for folder in places[2:] if len(Path(named).parts) > 1 else places:
        if folder.is_dir():
            return folder
    homes = [where for where in (shipped, settings.models) if where.is_dir()]
    names = sorted({f.name for where in homes for f in where.iterdir() if not f.name.startswith(".")})
    raise ModelError(f"model is {shown(str(named))}, allowed: a folder, or one of {', '.join(names)}")


def open_model(settings: Settings, named: str | Path, *, threads: int | None = None) -> Embedder:
    """Load a model folder with the embedder plugin of its kind. Raises ModelError."""
    folder = find_model(settings, named)
    kind = read_model_folder(folder).kind
    return registry().embedder(kind).open(folder, threads=threads or settings.threads)


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
    embedder = open_model(settings, named or DEFAULT_MODEL)
    vectors: Floats = _extra_module("omega.device.titles", "device").embed(embedder, texts, progress)
    if out:
        with atomic_path(out) as temporary, temporary.open("wb") as file:
            _extra_module("numpy", "device").save(file, vectors, allow_pickle=False)
    return embedder.space, vectors


def model_tool(name: str) -> Any:
    """Return a module of omega_model_tools. Raises MissingExtraError."""
    return _extra_module(f"omega_model_tools.{name}", "models")


def fp32_model(settings: Settings, progress: Callable[[int, int, str], None]) -> Path:
    """Return the folder of the fp32 model, exported first if it isn't there: 83 MB are fetched once."""
    folder = settings.models / "minilm-fp32"
    if not folder.is_dir():
        source = model_tool("source").fetch_source(settings.cache / "minilm-source", progress)
        model_tool("export").export_fp32(source, folder, progress=progress)
    return folder


def bench_models(
    settings: Settings, models: Sequence[str | Path], progress: Callable[[int, int, str], None]
) -> list[Bench]:
    """Measure model folders, those that ship by default, against the fp32 model; it is exported if need be."""
    folders = [find_model(settings, named) for named in models or (DEFAULT_MODEL, FALLBACK_MODEL)]
    fp32 = fp32_model(settings, progress)
    texts = [title.text for title in Catalog.read(EXAMPLE_CATALOG_PATH)]
    measure = model_tool("evaluate").bench
    return [measure(folder, fp32, texts, progress=progress) for folder in folders]


def calibration_texts() -> list[str]:
    """Return the title texts that quantization is calibrated on besides its sentences: every second of the example."""
    return [title.text for title in Catalog.read(EXAMPLE_CATALOG_PATH).titles[::2]]


def _extra_module(name: str, extra: str) -> Any:
    """Import a module whose dependencies are an extra of the distribution; raises MissingExtraError."""
    if extra == "device":
        single_blas_thread()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("omega"):
            raise
        raise MissingExtraError(error.name or name, extra) from error
