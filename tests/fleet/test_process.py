"""A server in a process of its own: it is gone with the block, whatever ends that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import OmegaError, StoreError
from omega.fleet.process import served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = "from tests.fleet.test_process import pid_as_port\nfrom omega.fleet.process import served\n"


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def pid_as_port(*, ready: Callable[[int, Mapping[str, int]], None]) -> None:
    """Serve nothing until SIGTERM."""
    ready(os.getpid(), {})
    signal.pause()


def stubborn(*, ready: Callable[[int, Mapping[str, int]], None]) -> None:
    """Take no SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pid_as_port(ready=ready)


def refusing(*, ready: Callable[[int, Mapping[str, int]], None]) -> None:
    raise StoreError("x is full, allowed: room: make some")


def leaving(*, ready: Callable[[int, Mapping[str, int]], None]) -> None:
    os._exit(3)


def test_it_is_gone_after_the_block() -> None:
    with served(pid_as_port) as pid:
        assert pid != os.getpid()
        assert exists(pid)
    assert not exists(pid)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_it_is_gone_after_a_block_that_failed(error: type[BaseException]) -> None:
    pids = []

    def fail() -> None:
        with served(pid_as_port) as pid:
            pids.append(pid)
            raise error

    with pytest.raises(error):
        fail()
    assert not exists(pids[0])


def test_a_ctrl_c_is_left_to_the_block() -> None:
    with served(pid_as_port) as pid:
        os.kill(pid, signal.SIGINT)
        time.sleep(0.2)
        assert exists(pid)


def test_one_that_takes_no_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omega.fleet.process.END_S", 0.2)
    with served(stubborn) as pid:
        pass
    assert not exists(pid)


def test_what_prevents_it_is_told_without_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OmegaError, match="x is full, allowed: room: make some"), served(refusing):
        pytest.fail("it can't be reached")
    with pytest.raises(OmegaError, match="it ended at once"), served(leaving):
        pytest.fail("it can't be reached")
    assert capfd.readouterr().err == ""


def test_it_ends_with_a_process_that_was_killed() -> None:
    code = f"{HERE}import sys, time\nwith served(pid_as_port) as pid:\n    print(pid, flush=True)\n    time.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 10
    while exists(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not exists(pid)
