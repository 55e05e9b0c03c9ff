"""The examples work as they stand: the plugin is installed as a stranger's would be, the scripts run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.testing.contracts import EmbedderContract

if TYPE_CHECKING:
    from omega.core.ports import Embedder

EXAMPLES = Path(__file__).parents[2] / "examples"
PLUGIN = EXAMPLES / "hello_plugin"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the plugin was installed, without network and by whichever installer is there."""
    source = tmp_path_factory.mktemp("source") / "hello_plugin"
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("target")
    if importlib.util.find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "install", "--no-index", "--disable-pip-version-check"]
    else:
        uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
        assert uv, "the development environment has pip or uv"
        installer = [uv, "pip", "install", "--offline", "--python", sys.executable]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*installer, *options, str(source)], check=True, timeout=120)
    return target


def run(command: list[str], home: Path, plugin: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a Python program with a home of its own, with the plugin's folder on its path if it is given."""
    path = [str(plugin)] if plugin else []
    if "PYTHONPATH" in os.environ:
        path.append(os.environ["PYTHONPATH"])
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path), "OMEGA_HOME": str(home), "CI": "1"}
    return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=120, check=False)


def omega(home: Path, plugin: Path | None, *arguments: str) -> str:
    """Run an omega command that must end well and silently, and return its output."""
    done = run(["-m", "omega_cli", *arguments], home, plugin)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class TestHelloEmbedder(EmbedderContract):
    """The example passes the suite that the built-in embedders pass."""

    def make(self) -> Embedder:
        spec = importlib.util.spec_from_file_location("omega_hello", PLUGIN / "omega_hello.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        embedder: Embedder = module.HelloEmbedder.open()
        return embedder


def test_the_plugin_is_listed_with_its_distribution(installed: Path, tmp_path: Path) -> None:
    found = json.loads(omega(tmp_path, installed, "plugins", "--json"))
    assert found["broken"] == []
    mine = [plugin for plugin in found["plugins"] if plugin["origin"] == "omega-hello 0.1.0"]
    assert [(plugin["kind"], plugin["name"]) for plugin in mine] == [("embedder", "hello"), ("command", "hello")]
    assert "an example" in mine[0]["summary"]


def test_its_command_is_one_of_omegas(installed: Path, tmp_path: Path) -> None:
    assert "hello" in omega(tmp_path, installed, "--help")
    first, second = omega(tmp_path, installed, "hello", "Die Hard", "Die Harder", "Amadeus").splitlines()
    near, far = (float(re.findall(r"-?\d\.\d\d$", line)[0]) for line in (first, second))
    assert near > 0.7
    assert far < 0.3


def test_its_embedder_runs_a_tv(installed: Path, tmp_path: Path) -> None:
    ready = json.loads(omega(tmp_path, installed, "device", "init", "--embedder", "hello", "--json"))
    assert (ready["embedder"], ready["space"], ready["catalog_titles"]) == ("hello", "hello-trigrams-1", 800)
    event = '{"content_id":"heat-1995","watch_pct":1}'
    omega(tmp_path, installed, "device", "observe", event, "--embedder", "hello")
    titles = json.loads(omega(tmp_path, installed, "device", "recommend", "--embedder", "hello", "--json"))
    assert len(titles) == 20


def test_without_it_its_embedder_is_unknown(tmp_path: Path) -> None:
    done = run(["-m", "omega_cli", "device", "init", "--embedder", "hello"], tmp_path)
    assert done.returncode == 4
    assert "embedder is 'hello', allowed: onnx, static" in done.stderr


def test_a_plugin_that_fails_to_load_is_named_and_skipped_outside_ci(installed: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(installed, broken)
    (broken / "omega_hello.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    command = ["-m", "omega_cli", "plugins", "--json"]
    strict = run(command, tmp_path, broken)
    assert strict.returncode == 4
    assert "plugin omega-hello 0.1.0 is broken (ModuleNotFoundError" in strict.stderr
    program = (
        "import os, runpy; del os.environ['CI']; runpy.run_module('omega_cli', run_name='__main__', alter_sys=True)"
    )
    lenient = run(["-c", program, *command[2:]], tmp_path, broken)
    assert lenient.returncode == 0
    (warning,) = lenient.stderr.splitlines()
    reason = "ModuleNotFoundError: No module named 'nothing_of_that_name'"
    assert warning == f"warning: plugin omega-hello 0.1.0 is broken: {reason}"
    found = json.loads(lenient.stdout)
    assert found["broken"] == [{"origin": "omega-hello 0.1.0", "reason": reason}]
    assert {plugin["origin"] for plugin in found["plugins"]} == {"built in"}


def test_one_tv_recommends_five_titles_with_reasons(tmp_path: Path) -> None:
    done = run([str(EXAMPLES / "one_tv.py")], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    titles = {f"{title.title} ({title.year})": title for title in Catalog.read(EXAMPLE_CATALOG_PATH)}
    for line in lines:
        found = re.fullmatch(r"([+-]\d+\.\d\d)  (.*\(\d{4}\)): (.+)", line)
        assert found, line
        assert found[2] in titles
    assert not list(tmp_path.glob("tv*")), "its store is gone with it"
