"""A household's damaged store: the brain opens all the same, with every event that can be read and none that never was.

What quick looks can't see, a number that became another one, the thorough look must.
"""

from __future__ import annotations

import logging
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from omega.claims.durability import contradiction
from omega.compose import STORE_FILE, open_brain, open_catalog, open_store, rescue_store
from omega.core.errors import DamagedStoreError, StoreError
from omega.core.records import LedgerCounts, Selection, WatchRecord
from omega.core.settings import resolve
from omega.core.types import DIMENSIONS, ViewingEvent
from omega.device.results import Mode
from omega_storage.connection import connect, suspect, suspected
from omega_storage.pages import Pages
from omega_storage.recovery import damaged_files, examine
from tests.storage.test_recovery import KINDS, damage

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.settings import Settings
    from omega.device.brain import Brain

DAMAGES = 75
EVENTS = 400
NAMES = ("Käthe", "Ömer")
NOW = datetime(2026, 3, 1, 20, tzinfo=UTC)
DAMAGED = "store.db.damaged-*"


class Household(NamedTuple):
    """A sound store, and what it holds."""

    settings: Settings
    events: Counter[WatchRecord]
    ledger: LedgerCounts

    @property
    def file(self) -> Path:
        return self.settings.store / STORE_FILE


def opened(settings: Settings) -> Brain:
    return open_brain(settings, now=lambda: NOW)


@pytest.fixture(scope="module")
def household(tmp_path_factory: pytest.TempPathFactory) -> Household:
    """400 events of 250 titles, each ninth of which no catalog has, by two profiles and nobody."""
    home = tmp_path_factory.mktemp("home")
    settings = resolve({"home": home, "embedder": "static", "time_zone": "UTC"}, {}).settings
    ids = [title.id for title in open_catalog(settings)]
    with closing(opened(settings)) as brain:
        for name in NAMES:
            brain.set_profile(name)
        with brain.many():
            for number in range(EVENTS):
                place = number % 250
                film = f"Sommer auf Hiddensee {place}" if place % 9 == 0 else None
                brain.observe(
                    ViewingEvent(
                        content_id=f"home-film-{place}" if film else ids[place * 3],
                        title=film,
                        watch_pct=number % 101 / 100,
                        at=NOW - timedelta(hours=7 * (EVENTS - number)),
                        profile=(None, *NAMES)[number % 3],
                    )
                )
        brain.consolidate()
        brain.set_mode(Mode.PAUSED)
        document = brain.export()
    assert document.ledger is not None
    return Household(settings, Counter(document.events), document.ledger)


def put(household: Household, folder: Path) -> Settings:
    settings = msgspec.structs.replace(household.settings, store=folder)
    shutil.copy(household.file, folder / STORE_FILE)
    return settings


