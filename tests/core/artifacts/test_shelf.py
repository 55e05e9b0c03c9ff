"""The operator's folder: versions that grow, patches, all that verify finds, a publish that is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.manifest import LIMIT_BYTES, Kind, Manifest, digest
from omega.core.artifacts.patches import apply_patch
from omega.core.artifacts.shelf import Shelf
from omega.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.artifacts.conftest import Publish

BASE = random.Random(5).randbytes(20_000)


def version(number: int) -> bytes:
    return BASE + f"version {number}".encode() * number


def test_versions_grow_each_by_itself(shelf: Shelf, publish: Publish, keys: Keyring) -> None:
    made = [publish(version(1)), publish(version(2)), publish(b"f", Kind.FACTORS), publish(b"w", name="night")]
    assert [(m.kind, m.name, m.version) for m in made] == [
        ("weights", "weights", 1),
        ("weights", "weights", 2),
        ("factors", "factors", 1),
        ("weights", "night", 1),
    ]
    assert shelf.verify(keys) == shelf.manifests() == [made[2], made[3], made[0], made[1]]
    assert shelf.current(keys) == [made[2], made[3], made[1]]
    assert (shelf.folder / made[1].sha256).read_bytes() == version(2)


def test_an_older_or_equal_version_isnt_published(shelf: Shelf, publish: Publish, key: SigningKey) -> None:
    publish(b"one")
    made = shelf.publish(b"five", Kind.WEIGHTS, key, made_at=0, version=5)
    before = sorted(shelf.folder.iterdir())
    for number in (-1, 0, 1, 5):
        with pytest.raises(ArtifactError, match=f"version is {number}, allowed: 6 and more"):
            shelf.publish(b"again", Kind.WEIGHTS, key, made_at=0, version=number)
    assert sorted(shelf.folder.iterdir()) == before
    assert publish(b"six").version == made.version + 1


def test_the_same_bytes_by_another_name_need_another_version(shelf: Shelf, publish: Publish, key: SigningKey) -> None:
    made = publish(b"w")
    with pytest.raises(ArtifactError, match="version is 1, allowed: another one"):
        publish(b"w", name="night")
    assert shelf.manifests() == [made]
    assert shelf.publish(b"w", Kind.WEIGHTS, key, made_at=0, name="night", version=2).version == 2


def test_patches_lead_from_the_last_three_versions(shelf: Shelf, publish: Publish) -> None:
    made = [publish(version(number)) for number in range(1, 6)]
    bases = [patch.base for patch in made[4].patches]
    assert bases == [made[3].sha256, made[2].sha256, made[1].sha256]
    for patch in made[4].patches:
        base = (shelf.folder / patch.base).read_bytes()
        data = (shelf.folder / patch.sha256).read_bytes()
        assert (len(data), digest(data)) == (patch.size_bytes, patch.sha256)
        assert apply_patch(base, data, made[4].size_bytes) == version(5)
        assert patch.size_bytes < 100


def test_what_compresses_has_a_patch_from_nothing(publish: Publish) -> None:
    (patch,) = publish(b"title " * 1000).patches
    assert patch.base == ""
    assert patch.size_bytes < 100


def test_older_bytes_may_come_back_as_a_newer_version(shelf: Shelf, publish: Publish, keys: Keyring) -> None:
    first, second = publish(version(1)), publish(version(2))
    third = publish(version(1))
    assert (third.sha256, third.version) == (first.sha256, 3)
    assert [patch.base for patch in third.patches] == [second.sha256]
    assert len(shelf.verify(keys)) == 3


@pytest.mark.parametrize("data", [b"", bytes(LIMIT_BYTES[Kind.WEIGHTS] + 1)], ids=["empty", "oversize"])
def test_what_no_tv_takes_isnt_published(shelf: Shelf, publish: Publish, data: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"allowed: 1\.\.65,536 B"):
        publish(data)
    assert not shelf.folder.exists()


def test_a_bad_name_or_kind_isnt_published(shelf: Shelf, publish: Publish, key: SigningKey, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        publish(b"x", name="../x")
    with pytest.raises(ArtifactError, match="kind is 'firmware', allowed: catalog, weights"):
        shelf.publish_file(tmp_path / "none", "firmware", key, made_at=0)
    with pytest.raises(ArtifactError, match="none can't be read"):
        shelf.publish_file(tmp_path / "none", "weights", key, made_at=0)
    assert shelf.manifests() == []


def test_a_folder_that_isnt_there_or_cant_be_made_is_told(tmp_path: Path, key: SigningKey) -> None:
    with pytest.raises(ArtifactError, match="is no folder of artifacts"):
        Shelf(tmp_path / "none").manifests()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactError, match="can't be written"):
        Shelf(tmp_path / "file").publish(b"x", Kind.WEIGHTS, key, made_at=0)


def test_only_published_files_are_found(shelf: Shelf, publish: Publish) -> None:
    made = publish(version(1))
    (shelf.folder.parent / "secret").write_bytes(b"")
    for name in (made.file, made.sha256):
        assert shelf.find(name) == shelf.folder / name
    for name in ("", ".", "..", "../secret", ".lock", made.sha256.upper(), made.sha256 + "\n", "0" * 64, "0" * 63):
        assert shelf.find(name) is None


def damaged(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_verify_names_every_flaw(
    shelf: Shelf, publish: Publish, keys: Keyring, other_key: SigningKey, sealed: Callable[[Manifest], bytes]
) -> None:
    made = [publish(bytes([number]) * 9, name=f"n{number}") for number in range(5)]
    strange = publish(b"strange", by=other_key)
    patched = [publish(version(1), name="patched"), publish(version(2), name="patched")]
    damaged(shelf.folder / made[0].file)
    damaged(shelf.folder / made[1].sha256)
    (shelf.folder / made[2].sha256).unlink()
    (shelf.folder / f"{'0' * 32}-1.json").write_bytes(sealed(made[3]))
    damaged(shelf.folder / patched[1].patches[0].sha256)
    with pytest.raises(ArtifactError) as refused:
        shelf.verify(keys)
    flawed = {line.split(":")[0] for line in str(refused.value).splitlines()}
    wrong = (made[0], made[1], made[2], strange, patched[1])
    assert flawed == {*(manifest.file for manifest in wrong), f"{'0' * 32}-1.json"}


def test_verify_goes_through_when_an_old_base_is_gone(shelf: Shelf, publish: Publish, keys: Keyring) -> None:
    first = publish(version(1))
    second = publish(version(2))
    for file in (first.file, first.sha256):
        (shelf.folder / file).unlink()
    assert shelf.verify(keys) == [second]


PUBLISHER = """
import sys
from pathlib import Path
from omega.core.artifacts.keys import SigningKey
from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
shelf, key = Shelf(Path(sys.argv[1])), SigningKey.read(Path(sys.argv[2]))
print("ready", flush=True)
number = 0
while True:
    number += 1
    shelf.publish((b"%d " % number) * 9000, Kind.WEIGHTS, key, made_at=0)
