"""Every command is documented, exemplified and tested; and the commands that are about the program itself."""

from __future__ import annotations

import ast
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

import omega as library
from omega_cli.app import app
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Omega, Process

JSON_RUNS = {
    ("artifact", "keygen"): ("second.key",),
    ("artifact", "list"): ("artifacts",),
    ("artifact", "publish"): ("titles.csv", "artifacts", "--kind", "weights", "--key", "operator.key"),
    ("artifact", "verify"): ("artifacts", "--trust", "operator.key.pub"),
    ("catalog", "build"): ("titles.csv", "--out", "catalog.jsonl"),
    ("catalog", "check"): (),
    ("catalog", "show"): (),
    ("config", "show"): (),
    ("device", "certify"): ("acme.key",),
    ("device", "consolidate"): (),
    ("device", "forget"): ("--all", "--yes"),
    ("device", "import"): ("household.json",),
    ("device", "init"): (),
    ("device", "memories"): (),
    ("device", "mode"): (),
    ("device", "observe"): ('{"content_id":"heat-1995","watch_pct":0.9}',),
    ("device", "privacy"): (),
    ("device", "profiles"): ("Ada",),
    ("device", "recommend"): (),
    ("device", "status"): (),
    ("device", "why"): ("heat-1995",),
    ("federation", "history"): (),
    ("federation", "redteam"): ("--attack", "quiet", "--poisoned", "10", "--strategy", "median", "--households", "48"),
    ("federation", "status"): (),
    ("plugins",): (),
    ("prove",): ("--only", "model-size"),
    ("shard", "admin"): ("ana",),
    ("shard", "keygen"): (),
    ("shard", "migrate"): (),
    ("shard", "cert"): ("certificates",),
    ("shard", "enrol"): (),
    ("shard", "maker"): ("acme.key", "makers.json", "--name", "Acme", "--quota", "9"),
}
"""Arguments that each command needs to print JSON; demo, daemon, sync and doctor have tests of their own."""
NEED_FP32 = {("model", "bench"), ("model", "export"), ("model", "quantize")}
"""Commands that start from the fp32 weights, which no test fetches: their work is tested with the model tools."""
ONLY_JSON = {("device", "export"), ("model", "embed")}
SCRIPT = ("-c", "import sys; from omega_cli.app import main; sys.argv[0] = 'omega'; main()")
"""What the installed command does: completion goes by the program's name, which is no longer python -m omega_cli."""