def pages_of(file: Path) -> dict[str, dict[int, list[int]]]:
    """Return by table which rows lie on which page."""
    pages = Pages(file)
    with closing(connect(str(file))) as connection:
        tables: list[Any] = connection.execute(
            "SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
    return {
        name: {number: [cell.rowid for cell in pages.cells(number)] for number in pages.walk(root)}
        for name, root in [("schema", 1), *tables]
        if root
    }


def readable(household: Household, touched: set[int]) -> Counter[WatchRecord]:
    """Return the events that lie, and whose titles lie, on pages that no damage touched."""
    tables = pages_of(household.file)
    events, titles = (
        {row for page, rows in tables[name].items() if page not in touched for row in rows}
        for name in ("event", "title")
    )
    with closing(open_store(household.settings, DIMENSIONS)) as store:
        title_of = dict(store._connection.execute("SELECT id, title_id FROM event"))  # type: ignore[attr-defined]
        return Counter(e for row, e in store.events_after(0, EVENTS) if row in events and title_of[row] in titles)


@pytest.mark.parametrize("number", range(DAMAGES))
def test_a_damaged_household_is_rescued(
    household: Household, tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    touched = damage(file, KINDS[number % len(KINDS)], random.Random(number))
    saveable, tables = readable(household, touched), pages_of(household.file)
    with caplog.at_level(logging.WARNING), closing(opened(settings)) as brain:
        status, document = brain.status(), brain.export()
        assert len(brain.recommend()) == 20
    events = Counter(document.events)
    assert saveable <= events
    assert bool(status.rescued_at) == ("was damaged" in caplog.text) == bool(damaged_files(file))
    if not status.rescued_at:  # then only the thorough look finds what was invented
        assert events <= household.events or examine(file, thorough=True)
        if rescue_store(settings):
            with closing(opened(settings)) as brain:
                events = Counter(brain.export().events)
    assert saveable <= events <= household.events
    with closing(open_store(settings, DIMENSIONS)) as store:
        assert contradiction(store, store.events()) is None
    if not touched & {*tables["schema"], *tables["meta"], *tables["profile"]}:
        assert status.mode is Mode.PAUSED
        assert status.profiles == NAMES
    if not touched & {*tables["schema"], *tables["contribution"]}:
        assert document.ledger == household.ledger


def test_what_is_rescued_learns_and_forgets_the_damaged_copy(household: Household, tmp_path: Path) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with closing(opened(settings)) as brain:
        assert [copy.read_bytes() for copy in damaged_files(file)] == [content[: len(content) // 2]]
        brain.set_mode(Mode.LEARNING)
        title = open_catalog(settings).titles[5].id
        brain.observe(ViewingEvent(content_id=title, watch_pct=1, at=NOW))
        assert brain.forget(Selection(content_id=title)).events >= 1
        assert damaged_files(file) == []
    with closing(opened(settings)) as brain:
        assert brain.status().rescued_at


def test_an_event_to_come_never_has_the_number_of_a_lost_one(household: Household, tmp_path: Path) -> None:
    """The ledger names events by number: what is forgotten of a new one must not take back an old one's sample."""
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    content = bytearray(file.read_bytes())
    for page in pages_of(file)["event"]:
        content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    file.write_bytes(content)
    with closing(opened(settings)) as brain:
        assert brain.status().events == 0
        brain.set_mode(Mode.LEARNING)
        brain.observe(ViewingEvent(content_id=open_catalog(settings).titles[5].id, watch_pct=1, at=NOW))
    with closing(open_store(settings, DIMENSIONS)) as store:
        [(number, _)] = store.events_after(0, 9)
        assert number == EVENTS + 1
        assert store.ledger.counts().queued == household.ledger.queued + 1


def test_a_lost_root_of_the_titles_costs_no_event(household: Household, tmp_path: Path) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    content = bytearray(file.read_bytes())
    with closing(connect(str(file))) as connection:
        root = int(connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'title'").get)
    content[(root - 1) * 4096 : root * 4096] = bytes(4096)
    file.write_bytes(content)
    with closing(opened(settings)) as brain:
        assert Counter(brain.export().events) == household.events


@pytest.mark.parametrize("wrong", ["an id", "a share"])
def test_a_changed_letter_or_number_is_never_taken_for_truth(household: Household, tmp_path: Path, wrong: str) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    change = {
        "an id": "UPDATE title SET content_id = 'home-gilm-9' WHERE content_id = 'home-film-9'",
        "a share": "UPDATE event SET watched_milli = 999 WHERE id = 7",
    }
    with closing(connect(str(file))) as connection:
        connection.execute(change[wrong])
        lost = (
            int(
                connection.execute(
                    "SELECT count(*) FROM event JOIN title AS t ON t.id = title_id WHERE content_id = 'home-gilm-9'"
                ).get
            )
            or 1
        )
    assert rescue_store(settings, thorough=False) is False
    assert rescue_store(settings)
    with closing(opened(settings)) as brain:
        events = Counter(brain.export().events)
    assert events < household.events
    assert household.events.total() - events.total() == lost


def test_a_text_that_is_no_text_is_damage(household: Household, tmp_path: Path) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    with closing(connect(str(file))) as connection:
        connection.execute("UPDATE title SET content_id = CAST(x'ff6869' AS TEXT) WHERE content_id = 'home-film-9'")
    with closing(opened(settings)) as brain:
        assert brain.status().rescued_at
        assert Counter(brain.export().events) < household.events


def test_after_damage_was_met_every_row_is_looked_at(household: Household, tmp_path: Path) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    with closing(connect(str(file))) as connection:
        connection.execute("UPDATE event SET watched_milli = 1000 - watched_milli WHERE id = 7")
    with closing(opened(settings)) as brain:
        assert brain.status().rescued_at is None, "the quick look can't see it"
    suspect(file)
    with closing(opened(settings)) as brain:
        assert brain.status().rescued_at
        assert (household.events - Counter(brain.export().events)).total() == 1
    assert not suspected(file).exists()


def test_meeting_damage_marks_the_store(household: Household, tmp_path: Path) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    with closing(opened(settings)) as brain:
        raw = bytearray(file.read_bytes())
        raw[4096:] = bytes(len(raw) - 4096)
        file.write_bytes(raw)
        with pytest.raises(DamagedStoreError):
            brain.forget(Selection(content_id="home-film-9"))
    assert suspected(file).exists()
    with closing(opened(settings)) as brain:
        assert brain.status().rescued_at
    assert not suspected(file).exists()


@pytest.mark.parametrize("what", ["rebuilt", "moved away"])
def test_who_still_has_the_old_file_open_acknowledges_nothing(household: Household, tmp_path: Path, what: str) -> None:
    (tmp_path / "tv").mkdir()
    settings = put(household, tmp_path / "tv")
    file = settings.store / STORE_FILE
    event = ViewingEvent(content_id="up-2009", watch_pct=1.0)
    with closing(opened(settings)) as first:
        first.set_mode(Mode.LEARNING)
        if what == "rebuilt":
            first.compact()
            with file.open("r+b") as content:
                content.seek((max(pages_of(file)["event"]) - 1) * 4096)
                content.write(bytes(4096))
            opened(settings).close()
            assert damaged_files(file)
        else:
            settings.store.rename(tmp_path / "away")
        with pytest.raises(DamagedStoreError, match="another file than the one that was opened, this was not stored"):
            first.observe(event)
    with closing(opened(settings)) as again:
        assert again.observe(event).outcome == "added"


def test_a_sound_store_is_never_rescued(household: Household, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = put(household, tmp_path)
    for _ in range(2):
        with caplog.at_level(logging.WARNING), closing(opened(settings)) as brain:
            assert brain.status().rescued_at is None
            assert Counter(brain.export().events) == household.events
    assert not rescue_store(settings)
    assert caplog.text == ""
    assert list(tmp_path.glob(DAMAGED)) == []


@pytest.mark.parametrize("reason", ["another program", "a newer schema", "other dimensions"])
def test_what_is_only_foreign_is_left_alone(household: Household, tmp_path: Path, reason: str) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    dimensions = 8 if reason == "other dimensions" else DIMENSIONS
    if reason == "another program":
        file.unlink()
        with closing(sqlite3.connect(file)) as other:
            other.execute("PRAGMA journal_mode = WAL")
            other.execute("CREATE TABLE bookmarks (url)")
    elif reason == "a newer schema":
        with closing(sqlite3.connect(file)) as newer:
            newer.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    words = {"another program": "another program", "a newer schema": "update omega", "other dimensions": "384"}
    with pytest.raises(StoreError, match=words[reason]):
        open_store(settings, dimensions)
    assert file.read_bytes() == before
    assert list(tmp_path.glob(DAMAGED)) == []


def test_rescue_can_be_left_out(household: Household, tmp_path: Path) -> None:
    settings, file = put(household, tmp_path), tmp_path / STORE_FILE
    file.write_bytes(bytes(4096) + file.read_bytes()[4096:])
    with pytest.raises(StoreError):
        open_store(settings, DIMENSIONS, rescue=False)
    assert list(tmp_path.glob(DAMAGED)) == []
    open_store(settings, DIMENSIONS).close()
    assert len(list(tmp_path.glob(DAMAGED))) == 1
