"""The scan behind no-history finds links in pages, lines, tables and commits, and the claim runs on a real shard."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.claims import no_history
from omega.claims.bench import Bench
from omega.claims.claim import run
from omega.claims.every import claims
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
from omega.core.settings import resolve
from omega.core.shard_records import DAY_S, unknown_title
from omega.core.testing.shard_contract import NOW, TODAY, a_move, a_sample, an_id, told
from omega_storage.connection import connect
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from pathlib import Path

DEVICE, HASH = bytes(range(16)), 0xAB_CDEF_0123
FORMS = list(references_of(HASH))


def test_a_shard_keeps_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(no_history, "DEVICES", 8)
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as bench:
        (found,) = run(claims.chosen(["no-history"], slow=False), bench)
    assert (found.held, found.measured) == (True, 0), found
    assert (found.details["contributed"], found.details["retracted"]) == (8 * 15, 2)
    assert {"shard.db", "shard.db-wal busy", "backup-quiet.db", "errors.log", "out.log"} <= {*found.details["scanned"]}
    assert found.details["scanned"]["errors.log"] > 8 * 3 * 100, "at every level it prints a lot"


def test_a_page_and_a_log_with_both_are_found(tmp_path: Path) -> None:
    file = tmp_path / "d.db"
    with closing(connect(str(file))) as connection:
        connection.execute("CREATE TABLE d (id BLOB); CREATE TABLE t (key INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO d VALUES (?)", (DEVICE,))
        connection.execute("INSERT INTO t VALUES (?)", (unknown_title(HASH) * 16 + 3,))
        log = (tmp_path / "d.db-wal").read_bytes()
        apart = in_log(log, [DEVICE], FORMS)
        assert apart.devices
        assert apart.titles
        assert not apart.links
        connection.execute("CREATE TABLE both (device BLOB, key INTEGER)")
        connection.execute("INSERT INTO both VALUES (?, ?)", (DEVICE, unknown_title(HASH)))
        assert in_log((tmp_path / "d.db-wal").read_bytes(), [DEVICE], FORMS).links
    assert len(in_pages(file.read_bytes(), [DEVICE], FORMS).links) == 1


@pytest.mark.parametrize("device", [DEVICE.hex(), DEVICE.hex().upper(), repr(DEVICE), "AAECAwQFBgcICQoLDA0ODw=="])
@pytest.mark.parametrize("title", [str(HASH), hex(HASH), str(unknown_title(HASH) * 16 + 8), "Unheard-Of"])
def test_a_line_with_both_is_found_however_it_is_spelt(device: str, title: str) -> None:
    words = list(words_of_device(DEVICE)), list(words_of_title(HASH, "unheard-of"))
    assert in_lines(f"a\n{device} watched {title}\n".encode(), *words).links == {1}
    assert not in_lines(f"{device} watched\n{title}\n".encode(), *words).links
    assert not in_lines(b"0123456789 watched 12345678\n", *words).titles


def test_tables_tell_of_both_and_of_times(tmp_path: Path) -> None:
    file, key, now_s = tmp_path / "d.db", unknown_title(HASH) * 16 + 3, time.time()
    with closing(connect(str(file))) as connection:
        connection.execute("CREATE TABLE a (id BLOB, at INTEGER); CREATE TABLE b (key INTEGER, day INTEGER)")
        connection.execute("CREATE TABLE c (key INTEGER, at REAL); CREATE TABLE d (key INTEGER, id BLOB)")
        connection.execute("INSERT INTO a VALUES (?, ?)", (DEVICE, int(now_s)))
        connection.execute("INSERT INTO b VALUES (?, ?)", (key, now_s // DAY_S))
        connection.execute("INSERT INTO c VALUES (?, ?)", (key, 1000 * now_s))
        connection.execute("INSERT INTO d VALUES (?, ?)", (key, DEVICE))
    found = tables(file, [DEVICE], [HASH], (now_s - 5, now_s + 5))
    shown = {table.name: (table.devices, table.titles, table.moments) for table in found}
    assert shown["a"] == (True, False, True)
    assert shown["b"] == (False, True, False)
    assert shown["c"] == (False, True, True)
    assert shown["d"] == (True, True, False)
    assert [table.links for table in found] == [False, False, True, True]


def test_commits_of_one_device_are_told_from_those_of_several(tmp_path: Path) -> None:
    store = SqliteShardStore.open(tmp_path / "s.db")
    store.enrol([an_id(slot) for slot in range(4)], NOW)
    store.rest()
    told(store, a_move(0, 1, a_sample(by=0)), a_move(1, 1, a_sample(by=1)), day=TODAY)
    told(store, a_move(2, 1, a_sample(by=2)), day=TODAY)
    told(store, a_move(3, 1), day=TODAY)
    found = lone_commits((tmp_path / "s.db").read_bytes(), (tmp_path / "s.db-wal").read_bytes())
    store.close()
    assert found == (3, 1)
