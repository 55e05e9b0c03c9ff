"""After a run on Postgres nothing links a device and a title: no row, no hidden column, no page, no log that stays."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from omega.core.shard_records import Move, Sample, Tick, unknown_title
from omega.core.testing.shard_contract import NOW, TODAY, a_tag

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'exogenesis-omega[postgres]'")

from omega_storage.shard_postgres import PostgresShardStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres_server import Databases

DEVICES, PAGE = 60, 8_192
IDS = [sha256(b"device %d" % slot).digest()[:16] for slot in range(DEVICES)]
TITLES = [unknown_title(int.from_bytes(sha256(b"title %d" % title).digest()[:5], "big")) for title in range(40)]
WRITTEN = "SELECT xmin FROM journal UNION ALL SELECT xmin FROM sums"
TOGETHER = f"SELECT count(*) FROM device AS d JOIN ({WRITTEN}) AS s ON d.xmin = s.xmin"  # noqa: S608  (a constant)
MOMENTS = f"SELECT count(DISTINCT xmin::text) FROM device WHERE seen_day = {TODAY}"  # noqa: S608  (a constant)


@pytest.fixture
def alone() -> Iterator[Databases]:
    """A server of its own, whose log holds nothing else."""
    from tests.postgres_server import Databases, a_server  # noqa: PLC0415  (as in conftest)

    with a_server() as server:
        yield Databases(server)


def test_no_file_of_the_server_links_a_device_and_a_title(alone: Databases) -> None:
    url, folder = alone.server.url(), alone.server.folder / "data"
    store = PostgresShardStore.open(url)
    store.enrol(IDS, NOW - 86_400 * 9)
    store.rest()
    for slot in range(DEVICES - 20):  # each in a tick of its own, as at night
        rows = [Sample(TITLES[(slot * 7 + step) % 40], 3, TODAY, 900, a_tag(slot, step)) for step in range(4)]
        store.commit(Tick(TODAY, [Move(slot, 1, 0, 1, tuple(rows))]))
    assert alone.run(TOGETHER) > [(0,)], "the search finds what there is"
    assert alone.run(MOMENTS) > [(1,)]
    logs = [file for file in (folder / "pg_wal").iterdir() if file.is_file()]
    assert any(holds_title(file.read_bytes()) for file in logs)
    store.rest()
    assert alone.run(TOGETHER) == [(0,)]
    assert alone.run(MOMENTS) == [(1,)]
    store.close()
    of_devices = of_titles = 0
    for file in (file for file in folder.rglob("*") if file.is_file()):
        held = file.read_bytes()
        assert not (holds_title(held) and ("pg_wal" in file.parts or file.suffix == ".log")), file
        for at in range(0, len(held), PAGE):
            page = held[at : at + PAGE]
            device, title = any(one in page for one in IDS), holds_title(page)
            assert not (device and title), file
            of_devices, of_titles = of_devices + device, of_titles + title
    assert of_devices
    assert of_titles


def holds_title(held: bytes) -> bool:
    """Say whether bytes hold a title's number, or one of its keys, as Postgres writes them on this machine."""
    return any(
        number.to_bytes(8, "little", signed=True)[:6] in held
        for title in TITLES
        for number in (title, *(title * 16 + context for context in (3, 8)))
    )


def test_no_table_has_columns_for_both(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path)
    PostgresShardStore.open(url).close()
    found = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
    tables: dict[str, set[str]] = {}
    for table, name in databases.run(found, url):
        tables.setdefault(table, set()).add(name)
    of_device = "slot device_id counts_from incarnation version seen_day contributed retracted horizon mark_day"
    assert tables.pop("device") == {*of_device.split(), "mark_version"}
    of_titles = "key title day samples success_milli households theta tags since trends rank numbers good direction"
    assert [tables.pop(name) for name in ("maker", "code", "identity", "migration")] == [
        {"maker_id", "admitted"},
        {"digest", "uses", "ends_at"},
        {"shard_id", "key_mark"},
        {"number", "applied_at"},
    ]
    assert tables.pop("journal") == {"id", "day", "samples", "told"}
    of_trials = "experiment arm day households watched chosen minutes watched_squares chosen_squares minutes_squares"
    assert tables.pop("trial") == set(of_trials.split()), "neither a device nor a title"
    assert set(tables) == {"sums", "shown", "bucket", "audience", "likeness", "due"}
    assert set().union(*tables.values()) == set(of_titles.split())
