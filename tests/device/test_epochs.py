"""A new epoch of the catalog on a running TV: few texts are embedded, nothing is lost, new titles are offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.catalog import Catalog
from omega.core.errors import InputError
from omega.core.testing.fakes import FakeEmbedder
from omega.core.types import ContentType, Title, ViewingEvent
from omega.device.brain import Brain
from omega.device.fallback import Fallback
from omega.device.moving import Mover
from omega.device.titles import load_or_embed, unload
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.ports import Floats
    from omega.core.testing.fakes import Clock

NEW = tuple(
    Title(f"new-{n}", f"Brand New {n}", 2026, ContentType.MOVIE, ("drama", "crime"), 100, 12, 1.0) for n in range(3)
)


class Counting(FakeEmbedder):
    """Keeps the texts that it embeds."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.closed = False

    def embed(self, texts: Sequence[str]) -> Floats:
        assert not self.closed
        self.texts += texts
        return super().embed(texts)

    def close(self) -> None:
        self.closed = True


class OtherSpace(Counting):
    """The same vectors with another sign, so that spaces that are mixed up are seen."""

    space = "other-words-1"

    def embed(self, texts: Sequence[str]) -> Floats:
        return -super().embed(texts)


@pytest.fixture(scope="module")
def newer(example: Catalog) -> Catalog:
    return Catalog.build((*example.titles, *NEW), example)


def same_arrays(catalog: Catalog, cache: Path | None, embedder: FakeEmbedder) -> None:
    """What the cache gives is bit by bit what embedding everything gives."""
    found, fresh = load_or_embed(catalog, embedder, cache), load_or_embed(catalog, type(embedder)(), None)
    for name in ("vectors", "contexts", "mean", "centered", "genre_vectors", "genres"):
        assert np.array_equal(getattr(found, name), getattr(fresh, name)), name


def test_a_new_epoch_with_three_titles_embeds_three_texts(example: Catalog, newer: Catalog, tmp_path: Path) -> None:
    load_or_embed(example, FakeEmbedder(), tmp_path)
    embedder, seen = Counting(), list[tuple[int, int]]()
    load_or_embed(newer, embedder, tmp_path, lambda done, total: seen.append((done, total)))
    assert embedder.texts == [title.text for title in NEW]
    assert seen == [(3, 3)]
    again = Counting()
    same_arrays(newer, tmp_path, again)
    assert again.texts == []


