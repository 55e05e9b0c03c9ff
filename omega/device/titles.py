"""The catalog as arrays: what ranking computes with, built once per space and kept beside the catalog."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from omega.core.errors import InputError
from omega.core.files import atomic_path
from omega.core.text import context_text, genre_text
from omega.core.types import SLOTS, ContentType, time_and_day

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from omega.core.catalog import Catalog
    from omega.core.ports import Embedder, Floats
    from omega.core.types import Title

    Loading: TypeAlias = Generator[tuple[int, int], None, "TitleArrays"]

KINDS = tuple(ContentType)
_CHUNK = 32


@dataclass(frozen=True, slots=True)
class TitleArrays:
    """n titles in order of their ordinals, g genres; all vectors of one space."""

    vectors: Floats
    """(n, 384) float32, unit rows; a read-only map of the cache file where there is one."""
    contexts: Floats
    """(8, 384) float32, unit rows: the contexts' own texts without a mood."""
    mean: Floats
    """(384,) float32: the titles' mean vector, what all of them share."""
    centered: Floats
    """(n, 384) float32, unit rows: vectors less the mean, which says what sets a title apart; mapped like them."""
    genre_names: tuple[str, ...]
    genre_vectors: Floats
    """(g, 384) float32, unit rows: the genres' own texts less their mean, for a mood to point at."""
    genres: Floats
    """(n, g) float32: 1 over the number of its genres where the title has the genre, so that a product is a mean."""
    genre_shares: Floats
    """(g,) float32: each genre's share among the titles' genres; sums to 1."""
    kinds: NDArray[np.int64]
    """(n,): index into KINDS."""
    ages: NDArray[np.int64]
    """(n,): youngest age that the title is meant for, in years."""
    kind_shares: Floats
    """(3,) float32; sums to 1."""
    popularity: Floats
    """(n,) float32, 0..1; all zero where the operator ships none."""

    def genre_weights(self, title: Title) -> Floats:
        """Return (g,) float32 of any title, one that no catalog has included; unknown genres count nowhere."""
        row = np.zeros(len(self.genre_names), np.float32)
        known = [self.genre_names.index(genre) for genre in title.genres if genre in self.genre_names]
        row[known] = 1 / max(len(title.genres), 1)
        return row


def build(catalog: Catalog, rows: Floats) -> TitleArrays:
    """Return the arrays of a catalog from the rows (2 n + g + 9, 384) that `loading` keeps."""
    n = len(catalog)
    names = tuple(catalog.genre_shares())
    column = {name: i for i, name in enumerate(names)}
    genres = np.zeros((len(catalog), len(names)), np.float32)
    for row, title in enumerate(catalog):
        genres[row, [column[genre] for genre in title.genres]] = 1 / len(title.genres)
    kinds = np.array([KINDS.index(title.kind) for title in catalog], np.int64)
    genre_vectors = rows[n + SLOTS : -n - 1]
    return TitleArrays(
        vectors=rows[:n],
        contexts=np.array(rows[n : n + SLOTS]),
        mean=np.array(rows[-n - 1]),
        centered=rows[-n:],
        genre_names=names,
        genre_vectors=unit(genre_vectors - genre_vectors.mean(axis=0)),
        genres=genres,
        genre_shares=genres.mean(axis=0),
        kinds=kinds,
        ages=np.array([title.age for title in catalog], np.int64),
        kind_shares=(np.bincount(kinds, minlength=len(KINDS)) / len(kinds)).astype(np.float32),
        popularity=np.array([title.popularity for title in catalog], np.float32),
    )


def unit(rows: Floats) -> Floats:
    """Return rows (n, d) or one row (d,) scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Floats = (rows / np.maximum(length, 1e-12)).astype(np.float32)
    return scaled


def load_or_embed(
    catalog: Catalog,
    embedder: Embedder,
    cache: Path | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TitleArrays:
    """Return the catalog's arrays in the embedder's space; embeds what the cache folder doesn't have, 5 ms a title.

    `progress` gets titles done and in all, while it embeds. A cache that can't be written is no error, only slower next
    time.
    """
    steps = loading(catalog, embedder, cache)
    while True:
        try:
            progress(*next(steps))
        except StopIteration as end:
            arrays: TitleArrays = end.value
            return arrays


def loading(catalog: Catalog, embedder: Embedder, cache: Path | None, chunk: int = _CHUNK) -> Loading:
    """Do what `load_or_embed` does in steps of `chunk` texts, and give (done, in all) after each of them.

    The cache file is named after the titles' texts and the space, and holds the vectors of titles, contexts and genres,
    the titles' mean and the centered titles: mapped, it takes memory only where it is read.
    """
    texts = [title.text for title in catalog]
    texts += [context_text(*time_and_day(slot)) for slot in range(SLOTS)]
    texts += [genre_text(genre) for genre in catalog.genre_shares()]
    shape = (len(texts) + 1 + len(catalog), embedder.dimensions)
    space = re.sub(r"[^a-z0-9.-]", "_", embedder.space)  # a plugin's own words
    file = cache / f"{catalog.content_digest}.{space}.npy" if cache else None
    rows = _load(file, shape) if file else None
    if rows is None:
        embedded = np.empty((len(texts), embedder.dimensions), np.float32)
        yield from _embedding(embedder, texts, embedded, chunk)
        rows = _with_centered(embedded, len(catalog))
        if file:
            rows = _save(file, rows)
    return build(catalog, rows)


def embed(embedder: Embedder, texts: Sequence[str], progress: Callable[[int, int], None]) -> Floats:
    """Return (n, 384) vectors of many texts, telling `progress` how many are done and in all."""
    rows = np.empty((len(texts), embedder.dimensions), np.float32)
    for done, total in _embedding(embedder, texts, rows, _CHUNK):
        progress(done, total)
    return rows


def _embedding(embedder: Embedder, texts: Sequence[str], rows: Floats, chunk: int) -> Iterator[tuple[int, int]]:
    """Fill `rows` (n, 384) with the vectors of the texts."""
    for start in range(0, len(texts), chunk):
        rows[start : start + chunk] = embedder.embed(texts[start : start + chunk])
        yield min(start + chunk, len(texts)), len(texts)


def _with_centered(embedded: Floats, titles: int) -> Floats:
    """Return the rows with two parts more: the mean of the first `titles`, and these less the mean, as unit rows."""
    rows = np.empty((len(embedded) + 1 + titles, embedded.shape[1]), np.float32)
    rows[: len(embedded)] = embedded
    rows[-titles - 1] = embedded[:titles].mean(axis=0)
    for start in range(0, titles, _CHUNK):
        part = embedded[start : min(start + _CHUNK, titles)]
        at = len(embedded) + 1 + start
        rows[at : at + len(part)] = unit(part - rows[-titles - 1])
    return rows


def _load(file: Path, shape: tuple[int, int]) -> Floats | None:
    """Map the file, or return None when it is missing, damaged or of another shape."""
    try:
        rows: Floats = np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None
    return rows if rows.shape == shape and rows.dtype == np.float32 else None


def _save(file: Path, rows: Floats) -> Floats:
    try:
        with atomic_path(file) as temporary:
            np.save(temporary, rows, allow_pickle=False)
    except (InputError, OSError):
        return rows
    loaded = _load(file, (rows.shape[0], rows.shape[1]))
    return rows if loaded is None else loaded
