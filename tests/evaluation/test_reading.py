from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.errors import CatalogError, InputError
from omega.core.types import ContentType
from omega.evaluation.reading import read_log

if TYPE_CHECKING:
    from omega.evaluation.reading import Format, Read

MOVIES = "0001::Heat (1995)::Crime|Drama\n0002::Alien (1979)::Horror|Sci-Fi\n0003::Senna (2010)::Documentary|Sport\n"
RATINGS = "1::0001::8::1000\n2::0002::10::2000\n1::0003::5::3000\n"


def read(folder: Path, ratings: str, movies: str = MOVIES, form: Format = "movietweetings", seed: int = 0) -> Read:
    (folder / "ratings.dat").write_text(ratings, encoding="utf-8")
    (folder / "movies.dat").write_text(movies, encoding="utf-8")
    return read_log(folder / "ratings.dat", folder / "movies.dat", form, seed=seed)


def rows(found: Read) -> list[tuple[str, float, int]]:
    log = found.log
    return [
        (log.titles[title].id, float(rating), int(at))
        for title, rating, at in zip(log.watched, log.ratings, log.times_s, strict=True)
    ]


def test_movietweetings(tmp_path: Path) -> None:
    found = read(tmp_path, RATINGS)
    assert rows(found) == [("0001", 4.0, 1000), ("0002", 5.0, 2000), ("0003", 2.5, 3000)]
    assert found.notes == ()
    assert found.log.viewer_count == 2
    assert found.log.viewers[0] == found.log.viewers[2] != found.log.viewers[1]
    senna = next(title for title in found.log.titles if title.id == "0003")
    assert (senna.title, senna.year, senna.kind, senna.genres) == ("Senna", 2010, ContentType.DOCUMENTARY, ("sport",))


def test_movielens_100k(tmp_path: Path) -> None:
    flags = "|".join("1" if at in (1, 15) else "0" for at in range(19))
    items = f"1|GoldenEye (1995)|01-Jan-1995||http://x|{flags}\n2|Café (1996)|01-Jan-1996||http://x|{flags}\n"
    (tmp_path / "u.item").write_bytes(items.encode("latin-1"))
    (tmp_path / "u.data").write_text("7\t1\t3\t881250949\n8\t2\t5\t881250950\n", encoding="utf-8")
    found = read_log(tmp_path / "u.data", tmp_path / "u.item", "movielens")
    assert rows(found) == [("1", 3.0, 881250949), ("2", 5.0, 881250950)]
    assert {title.title for title in found.log.titles} == {"GoldenEye", "Café"}
    assert found.log.titles[0].genres == ("action", "sci-fi")


def test_movielens_1m_and_latest(tmp_path: Path) -> None:
    old = read(
        tmp_path, "1::10::5::978300760\n2::10::3::978300761\n", "10::Toy Story (1995)::Children's\n", "movielens"
    )
    assert rows(old) == [("10", 5.0, 978300760), ("10", 3.0, 978300761)]
    assert old.log.titles[0].genres == ("childrens",)
    new = read(
        tmp_path,
        "userId,movieId,rating,timestamp\n1,10,4.5,964982703\n2,10,3.0,964982704\n",
        'movieId,title,genres\n10,"American President, The (1995)",(no genres listed)\n',
        "movielens",
    )
    assert rows(new) == [("10", 4.5, 964982703), ("10", 3.0, 964982704)]
    assert (new.log.titles[0].title, new.log.titles[0].genres) == ("American President, The", ("unlisted",))


def test_csv_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(
        "viewer,title,rating,time\nann,heat,4,2013-03-01T00:00:00Z\nbob,heat,5,1362096001\n", encoding="utf-8"
    )
    (tmp_path / "t.csv").write_text("id,title,year,kind,genres,minutes,age\nheat,Heat,1995,movie,crime,170,16\n")
    found = read_log(tmp_path / "r.csv", tmp_path / "t.csv", "csv")
    assert rows(found) == [("heat", 4.0, 1362096000), ("heat", 5.0, 1362096001)]
    (tmp_path / "t.csv").write_text("id,title,year,kind,genres,minutes,age\nheat,Heat,95,movie,crime,170,16\n")
    with pytest.raises(CatalogError, match="year"):
        read_log(tmp_path / "r.csv", tmp_path / "t.csv", "csv")


