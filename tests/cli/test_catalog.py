"""Catalogs through the command line: built, extended, checked, shown, used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Omega

CSV = """id,title,year,kind,genres,minutes,age
one,The First,1999,movie,drama|crime,90,12
two,"Second, the",2001,series,comedy,25,0
"""
FIRST, SECOND = (
    {"id": "one", "title": "The First", "year": 1999, "kind": "movie", "genres": ["drama", "crime"]},
    {"id": "two", "title": "Second, the", "year": 2001, "kind": "series", "genres": ["comedy"]},
)
ROWS = [FIRST | {"minutes": 90, "age": 12}, SECOND | {"minutes": 25, "age": 0}]


@pytest.fixture
def catalog(omega: Omega) -> Path:
    Path("titles.csv").write_text(CSV, encoding="utf-8")
    omega("catalog", "build", "titles.csv", "--out", "catalog.jsonl")
    return Path("catalog.jsonl").absolute()


def test_three_formats_build_the_same_catalog(omega: Omega, catalog: Path) -> None:
    Path("titles.json").write_text(json.dumps(ROWS), encoding="utf-8")
    Path("titles.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    for source in ("titles.json", "titles.jsonl"):
        omega("catalog", "build", source, "--out", "other.jsonl")
        assert Path("other.jsonl").read_bytes() == catalog.read_bytes()


def test_build_says_what_it_wrote(omega: Omega, catalog: Path) -> None:
    made = omega("catalog", "build", "titles.csv", "--out", "again.jsonl", "--json").json
    assert (made["titles"], made["epoch"], len(made["epochs"])) == (2, 1, 1)
    assert made == omega("catalog", "check", "--catalog", "again.jsonl", "--json").json
    assert made["lineage"] in omega("catalog", "build", "titles.csv", "--out", "again.jsonl").out


def test_the_next_epoch_keeps_the_lineage(omega: Omega, catalog: Path) -> None:
    first = omega("catalog", "check", "--catalog", catalog, "--json").json
    Path("titles.csv").write_text(CSV + "three,Third,2020,documentary,nature,50,0\n", encoding="utf-8")
    second = omega("catalog", "build", "titles.csv", "--out", catalog, "--previous", catalog, "--json").json
    assert (second["lineage"], second["epoch"], second["titles"]) == (first["lineage"], 2, 3)
    assert second["epochs"][:1] == first["epochs"]
    assert "3 titles, epoch 2" in omega("catalog", "check", "--catalog", catalog).out


def test_show_finds_titles_with_all_the_words(omega: Omega, catalog: Path) -> None:
    assert [title["id"] for title in omega("catalog", "show", "--catalog", catalog, "--json").json] == ["one", "two"]
    assert [t["id"] for t in omega("catalog", "show", "CRIME", "1999", "--catalog", catalog, "--json").json] == ["one"]
    assert omega("catalog", "show", "crime", "comedy", "--catalog", catalog, "--json").json == []
    header, row = omega("catalog", "show", "second", "--catalog", catalog).out.splitlines()
    assert header.split() == ["id", "title", "year", "kind", "genres", "minutes", "age"]
    assert row.split() == ["two", "Second,", "the", "2001", "series", "comedy", "25", "0"]


def test_every_title_has_one_line_in_a_pipe(omega: Omega) -> None:
    titles = omega("catalog", "show", "--json").json
    lines = omega("catalog", "show").out.splitlines()
    assert len(titles) == 800
    assert len(lines) == 801
    for title, line in zip(titles, lines[1:], strict=True):
        assert line.split()[0] == title["id"]
        assert title["title"] in line


def test_a_tv_recommends_from_a_catalog_of_its_own(omega: Omega, catalog: Path) -> None:
    flags = ("--catalog", catalog, "--embedder", "static")
    omega("device", "observe", '{"content_id":"one","watch_pct":1}', *flags)
    (only,) = omega("device", "recommend", "--k", "2", *flags, "--json").json
    assert only["content_id"] == "two"
    assert omega("device", "status", *flags, "--json").json["catalog_titles"] == 2


def test_a_title_that_the_catalog_gained_is_no_longer_local(omega: Omega, catalog: Path) -> None:
    flags = ("--catalog", catalog, "--embedder", "static")
    event = '{"content_id":"three","title":"Third","watch_pct":0.9}'
    assert omega("device", "observe", event, *flags, "--json").json["observed"][0]["local"]
    Path("titles.csv").write_text(CSV + "three,Third,2020,documentary,nature,50,0\n", encoding="utf-8")
    omega("catalog", "build", "titles.csv", "--out", catalog, "--previous", catalog)
    assert not omega("device", "observe", event, *flags, "--json").json["observed"][0]["local"]


def test_markup_in_a_title_is_printed_as_it_is(omega: Omega) -> None:
    Path("titles.csv").write_text(CSV + "tags,[bold red]Up[/] [REC],2020,movie,horror,80,16\n", encoding="utf-8")
    omega("catalog", "build", "titles.csv", "--out", "catalog.jsonl")
    assert "[bold red]Up[/] [REC]" in omega("catalog", "show", "tags", "--catalog", "catalog.jsonl").out


def test_an_unknown_format_is_refused(omega: Omega) -> None:
    Path("titles.xlsx").write_bytes(b"PK")
    complaint = omega("catalog", "build", "titles.xlsx", "--out", "catalog.jsonl", code=2).complaint
    assert "ends with .xlsx, allowed: .csv, .json, .jsonl" in complaint
