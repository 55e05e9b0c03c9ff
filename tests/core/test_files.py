"""Files are read within bounds, and written whole or not at all."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from omega.core.errors import CatalogError, InputError
from omega.core.files import atomic_folder, atomic_path, read_bounded, write_atomically


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"12345")
    assert read_bounded(file, 5) == b"12345"
    with pytest.raises(CatalogError, match="f is 5 B, allowed: 4 B"):
        read_bounded(file, 4, CatalogError)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere can't be read: No such file"):
        read_bounded(tmp_path / "nowhere", 5)
    with pytest.raises(InputError, match="can't be read"):
        read_bounded(tmp_path / "a\0b", 5)
    with pytest.raises(CatalogError, match="can't be read: Is a directory"):
        read_bounded(tmp_path, 5, CatalogError)


def test_a_write_makes_the_folder_and_replaces_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "f.txt"
    write_atomically(file, b"old and longer")
    write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_a_secret_is_its_owners_alone_from_the_first_byte(tmp_path: Path) -> None:
    write_atomically(tmp_path / "secret", b"s", mode=0o600)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    with atomic_path(tmp_path / "other", mode=0o600) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600


def test_the_old_file_stays_when_the_block_fails(tmp_path: Path) -> None:
    file = tmp_path / "f.txt"
    file.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_path(file) as temporary:
            temporary.write_bytes(b"half")
            assert file.read_bytes() == b"old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_temporary_file_keeps_the_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "v.npy") as temporary:
        assert temporary.suffix == ".npy"
        assert temporary.parent == tmp_path


def test_a_folder_that_cant_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="can't be written"):
        write_atomically(tmp_path / "file" / "below", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder can't be written: Is a directory"):
        write_atomically(tmp_path / "folder", b"x")
    with pytest.raises(InputError, match="can't be written"), atomic_folder(tmp_path / "file" / "below"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def filled(folder: Path, text: str) -> None:
    with atomic_folder(folder, replaces=lambda old: (old / "mine").exists()) as temporary:
        (temporary / "mine").write_text(text)
        if text == "interrupted":
            raise KeyboardInterrupt


def test_a_folder_appears_whole_and_takes_the_place_of_its_like(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    filled(folder, "old")
    filled(folder, "new")
    with pytest.raises(KeyboardInterrupt):
        filled(folder, "interrupted")
    assert (folder / "mine").read_text() == "new"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert list(folder.parent.iterdir()) == [folder]


def test_an_empty_folder_is_filled_but_a_strangers_kept(tmp_path: Path) -> None:
    filled(tmp_path / "none", "x")
    (tmp_path / "empty").mkdir()
    filled(tmp_path / "empty", "x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "yours").write_text("x")
    for taken in (tmp_path / "full", tmp_path / "full" / "yours"):
        with pytest.raises(InputError, match="is there already, allowed: a new name"):
            filled(taken, "x")
    assert (tmp_path / "full" / "yours").read_text() == "x"


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    def fill() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(InputError, match=r"f\.txt can't be written: No space left on device"),
        atomic_path(tmp_path / "f.txt"),
    ):
        fill()
    with pytest.raises(InputError, match="d can't be written: No space left on device"), atomic_folder(tmp_path / "d"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_what_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def work() -> None:
        with atomic_folder(tmp_path / "out") as folder:
            (folder / "ours").touch()
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "theirs").touch()

    with pytest.raises(InputError, match="is there already"):
        work()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["theirs"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_an_older_folder_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with atomic_folder(tmp_path / "out", replaces=lambda folder: (folder / "old").exists()) as folder:
        (folder / "new").touch()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["new"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_device_is_no_plain_file() -> None:
    with pytest.raises(InputError, match="/dev/zero can't be read: it is no plain file"):
        read_bounded(Path("/dev/zero"), 100)
