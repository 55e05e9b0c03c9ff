"""Rows of a catalog, from CSV or JSON: every bad one is named with its place, its field and the range."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import msgspec

from omega.core.errors import CatalogError, shown
from omega.core.files import read_bounded
from omega.core.text import is_plain
from omega.core.types import ContentType, Title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MAX_FILE_BYTES = 512 * 2**20
MAX_TITLES = 2**24
COLUMNS = ("id", "title", "year", "kind", "genres", "minutes", "age")
_MAX_SHOWN = 20
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_GENRE = re.compile(r"[a-z][a-z0-9 &-]{0,31}")
_RANGES = {"year": (1870, 2100), "minutes": (1, 1440), "age": (0, 21)}


def read_table(path: Path) -> list[Title]:
    """Read titles from .csv, .json (a list of objects) or .jsonl; raises CatalogError that names every bad row.

    CSV has the columns id,title,year,kind,genres,minutes,age and maybe popularity, its genres split by |.
    """
    raw = read_bounded(path, MAX_FILE_BYTES, CatalogError)
    if path.suffix == ".csv":
        return checked_titles(_csv_rows(raw, path.name))
    if path.suffix == ".jsonl":
        lines = enumerate(raw.splitlines(), 1)
        return checked_titles(json_row(line, f"{path.name} line {number}") for number, line in lines if line)
    if path.suffix == ".json":
        try:
            objects = msgspec.json.decode(raw, type=list[msgspec.Raw])
        except msgspec.MsgspecError as error:
            raise CatalogError(f"{path} is no JSON list of titles ({error})") from error
        return checked_titles(json_row(bytes(o), f"{path.name} entry {n}") for n, o in enumerate(objects, 1))
    raise CatalogError(f"{path} ends with {path.suffix or 'nothing'}, allowed: .csv, .json, .jsonl")


def checked_titles(rows: Iterable[tuple[str, Mapping[str, Any] | CatalogError]]) -> list[Title]:
    """Return the titles of (place, fields) rows; raises one CatalogError with a line for each bad or doubled row."""
    titles: list[Title] = []
    places: dict[str, str] = {}
    problems: list[str] = []
    for place, fields in rows:
        try:
            title = _checked(fields, places)
        except CatalogError as error:
            problems.append(f"{place}: {error}")
        else:
            places[title.id] = place
            titles.append(title)
        if len(titles) > MAX_TITLES:
            raise CatalogError(f"{place}: more than {MAX_TITLES:,} titles")
    if problems:
        more = [f"... and {len(problems) - _MAX_SHOWN} more rows"] if len(problems) > _MAX_SHOWN else []
        raise CatalogError("\n".join(problems[:_MAX_SHOWN] + more))
    return titles


def _csv_rows(raw: bytes, name: str) -> Iterator[tuple[str, Mapping[str, Any] | CatalogError]]:
    try:
        reader = csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), strict=True)
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise CatalogError(f"{name} lacks the column {missing[0]}, allowed: {','.join(COLUMNS)}[,popularity]")
        if unknown := [column for column in reader.fieldnames or () if column not in (*COLUMNS, "popularity")]:
            raise CatalogError(f"{name} has the column {shown(unknown[0])}, allowed: {','.join(COLUMNS)},popularity")
        for row in reader:
            place = f"{name} row {reader.line_num}"
            if None in row or None in row.values():
                yield place, CatalogError(f"row has another number of fields than the header's {len(row)}")
            else:
                genres = tuple(genre.strip() for genre in row["genres"].split("|") if genre.strip())
                yield place, {**row, "genres": genres}
    except (csv.Error, UnicodeDecodeError) as error:
        raise CatalogError(f"{name} is no UTF-8 CSV: {error}") from error


def json_row(raw: bytes, place: str) -> tuple[str, Mapping[str, Any] | CatalogError]:
    """Return (place, fields) of one JSON object, or (place, what is wrong with it)."""
    try:
        return place, msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        return place, CatalogError(f"{shown(raw.decode(errors='replace'))} is no JSON object: {error}")


def _checked(fields: Mapping[str, Any] | CatalogError, places: Mapping[str, str]) -> Title:
    """Return the title of one row's fields, texts or numbers; raises CatalogError that names the field."""
    if isinstance(fields, CatalogError):
        raise fields
    if missing := [name for name in COLUMNS if fields.get(name) in (None, "")]:
        raise CatalogError(f"{missing[0]} is missing")
    content_id = str(fields["id"])
    if not _ID.fullmatch(content_id):
        raise CatalogError(f"id is {shown(fields['id'])}, allowed: 1..128 of a-z 0-9 . _ -")
    if content_id in places:
        raise CatalogError(f"id {content_id} stands at {places[content_id]} already: ids are unique")
    name = fields["title"]
    if not (isinstance(name, str) and name.strip() and len(name) <= 200 and is_plain(name)):
        raise CatalogError(f"title is {shown(name)}, allowed: 1..200 printable characters")
    numbers = {column: _number(column, fields[column]) for column in _RANGES}
    if fields["kind"] not in tuple(ContentType):
        raise CatalogError(f"kind is {shown(fields['kind'])}, allowed: {', '.join(ContentType)}")
    genres = tuple(fields["genres"]) if isinstance(fields["genres"], (list, tuple)) else ()
    named = all(isinstance(g, str) and _GENRE.fullmatch(g) for g in genres)
    if not (1 <= len(genres) <= 8 and named and len(set(genres)) == len(genres)):
        raise CatalogError(f"genres is {shown(fields['genres'])}, allowed: 1..8 lower-case names, each once")
    return Title(
        content_id, name, kind=ContentType(fields["kind"]), genres=genres, popularity=_share(fields), **numbers
    )


def _number(column: str, value: object) -> int:
    low, high = _RANGES[column]
    text = str(value).strip()
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else low - 1
    if not low <= number <= high:
        raise CatalogError(f"{column} is {shown(value)}, allowed: {low}..{high}")
    return number


def _share(fields: Mapping[str, Any]) -> float:
    try:
        share = float(fields.get("popularity") or 0)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1:
        raise CatalogError(f"popularity is {shown(fields.get('popularity'))}, allowed: 0..1")
    return share
