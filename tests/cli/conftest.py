"""Ways to run `omega`: in this process, in a process of its own, and on a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest

from omega_cli.app import main
from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODULE = ("-m", "omega_cli")
SCRIPT = ("-c", "import sys; from omega_cli.app import main; sys.argv[0] = 'omega'; main()")
"""What the installed command does; the program's name is omega then, and not python -m omega_cli."""
INTERRUPTIBLE = ("-c", f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{SCRIPT[1]}")
"""The same, able to be interrupted even where the tests run in a shell's background."""
_TERMINAL_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "TERM", "CI")
_SHAPE = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50"}


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed on stdout, decoded."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line that it printed on stderr."""
        (line,) = self.err.splitlines()
        return line


class Omega(Protocol):
    """Runs a command, asserts its exit code and that no traceback is to be seen."""

    def __call__(self, *arguments: str | Path, stdin: str | bytes = b"", code: int = 0) -> Done: ...


class Process(Protocol):
    """The same in a process of its own, with pipes."""

    def __call__(
        self,
        *arguments: str | Path,
        stdin: str | bytes = b"",
        code: int = 0,
        env: Mapping[str, str] | None = None,
        start: tuple[str, str] = MODULE,
    ) -> Done: ...


class Terminal(Protocol):
    """The same on a pseudo-terminal of 120 columns, where stdout and stderr are one; optionally it is interrupted."""

    def __call__(
        self,
        *arguments: str | Path,
        code: int = 0,
        env: Mapping[str, str] | None = None,
        interrupt_at: str | None = None,
    ) -> str: ...


def environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """This environment without what would color or widen the output, and with more of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in _TERMINAL_VARIABLES}
    return kept | dict(more or {})


class Screen(Protocol):
    """Runs a command in this process on a pseudo-terminal of 120 columns and returns all that it wrote there."""

    def __call__(self, *arguments: str | Path) -> str: ...


def checked(done: Done, code: int) -> Done:
    assert done.code == code, done
    assert "Traceback" not in done.out + done.err
    return done


def run_here(arguments: tuple[str | Path, ...], stdin: str | bytes = b"") -> Done:
    """Run the command line in this process, its three streams as in a pipe."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    out_bytes, err_bytes = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(raw, "utf-8", write_through=True) for raw in (out_bytes, err_bytes))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))
        code = _exit_code(arguments)
    return Done(code, out_bytes.getvalue().decode(), err_bytes.getvalue().decode())


def _exit_code(arguments: tuple[str | Path, ...]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["omega", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    code = end.value.code or 0
    assert isinstance(code, int)
    return code


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home's cache that holds the vectors of the example catalog."""
    home = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMEGA_HOME", str(home))
        checked(run_here(("device", "init")), 0)
    return home / "cache"


@pytest.fixture
def home(tmp_path: Path, warm: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test alone, with a warm cache; it is the working folder, too."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copytree(warm, folder / "cache")
    monkeypatch.setenv("OMEGA_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def omega(home: Path) -> Omega:
    def run(*arguments: str | Path, stdin: str | bytes = b"", code: int = 0) -> Done:
        return checked(run_here(arguments, stdin), code)

    return run


@pytest.fixture
def process(home: Path) -> Process:
    def run(
        *arguments: str | Path,
        stdin: str | bytes = b"",
        code: int = 0,
        env: Mapping[str, str] | None = None,
        start: tuple[str, str] = MODULE,
    ) -> Done:
        done = subprocess.run(
            [sys.executable, *start, *map(str, arguments)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env=environment(env),
            timeout=120,
            check=False,
        )
        return checked(Done(done.returncode, done.stdout.decode(), done.stderr.decode()), code)

    return run


@pytest.fixture
def terminal(home: Path) -> Terminal:
    def run(
        *arguments: str | Path,
        code: int = 0,
        env: Mapping[str, str] | None = None,
        interrupt_at: str | None = None,
    ) -> str:
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, *INTERRUPTIBLE, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(_SHAPE | dict(env or {})),
        )
        os.close(theirs)
        try:
            text = _read(ours, child, interrupt_at)
        finally:
            child.kill()
            child.wait()
            os.close(ours)
        return checked(Done(child.returncode, text, ""), code).out

    return run


@pytest.fixture
def screen(home: Path, monkeypatch: pytest.MonkeyPatch) -> Screen:
    for name in _TERMINAL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in _SHAPE.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str | Path) -> str:
        ours, theirs = pty.openpty()
        seen = bytearray()
        reader = Thread(target=_drain, args=(ours, seen))
        reader.start()
        with os.fdopen(theirs, "w", encoding="utf-8") as tty, redirect_stdout(tty), redirect_stderr(tty):
            code = _exit_code(arguments)
        reader.join()
        os.close(ours)
        return checked(Done(code, seen.decode(), ""), 0).out

    return run


def _drain(ours: int, seen: bytearray) -> None:
    with suppress(OSError):
        while part := os.read(ours, 65_536):
            seen += part


def _read(ours: int, child: subprocess.Popen[bytes], interrupt_at: str | None, timeout_s: float = 120) -> str:
    """Read the terminal until the child leaves it; interrupt the child when a text appears.

    Python doesn't see an interrupt that comes in the instant before a read blocks: as a person would, press again.
    """
    seen, waiting = b"", interrupt_at
    until = time.monotonic() + timeout_s
    with suppress(OSError):  # how Linux says that nobody holds the other end any more
        while time.monotonic() < until:
            if not select.select([ours], [], [], 10)[0]:
                if interrupt_at and not waiting:
                    child.send_signal(signal.SIGINT)
                continue
            if not (part := os.read(ours, 65_536)):
                break
            seen += part
            if waiting and waiting.encode() in seen:
                child.send_signal(signal.SIGINT)
                waiting = None
    assert waiting is None, f"{waiting!r} never appeared: {seen[-2000:]!r}"
    child.wait(timeout=30)
    return seen.decode()


@pytest.fixture
def static_model(tmp_path: Path) -> Path:
    """A copy of the static model's folder, to be damaged."""
    return Path(shutil.copytree(MODELS / "minilm-static", tmp_path / "minilm-copy"))


@pytest.fixture(scope="session")
def kept(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """The demo with seed 1: its report, and the folder in which it kept the stores."""
    home, folder = tmp_path_factory.mktemp("demo-home"), tmp_path_factory.mktemp("demo") / "tvs"
    shutil.copytree(warm, home / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMEGA_HOME", str(home))
        yield checked(run_here(("demo", "--keep", folder, "--json")), 0).json, folder
