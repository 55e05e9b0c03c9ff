"""What a terminal gets and a pipe doesn't; and how commands end that are cut off or interrupted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Process, Screen, Terminal

ESCAPE = "\x1b"
COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|38|4[0-7]|48|9[0-7])(?:;\d+)*m")
TABLES = [("catalog", "show", "heat"), ("device", "recommend", "--k", "3"), ("plugins",), ("config", "show")]
HEAT = '{"content_id":"heat-1995","watch_pct":0.9}'


@pytest.mark.parametrize("arguments", [*TABLES, ("--help",), ("device", "status")], ids=" ".join)
def test_a_pipe_gets_no_escape_codes(process: Process, arguments: tuple[str, ...]) -> None:
    done = process(*arguments, env={"TERM": "xterm-256color"})
    assert done.out
    assert ESCAPE not in done.out + done.err
    assert not set(done.out) & set("│─━┃╭╮╰╯█")


def test_errors_and_progress_in_a_pipe_have_no_escape_codes(process: Process, home: Path) -> None:
    for file in (home / "cache" / "titles").iterdir():
        file.unlink()
    assert process("device", "init").err == ""
    assert ESCAPE not in process("device", "why", "nope", code=2).err


@pytest.mark.parametrize("arguments", [*TABLES, ("--help",)], ids=" ".join)
def test_a_terminal_gets_style(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    assert f"{ESCAPE}[" in terminal(*arguments)


def test_an_error_is_red_on_a_terminal(terminal: Terminal) -> None:
    assert COLOR.search(terminal("device", "why", "nope", code=2))


@pytest.mark.parametrize("arguments", [*TABLES, ("--help",), ("device", "why", "nope")], ids=" ".join)
def test_no_color_means_no_color(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    shown = terminal(*arguments, env={"NO_COLOR": "1"}, code=2 if "nope" in arguments else 0)
    assert shown
    assert not COLOR.search(shown)


def test_a_dumb_terminal_gets_no_escape_codes(terminal: Terminal) -> None:
    assert ESCAPE not in terminal("catalog", "show", "heat", env={"TERM": "dumb"})


def test_json_is_plain_on_a_terminal_too(terminal: Terminal) -> None:
    shown = terminal("device", "status", "--json")
    assert not COLOR.search(shown)
    assert json.loads(shown[shown.index("{") : shown.rindex("}") + 1])["catalog_titles"] == 800


def test_a_terminal_sees_the_progress_of_a_first_start(screen: Screen, home: Path) -> None:
    for file in (home / "cache" / "titles").iterdir():
        file.unlink()
    shown = screen("device", "init")
    assert "embedding the catalog" in shown
    assert "ready: 800 titles" in shown


def test_a_narrow_encoding_is_no_bug(process: Process) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert "heat-1995" in process("catalog", "show", env=ascii_only).out


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_a_reader_that_leaves_after_one_line_is_no_error(home: Path, flags: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "omega_cli", "catalog", "show", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode in (0, 1)


@pytest.mark.parametrize("arguments", [("plugins",), ("plugins", "--json"), ("--help",), ("device", "observe", HEAT)])
def test_a_reader_that_never_was_is_no_error(home: Path, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "omega_cli", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


def test_an_interrupted_first_start_leaves_no_half_of_a_cache(terminal: Terminal, home: Path) -> None:
    for file in (home / "cache" / "titles").iterdir():
        file.unlink()
    terminal("device", "init", interrupt_at="embedding the catalog", code=130)
    assert not list((home / "cache" / "titles").iterdir())


def test_an_interrupted_demo_leaves_no_half_of_a_store(terminal: Terminal) -> None:
    terminal("demo", "--weeks", "104", "--keep", "tvs", interrupt_at="day 3", code=130)
    assert not list(Path("tvs").rglob("*"))


def test_an_interrupted_demo_leaves_no_scratch_folder(terminal: Terminal, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    terminal("demo", "--weeks", "104", env={"TMPDIR": str(scratch)}, interrupt_at="day 3", code=130)
    assert not list(scratch.glob("omega*"))


@pytest.mark.parametrize("moment", ["1 of 4", "day 3", "add up"])
def test_an_interrupted_demo_leaves_no_shard(terminal: Terminal, tmp_path: Path, moment: str) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = ("demo", "--weeks", "1", "--neighbors", "4")
    terminal(*arguments, env={"TMPDIR": str(scratch)}, interrupt_at=moment, code=130)
    assert not list(scratch.iterdir())
    until = time.monotonic() + 10
    while (left := _processes_with(str(scratch))) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


def _processes_with(temporary: str) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is another user's, or it ended just now
            if f"TMPDIR={temporary}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(process)
    return found
