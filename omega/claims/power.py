"""A power cut, as SQLite's files see it: all that was written, and what of it a disk may hold when the light goes out.

What was written before a file's last sync is there; of what was written after, any part may be, sector by sector, in
any order. A new file's name is there once the file was synced, as SQLite syncs the folder with its logs and journals; a
name that was removed may come back until then. The index of the log (-shm) is only memory and is made anew.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from omega_storage.connection import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

VFS = "omega-power"
_BASE = "unix"
_SECTORS = (512, 4096)
_KEPT = (0.0, 0.1, 0.5, 0.9, 1.0)
Kind: TypeAlias = Literal["create", "write", "truncate", "sync", "delete", "acknowledged"]


class Step(NamedTuple):
    """One thing that was done to a file."""

    kind: Kind
    file: str
    """The file's name without its folder."""
    at: int = 0
    """Offset of a write, size after a truncation, how many events are acknowledged."""
    data: bytes = b""


class Recording:
    """Everything that was written while it was made, in order."""

    def __init__(self) -> None:
        """Start empty."""
        self.steps: list[Step] = []

    def acknowledge(self, events: int) -> None:
        """Note that so many events are said to be stored by now."""
        self.steps.append(Step("acknowledged", "", events))


@contextmanager
def recorded() -> Iterator[Recording]:
    """Let every database that is opened in the block tell what it writes."""
    recording = Recording()
    vfs = _Vfs(recording)
    try:
        yield recording
    finally:
        vfs.unregister()


class _File(apsw.VFSFile):
    def __init__(self, recording: Recording, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(_BASE, name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._steps = recording.steps if path else []
        self._name = Path(path or "").name

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._steps.append(Step("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._steps.append(Step("truncate", self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802  (the machine's own disk needn't be bothered)
        self._steps.append(Step("sync", self._name))


class _Vfs(apsw.VFS):
    def __init__(self, recording: Recording) -> None:
        super().__init__(VFS, _BASE, makedefault=True)
        self._recording = recording

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path and not os.path.lexists(path):
            self._recording.steps.append(Step("create", Path(path).name))
        return _File(self._recording, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        super().xDelete(filename, syncdir)
        self._recording.steps.append(Step("delete", Path(filename).name, int(syncdir)))


class _Content:
    """What a file surely holds, and what was done to it since."""

    def __init__(self) -> None:
        self.sure = bytearray()
        self.since: list[Step] = []

    def sync(self) -> None:
        for step in self.since:
            _apply(self.sure, step)
        self.since = []

    def after_cut(self, random: np.random.Generator, kept: float, sector: int) -> bytes:
        """Return what may be left: each sector of each write since the last sync with probability `kept`."""
        left = bytearray(self.sure)
        for step in self.since:
            parts = _sectors(step, sector) if step.kind == "write" else [step]
            for part in parts:
                if random.random() < kept:
                    _apply(left, part)
        return bytes(left)


class Disk:
    """The folder of a database, as recorded steps leave it; `honest=False` is a disk that ignores every sync."""

    def __init__(self, existing: Mapping[str, bytes], *, honest: bool = True) -> None:
        """Begin with files that are surely there."""
        self._honest = honest
        self._now: dict[str, _Content] = {}
        for name, data in existing.items():
            self._now[name] = _Content()
            self._now[name].sure[:] = data
        self._sure = dict(self._now)

    def take(self, step: Step) -> None:
        """Do what was recorded."""
        if step.kind == "create":
            self._now[step.file] = _Content()
        elif step.kind == "delete":
            self._now.pop(step.file, None)
            if step.at and self._honest:
                self._sure = dict(self._now)
        elif step.kind == "sync":
            if self._honest:
                self._now[step.file].sync()
                if self._sure.get(step.file) is not self._now[step.file]:
                    self._sure = dict(self._now)
        elif step.kind != "acknowledged":
            self._now[step.file].since.append(step)

    def after_cut(self, random: np.random.Generator) -> dict[str, bytes]:
        """Return files as a power cut now may leave them."""
        kept, sector = float(random.choice(_KEPT)), int(random.choice(_SECTORS))
        left = {}
        for name in sorted({*self._sure, *self._now}):
            content = (self._now if random.random() < kept else self._sure).get(name)
            if content is not None:
                left[name] = content.after_cut(random, kept, sector)
        return left


def cuts(
    steps: Sequence[Step],
    existing: Mapping[str, bytes],
    count: int,
    random: np.random.Generator,
    *,
    honest: bool = True,
) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Give, for `count` random moments, how many events were acknowledged by then, and files that a cut may leave."""
    disk, acknowledged = Disk(existing, honest=honest), 0
    moments = set(random.choice(len(steps), size=min(count, len(steps)), replace=False).tolist())
    for number, step in enumerate(steps):
        disk.take(step)
        if step.kind == "acknowledged":
            acknowledged = step.at
        if number in moments:
            yield acknowledged, disk.after_cut(random)


def _apply(content: bytearray, step: Step) -> None:
    if step.kind == "truncate":
        del content[step.at :]
        return
    if len(content) < step.at:
        content.extend(bytes(step.at - len(content)))
    content[step.at : step.at + len(step.data)] = step.data


def _sectors(step: Step, sector: int) -> Iterator[Step]:
    """Give the parts of a write that a disk writes one by one."""
    at, end = step.at, step.at + len(step.data)
    while at < end:
        stop = min(end, (at // sector + 1) * sector)
        yield Step("write", step.file, at, step.data[at - step.at : stop - step.at])
        at = stop
