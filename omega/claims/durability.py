"""Claims about what a TV still knows after the worst: its process is killed, its plug is pulled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from omega.claims.claim import Claims, Measured
from omega.claims.power import Recording, cuts, recorded
from omega.claims.writer import event, opened
from omega.compose import STORE_FILE, open_catalog, open_store
from omega.core.errors import InputError, OmegaError
from omega.core.settings import EXAMPLE_CATALOG
from omega.core.types import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omega.claims.bench import Bench
    from omega.core.ports import DeviceStore
    from omega.core.records import WatchRecord
    from omega.core.settings import Settings

claims = Claims()
KILLS = 30
CUTS = 200
EVENTS = 700
SHARD = ("shard-a", 1)
_FRAME = 20
"""After so many events a frame is assigned, and would leave."""
_REOPEN, _COMPACT = 150, 320
"""After so many events the store is closed and opened; in between, once, the file is compacted too."""


class Check(NamedTuple):
    """What a store holds after the worst, beside what its process had acknowledged."""

    acknowledged: int
    lost: int
    invented: int
    """Events that were neither acknowledged nor the one that was just being written."""
    wrong: str | None
    """Why the store contradicts itself, or doesn't open."""

    @property
    def good(self) -> bool:
        """Whether nothing is lost, invented or wrong."""
        return not (self.lost or self.invented or self.wrong)


def check(settings: Settings, ids: Sequence[str], acknowledged: int) -> Check:
    """Open the store and compare its events with those of `writer.event`, and its sums with its events."""
    try:
        with closing(open_store(settings, DIMENSIONS, rescue=False)) as store:
            events = store.events()
            wrong = contradiction(store, events) or _unsent(store, acknowledged)
    except OmegaError as error:
        return Check(acknowledged, acknowledged, 0, str(error))
    held = Counter(_identity(record.content_id, record.at, record.watched_milli) for record in events)
    watched = [event(number, ids) for number in range(acknowledged + 1)]
    told = [_identity(e.content_id, int(e.at.timestamp()), round(1000 * (e.watch_pct or 0))) for e in watched if e.at]
    lost = Counter(told[:-1]) - held
    return Check(acknowledged, lost.total(), (held - Counter(told)).total(), wrong)


def contradiction(store: DeviceStore, events: Sequence[WatchRecord]) -> str | None:
    """Say where the patterns are not the sums of the events, or have no vector; None when they are and have."""
    count: Counter[tuple[str, int, int]] = Counter()
    success: Counter[tuple[str, int, int]] = Counter()
    for record in events:
        count[record.content_id, record.slot, record.profile] += 1
        success[record.content_id, record.slot, record.profile] += record.watched_milli
    sums = {(p.content_id, p.slot, p.profile): (p.sample_count, p.success_milli) for p in store.patterns()}
    if sums != {key: (count[key], success[key]) for key in count}:
        return "patterns are not the sums of the events"
    try:
        vectors = store.vectors(list(store.titles()))
    except InputError as error:
        return str(error)
    lengths = np.linalg.norm(vectors, axis=1)
    return None if np.allclose(lengths, 1, atol=1e-3) else "a vector isn't of unit length"


