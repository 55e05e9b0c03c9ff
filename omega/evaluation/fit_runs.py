"""What `omega federation fit` does: fits on a log that is read or simulated, writes the weights, publishes them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from omega.compose import extra_module
from omega.core.artifacts.manifest import Kind
from omega.core.errors import InputError
from omega.core.files import write_atomically
from omega.core.ranking_weights import Made, encode_weights
from omega.evaluation.fitting import FitPlan, fit_log
from omega.evaluation.runs import Asked, opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from omega.core.artifacts.manifest import Manifest
    from omega.core.settings import Settings
    from omega.evaluation.fitting import Found
    from omega.evaluation.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command's options; see its help."""

    asked: Asked
    until: date | None = None
    out: Path | None = None
    publish: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """Raise InputError for what doesn't go together."""
        if (self.publish is None) != (self.key is None):
            raise InputError("allowed: --publish FOLDER with --key FILE, or neither: name both")


def run(
    settings: Settings, wanted: Wanted, progress: Callable[[int, int, str], None] = lambda done, total, what: None
) -> tuple[Found, Manifest | None]:
    """Fit, write and publish what is asked for; return what was found, and the manifest of what was published.

    Raises InputError, ArtifactError, CatalogError, PluginError, ModelError, MissingExtraError.
    """
    asked = wanted.asked
    key = wanted.key and extra_module("omega.core.artifacts.keys", "shard").SigningKey.read(wanted.key)
    read, vectors = opened(settings, asked, progress)
    plan = FitPlan(cast("Protocol", asked.protocol), wanted.until, asked.seed)
    found = fit_log(read.log, vectors, plan, notes=read.notes, progress=progress)
    data = encode_weights(found.weights, _made(wanted, found))
    if wanted.out:
        write_atomically(wanted.out, data)
    if wanted.publish is None:
        return found, None
    shelf = extra_module("omega.core.artifacts.shelf", "shard").Shelf(wanted.publish)
    return found, shelf.publish(data, Kind.WEIGHTS, key, made_at=int(time.time()))


def _made(wanted: Wanted, found: Found) -> Made:
    """Return by which command, and of what: names of files, no paths."""
    asked, words = wanted.asked, ["omega federation fit"]
    if asked.ratings and asked.movies:
        words += ["--ratings", asked.ratings.name, "--movies", asked.movies.name, "--format", asked.form]
    else:
        words.append("--simulate")
    words += ["--protocol", asked.protocol]
    words += ["--until", wanted.until.isoformat()] if wanted.until else []
    words += ["--seed", str(asked.seed)]
    of = f"{found.events} events of {found.viewers} viewers and {found.titles} titles, {found.first} to {found.last}"
    return Made(by=" ".join(words), of=f"{of}; {found.lists} lists")
