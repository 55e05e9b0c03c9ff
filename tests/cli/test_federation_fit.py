"""`omega federation fit`: what it prints, writes and publishes, and that a TV takes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.artifacts.keys import Keyring
from omega.core.artifacts.shelf import Shelf
from omega.core.ranking_weights import NAMES, TERMS, decode_weights, read_weights

pytest.importorskip("scipy", reason="the fit needs the extra federation")

if TYPE_CHECKING:
    from tests.cli.conftest import Omega

FILES = ("--ratings", "ratings.dat", "--movies", "movies.dat")


@pytest.fixture
def files(home: Path) -> None:
    """Ratings of thirty titles by twenty viewers in six weeks, in the working folder."""
    random = np.random.default_rng(1)
    genres = ("Crime", "Drama", "Comedy")
    movies = [f"{at:04}::Film {at} ({2013 - at % 4})::{genres[at % 3]}" for at in range(30)]
    lines = [f"{random.integers(20)}::{random.integers(30):04}::8::{1362096000 + at * 9000}" for at in range(400)]
    Path("movies.dat").write_text("\n".join(movies), encoding="utf-8")
    Path("ratings.dat").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.usefixtures("files")
def test_what_it_finds_is_written_and_published_signed(omega: Omega) -> None:
    omega("artifact", "keygen", "op.key")
    publish = ("--out", "w.json", "--publish", "shelf", "--key", "op.key")
    done = omega("federation", "fit", *FILES, "--until", "2013-04-08", *publish, "--json")
    found, published = done.json["fit"], done.json["published"]
    assert found["weights"] == dict(zip(NAMES, read_weights(Path("w.json")).values, strict=True))
    assert {term["name"] for term in found["terms"]} == set(TERMS)
    assert (published["kind"], published["version"]) == ("weights", 1)
    [manifest] = Shelf(Path("shelf")).current(Keyring.read([Path("op.key.pub")]))
    assert decode_weights(Shelf(Path("shelf")).read(manifest)) == read_weights(Path("w.json"))
    text = Path("w.json").read_text(encoding="utf-8")
    assert "omega federation fit --ratings ratings.dat --movies movies.dat --format movietweetings" in text
    assert done.err == ""


@pytest.mark.usefixtures("files")
def test_the_table_has_each_weight_and_what_each_term_is_worth(omega: Omega) -> None:
    out = omega("federation", "fit", *FILES, "--protocol", "weekly").out
    rows = [line for line in out.splitlines() if any(name.replace("_", " ") in line for name in NAMES)]
    assert len(rows) >= len(NAMES)
    assert "nats" in out
    assert "published" not in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "allowed: --ratings FILE with --movies FILE, or --simulate alone"),
        (("--simulate", "--publish", "shelf"), "allowed: --publish FOLDER with --key FILE"),
        (("--simulate", "--protocol", "hourly"), "--protocol is 'hourly', allowed: daily, weekly, onboard"),
        (("--simulate", "--publish", "shelf", "--key", "no.key"), "no.key"),
        ((*FILES, "--until", "2013-03-01"), "--until is 2013-03-01, allowed: a day after 2013-03-01"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_can_not_be_is_refused_in_one_line(omega: Omega, arguments: tuple[str, ...], complaint: str) -> None:
    assert complaint in omega("federation", "fit", *arguments, code=2).complaint
