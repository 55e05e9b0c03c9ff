"""Ratings files of the usual data sets as a log: every bad line is counted, and the first one named.

movietweetings  `user::title::rating 0-10::time` and `title::Name (Year)::Genre|Genre`
movielens       the same files of ml-1m, u.data and u.item of ml-100k, ratings.csv and movies.csv of ml-latest
csv             `viewer,title,rating 0-5,time` with that header, and titles as `omega catalog build` takes them

Times are Unix seconds, in csv also ISO 8601. MovieTweetings' ratings are halved.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, get_args

import numpy as np

from omega.core.catalog_rows import read_table
from omega.core.errors import InputError, shown
from omega.core.files import read_bounded
from omega.core.text import is_plain
from omega.core.types import ContentType, Title
from omega.evaluation.log import Log, assemble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_T = TypeVar("_T")
Format: TypeAlias = Literal["movietweetings", "movielens", "csv"]
FORMATS = get_args(Format)
MAX_FILE_BYTES = 256 * 2**20
MAX_EVENTS = 5_000_000
MAX_TITLES = 200_000
BAD_SHARE = 0.01
"""How many of the lines may be bad; one more and the file is another one than was said."""
_MAX_LINE = 2_000
_MINUTES = 100
"""A title's length where the data set knows none."""
_NAMED_YEAR = re.compile(r"(.*)\((\d{4})(?:[-\u2013]\d{0,4})?\)\s*")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNLISTED = "unlisted"
_ITEM_GENRES = (
    *("unknown", "action", "adventure", "animation", "childrens", "comedy", "crime", "documentary", "drama", "fantasy"),
    *("film-noir", "horror", "musical", "mystery", "romance", "sci-fi", "thriller", "war", "western"),
)
"""The 19 columns of u.item."""


@dataclass(frozen=True, slots=True)
class Read:
    """What the files held."""

    log: Log
    notes: tuple[str, ...]
    """What was left out, in words; empty where all was well."""


@dataclass(frozen=True, slots=True)
class _Rating:
    viewer: str
    title: str
    rating: float
    time_s: int


def read_log(ratings: Path, movies: Path, form: Format, *, seed: int = 0) -> Read:
    """Read a data set. Raises InputError, CatalogError for titles of a csv that are refused."""
    notes: list[str] = []
    titles = _titles(movies, form, notes)
    if not titles:
        raise InputError(f"{movies.name} holds no title, allowed: 1..{MAX_TITLES:,}: name the file of the titles")
    rows = _ratings(ratings, form, notes)
    if not rows:
        raise InputError(f"{ratings.name} holds no rating, allowed: 1..{MAX_EVENTS:,}: name the file of the ratings")
    number = {title.id: at for at, title in enumerate(titles)}
    known = [row for row in rows if row.title in number]
    if len(known) < len(rows) / 2:
        stranger = next(row.title for row in rows if row.title not in number)
        raise InputError(
            f"{len(rows) - len(known):,} of {len(rows):,} ratings are of titles that {movies.name} doesn't have, the "
            f"first of {shown(stranger)}, allowed: fewer than half: do the two files belong together?"
        )
    if len(known) < len(rows):
        notes.append(f"{len(rows) - len(known):,} ratings are of unknown titles and left out")
    times = [row.time_s for row in known]
    if any(later < earlier for earlier, later in pairwise(times)):
        notes.append("the ratings aren't in order of time: sorted")
    viewer_numbers: dict[str, int] = {}
    log = assemble(
        titles,
        np.array([viewer_numbers.setdefault(row.viewer, len(viewer_numbers)) for row in known], np.int64),
        np.array([number[row.title] for row in known], np.int64),
        np.array([row.rating for row in known]),
        np.array(times, np.int64),
        seed=seed,
    )
    if len(log) < len(known):
        notes.append(f"{len(known) - len(log):,} ratings are of titles that the viewer had rated before, and left out")
    return Read(log, tuple(notes))


def _ratings(path: Path, form: Format, notes: list[str]) -> list[_Rating]:
    text = _text(path)
    if not text.strip():
        return []
    if "::" in (head := text[:200]):
        rows: Iterable[tuple[int, Sequence[str]]] = _split(text, "::")
    elif "\t" in head:
        rows = _split(text, "\t")
    else:
        header = {
            "csv": ("viewer", "title", "rating", "time"),
            "movielens": ("userId", "movieId", "rating", "timestamp"),
        }.get(form, ("user::title::rating::time",))
        rows = _csv(text, path.name, header)
    scale = 2.0 if form == "movietweetings" else 1.0
    return _parsed(path.name, rows, lambda fields: _rating(fields, scale), notes, MAX_EVENTS)