def test_few_bad_lines_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    good = "".join(f"{viewer}::000{1 + viewer % 3}::7::{1000 + viewer}\n" for viewer in range(200))
    found = read(tmp_path, good + "1::0001::99::5000\nnonsense\n")
    assert found.notes == (
        "ratings.dat has 2 bad lines, left out; the first is line 201: rating is '99', allowed: 0..10",
    )
    assert len(found.log) == 200


@pytest.mark.parametrize(
    ("ratings", "movies", "found"),
    [
        ("1::0001::8::1000\n2::0001\n", MOVIES, r"1 bad lines of 2, .* line 2: 2 fields, allowed: 4"),
        ("1::0001::8::soon\n", MOVIES, "time is 'soon'"),
        ("1::0001::nan::1000\n", MOVIES, "rating is 'nan'"),
        ("1::9::8::1000\n2::0001::8::1000\n3::8::8::1000\n", MOVIES, "2 of 3 ratings are of titles .*'9'"),
        ("", MOVIES, "ratings.dat holds no rating"),
        (RATINGS, "", "movies.dat holds no title"),
        ("1::0001::8::1000\n1::0002::8::1001\n", MOVIES, "all events are of one viewer"),
        ("\x00\x01\x02", MOVIES, "is --format right"),
        (RATINGS, "0001::Heat::Crime\n", "title is 'Heat', allowed: a name and"),
        (RATINGS, "0001::Heat (1066)::Crime\n", "year is 1066"),
    ],
)
def test_what_is_no_data_set_is_refused_in_words(tmp_path: Path, ratings: str, movies: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        read(tmp_path, ratings, movies)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.dat can't be read"):
        read_log(tmp_path / "nowhere.dat", tmp_path / "nowhere.dat", "movietweetings")


def test_unsorted_times_unknown_titles_and_repeats_are_told(tmp_path: Path) -> None:
    lines = ["1::0001::8::5000", "2::0002::8::1000", "1::0001::2::9000", "2::77::2::9000", "2::0003::2::9000"]
    found = read(tmp_path, "\n".join(lines))
    assert [row[0] for row in rows(found)] == ["0002", "0001", "0003"]
    assert rows(found)[1] == ("0001", 4.0, 5000), "the first time counts"
    assert len(found.notes) == 3
    assert "1 ratings are of unknown titles" in found.notes[0]
    assert "not in order" in found.notes[1] or "aren't in order" in found.notes[1]
    assert "had rated before" in found.notes[2]


def test_ties_are_broken_by_lot_and_not_by_the_files_order(tmp_path: Path) -> None:
    movies = "".join(f"{at:04}::Title {at} (2000)::Drama\n" for at in range(100))
    ratings = "".join(f"{at % 7}::{at:04}::7::1000\n" for at in range(100))
    orders = [[row[0] for row in rows(read(tmp_path, ratings, movies, seed=seed))] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])
    numbers = [int(title.id) for title in read(tmp_path, ratings, movies, seed=1).log.titles]
    assert abs(np.corrcoef(numbers, np.arange(100))[0, 1]) < 0.5, "titles are numbered at random, too"


@pytest.mark.skipif("OMEGA_EVAL_DATA" not in os.environ, reason="OMEGA_EVAL_DATA names no folder of real ratings")
def test_the_shared_data_is_read_whole() -> None:
    folder = Path(os.environ["OMEGA_EVAL_DATA"])
    found = read_log(folder / "ratings.dat", folder / "movies.dat", "movietweetings")
    assert (len(found.log), len(found.log.titles), found.log.viewer_count) == (74_456, 10_506, 13_593)
