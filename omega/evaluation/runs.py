"""What `omega eval` does: reads or simulates a log, embeds its titles, evaluates, writes what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from omega.compose import open_catalog
from omega.core.errors import InputError, shown
from omega.core.files import write_atomically
from omega.core.ranking_weights import RankingWeights, encode_weights, read_weights
from omega.evaluation.contenders import Plan
from omega.evaluation.embeddings import embedded
from omega.evaluation.evaluate import evaluate
from omega.evaluation.protocol import PROTOCOLS, Protocol
from omega.evaluation.reading import FORMATS, Format, Read, read_log
from omega.evaluation.report.page import page
from omega.evaluation.simulated import simulated_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from omega.core.settings import Settings
    from omega.evaluation.embeddings import Embeddings
    from omega.evaluation.results import Result


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options; see its help."""

    ratings: Path | None = None
    movies: Path | None = None
    form: str = "movietweetings"
    simulate: bool = False
    protocol: str = "daily"
    score_from: date | None = None
    weights: Path | None = None
    k: int = 20
    audit: bool = False
    loop: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InputError for what doesn't go together."""
        for name, value, allowed in (("--format", self.form, FORMATS), ("--protocol", self.protocol, PROTOCOLS)):
            if value not in allowed:
                raise InputError(f"{name} is {shown(value)}, allowed: {', '.join(allowed)}")
        if self.simulate == bool(self.ratings or self.movies) or (self.ratings is None) != (self.movies is None):
            raise InputError("allowed: --ratings FILE with --movies FILE, or --simulate alone: name one of the two")


def run(
    settings: Settings, asked: Asked, progress: Callable[[int, int, str], None] = lambda done, total, what: None
) -> Result:
    """Return what the replay finds. Raises InputError, CatalogError, PluginError, ModelError."""
    plan = Plan(
        protocol=cast("Protocol", asked.protocol),
        score_from=asked.score_from,
        weights=read_weights(asked.weights) if asked.weights else None,
        k=asked.k,
        seed=asked.seed,
        audit=asked.audit,
        loop=asked.loop,
        threads=settings.threads,
    )
    read, vectors = opened(settings, asked, progress)
    return evaluate(read.log, vectors, plan, notes=read.notes, progress=progress)


def opened(
    settings: Settings, asked: Asked, progress: Callable[[int, int, str], None] = lambda done, total, what: None
) -> tuple[Read, Embeddings]:
    """Return the log that is asked for and its titles' vectors. Raises as `run` does."""
    read = _read(settings, asked, progress)
    return read, embedded(
        settings, read.log.titles, lambda done, total: progress(done, total, "embedding titles, once")
    )


def save_weights(result: Result, path: Path) -> None:
    """Write the product's weights, else the formula's. Raises InputError where there are none, or for a bad path."""
    found = result.loop_weights or result.weights
    if found is None:
        raise InputError(f"there are no weights to write to {path}: {'; '.join(result.left_out)}")
    write_atomically(path, encode_weights(RankingWeights(**found)))


def save_report(result: Result, path: Path) -> None:
    """Write the report; raises InputError where the file can't be written."""
    write_atomically(path, page(result).encode())


def _read(settings: Settings, asked: Asked, progress: Callable[[int, int, str], None]) -> Read:
    if asked.ratings and asked.movies:
        return read_log(asked.ratings, asked.movies, cast("Format", asked.form), seed=asked.seed)
    catalog = open_catalog(settings)
    log = simulated_log(catalog, seed=asked.seed, progress=lambda done, total: progress(done, total, "simulating"))
    return Read(log, ("these households are simulated",))