def walked(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every group and command with its path."""
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from walked(child, (*path, name))


EVERYTHING = dict(walked(typer.main.get_command(app)))
COMMANDS = {path: command for path, command in EVERYTHING.items() if not hasattr(command, "commands")}


def examples(epilog: str) -> Iterator[list[str]]:
    """Give the arguments of each omega call in an example, without pipes and variables before it."""
    for call in re.split(r", then (?=omega)", epilog.removeprefix("Example: ")):
        words = shlex.split(call)
        yield words[len(words) - words[::-1].index("omega") :]


def called() -> set[tuple[str, ...]]:
    """Return the paths of the commands that the tests of this folder call."""
    found = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                words = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                found |= {tuple(words[:length]) for length in (1, 2, 3)}
    return found


def test_the_walk_finds_the_commands() -> None:
    assert {("demo",), ("device", "why"), ("model", "quantize"), ("prove",)} <= set(COMMANDS)
    assert len(COMMANDS) >= 16


@pytest.mark.parametrize("path", EVERYTHING, ids=" ".join)
def test_the_help_of_every_command_has_an_example_that_parses(path: tuple[str, ...], omega: Omega) -> None:
    command = EVERYTHING[path]
    shown = " ".join(omega(*path, "--help").out.split())
    assert command.epilog.startswith("Example: "), "the epilog of every command is an example"
    assert " ".join(command.epilog.split()) in shown
    assert len(command.help) > 20
    for words in examples(command.epilog):
        target, rest = typer.main.get_command(app), words
        while hasattr(target, "commands"):
            target, rest = target.commands[rest[0]], rest[1:]
        target.make_context("omega", list(rest))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    assert [option.name for option in COMMANDS[path].params if not option.help] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_is_called_by_a_test_here(path: tuple[str, ...]) -> None:
    assert path in called(), f"write a test that calls {path}"


def test_every_command_can_print_json() -> None:
    able = {path for path, command in COMMANDS.items() if any(option.name == "json" for option in command.params)}
    assert able == set(COMMANDS) - ONLY_JSON
    assert able == set(JSON_RUNS) | NEED_FP32 | {
        ("demo",),
        ("device", "daemon"),
        ("device", "enrol"),
        ("device", "sync"),
        ("doctor",),
        ("eval",),
        ("federation", "experiment", "start"),
        ("federation", "experiment", "status"),
        ("federation", "experiment", "stop"),
        ("federation", "fit"),
        ("federation", "run"),
        ("federation", "serve"),
        ("loadtest",),
        ("simulate",),
        ("plan",),
        ("shard", "revoke"),
        ("shard", "serve"),
        ("shard", "sums"),
    }


@pytest.mark.parametrize("path", JSON_RUNS, ids=" ".join)
def test_json_is_all_that_stdout_gets(path: tuple[str, ...], omega: Omega) -> None:
    header, row = "id,title,year,kind,genres,minutes,age", "a,A,2000,movie,drama,90,6"
    Path("titles.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    Path("household.json").write_text(omega("device", "export").out, encoding="utf-8")
    if path[0] == "artifact":
        omega("artifact", "keygen", "operator.key")
        omega("artifact", "publish", *JSON_RUNS["artifact", "publish"])
    if path == ("shard", "enrol"):
        SqliteShardStore.open("shard.db").close()
    if path == ("device", "certify"):
        omega("shard", "maker", *JSON_RUNS["shard", "maker"])
    done = omega(*path, *JSON_RUNS[path], "--json")
    assert done.json
    assert done.err == ""


def test_the_examples_of_the_device_run(omega: Omega) -> None:
    for name in ("init", "observe", "recommend", "why", "status"):
        epilog = COMMANDS["device", name].epilog
        (words,) = examples(epilog)
        piped = re.search(r"echo '(.*)' \|", epilog)
        assert omega(*words, stdin=piped[1] if piped else "").out


def test_the_version_is_the_librarys(omega: Omega) -> None:
    assert omega("--version").out == f"omega {library.__version__}\n"


def test_an_unknown_command_is_named(omega: Omega) -> None:
    assert "'recommand'" in omega("device", "recommand", code=2).err


def test_plugins_are_listed_with_their_origin(omega: Omega) -> None:
    listed = omega("plugins", "--json").json
    assert listed["broken"] == []
    found = {(p["kind"], p["name"]): p for p in listed["plugins"]}
    for built_in in (
        ("embedder", "onnx"),
        ("embedder", "static"),
        ("vector store", "sqlite-vec"),
        ("transport", "http"),
    ):
        assert found[built_in]["origin"] == "built in"
        assert len(found[built_in]["summary"]) > 10
    assert "sqlite-vec" in omega("plugins").out


CLASHING = """
import typer
from omega.core.hooks import hookimpl
from omega.core.ports import Embedder

class Half(Embedder):
    NAME = "half"

@hookimpl
def omega_embedders():
    return [Half]

@hookimpl
def omega_commands(app):
    @app.command("demo")
    def mine() -> None:
        print("not omega's")

    @app.command()
    def device() -> None:
        print("not omega's")

    @app.command()
    def unbuildable(odd: object) -> None:
        print(odd)

    @app.command()
    def well() -> None:
        print("this is well")

    app.add_typer(typer.Typer(), name="config")
"""


BURSTING = """
from omega.core.hooks import hookimpl
from omega.core.ports import Embedder
from omega.core.errors import ModelError

class Bursting(Embedder):
    NAME = "bursting"

    @classmethod
    def open(cls, model=None, *, threads=1):
        raise ZeroDivisionError("no\\nmodel")

    def embed(self, texts):
        return []

class Refusing(Bursting):
    NAME = "refusing"

    @classmethod
    def open(cls, model=None, *, threads=1):
        raise ModelError("model is mine, allowed: yours")

@hookimpl
def omega_embedders():
    return [Bursting, Refusing]
"""


def install(tmp_path: Path, source: str) -> dict[str, str]:
    """Install distribution `clash` of one module and return the environment that has it on its path."""
    site = tmp_path / "site"
    info = site / "clash-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: clash\nVersion: 1.2\n", "utf-8")
    (info / "entry_points.txt").write_text("[omega]\nclash = clash_module\n", "utf-8")
    (site / "clash_module.py").write_text(source, "utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_an_embedder_that_fails_to_open_is_named_and_replaced_unless_its_model_was_asked_for(
    process: Process, tmp_path: Path
) -> None:
    env = install(tmp_path, BURSTING)
    found = process("device", "status", "--embedder", "bursting", "--json", env=env).json
    assert found["embedder"] == "static"
    reason = "embedder bursting failed to open (ZeroDivisionError: no model): "
    assert reason in found["fallback"]["why"]
    wanted = ("device", "init", "--model", str(tmp_path), "--embedder")
    assert process(*wanted, "bursting", env=env, code=4).complaint.startswith(f"error: {reason}")
    assert process(*wanted, "refusing", env=env, code=2).complaint == "error: model is mine, allowed: yours"


def test_broken_and_clashing_plugins_are_named_once_and_leave_omega_as_it_is(process: Process, tmp_path: Path) -> None:
    env = install(tmp_path, CLASHING)
    listed = process("plugins", "--json", env=env)
    reasons = [broken["reason"] for broken in listed.json["broken"]]
    assert [reason for reason in reasons if reason.startswith("command")] == [
        f"command '{name}' is there already: rename it" for name in ("demo", "device", "config")
    ]
    assert [reason for reason in reasons if "type" in reason.lower()], "the parameter that typer can't take"
    assert reasons[-1] == "embedder Half lacks embed, open: implement all of Embedder"
    assert len(reasons) == 5
    warnings = [f"warning: plugin clash 1.2 is broken: {reason}" for reason in reasons]
    assert listed.err.splitlines() == warnings
    strangers = [(p["kind"], p["name"]) for p in listed.json["plugins"] if p["origin"] == "clash 1.2"]
    assert strangers == [("command", "well")]

    assert process("plugins", env=env).err.splitlines() == warnings
    assert process("well", env=env).out == "this is well\n"
    assert "--seed" in process("demo", "--help", env=env).out
    assert "recommend" in process("device", "--help", env=env).out
    assert "show" in process("config", "--help", env=env).out
    strict = process("plugins", env=env | {"CI": "1"}, code=4).complaint
    assert strict.startswith("error: plugin clash 1.2 is broken (command 'demo' is there already")


def test_settings_are_shown_with_the_place_they_came_from(
    omega: Omega, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "omega.toml").write_text('threads = 2\ntime_zone = "Europe/Berlin"\nembedder = "static"\n', "utf-8")
    monkeypatch.setenv("OMEGA_THREADS", "3")
    monkeypatch.setenv("OMEGA_EMBEDDER", "onnx")
    found = omega("config", "show", "--embedder", "static", "--json").json
    assert found["home"] == {"value": str(home), "origin": "environment OMEGA_HOME"}
    assert found["store"] == {"value": str(home / "tv"), "origin": "default"}
    assert found["time_zone"] == {"value": "Europe/Berlin", "origin": str(home / "omega.toml")}
    assert found["threads"] == {"value": 3, "origin": "environment OMEGA_THREADS"}
    assert found["embedder"] == {"value": "static", "origin": "flag --embedder"}
    text = omega("config", "show").out
    assert re.search(r"threads +3 +environment OMEGA_THREADS", text)


def test_another_settings_file_can_be_named(omega: Omega, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("threads = 4\n", "utf-8")
    monkeypatch.setenv("OMEGA_CONFIG", str(tmp_path / "mine.toml"))
    assert omega("config", "show", "--json").json["threads"] == {"value": 4, "origin": str(tmp_path / "mine.toml")}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_has_a_script_for_the_shell(shell: str, process: Process) -> None:
    script = process(env={"_OMEGA_COMPLETE": f"source_{shell}"}, start=SCRIPT).out
    assert f"_OMEGA_COMPLETE=complete_{shell}" in script


def test_completion_offers_commands(process: Process) -> None:
    asked = {"_OMEGA_COMPLETE": "complete_bash", "COMP_WORDS": "omega device re", "COMP_CWORD": "2"}
    assert process(env=asked, start=SCRIPT).out.split() == ["recommend"]
