"""`omega doctor`: what a pipe, a terminal and a program get, and troubles that need a process of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Omega, Process, Terminal

STATIC = ("--embedder", "static")
HEAT = '{"content_id":"heat-1995","watch_pct":0.95}'
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
PLUGIN = """
import time
from omega.core.hooks import hookimpl
from omega.core.ports import Embedder
from omega_plugins.embedders.static import StaticEmbedder

class Slow(StaticEmbedder):
    NAME = "slow"

    def embed(self, texts):
        time.sleep(0.02)
        return super().embed(texts)

class Long(StaticEmbedder):
    NAME = "long"

    def embed(self, texts):
        return 2 * super().embed(texts)

class Bursting(StaticEmbedder):
    NAME = "bursting"

    def embed(self, texts):
        raise ZeroDivisionError("no\\nmodel")

class Half(Embedder):
    NAME = "half"

@hookimpl
def omega_embedders():
    return [Slow, Long, Bursting, Half]
"""
WITHOUT_ONNXRUNTIME = (
    "-c",
    "import sys; sys.modules['onnxruntime'] = None; from omega_cli.app import main; main()",
)


def by_name(checks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in checks}


def test_all_is_well_in_a_pipe(omega: Omega) -> None:
    omega("device", "observe", HEAT, *STATIC)
    done = omega("doctor", *STATIC)
    lines = done.out.splitlines()
    assert lines[-1] == "all is well"
    assert [line.split()[0] for line in lines[1:-1]].count("ok") == len(lines) - 3
    assert any(line.startswith("ok ") and " 1 events, 1 patterns, 1 titles" in line for line in lines)
    assert done.err == ""


def test_a_program_gets_a_list_and_people_what_to_do(omega: Omega, tmp_path: Path) -> None:
    found = omega("doctor", *STATIC, "--json").json
    assert all(set(check) == {"name", "outcome", "found", "advice", "ms"} for check in found)
    assert {check["outcome"] for check in found} == {"ok", "warn", "skip"}
    assert by_name(found)["store"]["outcome"] == "warn"
    lost = omega("doctor", *STATIC, "--catalog", tmp_path / "lost.jsonl", code=1)
    assert "name a catalog file by --catalog" in lost.out
    assert lost.out.splitlines()[-1].startswith("1 of ")
    assert omega("doctor", "--embedder", "onxx", "--json", code=1).json
    assert "allowed" in omega("doctor", "--store", "~nobodys/tv", code=2).complaint


def test_a_terminal_gets_color_and_progress(terminal: Terminal) -> None:
    shown = terminal("doctor", *STATIC)
    assert "\x1b[32mok" in shown
    assert "\x1b[33mwarn" in shown
    assert "embedding" in shown.split("check", 1)[0], "progress comes before the table"


def test_a_model_that_cant_be_used_is_a_failure_that_tells_of_the_fallback(process: Process, tmp_path: Path) -> None:
    without = by_name(process("doctor", "--json", start=WITHOUT_ONNXRUNTIME, code=1).json)
    assert [name for name, check in without.items() if check["outcome"] == "fail"] == ["model"]
    assert "pip install 'exogenesis-omega[device]'; instead: static" in without["model"]["found"]
    assert without["restart"]["outcome"] == "ok"

    shutil.copytree(MODELS.parent.parent, tmp_path / "site" / "omega_plugins")
    with (tmp_path / "site" / "omega_plugins/embedders/models/minilm-int4/model.onnx").open("r+b") as file:
        file.truncate(1000)
    start = (
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from omega_cli.app import main; main()",
    )
    cut = by_name(process("doctor", "--json", start=start, code=1).json)
    assert "it was cut short" in cut["model"]["found"]
    assert "; instead: static" in cut["model"]["found"]
    assert cut["recommend"]["outcome"] == "ok"


@pytest.fixture
def plugins(tmp_path: Path) -> dict[str, str]:
    """An environment with a distribution whose embedders are slow, wrong, broken, and none."""
    site = tmp_path / "site"
    info = site / "strange-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.2\n", "utf-8")
    (info / "entry_points.txt").write_text("[omega]\nstrange = strange_module\n", "utf-8")
    (site / "strange_module.py").write_text(PLUGIN, "utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_strange_plugins(process: Process, plugins: dict[str, str]) -> None:
    slow = by_name(process("doctor", "--json", "--embedder", "slow", env=plugins).json)
    assert slow["plugins"]["outcome"] == "warn"
    assert "strange 1.2: embedder Half lacks embed, open" in slow["plugins"]["found"]
    assert slow["embedding"]["outcome"] == "warn"
    assert "budget 15 ms" in slow["embedding"]["found"]
    long = by_name(process("doctor", "--json", "--embedder", "long", env=plugins, code=1).json)
    assert "vectors aren't of length 1" in long["embedding"]["found"]
    bursting = by_name(process("doctor", "--json", "--embedder", "bursting", env=plugins, code=1).json)
    assert bursting["embedding"]["found"] == "ZeroDivisionError: no model"
    assert bursting["start"]["outcome"] == "skip"


def test_a_daemon_is_asked_and_goes_on(omega: Omega, home: Path) -> None:
    command = [sys.executable, "-m", "omega_cli", "device", "daemon", *STATIC, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout
        try:
            assert json.loads(daemon.stdout.readline())["pid"] == daemon.pid
            omega("device", "observe", HEAT)
            found = by_name(omega("doctor", *STATIC, "--json").json)
            assert {check["outcome"] for check in found.values()} == {"ok"}
            assert found["daemon"]["found"].startswith(f"process {daemon.pid}, omega ")
            assert "; 1 events, embedder static, " in found["daemon"]["found"]
            assert found["content"]["found"].startswith("1 events, "), "what it has not yet taken out of the log"
            assert found["memory"]["found"].startswith(f"the daemon, process {daemon.pid}: ")
            assert omega("device", "status", "--json").json["events"] == 1
        finally:
            daemon.send_signal(signal.SIGTERM)
    assert daemon.returncode == 0


def mounted(script: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Run a shell script where it may mount something on `folder` ($1), and return what the doctor then found."""
    folder.mkdir(exist_ok=True)
    probe = [*NAMESPACE, "mount", "-t", "tmpfs", "none", str(folder)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace for this user")
    omega = f"{sys.executable} -m omega_cli"
    done = subprocess.run(
        [*NAMESPACE, "bash", "-euc", script.replace("omega ", f"{omega} "), "bash", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1, done
    return by_name(json.loads(done.stdout[done.stdout.index("[\n") :]))


def test_a_store_on_a_read_only_disk(home: Path, tmp_path: Path) -> None:
    script = f"""
        mount -t tmpfs none $1
        omega device init --embedder static --store $1/tv
        omega device observe --embedder static --store $1/tv '{HEAT}'
        mount -o remount,ro $1
        omega doctor --json --embedder static --store $1/tv
    """
    found = mounted(script, tmp_path / "disk")
    assert [name for name, check in found.items() if check["outcome"] == "fail"] == ["store's folder"]
    assert found["store's folder"]["found"].endswith("store.db: Read-only file system")
    assert found["store"]["outcome"] == "ok"
    assert "1 events" in found["content"]["found"]


def test_a_store_on_a_disk_that_is_nearly_full(home: Path, tmp_path: Path) -> None:
    script = """
        mount -t tmpfs -o size=3m none $1
        omega device init --embedder static --store $1/tv
        omega doctor --json --embedder static --store $1/tv
    """
    found = mounted(script, tmp_path / "disk")
    assert [name for name, check in found.items() if check["outcome"] == "fail"] == ["disk"]
    assert "MiB needed to work and to compact" in found["disk"]["found"]
    assert found["disk"]["advice"].startswith("free 1")


def test_no_room_for_the_trial(home: Path, tmp_path: Path) -> None:
    script = """
        mount -t tmpfs -o size=40k none $1
        TMPDIR=$1 omega doctor --json --embedder static
    """
    found = mounted(script, tmp_path / "disk")
    assert found["temporary folder"]["outcome"] == "ok"
    assert found["start"]["outcome"] == "fail"
    assert "temporary folder" in found["start"]["advice"]
    assert found["memory"]["outcome"] in ("fail", "skip")
