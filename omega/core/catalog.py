"""The catalog: the titles an operator publishes, in an order that never changes.

A title's *ordinal* is its place in the catalog, and what travels on the wire in its stead. Ordinals are append-only:
each *epoch* keeps the titles of the one before, in their order, and adds new ones. The *lineage* names the family; the
digest of each epoch covers the ids up to it, so that anyone can check that an older epoch is a prefix of a newer one.

A catalog file is JSON lines: a header, then one title a line.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from omega.core.catalog_rows import MAX_FILE_BYTES, checked_titles, json_row
from omega.core.errors import CatalogError
from omega.core.files import read_bounded, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from omega.core.types import Title

_FORMAT = 1
_COMPARED = 2_000
"""How many ids at most are compared with one that is unknown."""


class Epoch(msgspec.Struct, frozen=True):
    """One published state: the first `count` titles."""

    epoch: int
    count: int
    digest: str
    """16 hex digits of BLAKE2b over the epoch before and the ids that this one added."""


class Summary(msgspec.Struct, frozen=True):
    """A catalog in figures."""

    lineage: str
    epoch: int
    titles: int
    epochs: tuple[Epoch, ...]


class _Header(msgspec.Struct, frozen=True):
    omega_catalog: int
    lineage: str
    epochs: tuple[Epoch, ...]


class Catalog:
    """An immutable, ordered set of titles with its history of epochs."""

    def __init__(self, titles: Iterable[Title], epochs: Iterable[Epoch]) -> None:
        """`titles` in order of their ordinals; `epochs` oldest first. Use `build` or `read`, which check them."""
        self.titles = tuple(titles)
        self.epochs = tuple(epochs)

    @cached_property
    def ordinals(self) -> Mapping[str, int]:
        """The ordinal of each id."""
        return {title.id: ordinal for ordinal, title in enumerate(self.titles)}

    @property
    def lineage(self) -> str:
        """The family's name: the digest of its first epoch."""
        return self.epochs[0].digest

    @property
    def epoch(self) -> int:
        """The number of the newest epoch, from 1."""
        return self.epochs[-1].epoch

    def get(self, content_id: str) -> Title | None:
        """Return the title with this id, or None."""
        ordinal = self.ordinals.get(content_id)
        return None if ordinal is None else self.titles[ordinal]

    def __len__(self) -> int:
        """Return the number of titles."""
        return len(self.titles)

    def __iter__(self) -> Iterator[Title]:
        """Give the titles in order of their ordinals."""
        return iter(self.titles)

    def hint(self, content_id: str) -> str:
        """Return what a message may say of an id that isn't there: the one that looks most like it, if any does."""
        ids: Iterable[str] = self.ordinals
        if len(self) > _COMPARED:  # a comparison takes 30 us
            ids = islice((known for known in ids if known[:2] == content_id[:2]), _COMPARED)
        found = difflib.get_close_matches(content_id, ids, n=1, cutoff=0.5)
        return f"an id of the catalog like {found[0]}" if found else "an id of the catalog, see omega catalog show"

    def find(self, words: Sequence[str]) -> list[Title]:
        """Return the titles that have all the words in id, title, kind, genres or year, whatever their case."""
        texts = (f"{t.id} {t.title} {t.kind} {' '.join(t.genres)} {t.year}".lower() for t in self.titles)
        wanted = [word.lower() for word in words]
        return [title for title, text in zip(self.titles, texts, strict=True) if all(word in text for word in wanted)]

    def summary(self) -> Summary:
        """Return the catalog in figures."""
        return Summary(self.lineage, self.epoch, len(self), self.epochs)

    @cached_property
    def content_digest(self) -> str:
        """16 hex digits that change with any text that is embedded for a title."""
        digest = hashlib.blake2b(digest_size=8, person=b"omega-texts")
        for title in self.titles:
            digest.update(title.text.encode() + b"\n")
        return digest.hexdigest()

    def genre_shares(self) -> dict[str, float]:
        """Return each genre's share of the titles, 0..1, most common first."""
        counts: dict[str, int] = {}
        for title in self.titles:
            for genre in title.genres:
                counts[genre] = counts.get(genre, 0) + 1
        return {genre: n / len(self) for genre, n in sorted(counts.items(), key=lambda item: -item[1])}

    @classmethod
    def build(cls, titles: Iterable[Title], previous: Catalog | None = None) -> Catalog:
        """Make the next epoch of `previous` (or a first one) from all its titles and the new ones, in this order.

        Raises CatalogError when a title of `previous` is missing or stands elsewhere. If nothing was added the epoch
        stays, with the facts as given now.
        """
        titles = tuple(titles)
        epochs = previous.epochs if previous else ()
        known = previous.titles if previous else ()
        for ordinal, old in enumerate(known):
            found = titles[ordinal].id if ordinal < len(titles) else "nothing"
            if found != old.id:
                raise CatalogError(
                    f"title {ordinal + 1} is {found}, allowed: {old.id} as in epoch {previous and previous.epoch}: "
                    "keep all earlier titles in their order and add new ones at the end"
                )
        if not titles:
            raise CatalogError("catalog has no titles, allowed: 1 or more: add a row")
        if doubled := next((id_ for id_, n in Counter(title.id for title in titles).items() if n > 1), None):
            raise CatalogError(f"id {doubled} stands more than once: ids are unique")
        if len(titles) > len(known):
            before = epochs[-1].digest if epochs else ""
            epochs = (*epochs, Epoch(len(epochs) + 1, len(titles), _digest(before, titles[len(known) :])))
        return cls(titles, epochs)

    @classmethod
    def read(cls, path: Path) -> Catalog:
        """Read and check a catalog file that `write` made. Raises CatalogError."""
        return cls.decode(read_bounded(path, MAX_FILE_BYTES, CatalogError), str(path))

    @classmethod
    def decode(cls, data: bytes, name: str) -> Catalog:
        """Return the checked catalog of a file's bytes; messages call it `name`. Raises CatalogError."""
        lines = data.splitlines()
        try:
            header = msgspec.json.decode(lines[0] if lines else b"", type=_Header)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise CatalogError(f"{name} is no catalog file ({error}): make one with omega catalog build") from error
        if header.omega_catalog != _FORMAT:
            raise CatalogError(f"{name} has format {header.omega_catalog}, allowed: {_FORMAT}: update omega")
        file = name.rpartition("/")[2]
        rows = (json_row(line, f"{file} line {number}") for number, line in enumerate(lines[1:], 2) if line)
        catalog = cls(checked_titles(rows), header.epochs)
        catalog.check()
        if header.lineage != catalog.lineage:
            raise CatalogError(
                f"{name} has lineage {header.lineage}, its first epoch {catalog.lineage}: take the published file"
            )
        return catalog

    def write(self, path: Path) -> None:
        """Write the catalog file; a reader finds the old one or the new one, never a half."""
        write_atomically(path, self.encode())

    def encode(self) -> bytes:
        """Return the catalog file's bytes."""
        header = _Header(_FORMAT, self.lineage, self.epochs)
        return b"\n".join(msgspec.json.encode(line) for line in (header, *self.titles)) + b"\n"

    def check(self) -> None:
        """Recompute every epoch's digest from the ids; raises CatalogError when ids or order were changed."""
        if not self.epochs:
            raise CatalogError("catalog has no titles, allowed: 1 or more: take the published file")
        digest, start = "", 0
        for number, epoch in enumerate(self.epochs, 1):
            digest = _digest(digest, self.titles[start : epoch.count])
            if (number, digest) != (epoch.epoch, epoch.digest) or not start < epoch.count <= len(self):
                raise CatalogError(
                    f"epoch {epoch.epoch} has digest {epoch.digest}, its {epoch.count} titles give {digest}: "
                    "ids were changed, removed or re-ordered; take the published file"
                )
            start = epoch.count
        if start != len(self):
            raise CatalogError(
                f"catalog has {len(self)} titles, its epochs name {start}: build it with the previous one"
            )


def _digest(before: str, titles: Iterable[Title]) -> str:
    digest = hashlib.blake2b(before.encode(), digest_size=8, person=b"omega-catalog")
    for title in titles:
        digest.update(title.id.encode() + b"\n")
    return digest.hexdigest()
