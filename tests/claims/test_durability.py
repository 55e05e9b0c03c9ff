"""The worst, a few times over; and that the checks see an event that is lost, invented, or not added up."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.claims import durability
from omega.claims.bench import Bench
from omega.claims.claim import run
from omega.claims.durability import after_cuts, check, kills, recorded_watching, settings_of
from omega.claims.every import claims
from omega.claims.power import Disk, Recording, Step, cuts, recorded
from omega.claims.traces import found_in
from omega.claims.writer import event, opened
from omega.compose import STORE_FILE, open_catalog
from omega.core.settings import resolve
from omega.core.testing.contracts import DIMENSIONS, random_units
from omega.core.testing.watching import CONTEXTS, SPACE, a_title, a_watch, tell
from omega_storage.connection import apsw, connect
from omega_storage.device_sqlite import SqliteDeviceStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega.core.settings import Settings


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = resolve({"home": tmp_path_factory.mktemp("home")}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as made:
        yield made


@pytest.fixture(scope="module")
def ids(bench: Bench) -> list[str]:
    return [title.id for title in open_catalog(settings_of(bench, "any"))]


@pytest.fixture(scope="module")
def watched(bench: Bench, ids: list[str]) -> tuple[Settings, Recording]:
    """What is written while 60 titles are watched, the store is opened twice and compacted."""
    settings = settings_of(bench, "unplugged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durability, "_REOPEN", 40)
        patch.setattr(durability, "_COMPACT", 10)
        return settings, recorded_watching(settings, ids, 60)


def test_killed_processes_lose_nothing(bench: Bench, ids: list[str]) -> None:
    rounds = kills(settings_of(bench, "killed"), ids, 4)
    assert [found for found in rounds if not found.good] == []
    acknowledged = [found.acknowledged for found in rounds]
    assert acknowledged == sorted(set(acknowledged))


def test_power_cuts_lose_nothing_on_a_disk_that_syncs(watched: tuple[Settings, Recording], ids: list[str]) -> None:
    settings, recording = watched
    found = after_cuts(recording, settings, ids, 40)
    assert [check for check in found if not check.good] == []
    assert len({check.acknowledged for check in found}) > 10
    assert {step.kind for step in recording.steps} == {"create", "write", "truncate", "sync", "delete", "acknowledged"}


def test_power_cuts_do_harm_on_a_disk_that_ignores_syncs(watched: tuple[Settings, Recording], ids: list[str]) -> None:
    settings, recording = watched
    found = after_cuts(recording, settings, ids, 20, honest=False)
    assert sum(check.lost for check in found) > 20
    assert any(check.wrong for check in found)


@pytest.mark.parametrize(("synchronous", "loses"), [("FULL", False), ("NORMAL", True)])
def test_only_full_synchronization_keeps_the_last_events(tmp_path: Path, synchronous: str, *, loses: bool) -> None:
    with recorded() as recording, closing(SqliteDeviceStore.open(tmp_path / "d.db", dimensions=DIMENSIONS)) as store:
        store._connection.execute(f"PRAGMA synchronous = {synchronous}")
        store.bind(SPACE, CONTEXTS)
        for i in range(60):
            tell(store, a_watch(f"t{i}", at=i))
            recording.acknowledge(i + 1)
    lost = 0
    for turn, (acknowledged, files) in enumerate(cuts(recording.steps, {"d.db": b""}, 30, np.random.default_rng(1))):
        folder = tmp_path / str(turn)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        with closing(SqliteDeviceStore.open(folder / "d.db", dimensions=DIMENSIONS)) as store:
            store.bind(SPACE, CONTEXTS)
            stored = store.event_count()
            assert store.pattern_count() == stored == len(store.search(random_units(1)[0], 999))
            assert stored <= acknowledged + 1
            lost += max(0, acknowledged - stored)
    assert (lost > 0) is loses


def test_the_check_sees_what_is_lost_invented_or_wrong(bench: Bench, ids: list[str]) -> None:
    settings = settings_of(bench, "checked")
    with closing(opened(settings)) as brain:
        for number in range(10):
            brain.observe(event(number, ids))
    assert check(settings, ids, 10) == check(settings, ids, 9)._replace(acknowledged=10)
    assert check(settings, ids, 10).good
    assert check(settings, ids, 12).lost == 2
    assert check(settings, ids, 7).invented == 2
    with closing(connect(str(settings.store / STORE_FILE))) as connection:
        connection.execute(
            "UPDATE pattern SET sample_count = sample_count + 1 WHERE id = (SELECT min(id) FROM pattern)"
        )
    assert check(settings, ids, 10).wrong == "patterns are not the sums of the events"
    with closing(connect(str(settings.store / STORE_FILE))) as connection:
        connection.execute(
            "UPDATE pattern SET sample_count = sample_count - 1 WHERE id = (SELECT min(id) FROM pattern)"
        )
        connection.execute("DELETE FROM title_vector WHERE id = (SELECT min(id) FROM title)")
    assert "allowed: one of the 9 rows" in (check(settings, ids, 10).wrong or "")
    (settings.store / STORE_FILE).write_bytes(b"x" * 9_000)
    assert check(settings, ids, 10)._replace(wrong=None) == (10, 10, 0, None)


def test_a_claim_about_kills_counts_what_was_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durability, "KILLS", 2)
    (result,) = run(claims.chosen(["kill-durability"], slow=True), bench)
    assert result.held is True
    assert result.details["kills"] == 2
    assert result.details["events"] > 1


def test_a_claim_about_power_cuts_needs_its_oracle_to_fail(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durability, "EVENTS", 20)
    monkeypatch.setattr(durability, "CUTS", 30)
    (result,) = run(claims.chosen(["power-loss"], slow=True), bench)
    assert (result.measured, result.held) == (1, True)
    assert result.details["lost_by_a_disk_that_ignores_syncs"] > 0


class Always:
    """A generator that keeps everything, or nothing, whatever it is asked."""

    def __init__(self, kept: float) -> None:
        self._kept = kept

    def random(self) -> float:
        return 0.5

    def choice(self, given: tuple[float, ...]) -> float:
        return self._kept if len(given) > 2 else given[0]


def left(disk: Disk, kept: float) -> dict[str, bytes]:
    return disk.after_cut(Always(kept))  # type: ignore[arg-type]


def test_a_disk_keeps_what_was_synced_and_perhaps_what_came_after() -> None:
    disk = Disk({"a": b"old"})
    disk.take(Step("write", "a", 1, b"NEW"))
    assert (left(disk, 0), left(disk, 1)) == ({"a": b"old"}, {"a": b"oNEW"})
    disk.take(Step("sync", "a"))
    disk.take(Step("truncate", "a", 2))
    assert (left(disk, 0), left(disk, 1)) == ({"a": b"oNEW"}, {"a": b"oN"})
    disk.take(Step("write", "a", 5, b"z"))
    assert left(disk, 1) == {"a": b"oN\0\0\0z"}


def test_a_name_is_sure_once_its_file_was_synced() -> None:
    disk = Disk({"a": b""})
    disk.take(Step("create", "a-wal"))
    disk.take(Step("write", "a-wal", 0, b"log"))
    assert (left(disk, 0), left(disk, 1)) == ({"a": b""}, {"a": b"", "a-wal": b"log"})
    disk.take(Step("sync", "a-wal"))
    disk.take(Step("delete", "a-wal"))
    assert (left(disk, 0), left(disk, 1)) == ({"a": b"", "a-wal": b"log"}, {"a": b""})
    disk.take(Step("create", "b"))
    disk.take(Step("sync", "b"))
    assert left(disk, 0) == {"a": b"", "b": b""}


def test_a_write_may_be_torn_between_sectors() -> None:
    disk = Disk({"a": b""})
    disk.take(Step("write", "a", 500, b"x" * 1_000))
    random = np.random.default_rng(0)
    sizes = {len(disk.after_cut(random)["a"]) for _ in range(200)}
    assert sizes == {0, 512, 1024, 1500}


def test_a_recording_ends_with_its_block(tmp_path: Path) -> None:
    with recorded() as recording, closing(connect(str(tmp_path / "d.db"))) as connection:
        connection.execute("CREATE TABLE t (x)")
    steps = len(recording.steps)
    assert steps > 5
    assert apsw.vfs_names()[0] != "omega-power"
    with closing(connect(str(tmp_path / "d.db"))) as connection:
        assert connection.execute("SELECT count(*) FROM t").get == 0
        connection.execute("INSERT INTO t VALUES (1)")
    assert len(recording.steps) == steps


def test_traces_are_found_in_every_file_and_logs(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "store.db-wal").write_bytes(b"..needle..needle")
    (tmp_path / "sub" / "b").write_bytes(b"needneedle" + b"\x00\x01\x02\x03")
    assert found_in(tmp_path, [b"needle", b"\x01\x02", b"absent"]) == [
        (tmp_path / "store.db-wal", 2, b"needle"),
        (tmp_path / "store.db-wal", 10, b"needle"),
        (tmp_path / "sub" / "b", 4, b"needle"),
        (tmp_path / "sub" / "b", 11, b"\x01\x02"),
    ]


def test_nothing_of_a_deleted_row_is_left_after_compaction(tmp_path: Path) -> None:
    """Checkpoints alone leave copies in pages that were rebalanced; VACUUM and an emptied log leave none."""
    vectors = random_units(1500)
    names = [f"secret-title-{i:05}" for i in range(len(vectors))]
    with closing(SqliteDeviceStore.open(tmp_path / "d.db", dimensions=DIMENSIONS)) as store:
        connection = store._connection
        connection.execute("PRAGMA synchronous = OFF")
        store.bind(SPACE, CONTEXTS)
        ids = [
            store.record(a_watch(name, at=i, slot=i % 8), a_title(name), vector, local=True, day=None).pattern.id
            for i, (name, vector) in enumerate(zip(names, vectors, strict=True))
        ]
        gone = range(3, len(names), 10)
        needles = [names[i].encode() for i in gone]
        needles += [vectors[i][4:8].tobytes() for i in gone]
        needles += [ids[i].to_bytes(8, order) for i in gone for order in ("little", "big")]
        assert len({needle for _, _, needle in found_in(tmp_path, needles)}) > 0.7 * len(needles)
        connection.execute("BEGIN")
        titles = [connection.execute("SELECT id FROM title WHERE content_id = ?", (names[i],)).get for i in gone]
        for table, column in (("event", "title_id"), ("pattern", "title_id"), ("watched", "title_id"), ("title", "id")):
            sql = f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608
            connection.executemany(sql, [(title,) for title in titles])
        store._vectors.remove(titles)
        connection.execute("COMMIT")
        assert found_in(tmp_path, needles)
        store.compact()
        assert found_in(tmp_path, needles) == []
