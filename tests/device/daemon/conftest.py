"""Daemons for tests: one in a thread with fakes behind it, and whole ones in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pytest

from omega.device.daemon.place import listening
from omega.device.daemon.protocol import METHODS
from omega.device.daemon.server import Limits, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    from omega.device.brain import Brain
    from omega.device.daemon.protocol import Methods
    from tests.device.conftest import OpenBrain


class Wire:
    """A plain connection, to say what no proper client would."""

    def __init__(self, address: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(str(address))
        self.lines = self.socket.makefile("rb")

    def send(self, *requests: Mapping[str, object] | bytes) -> None:
        self.socket.sendall(b"".join(r if isinstance(r, bytes) else msgspec.json.encode(r) + b"\n" for r in requests))

    def reply(self) -> Any:
        """The next answer, None when the daemon closed the connection."""
        try:
            line = self.lines.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line else None

    def ask(self, *requests: Mapping[str, object] | bytes) -> Any:
        self.send(*requests)
        return self.reply()

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class Serve(Protocol):
    """Serves a brain (by default one with fakes) in a thread and returns the socket's path."""

    def __call__(
        self,
        brain: Brain | None = None,
        limits: Limits | None = None,
        *,
        tend: Callable[[float], object] | None = None,
        owner_uid: int | None = None,
        methods: Methods = METHODS,
        chores: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> Path: ...


class Daemon(Protocol):
    """A daemon in a process of its own."""

    address: Path
    store: Path
    process: subprocess.Popen[str]

    def kill(self) -> None: ...
    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]: ...


class Start(Protocol):
    """Starts `omega device daemon` on a store and waits until it is ready."""

    def __call__(self, store: Path | None = None, *flags: str, env: Mapping[str, str] | None = None) -> Daemon: ...


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path that every user can reach."""
    made = Path(tempfile.mkdtemp(prefix="omega-d-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def wire() -> Iterator[Callable[[Path], Wire]]:
    with ExitStack() as opened:

        def connect(address: Path) -> Wire:
            made = Wire(address)
            opened.callback(made.close)
            return made

        yield connect


@pytest.fixture
def serve(open_brain: OpenBrain, folder: Path) -> Iterator[Serve]:
    with ExitStack() as running:

        def served(
            brain: Brain | None = None,
            limits: Limits | None = None,
            *,
            tend: Callable[[float], object] | None = None,
            owner_uid: int | None = None,
            methods: Methods = METHODS,
            chores: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
        ) -> Path:
            address = folder / "d.sock"
            served = brain or open_brain()
            up = threading.Event()
            stops: list[Callable[[], None]] = []

            async def main() -> None:
                server = Server(served, limits, tend=tend, owner_uid=owner_uid, methods=methods, chores=chores)
                loop = asyncio.get_running_loop()
                stops.append(lambda: None if loop.is_closed() else _stop(loop, server))
                with listening(address) as bound:
                    await server.serve(bound, up.set)

            thread = threading.Thread(target=lambda: asyncio.run(main()))
            thread.start()
            assert up.wait(20)

            def end() -> None:
                stops[0]()
                thread.join(20)
                assert not thread.is_alive()

            running.callback(end)
            return address

        yield served


def _stop(loop: asyncio.AbstractEventLoop, server: Server) -> None:
    try:
        loop.call_soon_threadsafe(server.stop)
    except RuntimeError:  # it ended by itself meanwhile
        assert loop.is_closed()


class _Process:
    def __init__(self, store: Path, home: Path, flags: tuple[str, ...], env: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "omega_cli", "device", "daemon", "--json", *flags]
        self.store = store
        environment = {**os.environ, "OMEGA_HOME": str(home), "OMEGA_STORE": str(store), "OMEGA_EMBEDDER": "static"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**environment, **env}
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        ready = json.loads(line)
        assert ready["pid"] == self.process.pid
        self.address = Path(ready["socket"])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        assert "Traceback" not in errors
        return self.process.returncode, errors


@pytest.fixture
def start(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    home = tmp_path_factory.getbasetemp() / "home-of-daemons"
    started: list[_Process] = []

    def begin(store: Path | None = None, *flags: str, env: Mapping[str, str] | None = None) -> Daemon:
        started.append(_Process(store or folder / "tv", home, flags, env or {}))
        return started[-1]

    yield begin
    for daemon in started:
        daemon.kill()
