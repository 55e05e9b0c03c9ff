"""The way to a TV: by the shortest patch, resumed at any byte, refused without harm."""

from __future__ import annotations

import random
import secrets
from itertools import cycle
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.core.artifacts.accepted import Accepted
from omega.core.artifacts.fetching import Fetcher, Request
from omega.core.artifacts.manifest import Kind, Manifest, digest
from omega.core.errors import ArtifactError, CatalogError
from tests.core.artifacts.conftest import served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.artifacts.keys import Keyring, SigningKey
    from omega.core.artifacts.shelf import Shelf
    from tests.core.artifacts.conftest import Publish

RNG = random.Random(4)
FIRST = RNG.randbytes(6000)
SECOND = FIRST[:2000] + b"a change" + FIRST[2000:]
THIRD = RNG.randbytes(5000)


@pytest.fixture
def first(publish: Publish) -> Manifest:
    return publish(FIRST)


@pytest.fixture
def second(first: Manifest, publish: Publish) -> Manifest:
    return publish(SECOND)


def read(tv: Accepted) -> bytes | None:
    return tv.read(Kind.WEIGHTS, "weights")


def until_the_blob(shelf: Shelf, fetcher: Fetcher) -> Request:
    served(shelf, fetcher, 1)
    request = fetcher.request()
    assert request
    return request


def test_the_file_is_fetched_in_ranges_that_were_asked_for(shelf: Shelf, tv: Accepted, first: Manifest) -> None:
    fetcher = Fetcher(first.named, tv, chunk_bytes=1000)
    assert fetcher.request() == Request(first.file, 0, 4096)
    assert served(shelf, fetcher, 1) == [first.file]
    assert fetcher.request() == Request(first.sha256, 0, 1000)
    served(shelf, fetcher, 4)
    assert fetcher.request() == Request(first.sha256, 4000, 5000)
    assert fetcher.taken is None
    assert read(tv) is None
    served(shelf, fetcher)
    assert fetcher.taken == first
    assert fetcher.request() is None
    assert read(tv) == FIRST
    assert fetcher.received_bytes == 6000 + (shelf.folder / first.file).stat().st_size
    assert {file.name for file in tv.folder.iterdir()} == {first.file, first.sha256}


def test_a_tv_that_has_the_one_before_gets_the_patch(
    shelf: Shelf, tv: Accepted, second: Manifest, key: SigningKey
) -> None:
    (patch,) = second.patches
    tv.take((shelf.folder / f"{patch.base[:32]}-1.json").read_bytes(), FIRST)
    fetcher = Fetcher(second.named, tv)
    assert served(shelf, fetcher) == [second.file, patch.sha256]
    assert read(tv) == SECOND
    assert fetcher.received_bytes < 1000


def test_a_tv_without_it_gets_the_file(shelf: Shelf, tv: Accepted, second: Manifest) -> None:
    assert served(shelf, Fetcher(second.named, tv)) == [second.file, second.sha256]
    assert read(tv) == SECOND


def test_what_compresses_comes_compressed(shelf: Shelf, tv: Accepted, publish: Publish) -> None:
    made = publish(b"title " * 5000)
    fetcher = Fetcher(made.named, tv)
    assert served(shelf, fetcher) == [made.file, made.patches[0].sha256]
    assert fetcher.received_bytes < 1000
    assert read(tv) == b"title " * 5000


def test_bytes_that_are_here_arent_fetched(shelf: Shelf, tv: Accepted, first: Manifest, publish: Publish) -> None:
    served(shelf, Fetcher(first.named, tv))
    again = publish(FIRST)
    assert served(shelf, Fetcher(again.named, tv)) == [again.file]
    assert tv.held(Kind.WEIGHTS, "weights") == again


