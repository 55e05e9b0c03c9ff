"""A file of the first release opens with this one: every event once, local titles, sums; vectors are asked for anew."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from omega.core.errors import StoreError
from omega.core.records import Outcome, Selection, Watched, WatchRecord
from omega.core.testing.contracts import DIMENSIONS, random_units
from omega.core.testing.device_contract import DeviceStoreContract
from omega.core.testing.watching import CONTEXTS, OTHER, SPACE, a_title, a_vector, a_watch, tell
from omega.core.types import ContentType, Title, pattern_id
from omega_storage.connection import connect, pragma, transaction
from omega_storage.device_sqlite import SqliteDeviceStore
from omega_storage.sql import migrations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MINE = Title("mine", "Ünser Urlaub", 2026, ContentType.DOCUMENTARY, ("family",), 42, 0)
TOLD = (
    ("t1", 100, 4, 900, None, None),
    ("t2", 90, 5, 400, 1, 2),
    ("t1", 100, 4, 900, None, None),  # told twice
    ("t2", 90, 5, 700, 1, 2),  # and told anew, with another share
    ("t2", 90, 5, 700, 1, 3),
    ("mine", 80, 0, 1000, None, None),
    ("t1", 50, 4, 100, None, None),
    ("t1", 300, 3, 0, None, None),
)
EVENTS = (
    WatchRecord("t1", 100, 4, 900),
    WatchRecord("t2", 90, 5, 700, 1, 2),
    WatchRecord("t2", 90, 5, 700, 1, 3),
    WatchRecord("mine", 80, 0, 1000),
    WatchRecord("t1", 50, 4, 100),
    WatchRecord("t1", 300, 3, 0),
)


def a_first_release(path: Path, told: Sequence[tuple[object, ...]] = TOLD) -> None:
    """Write a file as the first release did: with patterns that have a vector each, and sums of what was told twice."""
    connection = connect(str(path))
    with transaction(connection):
        connection.execute(migrations("device")[0])
        connection.execute("PRAGMA user_version = 1")
    columns = ", ".join(f"{name} INTEGER" for name in ("slot", "kind", "sample_count", "success_milli"))
    connection.execute(
        f"CREATE VIRTUAL TABLE pattern_vector USING vec0(id INTEGER PRIMARY KEY, "
        f"vector FLOAT[{DIMENSIONS}] distance_metric=cosine, {columns})"
    )
    connection.executemany(
        "INSERT INTO event (content_id, at, slot, watched_milli, season, episode) VALUES (?, ?, ?, ?, ?, ?)", told
    )
    groups: list[Any] = connection.execute(
        "SELECT content_id, slot, count(*), sum(watched_milli), min(at), max(at) FROM event GROUP BY 1, 2"
    ).fetchall()
    for (content_id, slot, *sums), vector in zip(groups, random_units(len(groups)), strict=True):
        row_id, kind = pattern_id(content_id, slot), 2 if content_id == "mine" else 0
        connection.execute(
            "INSERT INTO pattern (id, content_id, slot, kind, sample_count, success_milli, created_at, updated_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row_id, content_id, slot, kind, *sums),
        )
        vector_row = row_id, vector.tobytes(), slot, kind, *sums[:2]
        connection.execute(
            "INSERT INTO pattern_vector (id, vector, slot, kind, sample_count, success_milli) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            vector_row,
        )
    connection.execute(
        "INSERT INTO watched SELECT content_id, at, slot, watched_milli, season, episode, 1000 FROM event WHERE TRUE "
        "ON CONFLICT DO NOTHING"
    )
    connection.execute("INSERT INTO local_title VALUES ('mine', ?)", (msgspec.json.encode(MINE),))
    connection.execute("INSERT INTO meta VALUES ('space', ?)", (SPACE,))
    connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    a_first_release(tmp_path / "d.db")
    return tmp_path / "d.db"


def opened(path: Path, *, in_memory: bool = True) -> SqliteDeviceStore:
    return SqliteDeviceStore.open(path, dimensions=DIMENSIONS, in_memory=in_memory)


def test_keeps_every_event_once_and_what_follows(path: Path) -> None:
    store = opened(path)
    assert pragma(store._connection, "user_version") == len(migrations("device"))
    assert tuple(store.events()) == EVENTS
    assert {
        (p.id, p.content_id, p.slot, p.sample_count, p.success_milli, p.created_at, p.updated_at)
        for p in store.patterns()
    } == {
        (pattern_id("t1", 4), "t1", 4, 2, 1000, 50, 100),
        (pattern_id("t1", 3), "t1", 3, 1, 0, 300, 300),
        (pattern_id("t2", 5), "t2", 5, 2, 1400, 90, 90),
        (pattern_id("mine", 0), "mine", 0, 1, 1000, 80, 80),
    }
    assert sorted(store.watched(), key=lambda state: state.content_id) == [
        Watched("mine", 0, 80, 0, 1000, None, None, 1000),
        Watched("t1", 0, 300, 3, 0, None, None, 900),
        Watched("t2", 0, 90, 5, 700, 1, 3, 700),
    ]
    assert store.titles() == {"t1": None, "t2": None, "mine": MINE}
    assert store.ledger.counts().queued == 0
    assert store.profiles() == []
    store.close()


@pytest.mark.parametrize("in_memory", [True, False])
def test_asks_for_the_vectors_anew(path: Path, *, in_memory: bool) -> None:
    store = opened(path, in_memory=in_memory)
    query = random_units(1, seed=77)[0]
    assert store.space() is None
    assert not store.bind(SPACE, CONTEXTS)  # those of the first release were of another sort, whatever their space
    with pytest.raises(StoreError, match="embed the titles anew"):
        store.search(query, 1)
    with pytest.raises(StoreError):
        tell(store, a_watch("t9"))
    names = list(store.titles())
    store.reembed(names, np.array([a_vector(name) for name in names]))
    assert store.bind(SPACE, CONTEXTS)
    DeviceStoreContract.finds(store, query, {name: a_vector(name) for name in names})
    kind = list(ContentType).index(ContentType.DOCUMENTARY)
    assert [near.pattern.content_id for near in store.search(query, 9, {"kind": (kind, kind)})] == ["mine"]
    assert tell(store, EVENTS[0]).outcome is Outcome.REPEATED
    assert tell(store, a_watch("t1", at=400, milli=50)).pattern.sample_count == 3
    store.close()
    again = opened(path)
    assert again.bind(SPACE, CONTEXTS)
    assert not again.bind(OTHER, CONTEXTS)
    assert again.event_count() == len(EVENTS) + 1
    again.close()


def test_what_the_first_release_kept_can_be_forgotten(path: Path) -> None:
    store = opened(path)
    assert store.forget(Selection(content_id="mine")).titles == 1
    store.bind(SPACE, CONTEXTS)
    store.reembed(["t1", "t2"], np.array([a_vector("t1"), a_vector("t2")]))
    assert len(store.search(random_units(1)[0], 9)) == store.pattern_count() == 3
    store.close()
    assert b"Urlaub" not in path.read_bytes()


def test_an_empty_file_of_the_first_release_opens(tmp_path: Path) -> None:
    a_first_release(tmp_path / "d.db", told=())
    store = opened(tmp_path / "d.db")
    assert (store.events(), store.titles(), store.patterns()) == ([], {}, [])
    assert store.bind(OTHER, CONTEXTS)
    tell(store, a_watch())
    store.close()


MIGRATOR = """
import sys
from pathlib import Path
from omega_storage.device_sqlite import SqliteDeviceStore
print("ready", flush=True)
for line in sys.stdin:
    store = SqliteDeviceStore.open(Path(line.strip()), dimensions=16)
    print(store.event_count(), store.pattern_count(), len(store.watched()), flush=True)
    store.close()
