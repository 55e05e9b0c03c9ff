"""`run` makes real environments here, in copies of the tree."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).resolve().parent.parent
FILES = ("run", "pyproject.toml", "requirements.lock", "requirements-optimum.lock", "README.md", "LICENSE", "NOTICE")
PACKAGES = ("omega", "omega_cli", "plugins", "storage", "model_tools")
UNNEEDED = shutil.ignore_patterns("__pycache__", "*.onnx", "*.npy")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what an installation needs; its path holds a space."""
    folder = tmp_path / "a copy"
    folder.mkdir()
    for name in FILES:
        shutil.copy2(REPOSITORY / name, folder / name)
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=UNNEEDED)
    return folder


def load(folder: Path) -> Any:
    """Import the script `run` of a folder as a module."""
    loader = SourceFileLoader("omega_run", str(folder / "run"))
    spec = importlib.util.spec_from_loader("omega_run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def environment(**more: str) -> dict[str, str]:
    """A fresh machine's environment: no uv on PATH, no virtual environment active."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMEGA_", "PYTHON", "COV_"))}
    folders = [folder for folder in os.get_exec_path() if not (Path(folder) / "uv").exists()]
    kept.pop("VIRTUAL_ENV", None)
    return kept | {"PATH": os.pathsep.join(folders)} | more


def packages(folder: Path) -> str:
    """How many packages the lock of a folder pins."""
    return str(sum(line[0].isalpha() for line in (folder / "requirements.lock").read_text().splitlines()))


def call(folder: Path, *args: str, env: Mapping[str, str]) -> tuple[int, str, str, float]:
    """Call `run`; return its exit code, stdout, stderr and seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, folder / "run", *args], env=env, cwd=folder.parent, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr, time.perf_counter() - start


