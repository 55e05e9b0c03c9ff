"""The catalog as arrays, pattern vectors and back, and the cache beside the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.testing.fakes import FakeEmbedder
from omega.core.types import ContentType, Title
from omega.device.titles import KINDS, TitleArrays, load_or_embed, unit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.ports import Floats


class CountingEmbedder(FakeEmbedder):
    """Counts the texts that it embeds."""

    texts = 0

    def embed(self, texts: Sequence[str]) -> Floats:
        self.texts += len(texts)
        return super().embed(texts)


def test_unit_keeps_zero() -> None:
    rows = unit(np.array([[3, 4], [0, 0]], np.float32))
    assert np.allclose(rows, np.array([[0.6, 0.8], [0, 0]]))
    assert rows.dtype == np.float32


def test_the_arrays_follow_the_catalog(example: Catalog, arrays: TitleArrays) -> None:
    n, g = len(example), len(example.genre_shares())
    assert arrays.vectors.shape == arrays.centered.shape == (n, 384)
    assert arrays.genre_vectors.shape == (g, 384)
    assert np.allclose(arrays.vectors[[0, 99]], FakeEmbedder().embed([example.titles[0].text, example.titles[99].text]))
    assert np.allclose(
        arrays.contexts[5], FakeEmbedder().embed(["something to watch on a weekend evening"])[0], atol=1e-6
    )
    assert np.allclose(arrays.mean, arrays.vectors.mean(axis=0), atol=1e-6)
    assert np.allclose(np.linalg.norm(arrays.centered, axis=1), 1, atol=1e-4)
    assert np.allclose(arrays.genres.sum(axis=1), 1)
    assert arrays.genre_shares.sum() == pytest.approx(1)
    assert [KINDS[kind] for kind in arrays.kinds.tolist()] == [title.kind for title in example]
    assert np.allclose(arrays.kind_shares, [500 / 800, 200 / 800, 100 / 800])


def test_genres_of_a_title_that_no_catalog_has(arrays: TitleArrays) -> None:
    mine = Title("mine", "Ours", 0, ContentType.MOVIE, ("drama", "home video"), 0, 0)
    weights = arrays.genre_weights(mine)
    assert weights[arrays.genre_names.index("drama")] == weights.sum() == 0.5
    assert not arrays.genre_weights(Title("x", "X", 0, ContentType.MOVIE, (), 0, 0)).any()


def test_the_cache_saves_every_embedding(example: Catalog, arrays: TitleArrays, tmp_path: Path) -> None:
    first, second = CountingEmbedder(), CountingEmbedder()
    seen: list[tuple[int, int]] = []
    built = load_or_embed(example, first, tmp_path, lambda done, total: seen.append((done, total)))
    again = load_or_embed(example, second, tmp_path, lambda done, total: seen.append((-1, -1)))
    texts = 800 + 8 + len(arrays.genre_names)
    assert (first.texts, second.texts) == (texts, 0)
    assert seen[-1] == (texts, texts)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    for found in (built, again):
        assert np.array_equal(found.vectors, arrays.vectors)
        assert np.array_equal(found.contexts, arrays.contexts)
        assert np.array_equal(found.genre_vectors, arrays.genre_vectors)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "shape", "dtype", "pickle"])
def test_a_damaged_cache_is_made_anew(example: Catalog, arrays: TitleArrays, tmp_path: Path, damage: str) -> None:
    load_or_embed(example, FakeEmbedder(), tmp_path)
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    match damage:
        case "empty":
            file.write_bytes(b"")
        case "cut":
            file.write_bytes(whole[: len(whole) // 2])
        case "garbage":
            file.write_bytes(b"\x93NUMPY" + b"?" * 500)
        case "shape":
            np.save(file, np.zeros((3, 384), np.float32))
        case "dtype":
            np.save(file, np.load(file).astype(np.float64))
        case _:
            np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    embedder = CountingEmbedder()
    again = load_or_embed(example, embedder, tmp_path)
    assert embedder.texts > 800
    assert np.array_equal(again.vectors, arrays.vectors)
    assert file.read_bytes() == whole


def test_a_cache_that_cant_be_written_is_done_without(example: Catalog, arrays: TitleArrays, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    found = load_or_embed(example, FakeEmbedder(), tmp_path / "file" / "cache")
    assert np.array_equal(found.vectors, arrays.vectors)


class OtherSpace(CountingEmbedder):
    space = "fake-words-2"


def test_each_space_and_each_text_has_its_own_cache(example: Catalog, tmp_path: Path) -> None:
    load_or_embed(example, FakeEmbedder(), tmp_path)
    other = OtherSpace()
    load_or_embed(example, other, tmp_path)
    assert other.texts > 800
    smaller = type(example).build(example.titles[:50])
    load_or_embed(smaller, other, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
