"""What the pages say is executed, or compared with the program."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec
import pytest

from omega.claims.claim import Result
from omega.core import hooks
from omega.core.parsing import MAX_JSON_BYTES, parse_context, parse_event
from omega.core.shard_records import ALL_SLOTS
from omega.core.types import ViewContext, ViewingEvent
from omega.device.daemon.protocol import METHODS, PROTOCOL, Code
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parent.parent


def generator() -> ModuleType:
    """docs/generate.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docs = generator()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def named_paths() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for path in re.findall(r"`([\w.]+(?:/[\w.]+)+)`", page.read_text()):
            yield page.name, path
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            yield page.name, str((page.parent / link).resolve().relative_to(ROOT))


def test_the_command_line_page_is_the_programs_own_help() -> None:
    assert docs.CLI_PAGE.read_text() == docs.cli_page(), "run ./run docs"


def test_the_wire_pages_codes_and_bytes_are_the_programs_own() -> None:
    assert docs.WIRE_PAGE.read_text() == docs.wire_page(), "run ./run docs"


@pytest.mark.parametrize(("page", "path"), sorted(set(named_paths())))
def test_every_path_that_a_page_names_exists(page: str, path: str) -> None:
    roots = (ROOT, ROOT / "omega", ROOT / "plugins", ROOT / "storage", ROOT / "model_tools", ROOT / ".venv")
    made = path.startswith((".venv/", "omega_plugins/"))
    assert made or any((root / path).exists() for root in roots), f"{page} names {path}"


def test_every_hook_is_documented() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text()
    specified = [name for name in vars(hooks) if name.startswith("omega_")]
    assert len(specified) >= 3
    assert [name for name in specified if f"`{name}(" not in page] == []


def test_the_events_page_shows_events_and_a_context_that_are_taken() -> None:
    events, context = blocks(ROOT / "docs" / "events.md", "json")
    told = [parse_event(line).content_id for line in events.splitlines()]
    assert told == ["heat-1995", "breaking-bad-2008", "our-wedding"]
    assert parse_context(context).mood == "relaxed"
    page = (ROOT / "docs" / "events.md").read_text()
    for struct in (ViewingEvent, ViewContext):
        assert [f.name for f in msgspec.structs.fields(struct) if f"`{f.name}`" not in page] == []


def test_the_daemons_page_tells_every_method_and_code() -> None:
    page = (ROOT / "docs" / "daemon.md").read_text()
    for name, method in METHODS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
        assert [field for field in method.params.__struct_fields__ if f"`{field}`" not in row] == []
        assert ("owner" in row) is method.owner_only
    assert [code for code in get_args(Code) if not re.search(rf"^\| `{code}` \|", page, re.MULTILINE)] == []
    assert f"which is {PROTOCOL}." in page
    assert f"{MAX_JSON_BYTES:,} bytes" in page


def test_the_daemons_examples_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMEGA_STORE", "living-room")
    monkeypatch.setenv("OMEGA_EMBEDDER", "static")
    page = ROOT / "docs" / "daemon.md"
    (code,), (requests,) = blocks(page, "python"), blocks(page, "json")
    command = [sys.executable, "-m", "omega_cli", "device", "daemon"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout
        ready = daemon.stdout.readline()
        assert ready == f"ready: process {daemon.pid} serves {tmp_path}/living-room/daemon.sock\n"
        try:
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("living-room/daemon.sock")
                client.sendall(requests.encode())
                client.shutdown(socket.SHUT_WR)
                answers = [msgspec.json.decode(line) for line in client.makefile("rb")]
        finally:
            daemon.terminate()
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5
    assert [(answer["id"], answer["ok"]) for answer in answers] == [(number, True) for number in range(1, 6)]
    assert set(answers[0]["result"]) == {"version", "protocol", "space", "mode", "pid"}


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(ROOT / "README.md", "python")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5
    assert (tmp_path / "living-room" / "store.db").exists()


def test_the_readmes_device_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMEGA_HOME", str(tmp_path))
    (script,) = (
        block for block in blocks(ROOT / "README.md", "sh") if "device init" in block and "SHARD_URL" not in block
    )
    omega = f"{shlex.quote(sys.executable)} -m omega_cli"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("./run omega", omega)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Heat" in done.stdout
    assert "The Godfather (1972), movie: score" in done.stdout


def test_the_readmes_walk_of_a_shard_and_a_tv_runs(tmp_path: Path) -> None:
    shard, tv = (block for block in blocks(ROOT / "README.md", "sh") if "8443" in block)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    omega = f"{shlex.quote(sys.executable)} -m omega_cli"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    served, daemon = (environment | {"OMEGA_HOME": str(tmp_path / name)} for name in ("shard", "tv"))

    def pasted(block: str) -> list[str]:
        return ["bash", "-euo", "pipefail", "-c", block.replace("./run omega", omega).replace("8443", port)]

    with subprocess.Popen(
        pasted(f"exec {shard}"), stdout=subprocess.PIPE, text=True, env=served, cwd=tmp_path
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == f"ready: process {process.pid} serves http://127.0.0.1:{port}\n"
        try:
            done = subprocess.run(pasted(tv), capture_output=True, text=True, check=False, env=daemon, cwd=tmp_path)
        finally:
            process.terminate()
    assert (done.returncode, process.returncode) == (0, 0), done.stderr
    assert re.search("counted: (1 row|0 rows) told, 0 taken back", done.stdout), "unless the daemon was quicker"
    assert " B up, " in done.stdout
    with closing(SqliteShardStore.open(tmp_path / "shard.db")) as store:
        assert [row.now.samples for row in store.aggregates() if row.slot == ALL_SLOTS] == [1]


def test_figures_stand_between_their_marks() -> None:
    result = Result("n", "w", 1.23456, 2.0, "ms", held=True, oracle="o", seconds=0.1, details={})
    page = docs.with_figures("a\n<!-- figures -->\nold\n<!-- /figures -->\nb", docs.figures([result]))
    assert page.startswith("a\n<!-- figures -->\n| claim |")
    assert "| n | w | 1.235 ms | at most 2 ms | o |\n<!-- /figures -->\nb" in page
    assert "old" not in page