@pytest.mark.parametrize("damage", ["missing", "flipped", "cut"])
def test_a_bad_patch_gives_way_to_the_file(shelf: Shelf, tv: Accepted, second: Manifest, damage: str) -> None:
    (patch,) = second.patches
    tv.take((shelf.folder / f"{patch.base[:32]}-1.json").read_bytes(), FIRST)
    file = shelf.folder / patch.sha256
    data = file.read_bytes()
    match damage:
        case "missing":
            file.unlink()
        case "flipped":
            file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case _:
            file.write_bytes(data[:-1])
    assert served(shelf, Fetcher(second.named, tv)) == [second.file, patch.sha256, second.sha256]
    assert read(tv) == SECOND


def test_a_patch_whose_base_is_lost_meanwhile_gives_way_to_the_file(
    shelf: Shelf, tv: Accepted, second: Manifest
) -> None:
    (patch,) = second.patches
    tv.take((shelf.folder / f"{patch.base[:32]}-1.json").read_bytes(), FIRST)
    fetcher = Fetcher(second.named, tv)
    until_the_blob(shelf, fetcher)
    (tv.folder / patch.base).unlink()
    assert served(shelf, fetcher) == [patch.sha256, second.sha256]
    assert read(tv) == SECOND


@pytest.mark.parametrize("damage", ["missing", "flipped", "cut"])
def test_a_bad_file_is_refused_and_what_was_in_use_stays(
    shelf: Shelf, tv: Accepted, first: Manifest, publish: Publish, damage: str
) -> None:
    served(shelf, Fetcher(first.named, tv))
    third = publish(THIRD)
    file = shelf.folder / third.sha256
    match damage:
        case "missing":
            file.unlink()
        case "flipped":
            file.write_bytes(THIRD[:-1] + bytes([THIRD[-1] ^ 1]))
        case _:
            file.write_bytes(THIRD[:-1])
    fetcher = Fetcher(third.named, tv, chunk_bytes=512)
    with pytest.raises(ArtifactError, match=r"weights 2 can't be fetched \(.*\): try again later"):
        served(shelf, fetcher)
    assert read(tv) == FIRST
    assert {f.name for f in tv.folder.iterdir()} == {first.file, first.sha256}
    file.write_bytes(THIRD)
    assert tv.wants(third.named)
    served(shelf, fetcher)
    assert read(tv) == THIRD


def test_a_bad_manifest_is_refused(
    shelf: Shelf, tv: Accepted, first: Manifest, publish: Publish, sealed: Callable[[Manifest], bytes]
) -> None:
    other = publish(THIRD, name="night")
    for wrong in (sealed(first)[:-1], b"", sealed(other), b"x" * 4097):
        with pytest.raises(ArtifactError):
            Fetcher(first.named, tv).receive(wrong)
    with pytest.raises(ArtifactError, match="the server has no such file"):
        Fetcher(first.named, tv).missing()
    assert read(tv) is None


def test_more_than_was_asked_for_is_refused(shelf: Shelf, tv: Accepted, first: Manifest) -> None:
    fetcher = Fetcher(first.named, tv, chunk_bytes=100)
    until_the_blob(shelf, fetcher)
    with pytest.raises(ArtifactError, match="101 B came, allowed: 100 B as asked for"):
        fetcher.receive(FIRST[:101])
    assert list(tv.folder.iterdir()) == []


def test_what_isnt_wanted_isnt_begun(shelf: Shelf, tv: Accepted, first: Manifest) -> None:
    fetcher = Fetcher(first.named, tv)
    served(shelf, fetcher)
    with pytest.raises(ArtifactError, match="1 B came, allowed: none"):
        fetcher.receive(b"x")
    with pytest.raises(ArtifactError, match="is known, refused or too large"):
        Fetcher(first.named, tv)


def test_what_is_of_no_use_is_refused_once(shelf: Shelf, tv: Accepted, first: Manifest, publish: Publish) -> None:
    def useless(manifest: Manifest, data: bytes) -> None:
        raise CatalogError(f"{manifest.version} of {len(data)} B is of no use")

    served(shelf, Fetcher(first.named, tv))
    third = publish(THIRD)
    with pytest.raises(CatalogError, match="2 of 5000 B is of no use"):
        served(shelf, Fetcher(third.named, tv, useless))
    assert read(tv) == FIRST
    assert not tv.wants(third.named)


