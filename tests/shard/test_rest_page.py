"""docs/rest.md: its commands are executed, its tables compared with the program."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from omega.core.shard_sums import decode
from omega.shard.rest.routes import ROUTES
from omega_storage.shard_sqlite import SqliteShardStore

PAGE = Path(__file__).parent.parent.parent / "docs" / "rest.md"
DEVICE = "3fa94c1be07d2285a6b0c9d1e2f30415"


def test_the_table_is_that_of_the_program() -> None:
    rows = re.findall(r"^\| `(\w+) (/\S+)` \| .* \| (\w+) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(route.method, route.path, str(route.role or "anybody")) for route in ROUTES]


def test_the_commands_run_as_they_stand_there(tmp_path: Path) -> None:
    serve, rest, metrics = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with closing(SqliteShardStore.open(tmp_path / "shard.db")) as store:
        store.enrol([bytes.fromhex(DEVICE)], int(time.time()))
    ports = _free_ports()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMEGA_HOME": str(tmp_path / "home")}

    def pasted(block: str, last: str = "") -> list[str]:
        for port, free in ports.items():
            block = block.replace(port, free)
        omega = f"{shlex.quote(sys.executable)} -m omega_cli"
        return [
            "bash",
            "-euo",
            "pipefail",
            "-O",
            "expand_aliases",
            "-c",
            block.replace("omega shard", f"{last}{omega} shard"),
        ]

    admin, server = serve.splitlines()
    subprocess.run(pasted(admin), check=True, env=environment, cwd=tmp_path)
    with subprocess.Popen(
        pasted(server, "exec "), stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdout
        try:
            ready = process.stdout.readline()
            told = [
                subprocess.run(
                    pasted(block), capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
                )
                for block in (rest, metrics)
            ]
        finally:
            process.terminate()
    assert all(ports[port] in ready for port in ports)
    assert [done.returncode for done in told] == [0, 0], told
    assert process.returncode == 0
    answers = [json.loads(line) for line in told[0].stdout.splitlines()]
    assert len(answers) == len(ROUTES) - 2, "all but health, and sums, which are no JSON"
    assert decode((tmp_path / "one.sums").read_bytes()).facts.shard == 0
    assert (answers[0], answers[1]["openapi"]) == ({"status": "ready"}, "3.1.0")
    assert [answer["revoked"] for answer in answers[-2:]] == [False, True]
    named = set(re.findall(r"`(omega_\w+)`", PAGE.read_text()))
    families = list(text_string_to_metric_families(told[1].stdout))
    told_names = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    assert named == {name for name in told_names if name.startswith("omega_")}


def _free_ports() -> dict[str, str]:
    """Return a free port for each that the page names."""
    with ExitStack() as held:
        found = {}
        for named in ("8443", "8080", "9090"):
            free = held.enter_context(socket.socket())
            free.bind(("127.0.0.1", 0))
            found[named] = str(free.getsockname()[1])
    return found
