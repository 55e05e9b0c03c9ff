"""The doctor on TVs that are well and on TVs that are not: real stores, real damage; what it says to do is done."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from omega.compose import EXAMPLE_CATALOG_PATH, open_brain
from omega.core.catalog import Catalog
from omega.core.settings import resolve
from omega.core.types import ViewingEvent
from omega.doctor.examine import LOOKS, Check, examine
from omega_plugins.embedders import MODELS
from omega_storage.connection import apsw, connect, migrate
from omega_storage.device_sqlite import APPLICATION_ID
from omega_storage.sql import migrations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.settings import Resolved

NOW = datetime(2026, 3, 7, 20, 30, tzinfo=UTC)
TRIAL = ("start", "observe", "recommend", "search", "restart")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "small.jsonl"
    Catalog.build(Catalog.read(EXAMPLE_CATALOG_PATH).titles[:60]).write(path)
    return path


@pytest.fixture
def tv(tmp_path: Path, small: Path) -> Resolved:
    flags = {"home": tmp_path / "home", "embedder": "static", "catalog": str(small), "time_zone": "UTC"}
    return resolve(flags, {})


def examined(tv: Resolved, now: datetime = NOW) -> dict[str, Check]:
    """Return the checks by name; what holds of all checks is asserted."""
    checks = list(examine(tv, now=lambda: now))
    assert [check.name for check in checks] == [name for name, _, _ in LOOKS]
    for check in checks:
        assert check.found
        assert "\n" not in check.found
        assert check.advice or check.outcome in ("ok", "skip"), check
        assert "/copy/" not in check.found + (check.advice or ""), "it is said of the store, not of its copy"
    return {check.name: check for check in checks}


def outcomes(checks: dict[str, Check], outcome: str) -> list[str]:
    return [name for name, check in checks.items() if check.outcome == outcome]


def watch(tv: Resolved, titles: int = 12, at: datetime = NOW) -> None:
    """Let the household watch some of the catalog, one a day, the last at `at`."""
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH).titles
    with closing(open_brain(tv.settings, now=lambda: at)) as brain:
        for number, title in enumerate(catalog[:titles]):
            when = at - timedelta(days=titles - 1 - number)
            brain.observe(ViewingEvent(content_id=title.id, watch_pct=0.9, at=when))


def files(tv: Resolved) -> dict[str, bytes]:
    home = tv.settings.home
    return {str(file.relative_to(home)): file.read_bytes() for file in home.rglob("*") if file.is_file()}


def bent(path: Path, bend: Callable[[bytearray], None]) -> None:
    content = bytearray(path.read_bytes())
    bend(content)
    path.write_bytes(content)


def zero_the_first_page(content: bytearray) -> None:
    content[:4096] = bytes(4096)


def test_before_there_is_a_store_only_that_is_said_and_nothing_is_made(tv: Resolved, tmp_path: Path) -> None:
    checks = examined(tv)
    assert outcomes(checks, "fail") == []
    assert outcomes(checks, "warn") == ["store"]
    assert checks["store"].found == f"{tv.settings.store} holds no TV's store yet"
    assert "omega device init" in str(checks["store"].advice)
    assert outcomes(checks, "skip") == ["daemon", "content", "event times"]
    assert list(tmp_path.iterdir()) == []
    assert "embedder = static (flag --embedder)" in checks["settings"].found
    assert apsw.sqlite_lib_version() in checks["versions"].found
    assert checks["catalog"].found.startswith(f"{tv.settings.catalog}: 60 titles, epoch 1")
    assert checks["observe"].found.startswith("6 of 6 events kept")
    assert checks["search"].found.startswith("6 of 6 patterns found")
    assert "6 of 6 events, the same list as before" in checks["restart"].found


def test_a_tv_in_use_is_well_and_not_a_byte_of_it_changes(tv: Resolved) -> None:
    watch(tv)
    before = files(tv)
    assert len(before) == 2, "the store and the catalog's vectors"
    checks = examined(tv)
    assert outcomes(checks, "fail") + outcomes(checks, "warn") == []
    assert outcomes(checks, "skip") == ["daemon"]
    assert checks["content"].found.startswith("12 events, 12 patterns, 12 titles, 0 profiles; ")
    assert checks["event times"].found == "the newest event is of Sat 2026-03-07 20:30"
    assert checks["memory"].found.startswith("a process with a copy of the store: ")
    assert files(tv) == before


def test_what_a_killed_process_left_in_the_log_is_seen_and_stays_there(tv: Resolved, tmp_path: Path) -> None:
    watch(tv)
    store = tv.settings.store
    with closing(open_brain(tv.settings, now=lambda: NOW)) as brain:
        brain.observe(ViewingEvent(content_id=Catalog.read(EXAMPLE_CATALOG_PATH).titles[20].id, watch_pct=1.0))
        shutil.copytree(store, tmp_path / "killed")
    shutil.rmtree(store)
    shutil.copytree(tmp_path / "killed", store)
    assert (store / "store.db-wal").stat().st_size
    before = files(tv)
    checks = examined(tv)
    assert outcomes(checks, "fail") == []
    assert checks["content"].found.startswith("13 events, ")
    assert files(tv) == before


def test_a_damaged_store_is_told_with_what_the_next_start_saves(tv: Resolved) -> None:
    watch(tv, 60)
    file = tv.settings.store / "store.db"
    bent(file, zero_the_first_page)
    before = files(tv)
    checks = examined(tv)
    assert outcomes(checks, "fail") == ["store"]
    assert checks["store"].found.startswith("damaged: ")
    mark = {"tv/store.db.suspect": b""}
    assert files(tv) == before | mark, "nothing is written but that the next start is to look at every row"
    assert outcomes(checks, "skip") == ["daemon", "content", "event times"]
    assert [checks[name].outcome for name in TRIAL] == ["ok"] * 5, "the program itself is well"

    with closing(open_brain(tv.settings, now=lambda: NOW)) as brain:
        assert f"; {brain.status().events:,} events saved" in checks["store"].found
    later = examined(tv)
    assert outcomes(later, "fail") == []
    assert later["damaged copies"].outcome == "warn"
    assert "store.db.damaged-" in later["damaged copies"].found


def test_a_value_that_was_bent_is_found_by_its_checksum(tv: Resolved) -> None:
    watch(tv)
    with closing(connect(str(tv.settings.store / "store.db"))) as connection:
        connection.execute("UPDATE event SET watched_milli = 899 WHERE id = 3")
    checks = examined(tv)
    assert outcomes(checks, "fail") == ["store"]
    assert checks["store"].found.startswith("damaged: a row of event is damaged; ")
    assert "it rebuilds the store" in str(checks["store"].advice)
    with closing(open_brain(tv.settings, now=lambda: NOW)) as brain:
        assert f"; {brain.status().events:,} events saved" in checks["store"].found


def test_other_files_in_the_stores_place_are_named(tv: Resolved) -> None:
    tv.settings.store.mkdir(parents=True)
    file = tv.settings.store / "store.db"
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("CREATE TABLE film (name)")
    other = examined(tv)
    assert outcomes(other, "fail") == ["content"]
    assert f"{file} is the database of another program" in other["content"].found
    file.write_text("my diary\n" * 600)
    assert examined(tv)["store"].found.startswith(f"damaged: {file}: ")
    file.unlink()
    file.mkdir()
    assert "store.db: Is a directory" in examined(tv)["store"].found


def test_an_older_schema_is_told_and_left_as_it_is(tv: Resolved) -> None:
    path = tv.settings.store / "store.db"
    with closing(connect(str(path))) as connection:
        migrate(connection, migrations("device")[:1], APPLICATION_ID, str(path))
    before = files(tv)
    checks = examined(tv)
    assert f"schema 1, the next start makes it {len(migrations('device'))};" in checks["content"].found
    assert checks["content"].outcome == "ok"
    assert files(tv) == before


def test_a_file_of_more_air_than_data_is_to_be_consolidated(tv: Resolved) -> None:
    watch(tv)
    with closing(connect(str(tv.settings.store / "store.db"))) as connection:
        connection.execute("CREATE TABLE ballast (raw BLOB)")
        connection.execute("INSERT INTO ballast VALUES (zeroblob(9000000))")
        connection.execute("DROP TABLE ballast")
    checks = examined(tv)
    assert outcomes(checks, "warn") == ["content"]
    assert "omega device consolidate" in str(checks["content"].advice)
    with closing(open_brain(tv.settings, now=lambda: NOW)) as brain:
        brain.consolidate()
    assert examined(tv)["content"].outcome == "ok"


def test_a_clock_that_isnt_set_and_one_that_is_late(tv: Resolved) -> None:
    watch(tv)
    unset = examined(tv, datetime(1970, 1, 1, 0, 2, tzinfo=UTC))
    assert outcomes(unset, "fail") == []
    assert outcomes(unset, "warn") == ["clock", "event times"]
    assert unset["clock"].found.startswith("Thu 1970-01-01 00:02 UTC: it isn't set")
    assert outcomes(examined(tv, NOW - timedelta(days=1)), "warn") == []
    late = examined(tv, NOW - timedelta(days=3))
    assert outcomes(late, "warn") == ["event times"]
    assert "in the future" in late["event times"].found


def test_without_a_catalog_the_rest_is_looked_at(tv: Resolved, tmp_path: Path) -> None:
    lost = resolve({"home": tmp_path / "home", "embedder": "static", "catalog": str(tmp_path / "lost.jsonl")}, {})
    checks = examined(lost)
    assert outcomes(checks, "fail") == ["catalog"]
    assert "lost.jsonl can't be read: No such file" in checks["catalog"].found
    assert checks["embedding"].outcome == "ok"
    assert outcomes(checks, "skip")[-6:] == [*TRIAL, "memory"]
    assert checks["start"].found == "needs the catalog and the model"


def test_an_embedder_that_isnt_there(tv: Resolved, tmp_path: Path, small: Path) -> None:
    watch(tv)
    checks = examined(resolve({"home": tmp_path / "home", "embedder": "onxx", "catalog": str(small)}, {}))
    assert outcomes(checks, "fail") == ["model"]
    assert "embedder is 'onxx', allowed: onnx, static" in checks["model"].found
    assert checks["content"].outcome == "ok"
    assert outcomes(checks, "skip") == ["embedding", "daemon", *TRIAL, "memory"]


def test_a_model_folder_that_was_cut_short(tv: Resolved, tmp_path: Path, small: Path) -> None:
    shutil.copytree(MODELS / "minilm-static", tmp_path / "mine")
    with (tmp_path / "mine" / "table.npy").open("r+b") as file:
        file.truncate(1000)
    flags = {"home": tmp_path / "home", "embedder": "static", "model": tmp_path / "mine", "catalog": str(small)}
    checks = examined(resolve(flags, {}))
    assert outcomes(checks, "fail") == ["model"]
    assert "table.npy has 1000 B" in checks["model"].found
    assert "it was cut short" in checks["model"].found


def test_a_home_where_nothing_can_be_written(tmp_path: Path, small: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    flags = {"home": tmp_path / "file" / "home", "embedder": "static", "catalog": str(small)}
    checks = examined(resolve(flags, {}))
    assert outcomes(checks, "fail") == ["store's folder"]
    assert outcomes(checks, "warn") == ["home", "cache", "store"]
    assert f"{tmp_path}/file/home can't be written: {tmp_path}/file: Not a directory" in checks["home"].found
    assert [checks[name].outcome for name in TRIAL] == ["ok"] * 5, "the trial has a folder of its own"


def test_without_a_temporary_folder_there_is_no_trial(
    tv: Resolved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(tv)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    checks = examined(tv)
    assert outcomes(checks, "fail") == ["temporary folder"]
    assert "No such file or directory" in checks["temporary folder"].found
    assert outcomes(checks, "skip") == ["daemon", "store", "content", "event times", *TRIAL, "memory"]


def test_the_model_that_ships_and_what_it_does_to_a_store_of_another_space(tv: Resolved, small: Path) -> None:
    watch(tv)
    flags = {"home": tv.settings.home, "catalog": str(small)}
    checks = examined(resolve(flags, {}))
    assert outcomes(checks, "fail") == []
    assert checks["model"].found.startswith("onnx, 384 dimensions, space minilm-int4-")
    assert checks["content"].outcome == "warn"
    assert "space minilm-static-" in checks["content"].found
    assert "embeds all titles anew in minilm-int4-" in str(checks["content"].advice)
    lite = examined(resolve({**flags, "memory": "lite", "embedder": "onnx"}, {}))
    assert outcomes(lite, "fail") == ["memory"]
    assert "allowed 64 MiB (memory = lite)" in lite["memory"].found
    assert str(lite["memory"].advice).startswith("choose embedder = static")


def test_a_tv_of_little_memory_keeps_within_it(tv: Resolved) -> None:
    checks = examined(resolve({"home": tv.settings.home, "memory": "lite", "catalog": tv.settings.catalog}, {}))
    assert outcomes(checks, "fail") == []
    assert checks["model"].found.startswith("static, ")
    assert "allowed 64 MiB" in checks["memory"].found


def test_progress_tells_of_every_check(tv: Resolved) -> None:
    told: list[tuple[int, int, str]] = []
    checks = list(examine(tv, progress=lambda *step: told.append(step)))
    assert [what for _, total, what in told if total == len(LOOKS)] == [check.name for check in checks]
    assert {what for _, total, what in told if total != len(LOOKS)} == {"embedding the catalog"}
