"""After a run the shard's files link no device and title: no table has both, no page, and no tag is a plain hash."""

from __future__ import annotations

import asyncio
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING

import apsw
from msgspec.structs import replace

from omega.claims.links import in_log, in_pages, references_of
from omega.core.shard_records import TASTE_BYTES
from omega.core.testing.shard_contract import NOW, TODAY
from omega.core.types import title_key
from omega.core.wire import Ack, Row
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.playing import CATALOG, a_push, on_shard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega.claims.links import Found
    from omega.shard.shard import Shard

DEVICES, TITLES = 60, 40
IDS = [sha256(b"device %d" % slot).digest()[:16] for slot in range(DEVICES)]
TASTES = [sha256(b"taste %d" % slot).digest()[:TASTE_BYTES] for slot in range(DEVICES)]
HASHES = [title_key(f"unheard-of-{title}") >> 23 for title in range(TITLES)]
"""Of titles that the catalog lacks: their references are long enough to be found in a file."""
REFERENCES = [form for title in HASHES for form in references_of(title)]


def rows_of(slot: int, context: int) -> tuple[Row, ...]:
    """Return what a household watches in a context."""
    titles = ((slot * 7 + step) % TITLES for step in range(4))
    return tuple(Row(HASHES[title], context, TODAY, 1000, TASTES[slot], hashed=True) for title in titles)


def test_no_page_holds_a_device_and_a_title(tmp_path: Path) -> None:
    path, log = tmp_path / "s.db", tmp_path / "s.db-wal"
    store = SqliteShardStore.open(path)
    store.enrol(IDS, NOW)

    async def play(shard: Shard) -> None:
        for version in range(1, 4):
            pushes = [a_push(version, *rows_of(slot, version)) for slot in range(DEVICES)]
            answers = await asyncio.gather(*(shard.sync(slot, push) for slot, push in enumerate(pushes)))
            assert all(isinstance(answer.receipt, Ack) for answer in answers)
        await shard.sync(5, a_push(4, retracted=rows_of(5, 1)))
        await shard.sync(6, replace(a_push(4), asks=TASTES[6]))
        check(in_log(log.read_bytes(), IDS, REFERENCES), log.read_bytes())
        store.backup(tmp_path / "backup.db")
        store.rest()
        assert log.stat().st_size == 0
        for file in (path, tmp_path / "backup.db"):
            check(in_pages(file.read_bytes(), IDS, REFERENCES), file.read_bytes())

    on_shard(store, play)
    check(in_pages(path.read_bytes(), IDS, REFERENCES), path.read_bytes())


def check(found: Found, held: bytes) -> None:
    """Fail where a page of a file says who watched what, or where the search itself finds nothing."""
    assert found.devices
    assert found.titles
    assert not found.links
    assert not any(taste in held for taste in TASTES)


def test_no_tag_can_be_worked_out_without_the_key(tmp_path: Path) -> None:
    store = SqliteShardStore.open(tmp_path / "s.db")
    store.enrol(IDS, NOW)

    async def play(shard: Shard) -> None:
        await asyncio.gather(*(shard.sync(slot, a_push(1, *rows_of(slot, 1))) for slot in range(DEVICES)))
        await shard.make_pull()  # which adds the journal up

    on_shard(store, play)
    connection = apsw.Connection(str(tmp_path / "s.db"))
    kept = {
        tags[at : at + 4] for (tags,) in connection.execute("SELECT tags FROM sums") for at in range(0, len(tags), 4)
    }
    connection.close()
    assert len(kept) > 200
    assert not kept & {tag for slot in range(DEVICES) for title in range(TITLES) for tag in plain_tags(slot, title)}


def plain_tags(slot: int, title: int) -> Iterator[bytes]:
    """Return what tags would be if whoever reads the file could work them out."""
    for order in ("big", "little"):
        for who in (slot.to_bytes(4, order), IDS[slot]):
            said = who + HASHES[title].to_bytes(5, order)
            for digest in (sha256(said).digest(), blake2b(said).digest(), keyless(said)):
                yield digest[:4]
                yield digest[3::-1]


def keyless(said: bytes) -> bytes:
    """Return the tag's own hash with no key."""
    return blake2b(said, digest_size=4, person=b"omega-household").digest()


def test_no_table_has_columns_for_both(tmp_path: Path) -> None:
    SqliteShardStore.open(tmp_path / "s.db").close()
    connection = apsw.Connection(str(tmp_path / "s.db"))
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = {name: columns(connection, name) for name in names}
    connection.close()
    of_device = "slot device_id counts_from incarnation version seen_day contributed retracted horizon mark_day"
    assert tables.pop("device") == {*of_device.split(), "mark_version"}
    of_titles = "key title day samples success_milli households theta tags since trends rank numbers good direction"
    assert [tables.pop(name) for name in ("maker", "code", "identity", "journal")] == [
        {"maker_id", "admitted"},
        {"digest", "uses", "ends_at"},
        {"shard_id", "key_mark"},
        {"id", "day", "samples", "told"},
    ]
    of_trials = "experiment arm day households watched chosen minutes watched_squares chosen_squares minutes_squares"
    assert tables.pop("trial") == set(of_trials.split()), "neither a device nor a title"
    assert set(tables) == {"sums", "shown", "bucket", "audience", "likeness", "due"}
    assert set().union(*tables.values()) == set(of_titles.split())
    assert not any(title.id.encode() in (tmp_path / "s.db").read_bytes() for title in CATALOG)


def columns(connection: apsw.Connection, table: str) -> set[str]:
    """Return a table's columns."""
    return {row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}
