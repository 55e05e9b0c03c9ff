"""One daemon a store, one socket a daemon: what is in the way is replaced only when it is nobody's."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import InputError, StoreError
from omega.device.daemon.place import MAX_PATH_BYTES, Holder, held, holder, listening, socket_path

if TYPE_CHECKING:
    from pathlib import Path

OTHERS_GID = 65_534


def test_the_second_holder_is_told_who_the_first_is(folder: Path) -> None:
    address = socket_path(folder)
    with held(folder, address, create=True):
        assert holder(folder) == Holder(os.getpid(), str(folder / "daemon.sock"))
        with (
            pytest.raises(StoreError, match=f"is served by process {os.getpid()} at {address}, allowed: one daemon"),
            held(folder, address, create=True),
        ):
            pass
    assert holder(folder) is None
    with held(folder, address, create=True):
        assert holder(folder)


@pytest.mark.parametrize("nonsense", [b"\xff{" * 100, b'{"pid":1,"socket":"\xff"}', b"{}", b""])
def test_a_lock_that_says_nonsense_is_no_obstacle(folder: Path, nonsense: bytes) -> None:
    (folder / "daemon.lock").write_bytes(nonsense)
    assert holder(folder) is None
    with held(folder, socket_path(folder), create=True):
        assert holder(folder)


def test_a_folder_is_made_private_or_not_at_all(folder: Path) -> None:
    missing = folder / "a" / "tv"
    with pytest.raises(StoreError, match="holds no TV's store"), held(missing, folder / "s", create=False):
        pass
    assert not missing.exists()
    with held(missing, folder / "s", create=True):
        assert stat.S_IMODE(missing.stat().st_mode) == 0o700
        assert stat.S_IMODE((missing / "daemon.lock").stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(StoreError, match=r"daemon\.lock can't be written"), held(folder / "file", folder, create=True):
        pass


def test_the_socket_goes_with_its_daemon_and_takes_no_other_along(folder: Path) -> None:
    address = folder / "s"
    with listening(address):
        assert address.is_socket()
    assert not address.exists()
    with listening(address):
        address.unlink()
        address.write_text("another's")
    assert address.read_text() == "another's"


def test_what_a_killed_daemon_left_is_replaced(folder: Path) -> None:
    address = folder / "s"
    with closing(socket.socket(socket.AF_UNIX)) as killed:
        killed.bind(str(address))
    with listening(address) as bound:
        bound.listen()
        assert address.is_socket()
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(str(address))


def test_what_is_somebodys_is_not_replaced(folder: Path) -> None:
    address = folder / "s"
    with listening(address) as first:
        first.listen()
        with pytest.raises(InputError, match="is another program's socket, allowed: a new name"), listening(address):
            pass
        assert address.is_socket()
    address.write_text("a letter")
    with pytest.raises(InputError, match="is no socket, allowed"), listening(address):
        pass
    assert address.read_text() == "a letter"


def test_a_path_is_as_long_as_the_kernel_allows(folder: Path) -> None:
    fits = folder / ("x" * (MAX_PATH_BYTES - len(str(folder)) - 1))
    with listening(fits):
        assert fits.is_socket()
    too_long = fits.with_name(fits.name + "y")
    with (
        pytest.raises(InputError, match=r"is 108 B long, allowed: 107 B: name another by --socket"),
        listening(too_long),
    ):
        pass


def test_a_socket_that_cannot_be_made_says_why(folder: Path) -> None:
    with pytest.raises(InputError, match="can't be made: No such file or directory"), listening(folder / "a" / "s"):
        pass


def test_a_group_gets_the_socket_if_it_can_reach_it(folder: Path) -> None:
    gid = OTHERS_GID if os.geteuid() == 0 else os.getegid()
    address = folder / "s"
    with listening(address, str(gid)):
        facts = address.stat()
        assert (facts.st_gid, stat.S_IMODE(facts.st_mode)) == (gid, 0o660)
    folder.chmod(0o700)
    with pytest.raises(InputError, match=f"has mode 700, which keeps group {gid} out"), listening(address, str(gid)):
        pass
    assert not address.exists()


@pytest.mark.parametrize("name", ["no-such-group", "99999999999999999999", "4294967294", "²"])
def test_a_group_that_is_not_there_is_named(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"group is '{name}', allowed"), listening(folder / "s", name):
        pass
