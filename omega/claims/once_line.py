"""What the TVs of the claim `exactly-once` meet: a clock, shards that are killed and restored, lines to them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import closing, suppress
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from omega.claims.once_shard import HOST, Given
from omega.compose import connect
from omega.core.errors import OmegaError, TransportError
from omega.core.shard_records import ALL_SLOTS, DAY_S, unknown_title
from omega.core.types import title_key
from omega.core.wire import title_hash
from omega.device.sync.entry import Entry, Passport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from omega.claims.once_store import Keeper
    from omega.core.catalog import Catalog
    from omega.core.ports import TransportClient

    Keep: TypeAlias = Callable[[Path, str], Keeper]
    """Makes what keeps a shard's store, by a folder and the shard's name."""

Sums: TypeAlias = "Counter[tuple[str, int, str]]"
"""By title, context, and whether samples are counted or the thousandths of their success."""

BACKUP_DAYS = 7
"""An older backup is never restored: what a shard's store takes for granted."""


class Clock:
    """The time of everybody, also of other processes: the time of change of a file."""

    def __init__(self, file: Path, now: int) -> None:
        """Make the file."""
        self.file, self.now = file, now
        file.touch()
        self.go(0)

    def go(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds
        os.utime(self.file, (self.now, self.now))


class ShardProcess:
    """A shard in a process of its own, at one port for good."""

    def __init__(
        self, folder: Path, shard_id: int, clock: Clock, epochs: list[Catalog], keep: Keep, *, forgets: bool
    ) -> None:
        """Begin with the first of `epochs`; with `forgets` it loses, when killed, where its devices stood."""
        self.name, self._folder, self._clock, self._forgets = f"shard-{shard_id}", folder, clock, forgets
        self._keeper = keep(folder, self.name)
        self._epochs = [folder / f"epoch-{catalog.epoch}.jsonl" for catalog in epochs]
        for catalog, path in zip(epochs, self._epochs, strict=True):
            catalog.write(path)
        self.epoch = 1
        hashes = {unknown_title(title_hash(title_key(title.id))): title.id for title in epochs[-1]}
        self._titles = hashes | {ordinal: title.id for ordinal, title in enumerate(epochs[-1])}
        self._backups: list[tuple[int, Path]] = []
        self._pid = self._number = 0
        self.done: Counter[str] = Counter()
        self._place = socket.socket()  # keeps the port while nobody serves there
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind((HOST, 0))
        port = self._place.getsockname()[1]
        self.url = f"http://{HOST}:{port}"
        given = Given(shard_id, port, self._keeper.location, str(clock.file))
        command = [sys.executable, "-m", "omega.claims.once_shard", msgspec.json.encode(given).decode()]
        self._forker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._pid > 0

    def start(self) -> None:
        """Let it serve, unless it does."""
        if self._forker.stdin is None or self._forker.stdout is None:
            raise OmegaError("a shard's process has no input or output: report this")
        if not self.running:
            self._forker.stdin.write(f"{self._epochs[self.epoch - 1]}\n")
            self._forker.stdin.flush()
            heard = self._forker.stdout.readline().strip()
            if not heard.isdigit():
                raise OmegaError("a shard's process ended by itself: run python -m omega.claims.once_shard to see why")
            self._pid = int(heard)

    def kill(self) -> None:
        """End it as a crash does, whatever it was doing."""
        if self.running:
            self._end(signal.SIGKILL)
            self.done["kills"] += 1
            if self._forgets:
                self._keeper.forget()

    def back_up(self) -> None:
        """Copy the database while it is used."""
        self._number += 1
        copy = self._folder / f"{self.name}-{self._number}.backup"
        self._keeper.back_up(copy)
        self._backups.append((self._clock.now, copy))

    def restore(self, random: Random) -> None:
        """Stop it, and start it again with the database of some backup; those that were made later go.

        Nobody may put those back: they hold what this course of things never counted, and devices in slots that others
        get now, and a horizon that was reached there says nothing of the copies that are made here.
        """
        self._keep_backups(self._clock.now - BACKUP_DAYS * DAY_S, self._clock.now)
        if self._backups:
            if self.running:
                self._end(random.choice([signal.SIGKILL, signal.SIGTERM]))
            at, copy = random.choice(self._backups)
            self._keeper.put_back(copy)
            self._keep_backups(0, at)
            self.done["restores"] += 1
        self.start()

    def renew_backups(self) -> None:
        """Let one that is made now replace them all."""
        self._keep_backups(0, 0)
        self.back_up()

    def sums(self) -> tuple[Sums, Sums]:
        """Return what it has counted by context, and what of all contexts, read from its store."""
        with closing(self._keeper.open()) as store:
            rows = store.aggregates()
        parts: Sums = Counter()
        wholes: Sums = Counter()
        for row in rows:
            sums = wholes if row.slot == ALL_SLOTS else parts
            sums[self._titles[row.title], row.slot, "samples"] += row.now.samples
            sums[self._titles[row.title], row.slot, "thousandths"] += row.now.success_milli
        return parts, wholes

    def close(self) -> None:
        """End everything."""
        if self.running:
            self._end(signal.SIGKILL)
        self._forker.communicate()
        self._place.close()

    def _end(self, number: int) -> None:
        os.kill(self._pid, number)
        self._pid = 0
        if self._forker.stdout is not None:
            self._forker.stdout.readline()

    def _keep_backups(self, first: int, last: int) -> None:
        """Let go of those that weren't made between two moments."""
        for at, copy in self._backups:
            if not first <= at <= last:
                copy.unlink()
        self._backups = [(at, copy) for at, copy in self._backups if first <= at <= last]


class Line:
    """A TV's way to a shard: it enrols by itself, and can say again what it had said with an old token."""

    def __init__(self, shard: ShardProcess, passport: Passport) -> None:
        """Connect when it is first needed."""
        self._told = ""
        self.entry = Entry(shard.name, shard.url, passport, self._opened)
        self._late = connect(shard.url, token=lambda: self._told)

    def _opened(self, url: str, token: Callable[[], str]) -> TransportClient:
        self.token = token
        return connect(url, token=token)

    async def tell_late(self, token: str, frame: bytes) -> bytes:
        """Return the answer to a frame that was on its way for long. Raises TransportError."""
        self._told = token
        return await self._late.exchange(frame)

    async def close(self) -> None:
        """Let go of every connection."""
        for client in (self.entry, self._late):
            with suppress(TransportError):
                await client.close()