def test_it_goes_on_at_any_byte_after_a_restart(shelf: Shelf, tv: Accepted, keys: Keyring, publish: Publish) -> None:
    made = publish(THIRD[:64])
    for stopped in range(65):
        here = Accepted(tv.folder / str(stopped), keys)
        fetcher = Fetcher(made.named, here, chunk_bytes=max(stopped, 1))
        until_the_blob(shelf, fetcher)
        if 0 < stopped < 64:
            served(shelf, fetcher, 1)
        again = Fetcher(made.named, Accepted(here.folder, keys))
        assert until_the_blob(shelf, again) == Request(made.sha256, stopped % 64, 64)
        served(shelf, again)
        assert read(Accepted(here.folder, keys)) == THIRD[:64]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=30))
def test_pieces_of_any_length_and_restarts_make_the_file(
    shelf: Shelf, tv: Accepted, keys: Keyring, publish: Publish, cuts: list[tuple[int, bool]]
) -> None:
    home = tv.folder / secrets.token_hex(4)
    made = (shelf.manifests() if shelf.folder.exists() else None) or [publish(THIRD[:500])]
    fetcher = Fetcher(made[0].named, Accepted(home, keys))
    for length, restart in cycle(cuts):
        if (request := fetcher.request()) is None:
            break
        file = shelf.find(request.path)
        assert file
        stop = request.stop if request.path == made[0].file else request.start + length
        fetcher.receive(file.read_bytes()[request.start : stop])
        if restart and request.path != made[0].file and not fetcher.taken:
            fetcher = Fetcher(made[0].named, Accepted(home, keys))
    assert read(Accepted(home, keys)) == THIRD[:500]


def test_a_start_that_was_damaged_meanwhile_is_fetched_again(
    shelf: Shelf, tv: Accepted, keys: Keyring, publish: Publish
) -> None:
    made = publish(THIRD)
    for damaged in (b"?" * 2000, b"?" * 5000, b"?" * 9000):
        here = Accepted(tv.folder / str(len(damaged)), keys)
        here.part(made.sha256).write_bytes(damaged)
        served(shelf, Fetcher(made.named, here))
        assert read(here) == THIRD


def test_a_complete_start_is_taken_without_asking_for_more(
    shelf: Shelf, tv: Accepted, keys: Keyring, first: Manifest
) -> None:
    tv.part(first.sha256).write_bytes(FIRST)
    assert served(shelf, Fetcher(first.named, tv)) == [first.file]
    assert read(tv) == FIRST


def test_only_one_start_is_kept(shelf: Shelf, tv: Accepted, first: Manifest, publish: Publish) -> None:
    other = publish(THIRD, name="night")
    for manifest in (first, other):
        fetcher = Fetcher(manifest.named, tv, chunk_bytes=100)
        until_the_blob(shelf, fetcher)
        served(shelf, fetcher, 1)
        assert [file.name for file in tv.folder.iterdir()] == [f"{manifest.sha256}.part"]


def test_what_has_another_name_costs_its_manifest_alone(shelf: Shelf, publish: Publish, tv: Accepted) -> None:
    made = publish(THIRD)
    fetcher = Fetcher(made.named, tv, name="night")
    with pytest.raises(ArtifactError, match="allowed: night"):
        served(shelf, fetcher)
    assert 0 < fetcher.received_bytes < 2_000
    assert not tv.wants(made.named)


def test_a_patch_applies_to_what_shipped(shelf: Shelf, publish: Publish, tmp_path: Path, keys: Keyring) -> None:
    (tmp_path / "shipped").write_bytes(FIRST)
    publish(FIRST)
    made = publish(SECOND)
    tv = Accepted(tmp_path / "new", keys, shipped=tmp_path / "shipped")
    fetcher = Fetcher(made.named, tv)
    patch = next(patch for patch in made.patches if patch.base == digest(FIRST))
    assert served(shelf, fetcher) == [made.file, patch.sha256]
    assert fetcher.taken == made
    assert read(tv) == SECOND
