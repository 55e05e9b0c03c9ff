"""A later epoch of the catalog on its way: published beside a shard that runs, fetched by a TV that runs, in use."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.compose import EXAMPLE_CATALOG_PATH, find_daemon, open_brain, open_syncer, sync_now
from omega.core.artifacts.keys import SigningKey
from omega.core.artifacts.manifest import LIMIT_BYTES, Kind, Manifest, digest, seal
from omega.core.artifacts.shelf import Shelf
from omega.core.catalog import Catalog
from omega.core.settings import resolve
from omega.core.testing.shard_contract import sums_of
from omega.core.types import ContentType, Title, ViewingEvent
from omega.device.sync.downloads import CHUNK_BYTES, Bounds
from omega.device.sync.session import Outcome
from omega.shard.shelves import LOOK_S
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.serving import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omega.core.settings import Settings
    from omega.device.brain import Brain
    from omega.device.sync.report import Report
    from tests.device.daemon.conftest import Start

EXAMPLE = Catalog.read(EXAMPLE_CATALOG_PATH)
MANIFEST_BYTES = 2_000


def a_title(number: int, words: str = "") -> Title:
    name = f"Brand New {number} {words}".strip()
    return Title(f"new-{number}", name, 2026, ContentType.MOVIE, ("drama", "crime"), 100, 12, 1.0)


def grown(catalog: Catalog, *titles: Title) -> Catalog:
    return Catalog.build((*catalog.titles, *titles), catalog)


SECOND = grown(EXAMPLE, a_title(1))
THIRD = grown(SECOND, a_title(2))


class Operator:
    """Who publishes: a key, and a shelf on which the catalog of every TV lies already."""

    def __init__(self, home: Path, first: Path = EXAMPLE_CATALOG_PATH) -> None:
        self.key, self.shelf = SigningKey.generate(), Shelf(home / "shelf")
        self.trust = self.key.write(home / "operator.key")
        self.options = ("--artifacts", str(self.shelf.folder), "--trust", str(self.trust))
        self.publish(first.read_bytes())

    def publish(self, data: bytes) -> Manifest:
        return self.shelf.publish(data, Kind.CATALOG, self.key, made_at=int(time.time()))

    def forge(self, data: bytes, *, key: SigningKey | None = None, **fields: object) -> list[Path]:
        """Put a manifest on the shelf that this product's own commands don't make, and its bytes."""
        key = key or self.key
        honest = Manifest(
            kind=Kind.CATALOG,
            name=EXAMPLE.lineage,
            version=9,
            sha256=digest(data),
            size_bytes=len(data),
            made_at=0,
            patches=(),
            key=key.id,
        )
        made = msgspec.structs.replace(honest, **fields)
        files = [self.shelf.folder / made.sha256, self.shelf.folder / made.file]
        for file, content in zip(files, (data, seal(made, key)), strict=True):
            file.write_bytes(content)
        return files


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


@pytest.fixture
def served(tmp_path: Path, operator: Operator) -> Iterator[Served]:
    with Served(tmp_path / "shard", *operator.options) as shard:
        yield shard


def a_tv(home: Path, url: str, trust: Path | None, **more: object) -> Settings:
    flags = {"home": home, "embedder": "static", "shard_url": url, "trust": trust, **more}
    return resolve(flags, {}).settings


def allowed(sync: Callable[[], Report], within_s: float = 60) -> Report:
    """Sync as soon as a TV may again, and return the report."""
    until = time.monotonic() + within_s
    while "too-often" in ((report := sync()).error or "") and time.monotonic() < until:
        time.sleep(2)
    return report


def synced_until(sync: Callable[[], Report], done: Callable[[], bool], within_s: float = 90) -> list[Report]:
    """Sync as often as a TV may until the shard has read its shelf; return the reports."""
    reports, until = list["Report"](), time.monotonic() + within_s
    while not done():
        assert time.monotonic() < until, reports
        time.sleep(2)
        reports.append(allowed(sync))
        assert reports[-1].error is None
    return reports


def listed(brain: Brain) -> set[str]:
    return {title.content_id for title in brain.recommend(k=900)}


def test_a_title_that_is_published_reaches_a_tv_by_a_patch_and_is_counted_by_its_ordinal(
    tmp_path: Path, operator: Operator, served: Served
) -> None:
    settings = a_tv(tmp_path, served.url, operator.trust)
    with closing(open_brain(settings)) as tv:
        first = sync_now(settings, tv)
        assert (first.error, first.fetched_bytes, len(first.artifacts)) == (None, 0, 1), "it has what it shipped with"
        made = operator.publish(SECOND.encode())
        began = time.monotonic()
        *_, last = synced_until(lambda: sync_now(settings, tv), lambda: tv.status().catalog_epoch == 2)
        patch = min(patch.size_bytes for patch in made.patches)
        sealed = len((operator.shelf.folder / made.file).read_bytes())
        print(f"patch {patch} B, manifest {sealed} B, whole {made.size_bytes} B; {last.took_ms:.0f} ms the sync;")
        print(f"{time.monotonic() - began:.1f} s after it was published")
        assert last.fetched_bytes == patch + sealed < MANIFEST_BYTES + 1_000
        assert last.fetch_error is None
        assert "new-1" in listed(tv)
        assert not tv.observe(ViewingEvent(content_id="new-1", watch_pct=1.0)).local
        counted = sync_now(settings, tv)
        assert (counted.outcome, counted.contributed, counted.fetched_bytes) == (Outcome.COUNTED, 1, 0)
    served.begin_anew()  # with the catalog of the first epoch, and the shelf
    with closing(open_brain(settings)) as tv:
        assert tv.status().catalog_epoch == 2
        assert tv.why("new-1").watched
        tv.observe(ViewingEvent(content_id="the-godfather-1972", watch_pct=1.0))
        again = sync_now(settings, tv)
        assert (again.outcome, again.contributed, again.fetched_bytes) == (Outcome.COUNTED, 1, 0)
    served.stop()
    with closing(SqliteShardStore.open(served.database)) as store:
        titles = {title for title, _ in sums_of(store)}
    assert titles == {800, EXAMPLE.ordinals["the-godfather-1972"]}
    served.start()


def test_a_tv_that_trusts_nobody_fetches_nothing(tmp_path: Path, operator: Operator, served: Served) -> None:
    operator.publish(SECOND.encode())
    settings = a_tv(tmp_path, served.url, None)
    with closing(open_brain(settings)) as tv:
        synced_until(lambda: sync_now(settings, tv), lambda: [file.version for file in tv.published("shard-0")] == [2])
        assert sync_now(settings, tv).fetched_bytes == 0
        assert tv.status().catalog_epoch == 1
    assert not (settings.store / "artifacts").exists()


def test_a_daemon_answers_while_it_takes_a_catalog(
    tmp_path: Path, served: Served, operator: Operator, start: Start
) -> None:
    settings = a_tv(tmp_path, served.url, operator.trust)
    start(settings.store, env={"OMEGA_SHARD_URL": served.url, "OMEGA_TRUST": str(operator.trust)})
    many = grown(EXAMPLE, *(a_title(number, Random(number).randbytes(8).hex()) for number in range(2_000)))
    waits_ms: list[float] = []
    taken = threading.Event()

    def ask() -> None:
        with find_daemon(settings) as client:  # type: ignore[union-attr]
            while not taken.is_set():
                began = time.perf_counter()
                assert len(client.recommend()) == 20
                waits_ms.append(1000 * (time.perf_counter() - began))
                time.sleep(0.005)

    asking = threading.Thread(target=ask)
    with find_daemon(settings) as client:  # type: ignore[union-attr]
        client.sync()
        asking.start()
        operator.publish(many.encode())
        reports = synced_until(client.sync, lambda: client.status().catalog_epoch == 2)
        taken.set()
        asking.join()
        assert client.why("new-7").recommendation.title == many.titles[807].title
        told = client.observe(ViewingEvent(content_id="new-7", watch_pct=1.0))
        assert not told.local
    waits_ms.sort()
    print(f"{reports[-1].fetched_bytes} B in {reports[-1].took_ms:.0f} ms; {len(waits_ms)} answers meanwhile,")
    print(f"the slowest in {waits_ms[-1]:.0f} ms")
    assert len(waits_ms) > 20
    assert waits_ms[-1] < 2_000


def test_what_is_broken_or_forged_is_passed_over_and_all_go_on(
    tmp_path: Path, operator: Operator, served: Served
) -> None:
    settings = a_tv(tmp_path, served.url, operator.trust)
    data, bad = THIRD.encode(), list[Path]()
    with closing(open_brain(settings)) as tv:
        operator.publish(SECOND.encode())
        synced_until(lambda: sync_now(settings, tv), lambda: tv.status().catalog_epoch == 2)
        foreign = Catalog.build([a_title(number) for number in range(5)])
        bad += operator.forge(data, key=SigningKey.generate())
        truncated = operator.forge(data + b"\n", version=10)
        truncated[0].write_bytes(data[:-500])
        changed = operator.forge(data + b"\n\n", version=11)
        changed[0].write_bytes(data[:-1] + b"?\n\n")
        bad += [*truncated, *changed]
        bad += operator.forge(data, version=12, sha256="ab" * 32, size_bytes=LIMIT_BYTES[Kind.CATALOG] + 1)
        operator.forge(EXAMPLE.encode() + b"\n", version=1)  # older than what is held
        bad += operator.forge(foreign.encode(), version=13, name=foreign.lineage)
        bad.append(operator.shelf.folder / f"{'0a' * 16}-14.json")
        bad[-1].write_bytes(b"{")
        time.sleep(2 * LOOK_S)
        tv.observe(ViewingEvent(content_id="heat-1995", watch_pct=1.0))
        done = allowed(lambda: sync_now(settings, tv))
        assert (done.error, done.fetch_error, done.contributed, done.fetched_bytes) == (None, None, 1, 0)
        assert (tv.status().catalog_epoch, "new-1" in listed(tv)) == (2, True)
        for file in bad:
            file.unlink(missing_ok=True)
        operator.publish(data)
        synced_until(lambda: sync_now(settings, tv), lambda: tv.status().catalog_epoch == 3)
        shutil.rmtree(operator.shelf.folder)
        time.sleep(LOOK_S + 1)
        assert allowed(lambda: sync_now(settings, tv)).error is None
    said = served.stop()
    for file in bad:
        assert said.count(f"{file.name} is passed over: ") == (file.suffix == ".json"), said
    for reason in ("signed by key", "as it says", "has sha256", "B, allowed: as it says", "has lineage", "of format 1"):
        assert reason in said
    assert said.count("is no folder of artifacts") == 1
    operator.shelf.folder.mkdir()
    served.start()


def test_a_fetch_that_was_cut_goes_on_after_a_restart(tmp_path: Path) -> None:
    small = Catalog.build([a_title(number) for number in range(-40, 0)])
    small.write(tmp_path / "catalog.jsonl")
    operator = Operator(tmp_path, tmp_path / "catalog.jsonl")
    large = grown(small, *(a_title(number, Random(number).randbytes(80).hex()) for number in range(3_000)))
    made = operator.publish(large.encode())
    patch = min(patch.size_bytes for patch in made.patches)
    sealed = len((operator.shelf.folder / made.file).read_bytes())
    assert patch > 3 * CHUNK_BYTES
    with Served(tmp_path / "shard", *operator.options, "--catalog", str(tmp_path / "catalog.jsonl")) as shard:
        settings = a_tv(tmp_path, shard.url, operator.trust, catalog=str(tmp_path / "catalog.jsonl"))

        async def cut(brain: Brain) -> Report:
            syncer = open_syncer(settings, brain)
            assert syncer._downloads
            syncer._downloads.bounds = Bounds(fetch_bytes=CHUNK_BYTES)
            try:
                return await syncer.sync()
            finally:
                await syncer.close()

        fetched = 0
        for _ in range(2):
            with closing(open_brain(settings)) as tv:
                report = asyncio.run(cut(tv))
                assert (report.error, report.fetch_error, tv.status().catalog_epoch) == (None, None, 1)
                fetched += report.fetched_bytes
            shard.begin_anew()
        with closing(open_brain(settings)) as tv:
            report = sync_now(settings, tv)
            assert (report.error, report.fetch_error, tv.status().catalog_epoch) == (None, None, 2)
            assert fetched + report.fetched_bytes == patch + 3 * sealed, "no byte of the patch came twice"
            print(f"{patch} B in three sessions, {report.took_ms:.0f} ms the last")