def _unsent(store: DeviceStore, acknowledged: int) -> str | None:
    """Say which frame was sent whose rows the ledger doesn't know; frames leave after every 20th event."""
    known = store.ledger.since(*SHARD, 0)
    if store.ledger.counts().queued == store.event_count():  # a process that sends none
        return None
    behind = [version for version in range(1, (acknowledged - 1) // _FRAME + 1) if version not in known]
    return f"the ledger is behind the frame of version {behind[0]}" if behind else None


@claims.add(
    "kill-durability",
    what="acknowledged events found again after 30 kills -9 in mid-write",
    target=1,
    unit="of 1",
    bound="at least",
    oracle="what the killed process had printed; sums of the patterns against the events",
)
def kill_durability(bench: Bench) -> Measured:
    """Kill processes that watch, each going on where the one before was killed, and look for what they acknowledged."""
    settings = settings_of(bench, "killed")
    ids = [title.id for title in open_catalog(settings)]
    found = kills(settings, ids, KILLS)
    acknowledged, lost, invented = (sum(column) for column in zip(*(check[:3] for check in found), strict=True))
    wrong = next((check.wrong for check in found if check.wrong), None)
    details = {
        "kills": len(found),
        "events": found[-1].acknowledged,
        "lost": lost,
        "invented": invented,
        "wrong": wrong,
    }
    return Measured(1 - lost / acknowledged, details, agrees=not invented and wrong is None)


def kills(settings: Settings, ids: Sequence[str], rounds: int) -> list[Check]:
    """Kill a process so many times at random moments while it watches."""
    options = {name: str(value) for name, value in msgspec.structs.asdict(settings).items() if value is not None}
    given = msgspec.json.encode({"settings": options, "ids": ids}).decode()
    command = [sys.executable, "-m", "omega.claims.writer", given]
    random, stored = np.random.default_rng(3), 0
    found: list[Check] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(rounds):
            acknowledged = _killed(writer, stored, float(random.uniform(0.005, 0.1)))
            found.append(check(settings, ids, acknowledged))
            with closing(open_store(settings, DIMENSIONS)) as store:
                stored = store.event_count()
    return found


@claims.add(
    "power-loss",
    what="power cuts that leave a sound store with every acknowledged event",
    target=1,
    unit="of 1",
    bound="at least",
    oracle="the same cuts with a disk that ignores syncs: it must lose events",
)
def power_loss(bench: Bench) -> Measured:
    """Record what is written while a TV watches, make the files that cuts at random moments may leave, open them."""
    settings = settings_of(bench, "unplugged")
    ids = [title.id for title in open_catalog(settings)]
    recording = recorded_watching(settings, ids, EVENTS)
    honest = after_cuts(recording, settings, ids, CUTS)
    careless = after_cuts(recording, settings, ids, CUTS // 10, honest=False)
    good = sum(found.good for found in honest)
    details = {
        "cuts": len(honest),
        "acknowledged": sum(found.acknowledged for found in honest),
        "lost": sum(found.lost for found in honest),
        "wrong": next((found.wrong for found in honest if found.wrong), None),
        "lost_by_a_disk_that_ignores_syncs": sum(found.lost for found in careless),
        "of": sum(found.acknowledged for found in careless),
    }
    return Measured(good / len(honest), details, agrees=any(found.lost for found in careless))


def recorded_watching(settings: Settings, ids: Sequence[str], events: int) -> Recording:
    """Watch so many titles, close and open now and then, compact the file once, and return all that was written."""
    with recorded() as recording:
        for first in range(0, events, _REOPEN):
            with closing(opened(settings)) as brain, closing(open_store(settings, DIMENSIONS)) as store:
                for number in range(first, min(first + _REOPEN, events)):
                    brain.observe(event(number, ids))
                    recording.acknowledge(number + 1)
                    if (number + 1) % _FRAME == 0:
                        store.ledger.assign(*SHARD, (number + 1) // _FRAME, _FRAME)
            if first <= _COMPACT < first + _REOPEN:
                with closing(open_store(settings, DIMENSIONS)) as store:
                    store.compact()
    return recording


def after_cuts(
    recording: Recording, settings: Settings, ids: Sequence[str], count: int, *, honest: bool = True
) -> list[Check]:
    """Check the stores that cuts at `count` random moments may leave."""
    random = np.random.default_rng(5)
    found = []
    for acknowledged, files in cuts(recording.steps, {STORE_FILE: b""}, count, random, honest=honest):
        with tempfile.TemporaryDirectory(dir=settings.store.parent) as folder:
            _write(Path(folder), files)
            found.append(check(msgspec.structs.replace(settings, store=Path(folder)), ids, acknowledged))
    return found


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def settings_of(bench: Bench, name: str) -> Settings:
    """Return settings of a new TV with the static embedder."""
    store = Path(tempfile.mkdtemp(prefix=name, dir=bench.folder)) / "tv"
    return msgspec.structs.replace(
        bench.settings, store=store, embedder="static", model=None, time_zone="UTC", catalog=EXAMPLE_CATALOG
    )


def _killed(writer: subprocess.Popen[str], first: int, after_s: float) -> int:
    """Let a child of the writer watch, kill it so long after its first event; return how many it said are stored."""
    if writer.stdin is None or writer.stdout is None:
        raise OmegaError("the writer has no input or output: report this")
    writer.stdin.write(f"{first}\n")
    writer.stdin.flush()
    process, heard = writer.stdout.readline(), writer.stdout.readline()
    if not heard.strip().isdigit():
        raise OmegaError("the writer ended by itself: run python -m omega.claims.writer to see why")
    time.sleep(after_s)
    os.kill(int(process), signal.SIGKILL)
    return int([heard, *iter(writer.stdout.readline, "dead\n")][-1])


def _identity(content_id: str, at: int, milli: int) -> tuple[str, int, int]:
    return content_id, at, milli
