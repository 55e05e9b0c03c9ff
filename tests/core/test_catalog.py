"""The catalog: rows read and refused by place, epochs that only grow, digests that show what was changed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.catalog_rows import COLUMNS, checked_titles, read_table
from omega.core.errors import CatalogError
from omega.core.types import ContentType, Title

HEAT = {
    "id": "heat-1995",
    "title": "Heat",
    "year": 1995,
    "kind": "movie",
    "genres": ["crime", "drama"],
    "minutes": 170,
    "age": 16,
    "popularity": 0.25,
}
DARK = HEAT | {"id": "dark-2017", "title": 'Dark, "eins"', "kind": "series", "genres": ["sci-fi"], "popularity": 0}
NAMES_THAT_NEED_JOINERS = ["می\u200cروم", "क्\u200dष", "劇場版\u3000名探偵", "Astérix\u00a0: le film"]
"""Persian, Hindi and French as they are spelled: with a non-joiner, a joiner, a blank that doesn't break."""
EXPECTED = [
    Title("heat-1995", "Heat", 1995, ContentType.MOVIE, ("crime", "drama"), 170, 16, 0.25),
    Title("dark-2017", 'Dark, "eins"', 1995, ContentType.SERIES, ("sci-fi",), 170, 16),
]


def titles(*ids: str) -> list[Title]:
    return [Title(id_, f"Name of {id_}", 2000, ContentType.MOVIE, ("drama",), 90, 0) for id_ in ids]


def as_csv(*rows: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, "popularity"])
    writer.writeheader()
    writer.writerows(row | {"genres": "|".join(row["genres"])} for row in rows)
    return text.getvalue()


def test_csv_json_and_json_lines_read_the_same(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\ufeff" + as_csv(HEAT, DARK), encoding="utf-8")
    (tmp_path / "t.json").write_text(json.dumps([HEAT, DARK], indent=1))
    (tmp_path / "t.jsonl").write_text(f"{json.dumps(HEAT)}\n\n{json.dumps(DARK)}\n")
    for name in ("t.csv", "t.json", "t.jsonl"):
        assert read_table(tmp_path / name) == EXPECTED


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("id", "Heat 1995", "1..128 of a-z 0-9 . _ -"),
        ("id", "h" * 129, "1..128"),
        ("title", "a\tb", "1..200 printable"),
        ("title", " ", "1..200 printable"),
        ("title", "x" * 201, "1..200 printable"),
        ("year", 1869, "1870..2100"),
        ("year", 2101, "1870..2100"),
        ("year", "MCM", "1870..2100"),
        ("year", 1995.5, "1870..2100"),
        ("kind", "opera", "movie, series, documentary"),
        ("kind", ["movie"], "movie, series, documentary"),
        ("genres", [], "1..8 lower-case names"),
        ("genres", ["Drama"], "1..8 lower-case names"),
        ("genres", ["g"] * 9, "1..8 lower-case names"),
        ("genres", [5], "1..8 lower-case names"),
        ("genres", "drama", "1..8 lower-case names"),
        ("minutes", 0, "1..1440"),
        ("minutes", 1441, "1..1440"),
        ("age", 22, "0..21"),
        ("age", -1, "0..21"),
        ("popularity", 1.5, "0..1"),
        ("popularity", "often", "0..1"),
        ("popularity", [1], "0..1"),
    ],
)
def test_a_bad_field_is_named_with_its_line(tmp_path: Path, field: str, value: object, allowed: str) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(f"{json.dumps(HEAT)}\n{json.dumps(DARK | {field: value})}\n")
    with pytest.raises(CatalogError) as refused:
        read_table(file)
    assert str(refused.value).startswith(f"t.jsonl line 2: {field} is ")
    assert allowed in str(refused.value)


@pytest.mark.parametrize("field", COLUMNS)
def test_a_missing_field_is_named_with_its_row(tmp_path: Path, field: str) -> None:
    row = {name: value for name, value in DARK.items() if name != field}
    (tmp_path / "t.json").write_text(json.dumps([HEAT, row]))
    with pytest.raises(CatalogError, match=f"^t.json entry 2: {field} is missing$"):
        read_table(tmp_path / "t.json")


def test_a_doubled_genre_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"row 1: genres is .*'war', 'drama', 'war'"):
        checked_titles([("row 1", HEAT | {"genres": ["war", "drama", "war"]})])


@pytest.mark.parametrize("name", [{"en": "Heat"}, ["Heat"]])
def test_a_title_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(CatalogError, match="row 1: title is"):
        checked_titles([("row 1", HEAT | {"title": name})])


@pytest.mark.parametrize("name", NAMES_THAT_NEED_JOINERS)
def test_names_of_any_script_are_taken(name: str) -> None:
    [title] = checked_titles([("row 1", HEAT | {"title": name})])
    assert title.title == name


