"""The catalog as arrays: what ranking computes with, built once per space and kept beside the catalog."""

from __future__ import annotations

import hashlib
import mmap
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from omega.core.audience import AGE_CLASSES, age_class
from omega.core.errors import InputError
from omega.core.files import atomic_path
from omega.core.text import context_text, genre_text
from omega.core.types import SLOTS, ContentType, time_and_day

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from omega.core.catalog import Catalog
    from omega.core.ports import Embedder, Floats
    from omega.core.types import Title

    Loading: TypeAlias = Generator[tuple[int, int], None, "TitleArrays"]

KINDS = tuple(ContentType)
AGES = len(AGE_CLASSES) + 1
_CHUNK = 32
_TEXT_BYTES = 8
"""Of a text's hash in a cache file."""
_HASH = "[0-9a-f]"
_COMPARED_FILES = 4
"""How many cache files are looked at for texts that needn't be embedded again, newest first."""


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
    """(n,) float32, 0..1: what the operator ships; all zero where it ships none."""
    years: NDArray[np.int64]
    """(n,): when each came out; 0 where that is unknown."""
    _ages: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By year; brains ask in one, at most in two."""

    def ages_in(self, year: int) -> NDArray[np.int64]:
        """Return (n,) each title's age class in a year, 0..5, -1 where it is unknown. Nobody may write to them."""
        if year not in self._ages:
            classes = np.searchsorted(AGE_CLASSES, np.maximum(year - self.years, 0))
            self._ages[year] = np.where(self.years > 0, classes, -1)
        return self._ages[year]

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
        years=np.array([title.year for title in catalog], np.int64),
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
    the titles' mean and the centered titles: mapped, it takes memory only where it is read. What another file of the
    space holds, such as that of the epoch before, is taken from there; it is deleted when this one holds it all.
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
        keys = [_text_key(text) for text in texts]
        older = _nearest(file, space, keys, embedder.dimensions) if file else None
        known = older.rows if older else {}
        for row, key in enumerate(keys):
            if older and key in known:
                embedded[row] = older.vectors[known[key]]
        missing = [row for row, key in enumerate(keys) if key not in known]
        yield from _embedding(embedder, texts, embedded, chunk, missing)
        rows = _with_centered(embedded, len(catalog))
        if file:
            rows = _save(file, rows, keys)
            if older and known.keys() <= set(keys) and file.exists():
                with suppress(OSError):
                    older.file.unlink()
    return build(catalog, rows)


def age_when_watched(watched_year: int, released_year: int) -> int | None:
    """Return 0..5, how old a title was when it was watched, None without its year; one still to come counts as new."""
    return age_class(watched_year - released_year) if released_year else None


def age_shares(ages: NDArray[np.int64]) -> Floats:
    """Return (6,) float32: the share of each age class among titles of known age; equal ones without any."""
    counts = np.bincount(ages[ages >= 0], minlength=AGES)
    shares: Floats = ((counts + 1 / AGES) / (counts.sum() + 1)).astype(np.float32)
    return shares


def unload(arrays: TitleArrays) -> None:
    """Let the kernel take back what was read of a mapped cache file; a page that is read again comes from there."""
    base: object = arrays.vectors
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None:
        base.madvise(mmap.MADV_DONTNEED)


def embed(embedder: Embedder, texts: Sequence[str], progress: Callable[[int, int], None]) -> Floats:
    """Return (n, 384) vectors of many texts, telling `progress` how many are done and in all."""
    rows = np.empty((len(texts), embedder.dimensions), np.float32)
    for done, total in _embedding(embedder, texts, rows, _CHUNK, range(len(texts))):
        progress(done, total)
    return rows


def _embedding(
    embedder: Embedder, texts: Sequence[str], rows: Floats, chunk: int, missing: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Fill the `missing` ones of `rows` (n, 384) with the vectors of their texts."""
    for start in range(0, len(missing), chunk):
        part = missing[start : start + chunk]
        rows[part] = embedder.embed([texts[row] for row in part])
        yield start + len(part), len(missing)


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


def _save(file: Path, rows: Floats, keys: Sequence[bytes]) -> Floats:
    """Write the rows and behind them the hashes of the texts that they begin with; return them mapped."""
    try:
        with atomic_path(file) as temporary, temporary.open("wb") as written:
            np.save(written, rows, allow_pickle=False)
            written.write(b"".join(keys))
    except (InputError, OSError):
        return rows
    loaded = _load(file, (rows.shape[0], rows.shape[1]))
    return rows if loaded is None else loaded


@dataclass(frozen=True, slots=True)
class _CacheFile:
    """A cache file of some catalog."""

    file: Path
    vectors: Floats
    """(rows, 384), mapped."""
    rows: Mapping[bytes, int]
    """The row of each text, by its hash."""


def _nearest(file: Path, space: str, keys: Sequence[bytes], dimensions: int) -> _CacheFile | None:
    """Return the cache file of the same space that holds most of the texts, None when there is none that holds any."""
    others = [other for other in file.parent.glob(f"{_HASH * 16}.{space}.npy") if other != file]
    others.sort(key=_modified_ns, reverse=True)
    found = [cached for other in others[:_COMPARED_FILES] if (cached := _cached(other, dimensions))]
    wanted = set(keys)
    best = max(found, key=lambda cached: len(wanted & cached.rows.keys()), default=None)
    return best if best and wanted & best.rows.keys() else None


def _cached(file: Path, dimensions: int) -> _CacheFile | None:
    """Map a cache file with its texts' hashes, or return None when it is damaged or has none."""
    try:
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
        with file.open("rb") as raw:
            raw.seek(mapped.offset + mapped.nbytes)
            tail = raw.read()
    except (OSError, ValueError, EOFError, AttributeError):
        return None
    texts, rest = divmod(len(tail), _TEXT_BYTES)
    titles = mapped.shape[0] - 1 - texts
    if rest or mapped.dtype != np.float32 or mapped.shape[1:] != (dimensions,) or not 0 < titles < texts:
        return None
    keys = (tail[start : start + _TEXT_BYTES] for start in range(0, len(tail), _TEXT_BYTES))
    return _CacheFile(file, np.asarray(mapped), {key: row for row, key in enumerate(keys)})


def _modified_ns(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # another process deleted it meanwhile
        return 0


def _text_key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_TEXT_BYTES, person=b"omega-text").digest()
