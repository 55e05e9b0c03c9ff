"""A claim about what a shard can't tell, whoever gets its disk: which device watched which title."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from omega.claims.claim import Claims, Measured
from omega.claims.links import (
    in_lines,
    in_log,
    in_pages,
    lone_commits,
    references_of,
    tables,
    words_of_device,
    words_of_title,
)
from omega.claims.relay import Relay
from omega.claims.served import served
from omega.compose import DEVICE_KEY_FILE, EXAMPLE_CATALOG_PATH, open_brain, open_syncer
from omega.core.catalog import Catalog
from omega.core.identity.device_key import DeviceKey
from omega.core.records import Selection
from omega.core.settings import EXAMPLE_CATALOG
from omega.core.shard_records import unknown_title
from omega.core.types import ViewingEvent, title_key
from omega.core.wire import title_hash
from omega_storage.connection import apsw, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.claims.bench import Bench
    from omega.claims.links import Found
    from omega.claims.served import Served
    from omega.core.settings import Settings
    from omega.core.types import Title
    from omega.device.brain import Brain
    from omega.device.sync.report import Report

claims = Claims()
DEVICES, TITLES = 24, 40
_EACH = 5
"""Titles that a household watches each time."""
_OPTIONS = "--enrol", "open", "--catalog", EXAMPLE_CATALOG
_CONTROLS = 3
_REST_S = 20
"""A shard that has nothing to do empties its log long before."""


class Home(NamedTuple):
    """One TV, and the key that it is known by."""

    brain: Brain
    settings: Settings
    key: DeviceKey


class Marks(NamedTuple):
    """What is looked for: in files of numbers and in files of words."""

    devices: list[bytes]
    titles: list[bytes]
    device_words: list[bytes]
    title_words: list[bytes]


class Kept(NamedTuple):
    """A file as it was at some moment."""

    name: str
    scan: Callable[[bytes, Sequence[bytes], Sequence[bytes]], Found]
    held: bytes


class Life(NamedTuple):
    """What happened at a shard, and what its disk held meanwhile."""

    reports: list[Report]
    kept: list[Kept]
    commits: tuple[int, int]
    """In the log while TVs came one by one: all, and those that moved sums of one device alone."""
    rested: bool
    """Whether the log was emptied each time that nobody came."""


@claims.add(
    "no-history",
    what=f"links of a device and a title in pages and tables of a shard's database, log and backups, and in what it "
    f"prints, {DEVICES} TVs that share and take back",
    target=0,
    unit="places",
    bound="at most",
    oracle="the same scan finds devices and titles apart, and the links in a database and a log of our own that have "
    "both",
)
def no_history(bench: Bench) -> Measured:
    """Let TVs enrol, share and take back over HTTP with a shard that logs at every level; scan its files meanwhile.

    The titles are newer than the shard's catalog: their references are long enough to be found. A page with both is a
    link; so is a table with both, a table of titles with times finer than a day, and a title in any line, which was
    printed when its TV was there.
    """
    folder = Path(tempfile.mkdtemp(prefix="history", dir=bench.folder))
    began_s = time.time()
    titles = unheard_of(folder / "newer.jsonl")
    with served(folder / "shard", *_OPTIONS, module="omega.claims.talkative") as shard, Relay(shard.port) as relay:
        with ExitStack() as opened:
            homes = [_home(opened, bench, folder, number, relay.url) for number in range(DEVICES)]
            life = lived(bench, shard, homes, titles)
        tokens = [token for one in relay.connections for token in re.findall(rb"Bearer (\S+)", bytes(one.up))]
    marks = marks_of([home.key for home in homes], tokens, titles)
    kept = [*life.kept, *_left(folder / "shard")]
    found = [(one, one.scan(one.held, *_marks_for(one, marks))) for one in kept]
    hashes = [hash_of(title) for title in titles]
    told = tables(shard.store, marks.devices, hashes, (began_s, time.time()))
    places = [f"{one.name}, {at}" for one, seen in found for at in _links(one, seen)]
    places += [f"table {table.name}" for table in told if table.links]
    apart = all(seen.devices and seen.titles for one, seen in found if one.scan is not in_lines)
    told_apart = any(table.devices and table.moments for table in told) and sum(table.titles for table in told) > 1
    details: dict[str, Any] = {
        "devices": DEVICES,
        "titles": TITLES,
        "contributed": sum(report.contributed for report in life.reports),
        "retracted": sum(report.retracted for report in life.reports),
        "scanned": {one.name: len(one.held) for one in kept},
        "lines_that_name_a_device": sum(len(seen.devices) for one, seen in found if one.scan is in_lines),
        "commits_in_the_log_when_quiet": life.commits[0],
        "commits_of_one_device_in_the_log_when_quiet": life.commits[1],
        "links_in_the_control": control(folder / "control", marks, hashes),
        "places": places[:5],
    }
    whole = all(report.error is None for report in life.reports) and details["retracted"] > 0 and life.rested
    agrees = whole and apart and told_apart and details["links_in_the_control"] == _CONTROLS
    return Measured(len(places), details, agrees=agrees)


def unheard_of(newer: Path) -> list[Title]:
    """Return titles that the example catalog lacks, and write its next epoch, which has them."""
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    titles = [
        msgspec.structs.replace(title, id=f"unheard-of-{number}", title=f"Würfelquallen über Ærø, Teil {number}")
        for number, title in enumerate(catalog.titles[:TITLES])
    ]
    newer.parent.mkdir(parents=True, exist_ok=True)
    Catalog.build([*catalog.titles, *titles], catalog).write(newer)
    return titles


def hash_of(title: Title) -> int:
    """Return what travels for a title that the shard doesn't have."""
    return title_hash(title_key(title.id))