"""


def test_a_killed_publish_leaves_nothing_half_written(shelf: Shelf, key: SigningKey, tmp_path: Path) -> None:
    key.write(tmp_path / "key")
    rng, versions = random.Random(8), 0
    for _ in range(8):
        command = [sys.executable, "-c", PUBLISHER, str(shelf.folder), str(tmp_path / "key")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as publisher:
            assert publisher.stdout
            assert publisher.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0.01, 0.12))
            os.kill(publisher.pid, signal.SIGKILL)
        if shelf.folder.exists():
            found = shelf.verify(Keyring([key.public]))
            assert [m.version for m in found] == list(range(1, len(found) + 1))
            assert len(found) >= versions
            versions = len(found)
    assert versions > 8


def test_publishers_at_once_give_no_version_twice(shelf: Shelf, key: SigningKey, tmp_path: Path) -> None:
    key.write(tmp_path / "key")
    command = [sys.executable, "-c", PUBLISHER, str(shelf.folder), str(tmp_path / "key")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for publisher in both:
            assert publisher.stdout
            publisher.stdout.readline()
        time.sleep(0.4)
    finally:
        for publisher in both:
            publisher.kill()
            publisher.communicate()
    found = [m.version for m in shelf.verify(Keyring([key.public]))]
    assert found == list(range(1, len(found) + 1))
    assert len(found) > 2


def test_what_is_broken_is_told_and_the_version_before_it_counts(
    shelf: Shelf, publish: Publish, keys: Keyring, other_key: SigningKey
) -> None:
    made = [publish(version(number)) for number in range(1, 5)]
    stranger = publish(version(5), by=other_key)
    (shelf.folder / made[3].sha256).write_bytes(version(4)[:-1])
    (shelf.folder / made[2].sha256).unlink()
    (shelf.folder / f"{'0a' * 16}-9.json").write_bytes((shelf.folder / made[0].file).read_bytes())
    told: dict[str, str] = {}
    assert shelf.current(keys, lambda file, error: told.update({file: str(error)})) == [made[1]]
    assert set(told) == {made[2].file, made[3].file, stranger.file, f"{'0a' * 16}-9.json"}
    assert "allowed: as it says" in told[made[3].file]
    assert "can't be read" in told[made[2].file]
    assert "signed by key" in told[stranger.file]
    assert f"allowed: {made[0].file}" in told[f"{'0a' * 16}-9.json"]
    with pytest.raises(ArtifactError):
        shelf.current(keys)


def test_what_a_check_refuses_gives_way_to_the_version_before(shelf: Shelf, publish: Publish, keys: Keyring) -> None:
    made = [publish(version(number)) for number in range(1, 4)]
    seen: list[int] = []

    def check(manifest: Manifest) -> None:
        seen.append(manifest.version)
        if manifest.version > 2:
            raise ArtifactError("no")

    assert shelf.current(keys, lambda file, error: None, check) == [made[1]]
    assert seen == [3, 2], "what is older needn't be looked at"
    with pytest.raises(ArtifactError, match="no"):
        shelf.current(keys, check=check)


def test_the_bytes_are_read_checked(shelf: Shelf, publish: Publish) -> None:
    made = publish(version(1))
    assert shelf.read(made) == version(1)
    (shelf.folder / made.sha256).write_bytes(version(1)[:-1] + b"?")
    with pytest.raises(ArtifactError, match="has sha256"):
        shelf.read(made)
