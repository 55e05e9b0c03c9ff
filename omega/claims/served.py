"""A shard as a process of its own, for claims to meet: the command that everybody starts, and devices known to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from omega.core.errors import OmegaError
from omega.core.shard_records import DEVICE_ID_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega.core.ports import ShardStore

STORE_NAME = "shard.db"
_START_S, _STOP_S, _LOOK_S = 30, 30, 0.02


class Served(NamedTuple):
    """A shard that listens."""

    pid: int
    port: int
    store: Path
    quic_port: int = 0
    """Where it speaks QUIC, if it is told to."""


@contextmanager
def served(folder: Path, *options: str, module: str = "omega_cli") -> Iterator[Served]:
    """Let `omega shard serve` serve the store in a folder on a free port, and end it by SIGTERM.

    What it prints goes to out.log and errors.log there, its keys to home/shard; `module` may be another way to run the
    command. Raises OmegaError when it doesn't start, or ends badly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store, said, errors = folder / STORE_NAME, folder / "out.log", folder / "errors.log"
    where = ["--store", f"sqlite:///{store}", "--port", "0", "--json"]
    with (
        said.open("wb") as out,
        errors.open("wb") as err,
        subprocess.Popen(
            [sys.executable, "-m", module, "shard", "serve", *where, *options],
            stdout=out,
            stderr=err,
            env=os.environ | {"OMEGA_HOME": str(folder / "home")},
        ) as process,
    ):
        try:
            urls = _urls(process, said, errors)
            port, quic_port = (int(urls.get(name, "").rpartition(":")[2] or 0) for name in ("url", "quic_url"))
            yield Served(process.pid, port, store, quic_port)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
    if process.returncode:
        raise _ended(errors)


def enrolled(store: ShardStore, count: int, now_s: int) -> list[int]:
    """Let so many new devices enrol at a store that nobody serves; return their slots."""
    first = store.device_count()
    ids = [np.random.default_rng([29, first + number]).bytes(DEVICE_ID_BYTES) for number in range(count)]
    return [slot for slot in store.enrol(ids, now_s) if slot is not None]


def _urls(process: subprocess.Popen[bytes], said: Path, errors: Path) -> dict[str, str]:
    """Wait until the process says where it listens."""
    until_s = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until_s:
        if (line := said.read_text()).endswith("\n"):
            told: dict[str, Any] = json.loads(line)
            return {name: str(value) for name, value in told.items()}
        time.sleep(_LOOK_S)
    raise _ended(errors)


def _ended(errors: Path) -> OmegaError:
    last = errors.read_text().strip().rpartition("\n")[2]
    return OmegaError(f"the shard did not serve ({last[:200]}): run omega shard serve to see why")