def lived(bench: Bench, shard: Served, homes: Sequence[Home], titles: Sequence[Title]) -> Life:
    """Let all share at once, twice; then each by itself, some of them taking back; leave the shard alone in between."""
    kept: list[Kept] = []
    reports: list[Report] = []
    for turn in range(2):
        _watch(homes, titles, turn)
        reports += asyncio.run(_synced(homes, together=True))
        kept += _looked(shard.store, "busy") if turn else []
        rested = _rests(shard.store)
        bench.progress(turn + 1, 3, "sharing with a shard")
    for number in range(0, len(homes), 4):
        homes[number].brain.forget(Selection(content_id=_programme(number, 0, titles)[0].id))
    _watch(homes, titles, 2)
    reports += asyncio.run(_synced(homes, together=False))
    quiet = _looked(shard.store, "quiet")
    rested = _rests(shard.store) and rested
    kept += [*quiet, Kept("shard.db at rest", in_pages, shard.store.read_bytes())]
    bench.progress(3, 3, "sharing with a shard")
    return Life(reports, kept, lone_commits(quiet[0].held, quiet[1].held), rested)


def _rests(store: Path) -> bool:
    """Wait until the log is empty, and say whether it is."""
    log, until_s = Path(f"{store}-wal"), time.monotonic() + _REST_S
    while log.stat().st_size and time.monotonic() < until_s:
        time.sleep(0.1)
    return not log.stat().st_size


def _looked(store: Path, when: str) -> list[Kept]:
    """Return the database, its log, and a backup as SQLite makes it, as they are now."""
    log, copy = Path(f"{store}-wal"), store.with_name(f"backup-{when.replace(' ', '-')}.db")
    files = [
        Kept(f"shard.db {when}", in_pages, store.read_bytes()),
        Kept(f"shard.db-wal {when}", in_log, log.read_bytes()),
    ]
    connection, target = apsw.Connection(str(store)), apsw.Connection(str(copy))
    with closing(connection), closing(target), target.backup("main", connection, "main") as copying:
        copying.step()
    return files


def _left(folder: Path) -> list[Kept]:
    """Return every file that is there once the shard has ended, its backups, keys and all that it printed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    return [
        Kept(str(path.relative_to(folder)), in_pages if path.suffix == ".db" else in_lines, path.read_bytes())
        for path in files
    ]


def marks_of(keys: Sequence[DeviceKey], tokens: Sequence[bytes], titles: Sequence[Title]) -> Marks:
    """Return what stands for these devices and titles."""
    hashes = [hash_of(title) for title in titles]
    named = [word for key in keys for word in words_of_device(key.id, key.public_key)]
    spelt = [word for title in titles for word in words_of_title(hash_of(title), title.id, title.title)]
    numbers = [form for hashed in hashes for form in references_of(hashed)]
    return Marks([key.id for key in keys], numbers, [*named, *tokens], spelt)


def _marks_for(one: Kept, marks: Marks) -> tuple[list[bytes], list[bytes]]:
    words = one.scan is in_lines
    return (marks.device_words, marks.title_words) if words else (marks.devices, marks.titles)


def _links(one: Kept, found: Found) -> set[int]:
    """Return pages with both; lines with a title, since a line has its time."""
    return found.titles if one.scan is in_lines else found.links


def control(folder: Path, marks: Marks, hashes: Sequence[int]) -> int:
    """Return how many links are found where there are three: in a page, in a table, and in a line."""
    folder.mkdir(parents=True)
    database = folder / "history.db"
    with closing(connect(str(database))) as connection:
        connection.execute("CREATE TABLE history (device_id BLOB, title INTEGER)")
        connection.execute("INSERT INTO history VALUES (?, ?)", (marks.devices[0], unknown_title(hashes[0])))
    paged = in_pages(database.read_bytes(), marks.devices, marks.titles)
    lines = b"device %s came\n%s watched %d\n" % (
        marks.devices[1].hex().encode(),
        marks.devices[0].hex().upper().encode(),
        hashes[0],
    )
    spelt = in_lines(lines, marks.device_words, marks.title_words)
    now_s = time.time()
    table = sum(table.links for table in tables(database, marks.devices, hashes, (now_s, now_s)))
    return len(paged.links) + table + len(spelt.links)


def _home(opened: ExitStack, bench: Bench, folder: Path, number: int, url: str) -> Home:
    settings = msgspec.structs.replace(
        bench.settings,
        store=folder / f"tv{number}",
        embedder="static",
        model=None,
        catalog=str(folder / "newer.jsonl"),
        shard_url=url,
        ca=None,
        time_zone="UTC",
    )
    brain = opened.enter_context(closing(open_brain(settings)))
    return Home(brain, settings, DeviceKey.open(settings.store / DEVICE_KEY_FILE))


def _watch(homes: Sequence[Home], titles: Sequence[Title], turn: int) -> None:
    for number, home in enumerate(homes):
        with home.brain.many():
            for step, title in enumerate(_programme(number, turn, titles)):
                home.brain.observe(ViewingEvent(content_id=title.id, watch_pct=(50 + number + step) / 100))


def _programme(number: int, turn: int, titles: Sequence[Title]) -> list[Title]:
    """Return what a household watches in a turn: titles that neighbors watch too, and that are new to it."""
    first = number * 3 + turn * _EACH
    return [titles[at % len(titles)] for at in range(first, first + _EACH)]


async def _synced(homes: Sequence[Home], *, together: bool) -> list[Report]:
    syncers = [open_syncer(home.settings, home.brain) for home in homes]
    try:
        if together:
            return await asyncio.gather(*(syncer.sync() for syncer in syncers))
        return [await syncer.sync() for syncer in syncers]
    finally:
        for syncer in syncers:
            await syncer.close()