def _titles(path: Path, form: Format, notes: list[str]) -> list[Title]:
    if form == "csv":
        return read_table(path)
    text = _text(path)
    if not text.strip():
        return []
    if "::" in (head := text[:200]):
        rows: Iterable[tuple[int, Sequence[str]]] = _split(text, "::")
    elif head.count("|") > len(_ITEM_GENRES):
        rows = _split(text, "|")
    else:
        rows = _csv(text, path.name, ("movieId", "title", "genres") if form == "movielens" else ("title::Name::Genre",))
    found = _parsed(path.name, rows, _title, notes, MAX_TITLES)
    return list({title.id: title for title in found}.values())


def _text(path: Path) -> str:
    raw = read_bounded(path, MAX_FILE_BYTES)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:  # ml-100k and ml-1m are older than UTF-8 is common
        return raw.decode("latin-1")


def _split(text: str, mark: str) -> Iterator[tuple[int, Sequence[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line[:_MAX_LINE].rstrip("\r").split(mark)


def _csv(text: str, name: str, header: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        found = next(reader, [])
        if tuple(found[: len(header)]) != tuple(header):
            raise InputError(
                f"{name} begins with {shown(','.join(found))}, allowed: {','.join(header)}: is --format right?"
            )
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise InputError(f"{name} is no CSV at line {reader.line_num}: {error}") from error


def _parsed(
    name: str,
    rows: Iterable[tuple[int, Sequence[str]]],
    parse: Callable[[Sequence[str]], _T],
    notes: list[str],
    most: int,
) -> list[_T]:
    """Return what `parse` makes of the rows; bad ones are left out and noted, or raise InputError where many are."""
    found: list[_T] = []
    bad, first, lines = 0, "", 0
    for number, fields in rows:
        lines += 1
        if lines > most:
            raise InputError(f"{name} has more than {most:,} lines, allowed: 1..{most:,}: take a part of it")
        try:
            found.append(parse(fields))
        except (ValueError, IndexError) as error:
            bad += 1
            first = first or f"line {number}: {error}"
    if bad > lines * BAD_SHARE:
        raise InputError(f"{name} has {bad:,} bad lines of {lines:,}, allowed: 1 in 100; the first is {first}")
    if bad:
        notes.append(f"{name} has {bad:,} bad lines, left out; the first is {first}")
    return found


def _rating(fields: Sequence[str], scale: float) -> _Rating:
    if len(fields) != 4:
        raise ValueError(f"{len(fields)} fields, allowed: 4")
    viewer, title, rating, time = (field.strip() for field in fields)
    number = float(rating) / scale
    if not 0 <= number <= 5:
        raise ValueError(f"rating is {shown(rating)}, allowed: 0..{5 * scale:g}")
    if not 0 < len(viewer) <= 128:
        raise ValueError("viewer is empty or longer than 128 characters")
    return _Rating(viewer, title.lower(), number, _seconds(time))


def _seconds(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 10:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"time is {shown(text)}, allowed: Unix seconds or ISO 8601") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _title(fields: Sequence[str]) -> Title:
    """Return the title of a line of movies.dat, movies.csv or u.item."""
    content_id, name, *more = fields
    named = _NAMED_YEAR.fullmatch(name.strip())
    if not named:
        raise ValueError(f"title is {shown(name)}, allowed: a name and (year)")
    year = int(named[2])
    if not 1870 <= year <= 2100:
        raise ValueError(f"year is {year}, allowed: 1870..2100")
    if not _ID.fullmatch(content_id):
        raise ValueError(f"id is {shown(content_id)}, allowed: 1..128 of a-z 0-9 . _ -")
    plain = "".join(char if is_plain(char) else " " for char in named[1]).strip()[:200]
    genres = _genres(more)
    kind = ContentType.DOCUMENTARY if "documentary" in genres else ContentType.MOVIE
    listed = tuple(genre for genre in genres if genre != "documentary")[:8] or (_UNLISTED,)
    return Title(content_id.lower(), plain or content_id, year, kind, listed, _MINUTES, 0)


def _genres(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the genres of a title's further columns, each once, as a catalog spells them."""
    if len(columns) > len(_ITEM_GENRES):
        flags = columns[-len(_ITEM_GENRES) :]
        return tuple(name for name, flag in zip(_ITEM_GENRES, flags, strict=True) if flag.strip() == "1")
    named = (re.sub(r"[^a-z0-9 &-]", "", name.lower()).strip(" &-") for name in (columns or [""])[-1].split("|"))
    return tuple(dict.fromkeys(name[:32] for name in named if name[:1].isalpha() and name != "no genres listed"))