def test_the_epoch_befores_file_goes_and_is_not_missed(example: Catalog, newer: Catalog, tmp_path: Path) -> None:
    load_or_embed(example, FakeEmbedder(), tmp_path)
    load_or_embed(newer, FakeEmbedder(), tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.name.startswith(newer.content_digest)
    back = Counting()
    same_arrays(example, tmp_path, back)
    assert back.texts == []


def test_changed_texts_are_embedded_and_moved_ones_are_not(example: Catalog, tmp_path: Path) -> None:
    load_or_embed(example, FakeEmbedder(), tmp_path)
    titles = list(example.titles)
    titles[7] = msgspec.structs.replace(titles[7], title="Another Name")
    titles[9] = msgspec.structs.replace(titles[9], age=21)
    changed = Catalog.build(reversed(titles))
    embedder = Counting()
    same_arrays(changed, tmp_path, embedder)
    assert embedder.texts == [titles[7].text]
    assert len(list(tmp_path.iterdir())) == 2, "the other file holds a text that this one doesn't"


def test_what_was_unloaded_is_read_again(example: Catalog, tmp_path: Path) -> None:
    for cache in (tmp_path, None):
        arrays = load_or_embed(example, FakeEmbedder(), cache)
        before = arrays.vectors.tobytes(), arrays.centered.tobytes()
        unload(arrays)
        assert (arrays.vectors.tobytes(), arrays.centered.tobytes()) == before


def test_a_new_genre_is_one_text_more(example: Catalog, tmp_path: Path) -> None:
    load_or_embed(example, FakeEmbedder(), tmp_path)
    opera = msgspec.structs.replace(NEW[0], genres=("opera",))
    embedder = Counting()
    load_or_embed(Catalog.build((*example.titles, opera), example), embedder, tmp_path)
    assert embedder.texts == [opera.text, "something opera to watch: opera"]


def test_no_row_of_another_space_is_reused(example: Catalog, newer: Catalog, tmp_path: Path) -> None:
    load_or_embed(example, FakeEmbedder(), tmp_path)
    other = OtherSpace()
    same_arrays(newer, tmp_path, other)
    assert len(other.texts) > 800


@pytest.mark.parametrize("damage", ["no hashes", "cut hashes", "odd hashes", "cut rows", "garbage"])
def test_a_damaged_or_older_file_is_not_reused(example: Catalog, newer: Catalog, tmp_path: Path, damage: str) -> None:
    load_or_embed(example, FakeEmbedder(), tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    tail = (len(example) + 8 + len(example.genre_shares())) * 8
    match damage:
        case "no hashes":
            file.write_bytes(whole[:-tail])
        case "cut hashes":
            file.write_bytes(whole[:-3])
        case "odd hashes":
            file.write_bytes(whole + whole[-tail:] * 3)
        case "cut rows":
            file.write_bytes(whole[: len(whole) // 2])
        case _:
            file.write_bytes(b"\x93NUMPY" + b"?" * 500)
    embedder = Counting()
    same_arrays(newer, tmp_path, embedder)
    assert len(embedder.texts) > 800


def brain_of(catalog: Catalog, cache: Path, clock: Clock, embedder: FakeEmbedder, mover: Mover | None = None) -> Brain:
    titles = load_or_embed(catalog, embedder, cache)
    return Brain(MemoryDeviceStore(), embedder, catalog, titles, now=clock, mover=mover)


def test_a_running_tv_recommends_a_title_that_was_added(
    example: Catalog, newer: Catalog, tmp_path: Path, clock: Clock
) -> None:
    embedder = Counting()
    brain = brain_of(example, tmp_path, clock, embedder)
    for content_id in ("heat-1995", "the-godfather-1972"):
        brain.observe(ViewingEvent(content_id=content_id, watch_pct=0.95))
        clock.advance(hours=1)
    brain.observe(ViewingEvent(content_id="new-1", title="Brand New 1", watch_pct=1.0))
    before, patterns = brain.recommend(), brain.counts()
    embedder.texts.clear()
    assert list(brain.adopting(newer, tmp_path)) == [(3, 3)]
    assert embedder.texts == [title.text for title in NEW]
    after = [title.content_id for title in brain.recommend()]
    assert {"new-0", "new-2"} <= set(after)
    assert not {"heat-1995", "the-godfather-1972", "new-1"} & set(after), "finished titles stay out"
    assert not {"new-0", "new-2"} & {title.content_id for title in before}
    assert brain.counts() == patterns
    assert (brain.status().catalog_epoch, brain.status().catalog_titles) == (2, 803)
    assert not brain.observe(ViewingEvent(content_id="new-2", watch_pct=0.5)).local


def test_the_brain_answers_between_the_steps(example: Catalog, newer: Catalog, tmp_path: Path, clock: Clock) -> None:
    many = Catalog.build(
        (*newer.titles, *(msgspec.structs.replace(NEW[0], id=f"m-{n}", title=f"M {n}") for n in range(9))), newer
    )
    brain = brain_of(example, tmp_path, clock, FakeEmbedder())
    steps = brain.adopting(many, tmp_path)
    assert next(steps) == (4, 12)
    assert len(brain.recommend()) == 20
    assert brain.status().catalog_epoch == 1
    assert list(steps) == [(8, 12), (12, 12)]
    assert brain.status().catalog_epoch == 3


def test_other_families_and_earlier_epochs_are_refused(
    example: Catalog, newer: Catalog, tmp_path: Path, clock: Clock
) -> None:
    brain = brain_of(newer, tmp_path, clock, FakeEmbedder())
    for wrong in (example, Catalog.build(newer.titles)):
        with pytest.raises(InputError, match=f"allowed: epoch 2 or later of {newer.lineage}"):
            next(brain.adopting(wrong, tmp_path))
        with pytest.raises(InputError, match="open another brain"):
            brain.adopt_catalog(wrong, load_or_embed(wrong, FakeEmbedder(), None))
    assert brain.status().catalog_epoch == 2


def test_a_move_to_another_space_meanwhile_begins_it_anew(
    example: Catalog, newer: Catalog, tmp_path: Path, clock: Clock
) -> None:
    fallback = Fallback(clock().timestamp())
    mover = Mover(fallback, lambda which: OtherSpace(), example, tmp_path)
    brain = brain_of(example, tmp_path, clock, Counting(), mover)
    steps = brain.adopting(newer, tmp_path)
    next(steps)
    fallback.failed("made to fail", clock().timestamp())
    while brain.space != OtherSpace.space:
        brain.tend(1000)
    list(steps)
    assert brain.status().catalog_epoch == 2
    assert np.array_equal(brain._titles.vectors, load_or_embed(newer, OtherSpace(), None).vectors)


def test_a_move_that_was_under_way_goes_on_with_the_new_epoch(
    example: Catalog, newer: Catalog, tmp_path: Path, clock: Clock
) -> None:
    fallback = Fallback(clock().timestamp())
    mover = Mover(fallback, lambda which: OtherSpace(), example, tmp_path)
    brain = brain_of(example, tmp_path, clock, Counting(), mover)
    fallback.failed("made to fail", clock().timestamp())
    brain.tend(0)
    list(brain.adopting(newer, tmp_path))
    while brain.space != OtherSpace.space:
        brain.tend(1000)
    assert len(brain._titles.vectors) == 803
    assert "new-0" in {title.content_id for title in brain.recommend()}
