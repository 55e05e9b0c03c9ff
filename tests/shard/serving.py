"""`omega shard serve` as a process of its own, to be ended kindly and unkindly, and begun again at the same port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


class Served:
    """A shard with its store in a folder; the block ends it by SIGTERM, which must go well."""

    def __init__(self, folder: Path, *options: str, enrol: str = "open") -> None:
        """`options` are the command's, beside store, port and enrolment."""
        self._folder, self._options = folder, ["--enrol", enrol, *options]
        self.database = folder / "shard.db"
        self.url = ""
        self.grpc_url = self.quic_url = ""
        """Where it speaks gRPC and QUIC, if `options` say that it does."""
        self.urls: dict[str, str] = {}
        """All addresses that it told, as `rest_url`."""
        self._process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 before it ever did."""
        return int(self.url.rpartition(":")[2] or 0)

    def start(self) -> None:
        """Start it, at the port that it had before, and wait until it listens."""
        flags = ["--store", f"sqlite:///{self.database}", "--port", str(self.port), "--json"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "omega_cli", "shard", "serve", *flags, *self._options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMEGA_HOME": str(self._folder / "home")},
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        ready: dict[str, Any] = json.loads(line)
        assert ready["pid"] == self._process.pid
        self.url, self.grpc_url, self.quic_url = (ready.get(f"{name}url", "") for name in ("", "grpc_", "quic_"))
        self.urls = {name: url for name, url in ready.items() if name != "pid"}

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._ended(signal.SIGKILL)

    def stop(self) -> str:
        """End it as a service manager does; it must end with 0 and without a word but its log, which is returned."""
        process, (out, errors) = self._ended(signal.SIGTERM)
        assert (process.returncode, out) == (0, ""), errors
        assert "Traceback" not in errors
        return errors

    def begin_anew(self) -> None:
        """Kill it and start it: nothing but its files is left."""
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, error: object, *_: object) -> None:
        """Stop it; when the block failed, in any way."""
        if self._process is not None:
            if error is None:
                self.stop()
            else:
                self.kill()

    def _ended(self, number: signal.Signals) -> tuple[subprocess.Popen[str], tuple[str, str]]:
        assert self._process
        process, self._process = self._process, None
        process.send_signal(number)
        return process, process.communicate(timeout=30)
