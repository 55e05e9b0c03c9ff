"""Where a daemon lives: the lock that makes it the only one of its store, and its socket's file."""

from __future__ import annotations

import fcntl
import grp
import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import InputError, StoreError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_FILE = "daemon.lock"
SOCKET_FILE = "daemon.sock"
MAX_PATH_BYTES = 107
"""What a unix socket's address holds beside its final NUL, on Linux."""
_MAX_LOCK_BYTES = 65_536
_SOCKET_MODE = 0o660


class Holder(msgspec.Struct, frozen=True):
    """What the lock's file says of the daemon that holds it, or held it last."""

    pid: int
    socket: str


def socket_path(store: Path) -> Path:
    """Return the socket's path in a TV's folder, unless another is named."""
    return store.absolute() / SOCKET_FILE


def holder(store: Path) -> Holder | None:
    """Return what the store's lock says, None where it says nothing that can be read; it may be out of date."""
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError), (store / LOCK_FILE).open("rb") as file:
        return msgspec.json.decode(file.read(_MAX_LOCK_BYTES), type=Holder)
    return None


@contextmanager
def held(store: Path, address: Path, *, create: bool) -> Iterator[None]:
    """Hold the store's lock and write into it who serves where; the kernel frees it however the process ends.

    With `create` the folder is made. Raises StoreError when another daemon holds it, which is named.
    """
    if not create:
        raise StoreError(f"{store} holds no TV's store: make one with omega device init, or name another folder")
    try:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(store / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(store, error) from error
    try:
        _lock(file, store)
        _write(file, store, msgspec.json.encode(Holder(os.getpid(), str(address))))
        try:
            yield
        finally:
            os.ftruncate(file, 0)
    finally:
        os.close(file)


@contextmanager
def listening(address: Path, group: str | None = None) -> Iterator[socket.socket]:
    """Give a bound socket of mode 0660, with a group if one is named; its file goes with the block.

    What a killed daemon left is replaced. Raises InputError for a path that is too long, taken, or closed to the group.
    """
    if (length := len(os.fsencode(address))) > MAX_PATH_BYTES:
        raise InputError(f"socket {address} is {length} B long, allowed: {MAX_PATH_BYTES} B: name another by --socket")
    gid = None if group is None else _group(group)
    if gid is not None:
        _check_reachable(address.parent, gid, group)
    _remove_stale(address)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        inode = _bind(server, address, gid)
        yield server
        with suppress(OSError):  # gone, or another's by now
            if address.lstat().st_ino == inode:
                address.unlink()
    finally:
        server.close()


def _lock(file: int, store: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        other = holder(store)
        who = f"process {other.pid} at {other.socket}" if other else "another process"
        advice = "omega device commands use it by themselves; stop that process to start another"
        raise StoreError(f"{store} is served by {who}, allowed: one daemon a store: {advice}") from error


def _write(file: int, store: Path, data: bytes) -> None:
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, data, 0)
    except OSError as error:
        raise _unwritable(store, error) from error


def _unwritable(store: Path, error: OSError) -> StoreError:
    found = f"{store / LOCK_FILE} can't be written: {error.strerror}"
    return StoreError(f"{found}: make room, or make the TV's folder writable, or name another")


def _bind(server: socket.socket, address: Path, gid: int | None) -> int:
    """Bind so that the file has its mode from its first moment, and return its inode."""
    before = os.umask(0o777 ^ _SOCKET_MODE)
    try:
        server.bind(str(address))
        if gid is not None:
            os.chown(address, -1, gid)
        return address.lstat().st_ino
    except OSError as error:
        found = f"socket {address} can't be made: {error.strerror}"
        raise InputError(f"{found}: name one in a folder that can be written, and a group that is yours") from error
    finally:
        os.umask(before)


def _remove_stale(address: Path) -> None:
    """Remove a socket that nobody answers; raises InputError for anything else."""
    try:
        is_socket = stat.S_ISSOCK(address.lstat().st_mode)
    except OSError:  # nothing there; if it is worse, bind will say so
        return
    if not is_socket or _answers(address):
        what = "another program's socket" if is_socket else "no socket"
        raise InputError(f"{address} is {what}, allowed: a new name: give another by --socket")
    with suppress(OSError):
        address.unlink()


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(address))
        except ConnectionRefusedError:
            return False
        except OSError:  # a full queue, or no permission: somebody may be there
            return True
    return True


def _group(name: str) -> int:
    try:
        return grp.getgrgid(int(name)).gr_gid if name.isdecimal() else grp.getgrnam(name).gr_gid
    except (KeyError, OverflowError, ValueError) as error:
        raise InputError(f"group is {shown(name)}, allowed: a group of this machine: see getent group") from error


def _check_reachable(folder: Path, gid: int, group: str | None) -> None:
    """Raise InputError when the group could not even reach the socket: a TV's folder is its owner's alone."""
    try:
        facts = folder.stat()
    except OSError as error:
        raise InputError(f"{folder} can't be looked into: {error.strerror}: name a socket elsewhere") from error
    if not (facts.st_mode & stat.S_IXOTH or (facts.st_gid == gid and facts.st_mode & stat.S_IXGRP)):
        mode = f"{stat.S_IMODE(facts.st_mode):o}"
        raise InputError(f"{folder} has mode {mode}, which keeps group {group} out: name a socket elsewhere (--socket)")
