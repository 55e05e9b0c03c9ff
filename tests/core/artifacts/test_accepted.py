"""What a TV takes, what it refuses, and that what was in use stays."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.artifacts.accepted import Accepted
from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.manifest import Kind, Manifest, seal
from omega.core.errors import ArtifactError, CatalogError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.artifacts.conftest import Publish

    Sealed = Callable[[Manifest], bytes]

DATA = [random.Random(seed).randbytes(3000) for seed in range(6)]


@pytest.fixture
def versions(publish: Publish) -> list[Manifest]:
    return [publish(data) for data in DATA[:5]]


def reopened(tv: Accepted, *keys: SigningKey) -> Accepted:
    return Accepted(tv.folder, Keyring([key.public for key in keys]))


def names(tv: Accepted) -> set[str]:
    return {file.name for file in tv.folder.iterdir()}


def refuse(manifest: Manifest, data: bytes) -> None:
    raise CatalogError("of no use here")


def test_newer_ones_are_taken_and_the_one_before_is_kept(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey
) -> None:
    assert tv.held(Kind.WEIGHTS, "weights") is None
    assert tv.read(Kind.WEIGHTS, "weights") is None
    for manifest, data in zip(versions[:4], DATA, strict=False):
        assert tv.take(sealed(manifest), data) == manifest
        for open_tv in (tv, reopened(tv, key)):
            assert open_tv.held(Kind.WEIGHTS, "weights") == manifest
            assert open_tv.read(Kind.WEIGHTS, "weights") == data
    assert names(tv) == {name for m in versions[2:4] for name in (m.file, m.sha256)}


def test_versions_may_be_left_out(tv: Accepted, versions: list[Manifest], sealed: Sealed) -> None:
    tv.take(sealed(versions[0]), DATA[0])
    tv.take(sealed(versions[4]), DATA[4])
    assert tv.read(Kind.WEIGHTS, "weights") == DATA[4]


def test_replayed_older_ones_are_refused_for_ever(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey
) -> None:
    tv.take(sealed(versions[3]), DATA[3])
    for open_tv in (tv, reopened(tv, key)):
        for older in range(4):
            with pytest.raises(ArtifactError, match=f"has version {older + 1}, allowed: 5 and more"):
                open_tv.take(sealed(versions[older]), DATA[older])
            assert not open_tv.wants(versions[older].named)
        assert open_tv.read(Kind.WEIGHTS, "weights") == DATA[3]
        assert open_tv.wants(versions[4].named)


def test_the_same_version_with_other_bytes_is_refused(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey
) -> None:
    tv.take(sealed(versions[0]), DATA[0])
    forged = msgspec.structs.replace(versions[1], version=1)
    with pytest.raises(ArtifactError, match="has version 1, allowed: 2 and more"):
        tv.take(seal(forged, key), DATA[1])


def test_wrong_bytes_are_refused_and_the_good_ones_stay(tv: Accepted, versions: list[Manifest], sealed: Sealed) -> None:
    tv.take(sealed(versions[0]), DATA[0])
    before = names(tv)
    for place in range(0, len(DATA[1]), 7):
        flipped = bytearray(DATA[1])
        flipped[place] ^= 1 << place % 8
        with pytest.raises(ArtifactError, match="has sha256"):
            tv.take(sealed(versions[1]), bytes(flipped))
    for wrong in (b"", DATA[1][:-1], DATA[1] + b"x"):
        with pytest.raises(ArtifactError, match="its manifest says 3,000 B"):
            tv.take(sealed(versions[1]), wrong)
    assert (tv.read(Kind.WEIGHTS, "weights"), names(tv)) == (DATA[0], before)
    tv.take(sealed(versions[1]), DATA[1])


def test_the_unsigned_and_the_strangers_are_refused(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, other_key: SigningKey
) -> None:
    own = msgspec.structs.replace(versions[0], key=other_key.id)
    for forged in (seal(own, other_key), seal(versions[0], other_key), b"", b"{}"):
        with pytest.raises(ArtifactError):
            tv.take(forged, DATA[0])
    assert not tv.folder.exists()


def test_keys_change_in_turn(
    tv: Accepted, publish: Publish, sealed: Sealed, key: SigningKey, other_key: SigningKey
) -> None:
    first, second = publish(DATA[0]), publish(DATA[1], by=other_key)
    tv.take(sealed(first), DATA[0])
    with pytest.raises(ArtifactError, match="signed by key"):
        tv.take(sealed(second), DATA[1])
    both = reopened(tv, key, other_key)
    both.take(sealed(second), DATA[1])
    only_new = reopened(tv, other_key)
    assert only_new.read(Kind.WEIGHTS, "weights") == DATA[1]
    with pytest.raises(ArtifactError, match="signed by key"):
        only_new.take(sealed(first), DATA[0])


def test_what_a_stolen_key_signed_goes_with_the_key(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey, other_key: SigningKey
) -> None:
    last = msgspec.structs.replace(versions[0], version=2**53 - 1, key=other_key.id)
    both = reopened(tv, key, other_key)
    both.take(seal(last, other_key), DATA[0])
    assert not [m for m in versions if takes(both, sealed(m))]
    assert takes(reopened(tv, key), sealed(versions[1]))


def takes(tv: Accepted, sealed: bytes) -> bool:
    try:
        tv.judge(sealed)
    except ArtifactError:
        return False
    return True


def test_the_pull_must_name_this_very_one(tv: Accepted, versions: list[Manifest], sealed: Sealed) -> None:
    named = versions[1].named
    assert tv.judge(sealed(versions[1]), named) == versions[1]
    for field, value in (("kind", Kind.MODEL), ("start", bytes(16)), ("size_bytes", 2), ("version", 3)):
        with pytest.raises(ArtifactError, match="came where the pull named"):
            tv.judge(sealed(versions[1]), msgspec.structs.replace(named, **{field: value}))


def test_kinds_and_names_are_apart(tv: Accepted, publish: Publish, sealed: Sealed) -> None:
    made = [publish(DATA[0]), publish(DATA[1], name="night"), publish(DATA[2], Kind.FACTORS)]
    for manifest, data in zip(made, DATA, strict=False):
        tv.take(sealed(manifest), data)
    held = [tv.read(Kind.WEIGHTS, "weights"), tv.read(Kind.WEIGHTS, "night"), tv.read(Kind.FACTORS, "factors")]
    assert held == DATA[:3]


def test_a_limit_of_this_tv_holds(tmp_path: Path, keys: Keyring, versions: list[Manifest], sealed: Sealed) -> None:
    for limits in ({Kind.WEIGHTS: 2999}, {Kind.MODEL: 10_000}):
        small = Accepted(tmp_path / "small", keys, limits)
        assert not small.wants(versions[0].named)
        with pytest.raises(ArtifactError, match=r"is 3,000 B, allowed: (2,999|0) B"):
            small.take(sealed(versions[0]), DATA[0])


def test_what_is_of_no_use_is_never_taken_again(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey
) -> None:
    tv.take(sealed(versions[0]), DATA[0])
    with pytest.raises(CatalogError, match="of no use here"):
        tv.take(sealed(versions[1]), DATA[1], refuse)
    for open_tv in (tv, reopened(tv, key)):
        assert not open_tv.wants(versions[1].named)
        with pytest.raises(ArtifactError, match="has version 2"):
            open_tv.take(sealed(versions[1]), DATA[1])
        assert open_tv.read(Kind.WEIGHTS, "weights") == DATA[0]
    tv.take(sealed(versions[2]), DATA[2])
    assert names(tv) == {name for m in (versions[0], versions[2]) for name in (m.file, m.sha256)}


def test_one_that_turns_out_bad_is_given_up_for_the_one_before(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey
) -> None:
    assert tv.reject(Kind.WEIGHTS, "weights") is None
    tv.take(sealed(versions[0]), DATA[0])
    tv.take(sealed(versions[1]), DATA[1])
    assert tv.reject(Kind.WEIGHTS, "weights") == versions[0]
    for open_tv in (tv, reopened(tv, key)):
        assert open_tv.read(Kind.WEIGHTS, "weights") == DATA[0]
        assert not open_tv.wants(versions[1].named)
        with pytest.raises(ArtifactError, match="never taken again"):
            open_tv.take(sealed(versions[1]), DATA[1])
    assert versions[1].sha256 not in names(tv)
    assert tv.reject(Kind.WEIGHTS, "weights") is None
    assert tv.wants(versions[2].named)


def test_damaged_bytes_fall_back_and_are_fetched_again(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey
) -> None:
    tv.take(sealed(versions[0]), DATA[0])
    tv.take(sealed(versions[1]), DATA[1])
    (tv.folder / versions[1].sha256).write_bytes(b"?" * 3000)
    assert tv.read(Kind.WEIGHTS, "weights") == DATA[0]
    again = reopened(tv, key)
    assert again.wants(versions[1].named)
    assert not again.wants(versions[0].named)
    again.take(sealed(versions[1]), DATA[1])
    assert again.read(Kind.WEIGHTS, "weights") == DATA[1]


def test_a_damaged_manifest_counts_for_nothing(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey
) -> None:
    tv.take(sealed(versions[0]), DATA[0])
    tv.take(sealed(versions[1]), DATA[1])
    (tv.folder / versions[1].file).write_bytes(b"{")
    (tv.folder / ".half.1234abcd").write_bytes(b"left by a kill")
    again = reopened(tv, key)
    assert again.read(Kind.WEIGHTS, "weights") == DATA[0]
    again.take(sealed(versions[1]), DATA[1])
    assert ".half.1234abcd" not in names(again)


def test_a_disk_that_cant_be_written_changes_nothing(
    tmp_path: Path, keys: Keyring, versions: list[Manifest], sealed: Sealed
) -> None:
    (tmp_path / "file").write_bytes(b"")
    tv = Accepted(tmp_path / "file" / "tv", keys)
    with pytest.raises(InputError, match="can't be written"):
        tv.take(sealed(versions[0]), DATA[0])
    assert tv.held(Kind.WEIGHTS, "weights") is None
    with pytest.raises(InputError, match="can't be made"):
        tv.part(versions[0].sha256)


def test_what_shipped_is_known_and_is_read_where_it_lies(
    tmp_path: Path, keys: Keyring, versions: list[Manifest]
) -> None:
    shipped = tmp_path / "catalog.jsonl"
    shipped.write_bytes(DATA[0])
    tv = Accepted(tmp_path / "tv", keys, shipped=shipped)
    assert not tv.wants(versions[0].named)
    assert tv.wants(versions[1].named)
    assert tv.content(versions[0].sha256) == DATA[0]
    assert tv.held(Kind.WEIGHTS, "weights") is None
    shipped.write_bytes(DATA[1])
    assert tv.content(versions[0].sha256) is None, "it was replaced meanwhile"
    shipped.unlink()
    gone = Accepted(tmp_path / "tv", keys, shipped=shipped)
    assert gone.wants(versions[0].named)
    assert gone.content(versions[0].sha256) is None


def test_what_has_another_name_is_not_for_this_tv(tv: Accepted, versions: list[Manifest], sealed: Sealed) -> None:
    assert tv.judge(sealed(versions[0]), name="weights") == versions[0]
    with pytest.raises(ArtifactError, match="weights is called weights, allowed: night"):
        tv.judge(sealed(versions[0]), name="night")
    assert not tv.wants(versions[0].named), "it isn't asked for again"


def test_a_second_reader_leaves_alone_what_is_being_written(
    tv: Accepted, versions: list[Manifest], sealed: Sealed, key: SigningKey
) -> None:
    tv.take(sealed(versions[0]), DATA[0])
    half = tv.folder / ".half.1234abcd"
    half.write_bytes(b"on its way")
    assert reopened(tv, key).read(Kind.WEIGHTS, "weights") == DATA[0]
    assert half.exists()