def test_every_bad_row_is_named_up_to_twenty(tmp_path: Path) -> None:
    bad = [HEAT | {"id": f"t{i}", "year": 1} for i in range(30)]
    (tmp_path / "t.csv").write_text(as_csv(DARK, *bad, HEAT, HEAT))
    with pytest.raises(CatalogError) as refused:
        read_table(tmp_path / "t.csv")
    lines = str(refused.value).split("\n")
    assert len(lines) == 21
    assert lines[0] == "t.csv row 3: year is '1', allowed: 1870..2100"
    assert lines[-1] == "... and 11 more rows"


def test_a_doubled_id_is_named_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(as_csv(HEAT, DARK, HEAT))
    with pytest.raises(CatalogError, match=r"^t.csv row 4: id heat-1995 stands at t.csv row 2 already"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("t.csv", b"id,title\n", "t.csv lacks the column year"),
        ("t.csv", b"", "t.csv lacks the column id"),
        (
            "t.csv",
            b"id,title,year,kind,genres,minutes,age\na,b,2000\n",
            "t.csv row 2: row has another number of fields",
        ),
        ("t.csv", b"id,title,year,kind,genres,minutes,age\na,b,2000,movie,war,9,9,9\n", "another number of fields"),
        ("t.csv", b"\xff", "t.csv is no UTF-8 CSV"),
        ("t.csv", b'id,title,year,kind,genres,minutes,age\n"a', "t.csv is no UTF-8 CSV"),
        ("t.json", b"{}", "t.json is no JSON list"),
        ("t.json", b"[{]", "t.json is no JSON list"),
        ("t.json", b"[5]", "t.json entry 1: '5' is no JSON object"),
        ("t.jsonl", b"{}\nxyz\n", "t.jsonl line 2: 'xyz' is no JSON object"),
        ("t.jsonl", b"[" * 100_000, "t.jsonl line 1: .* is no JSON object"),
        ("t.txt", b"", r"ends with .txt, allowed: .csv, .json, .jsonl"),
        ("t", b"", "ends with nothing, allowed: .csv"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(CatalogError, match=message):
        read_table(tmp_path / name)


def test_a_file_beyond_the_bound_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(512 * 2**20 + 1)  # sparse: takes no space
    for read in (read_table, Catalog.read):
        with pytest.raises(CatalogError, match=r"t.csv is 536,870,913 B, allowed: 536,870,912 B"):
            read(tmp_path / "t.csv")


def test_epochs_grow_and_keep_their_digests() -> None:
    first = Catalog.build(titles("a", "b"))
    second = Catalog.build(titles("a", "b", "c"), first)
    assert (first.epoch, second.epoch, second.lineage) == (1, 2, first.lineage)
    assert [epoch.count for epoch in second.epochs] == [2, 3]
    assert second.epochs[0] == first.epochs[0]
    assert second.ordinals == {"a": 0, "b": 1, "c": 2}
    assert second.summary().titles == len(second) == 3
    second.check()


def test_facts_may_be_corrected_without_a_new_epoch() -> None:
    first = Catalog.build(titles("a", "b"))
    corrected = [msgspec.structs.replace(title, genres=("war",)) for title in first]
    again = Catalog.build(corrected, first)
    assert again.epochs == first.epochs
    assert again.content_digest != first.content_digest
    assert again.get("a") == corrected[0]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("bac", "title 1 is b, allowed: a as in epoch 1"),
        ("ac", "title 2 is c, allowed: b"),
        ("cab", "title 1 is c, allowed: a"),
        ("a", "title 2 is nothing, allowed: b"),
        ("", "title 1 is nothing, allowed: a"),
    ],
)
def test_missing_or_re_ordered_titles_are_refused(ids: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        Catalog.build(titles(*ids), Catalog.build(titles("a", "b")))


def test_an_empty_catalog_and_doubled_ids_are_refused() -> None:
    with pytest.raises(CatalogError, match="catalog has no titles, allowed: 1 or more"):
        Catalog.build([])
    with pytest.raises(CatalogError, match="id a stands more than once"):
        Catalog.build(titles("a", "b", "a"))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.data())
def test_ordinals_never_change(sizes: list[int], data: st.DataObject) -> None:
    """However a catalog grows, an older epoch is a prefix of the newer, and a swap anywhere in it is refused."""
    catalog: Catalog | None = None
    ids: list[str] = ["t"]
    for epoch, size in enumerate(sizes):
        ids = [*ids, *(f"t{epoch}-{i}" for i in range(size))]
        older, catalog = catalog, Catalog.build(titles(*ids), catalog)
        catalog.check()
        for id_, ordinal in (older.ordinals if older else {}).items():
            assert catalog.ordinals[id_] == ordinal
        assert catalog.epochs[: len(older.epochs) if older else 0] == (older.epochs if older else ())
    assert catalog is not None
    assert catalog.epoch == 1 + sum(size > 0 for size in sizes[1:])
    if len(ids) > 1:
        i, j = sorted(data.draw(st.lists(st.integers(0, len(ids) - 1), min_size=2, max_size=2, unique=True)))
        ids[i], ids[j] = ids[j], ids[i]
        with pytest.raises(CatalogError, match=f"title {i + 1} is "):
            Catalog.build(titles(*ids), catalog)