"""


def test_several_processes_migrate_one_file_at_once(tmp_path: Path) -> None:
    told = tuple((f"t{i % 50}", i, i % 8, i % 1001, None, None) for i in range(600))
    with ExitStack() as closing:
        openers = [
            closing.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", MIGRATOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(3)
        ]
        for number in range(8):
            a_first_release(tmp_path / f"{number}.db", told)
        answers = []
        for opener in openers:
            assert opener.stdin is not None
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n"
        for number in range(8):
            for opener in openers:
                assert opener.stdin is not None
                opener.stdin.write(f"{tmp_path}/{number}.db\n")
                opener.stdin.flush()
            answers += [opener.stdout.readline() for opener in openers if opener.stdout]
    assert set(answers) == {"600 200 50\n"}


def test_a_title_of_two_kinds_keeps_one(tmp_path: Path) -> None:
    a_first_release(tmp_path / "d.db")
    connection = connect(str(tmp_path / "d.db"))
    connection.execute("UPDATE pattern SET kind = 1 WHERE content_id = 't1' AND slot = 3")
    connection.close()
    store = opened(tmp_path / "d.db")
    assert sorted(store.titles()) == ["mine", "t1", "t2"]
    store.bind(SPACE, CONTEXTS)
    store.reembed(list(store.titles()), random_units(3))
    store.record(a_watch("t1", at=9), a_title("t1"), a_vector("t1"), local=False, day=None)
    assert len(store.search(random_units(1)[0], 9, {"kind": (0, 0)})) == 3
    store.close()
