"""What systemd hears from the daemon, and the unit that starts it."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import typer

from omega.device.daemon.systemd import notify, watchdog_s
from omega_cli.app import app

UNIT = Path(__file__).parents[3] / "deploy" / "systemd" / "omega-device.service"


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_is_one_datagram(folder: Path, abstract: object) -> None:
    name = f"omega-test-{os.getpid()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
        systemd.bind(f"\0{name}" if abstract else str(folder / "notify"))
        systemd.settimeout(20)
        notify("READY=1", {"NOTIFY_SOCKET": f"@{name}" if abstract else str(folder / "notify")})
        assert systemd.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket", "@" + "x" * 500])
def test_without_a_listener_nothing_happens(address: str) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": address})
    notify("READY=1", {})


@pytest.mark.parametrize(
    ("environment", "period_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environment: dict[str, str], period_s: float | None) -> None:
    assert watchdog_s(environment) == period_s


def unit() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(UNIT.read_text())
    return parsed


def test_the_units_command_is_one_that_omega_has() -> None:
    service = unit()["Service"]
    words = shlex.split(service["ExecStart"])
    assert Path(words[0]).name == "omega"
    target, rest = typer.main.get_command(app), words[1:]
    while hasattr(target, "commands"):
        target, rest = target.commands[rest[0]], rest[1:]
    target.make_context("omega", list(rest))
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    assert float(service["WatchdogSec"]) >= 10


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here to ask")
def test_systemd_understands_the_unit_and_finds_it_closed(folder: Path) -> None:
    copy = folder / UNIT.name
    copy.write_text(UNIT.read_text().replace(unit()["Service"]["ExecStart"].split()[0], "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    ours = [line for line in verified.stderr.splitlines() if UNIT.name in line]
    assert (verified.returncode, ours) == (0, [])
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-2000:] + judged.stderr