def test_a_catalog_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "c.jsonl"
    first = Catalog.build(EXPECTED)
    second = Catalog.build([*EXPECTED, *titles("new", "\u0131ot")[:1]], first)
    second.write(file)
    again = Catalog.read(file)
    assert (again.titles, again.epochs) == (second.titles, second.epochs)
    assert again.content_digest == second.content_digest


@pytest.mark.parametrize("change", ["rename", "swap", "drop", "add", "epoch number", "epoch count", "digest"])
def test_a_file_that_was_tampered_with_is_detected(tmp_path: Path, change: str) -> None:
    file = tmp_path / "c.jsonl"
    first = Catalog.build(titles("a", "b", "c"))
    Catalog.build(titles("a", "b", "c", "d"), first).write(file)
    lines = file.read_text().splitlines()
    match change:
        case "rename":
            lines[2] = lines[2].replace('"b"', '"x"')
        case "swap":
            lines[1], lines[2] = lines[2], lines[1]
        case "drop":
            del lines[4]
        case "add":
            lines.append(lines[4].replace('"d"', '"e"'))
        case "epoch number":
            lines[0] = lines[0].replace('"epoch":2', '"epoch":3')
        case "epoch count":
            lines[0] = lines[0].replace('"count":3', '"count":2')
        case _:
            lines[0] = lines[0].replace(first.lineage, "0" * 16)
    file.write_text("\n".join(lines))
    with pytest.raises(CatalogError):
        Catalog.read(file)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is no catalog file"),
        (b'{"id":"a"}\n', "is no catalog file"),
        (b'{"omega_catalog":2,"lineage":"","epochs":[]}\n', "has format 2, allowed: 1: update omega"),
        (b'{"omega_catalog":1,"lineage":"","epochs":[]}\n', "no titles"),
        (b'{"omega_catalog":1,"lineage":"","epochs":[]}\n{"id":5}\n', "c.jsonl line 2: title is missing"),
    ],
)
def test_what_is_no_catalog_is_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "c.jsonl").write_bytes(raw)
    with pytest.raises(CatalogError, match=message):
        Catalog.read(tmp_path / "c.jsonl")


def test_finds_titles_that_have_all_the_words() -> None:
    catalog = Catalog.build(EXPECTED)
    assert catalog.find(["HEAT"]) == [EXPECTED[0]]
    assert catalog.find(["1995", "eins"]) == [EXPECTED[1]]
    assert catalog.find(["series", "drama"]) == []
    assert catalog.find([]) == list(catalog)


def test_genres_are_shared_by_title() -> None:
    catalog = Catalog.build(EXPECTED + titles("a", "b"))
    assert catalog.genre_shares() == {"drama": 0.75, "crime": 0.25, "sci-fi": 0.25}
    assert next(iter(catalog.genre_shares())) == "drama"


@pytest.fixture(scope="module")
def example() -> Catalog:
    return Catalog.read(EXAMPLE_CATALOG_PATH)


def test_the_example_has_800_titles_of_three_kinds(example: Catalog) -> None:
    example.check()
    assert Counter(title.kind for title in example) == {"movie": 500, "series": 200, "documentary": 100}
    assert checked_titles((str(n), msgspec.to_builtins(title)) for n, title in enumerate(example)) == list(example)
    assert len({(title.title, title.year, title.kind) for title in example}) == 800


def test_the_examples_movies_stand_in_a_public_list(example: Catalog) -> None:
    data = os.environ.get("OMEGA_EVAL_DATA")
    if not data:
        pytest.skip("OMEGA_EVAL_DATA is not set: name the folder of MovieTweetings' movies.dat")
    lines = (Path(data) / "movies.dat").read_text(encoding="utf-8").splitlines()
    public = {line.split("::")[1] for line in lines}
    movies = [title for title in example if title.kind == "movie" and title.year <= 2012]
    assert len(movies) > 300
    assert [t.title for t in movies if f"{t.title} ({t.year})" not in public] == []


def test_ids_are_unique_whatever_their_type() -> None:
    rows = [("row 1", HEAT | {"id": 12}), ("row 2", HEAT | {"id": 12})]
    with pytest.raises(CatalogError, match="row 2: id 12 stands at row 1 already"):
        checked_titles(rows)


def test_a_column_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,title,year,kind,genres,minutes,age,populartiy\nx,X,2000,movie,war,90,12,0.5\n")
    with pytest.raises(CatalogError, match="has the column 'populartiy', allowed: id,title,"):
        read_table(tmp_path / "t.csv")


def test_a_lineage_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    catalog.write(file)
    file.write_text(file.read_text().replace(f'"lineage":"{catalog.lineage}"', '"lineage":"0000000000000000"', 1))
    with pytest.raises(CatalogError, match="has lineage 0000000000000000, its first epoch"):
        Catalog.read(file)


@pytest.mark.parametrize("year", ["2_000", "٢٠٠٠", "1e3", "+2000", ""])
def test_a_year_is_written_in_digits(year: str) -> None:
    with pytest.raises(CatalogError, match="year is"):
        checked_titles([("row 1", HEAT | {"year": year})])