def start(folder: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `run omega --version` in a process group of its own, able to be interrupted."""
    command = [str(folder / "run"), "omega", "--version"]
    listening = "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); del sys.argv[0]; "
    return subprocess.Popen(
        [sys.executable, "-c", f"{listening}runpy.run_path(sys.argv[0], run_name='__main__')", *command],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_first_call_installs_and_the_second_starts_at_once(copy: Path, installer: str) -> None:
    env = environment(OMEGA_RUN_INSTALLER=installer)

    code, out, err, _ = call(copy, "omega", "--version", env=env)
    assert (code, out.split()[0]) == (0, "omega"), err
    assert [line.split()[0] for line in err.splitlines()[1:]] == [
        "virtual",
        *["uv"] * (installer == "uv"),
        packages(copy),
        "omega",
        "byte",
    ]

    call(copy, "omega", "--version", env=env)  # compiles
    code, out, err, seconds = call(copy, "omega", "--version", env=env)
    assert (code, err) == (0, "")
    assert seconds < 1

    where = "import omega, omega_storage; print(omega.__file__, omega_storage.__file__)"
    found = subprocess.check_output([copy / ".venv/bin/python", "-c", where], cwd="/", text=True)
    assert found.count(str(copy)) == 2


@pytest.mark.slow
def test_an_interrupted_installation_is_redone_and_two_calls_take_turns(copy: Path) -> None:
    env = environment(OMEGA_RUN_INSTALLER="uv")
    first = start(copy, env)
    state = copy / ".venv/.omega-run"
    while not (state.exists() and state.read_text() == "building" and (copy / ".venv/bin").exists()):
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGINT)
    _, err = first.communicate()
    assert first.returncode == 130
    assert "run: interrupted" in err
    assert "Traceback" not in err
    rest = copy / ".venv/lib/half-written"
    rest.parent.mkdir(exist_ok=True)
    rest.write_text("left by the interrupted call")

    both = [start(copy, env), start(copy, env)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert all(out.startswith("omega ") for out, _ in outputs)
    messages = sorted(err for _, err in outputs)
    assert "the last installation didn't finish" in messages[1]
    assert messages[0] == "run: another call is making the environment, waiting for it\n"
    assert not rest.exists()


@pytest.mark.slow
def test_without_network_the_error_says_what_is_needed(copy: Path, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        env = environment(
            HTTP_PROXY=nowhere,
            HTTPS_PROXY=nowhere,
            PIP_CACHE_DIR=str(tmp_path / "pip"),
            PIP_CONFIG_FILE=os.devnull,
            PIP_EXTRA_INDEX_URL="",
            PIP_FIND_LINKS="",
            PIP_INDEX_URL=f"{nowhere}/simple",
            UV_CACHE_DIR=str(tmp_path / "uv"),
            UV_DEFAULT_INDEX=f"{nowhere}/simple",
            UV_INDEX_URL=f"{nowhere}/simple",
            UV_NO_CONFIG="1",
        )
        code, out, err, _ = call(copy, "omega", "--version", env=env)
    assert (code, out) == (1, "")
    assert "uv can't be had, pip takes over" in err
    assert f"run: installing {packages(copy)} packages failed:" in err
    assert err.endswith(
        "It needs PyPI or a mirror of it (PIP_INDEX_URL, UV_DEFAULT_INDEX): check the network and run this again.\n"
    )
    assert "Traceback" not in err
    assert (copy / ".venv/.omega-run").read_text() == "building"


def ready_made(folder: Path, programs: Mapping[str, str]) -> None:
    """Make an environment that `run` takes for finished, of shell scripts."""
    run = load(folder)
    (folder / ".venv/bin").mkdir(parents=True)
    for name, script in programs.items():
        program = folder / ".venv/bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    run.MAIN.state.write_text(run.fingerprint(run.MAIN))


def test_lint_runs_every_check_and_fails_if_one_does(copy: Path) -> None:
    ready_made(
        copy, {"ruff": 'test "$1" = format || { echo found one; exit 1; }', "mypy": "exit 2", "lint-imports": ""}
    )
    code, out, err, _ = call(copy, "lint", env=environment())
    assert [re.sub(r" +[\d.]+ s$", "", line).split() for line in out.splitlines()] == [
        ["ruff", "check", "FAILED"],
        ["found", "one"],
        ["ruff", "format", "--check", "ok"],
        ["mypy", "FAILED"],
        ["lint-imports", "ok"],
    ]
    assert (code, err) == (1, "")


def test_lint_succeeds_if_all_checks_do(copy: Path) -> None:
    ready_made(copy, {"ruff": "", "mypy": "echo not shown", "lint-imports": ""})
    code, out, _, _ = call(copy, "lint", env=environment())
    assert (code, out.count(" ok "), "not shown" in out) == (0, 4, False)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["demo", "--days", "3"], "omega demo --days 3"),
        (["prove", "--all"], "omega prove --all"),
        (["bench"], "omega model bench"),
        (["omega", "device", "a b"], "omega device a b"),
        (["docs"], "python {root}/docs/generate.py"),
        (["test"], "python -m pytest --cov -n logical --dist worksteal"),
        (["test", "-x", "tests/core"], "python -m pytest -x tests/core"),
    ],
)
def test_commands_become_programs_of_the_environment(copy: Path, args: list[str], expected: str) -> None:
    script = 'echo "$(basename "$0") $*"; pwd; exit 7'
    ready_made(copy, {"omega": script, "python": script})
    code, out, err, _ = call(copy, *args, env=environment())
    at_root = args in (["test"], ["docs"])
    assert (code, err) == (7, "")
    assert out.splitlines() == [expected.format(root=copy), str(copy if at_root else copy.parent)]


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_makes_the_environment_stale(copy: Path, changed: str) -> None:
    ready_made(copy, {})
    run = load(copy)
    assert run.state(run.MAIN) == run.fingerprint(run.MAIN)
    with (copy / changed).open("a") as file:
        file.write("# one line more\n")
    assert run.state(run.MAIN) != run.fingerprint(run.MAIN)


def test_an_old_python_is_told_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load(REPOSITORY)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run.newer_python((3, 11, 0)) is None
    with pytest.raises(run.Trouble, match=r"this is Python 3\.9\.2, Omega needs 3\.11 or newer: "):
        run.newer_python((3, 9, 2))


def test_an_old_python_finds_a_newer_one_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python3.13").write_text("#!/bin/sh\necho 'this version is not selected' >&2; exit 127\n")
    (tmp_path / "python3.12").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for name in ("python3.13", "python3.12"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert load(REPOSITORY).newer_python((3, 10, 13)) == str(tmp_path / "python3.12")


def test_a_folder_that_is_no_environment_is_left_alone(copy: Path) -> None:
    (copy / ".venv").mkdir()
    (copy / ".venv/thesis.txt").write_text("the only copy")
    code, _, err, _ = call(copy, "omega", env=environment())
    expected = f"run: {copy}/.venv is no virtual environment, so it isn't replaced: move it away and run this again\n"
    assert (code, err) == (1, expected)
    assert (copy / ".venv/thesis.txt").read_text() == "the only copy"


@pytest.mark.parametrize(
    ("args", "variables", "code", "message"),
    [
        (["tset"], {}, 2, "run: no command 'tset', did you mean 'test'? See ./run --help\n"),
        (["lint", "--fix"], {}, 1, "run: lint takes no arguments, found --fix: ./run lint\n"),
        (["omega"], {"OMEGA_RUN_INSTALLER": "conda"}, 1, "run: OMEGA_RUN_INSTALLER is 'conda', allowed uv or pip: "),
    ],
)
def test_a_wrong_call_is_one_line(
    copy: Path, args: list[str], variables: dict[str, str], code: int, message: str
) -> None:
    found, out, err, _ = call(copy, *args, env=environment(**variables))
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert err.startswith(message)


def test_help_names_every_command() -> None:
    run = load(REPOSITORY)
    code, out, _, _ = call(REPOSITORY, "--help", env=environment())
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == list(run.COMMANDS)


def test_the_locks_hold_hashes_and_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-optimum.lock"):
        lines = (REPOSITORY / name).read_text().splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("-")]
        starts = [number for number, line in enumerate(lines) if "==" in line]
        assert all(lines[number + 1].startswith("    --hash=sha256:") for number in starts)
    assert not [line for line in lines if line.startswith(("torch==", "nvidia-"))]
