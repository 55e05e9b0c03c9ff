"""The plan's test_full_sync_cycle, section 4.2: real TVs, a real shard in a process of its own, real sockets."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest

from omega.compose import open_brain, open_catalog, sync_now
from omega.core.settings import resolve
from omega.core.shard_records import TASTE_NUMBERS
from omega.core.testing.fakes import Clock
from omega.core.testing.shard_contract import sums_of
from omega.core.types import DayType, TimeSlot, ViewContext, ViewingEvent, title_key
from omega.device.sync import link, trends
from omega.device.sync.session import Outcome
from omega.shard.aggregates import taste_vector
from omega.shards import make_certificates
from omega.shards import sums_of as told_by
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.serving import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from omega.core.settings import Settings
    from omega.device.brain import Brain

EVENTS = 50
EVENING = ViewContext(time=TimeSlot.EVENING, day=DayType.WEEKEND)
Sums: TypeAlias = "dict[tuple[int, int], tuple[int, int]]"
"""Samples and success by title and context."""


class Household:
    """A TV with a folder of its own."""

    def __init__(self, brain: Brain, settings: Settings, now: Callable[[], datetime]) -> None:
        self.brain, self.settings, self.now = brain, settings, now
        self._titles = open_catalog(settings).titles

    def watch(self, seed: int, events: int = EVENTS, among: int = 60) -> None:
        """Watch some of the first titles of a street's talk, most of them to the end, over two weeks."""
        talk, draw = Random(0).sample(self._titles, among), Random(seed)
        hours = sorted((draw.uniform(1, 14 * 24) for _ in range(events)), reverse=True)
        with self.brain.many():
            for ago in hours:
                at, title = self.now() - timedelta(hours=ago), draw.choice(talk)
                self.brain.observe(ViewingEvent(content_id=title.id, watch_pct=draw.uniform(0.5, 1), at=at))

    def heard(self) -> list[tuple[int, int]]:
        """Return the titles that the others enjoy, and how many households do."""
        return [(trend.title, trend.households) for trend in trends.read(self.brain._store).trending]

    def listed(self) -> list[str]:
        return [title.content_id for title in self.brain.recommend(EVENING)]

    def told(self) -> Counter[tuple[int, int, int]]:
        """Return how often each title, context and success was told to the shard, by the ledger."""
        shard, ordinals = "shard-0", {title_key(t.id): at for at, t in enumerate(self._titles)}
        at = link.read(self.brain._store, shard, 0)
        rows = [row for rows in self.brain._store.ledger.since(shard, at.incarnation, 0).values() for row in rows]
        assert not any(row.retracts for row in rows)
        assert not self.brain._store.ledger.waiting(shard, at.incarnation, 1)
        return Counter((ordinals[row.title_key], row.slot, row.success_milli) for row in rows)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path / "shard") as shard:
        yield shard


def household(opened: ExitStack, home: Path, name: str, url: str, **more: object) -> Household:
    flags = {"home": home, "store": home / name, "embedder": "static", "shard_url": url, **more}
    settings, clock = resolve(flags, {}).settings, Clock(datetime.now(UTC))
    return Household(opened.enter_context(closing(open_brain(settings, now=clock))), settings, clock)


def sums_of_ledgers(tvs: list[Household]) -> Sums:
    samples: Counter[tuple[int, int]] = Counter()
    success: Counter[tuple[int, int]] = Counter()
    for tv in tvs:
        for (title, slot, milli), times in tv.told().items():
            samples[title, slot] += times
            success[title, slot] += times * milli
    return {key: (samples[key], success[key]) for key in samples}


def sums_on_shard(shard: Served) -> Sums:
    """Return what the shard that has ended counted in each context; in all of them together it must be the same."""
    with closing(SqliteShardStore.open(shard.database)) as store:
        found = {key: (samples, success) for key, (samples, success, _) in sums_of(store).items()}
    by_context = {key: value for key, value in found.items() if key[1] < 8}
    everywhere: Counter[int] = Counter()
    for (title, _), (samples, _) in by_context.items():
        everywhere[title] += samples
    assert everywhere == {title: samples for (title, slot), (samples, _) in found.items() if slot == 8}
    return by_context


def test_full_sync_cycle(tmp_path: Path, served: Served) -> None:
    with ExitStack() as opened:
        tvs = [household(opened, tmp_path, f"tv{number}", served.url) for number in range(4)]
        fifth = household(opened, tmp_path, "tv4", served.url)
        for number, tv in enumerate(tvs):
            tv.watch(number)

        for tv in tvs[:2]:
            done = sync_now(tv.settings, tv.brain)
            assert (done.error, done.outcome, done.retracted) == (None, Outcome.COUNTED, 0)
            assert done.contributed == sum(tv.told().values()) > 0
        served.begin_anew()
        assert sync_now(fifth.settings, fifth.brain).pulled
        assert fifth.heard() == [], "two households are nobody's business"
        before = fifth.listed()

        for tv in tvs[2:]:
            assert sync_now(tv.settings, tv.brain).contributed > 0
        served.begin_anew()  # with the log of the last commits, which nobody put into the file
        again = [sync_now(tv.settings, tv.brain) for tv in tvs]
        assert [(done.error, done.contributed) for done in again] == [(None, 0)] * 4
        assert all(done.pulled and done.received_bytes > 0 for done in again)
        assert all(tv.heard() for tv in tvs)

        done = sync_now(fifth.settings, fifth.brain)
        assert done.pulled
        popular = fifth.heard()
        assert popular
        assert {households for _, households in popular} == {3}
        after = fifth.listed()
        assert after != before
        names = {tvs[0]._titles[title].id for title, _ in popular}
        assert len(names & set(after)) > len(names & set(before))

        fifth.watch(4, 5)
        assert sync_now(fifth.settings, fifth.brain).contributed > 0
        served.stop()
        everybody = sums_of_ledgers([*tvs, fifth])
        assert sums_on_shard(served) == everybody
        assert sum(samples for samples, _ in everybody.values()) == sum(sum(tv.told().values()) for tv in (*tvs, fifth))


def test_an_audience_is_the_sum_of_its_viewers_taste_codes(tmp_path: Path, served: Served) -> None:
    with ExitStack() as opened:
        tvs = [household(opened, tmp_path, f"tv{n}", served.url, embedder="onnx") for n in range(3)]
        expected = np.zeros(1 + TASTE_NUMBERS)
        codes = []
        for number, tv in enumerate(tvs):
            tv.watch(number, events=20)
            assert isinstance(tv.now, Clock)
            tv.now.advance(days=1)
            tv.brain.observe(ViewingEvent(content_id="heat-1995", watch_pct=1.0))
            [code] = {row.taste for row in tv.brain._store.ledger.waiting("shard-0", 1, 100)} - {b""}
            expected += (1, *taste_vector(code))
            waiting = tv.brain._store.ledger.waiting("shard-0", 1, 100)
            codes += [(1, *taste_vector(row.taste)) for row in waiting if row.taste]
            done = sync_now(tv.settings, tv.brain)
            assert (done.error, done.outcome) == (None, Outcome.COUNTED)
        catalog = open_catalog(tvs[0].settings)
    served.stop()
    with closing(SqliteShardStore.open(served.database)) as store:
        [found] = store.audiences([catalog.ordinals["heat-1995"]])
    assert np.allclose(found, expected, atol=1e-4)
    told = np.asarray(told_by(f"sqlite:///{served.database}", catalog).moments).reshape(1 + TASTE_NUMBERS, -1)
    assert np.allclose(told, np.asarray(codes).T @ np.asarray(codes), rtol=1e-5), "and how these vary is told"


def test_the_pull_follows_by_itself_and_a_sync_is_small(tmp_path: Path, served: Served) -> None:
    with ExitStack() as opened:
        tvs = [household(opened, tmp_path, f"tv{number}", served.url) for number in range(3)]
        for tv in tvs:
            tv.watch(1)
            done = sync_now(tv.settings, tv.brain)
            assert (done.error, done.round_trips) == (None, 1)
            assert 0 < done.sent_bytes < 1_024
            assert 0 < done.received_bytes < 5_120
        until = time.monotonic() + 20
        while not tvs[0].heard() and time.monotonic() < until:
            time.sleep(2)  # a TV may come five times at once
            assert sync_now(tvs[1].settings, tvs[1].brain).contributed == 0
            tvs[0], tvs[1], tvs[2] = tvs[1], tvs[2], tvs[0]
        assert any(tv.heard() for tv in tvs)


def test_nothing_is_lost_while_the_shard_is_gone(tmp_path: Path, served: Served) -> None:
    with ExitStack() as opened:
        tv = household(opened, tmp_path, "tv", served.url)
        tv.watch(1)
        served.kill()
        failed = sync_now(tv.settings, tv.brain)
        assert failed.error
        assert "can't be reached" in failed.error
        tv.watch(2, 20)
        served.start()
        done = sync_now(tv.settings, tv.brain)
        assert done.error is None
        assert done.contributed == sum(tv.told().values())
        served.stop()
        assert sums_on_shard(served) == sums_of_ledgers([tv])


def test_https_with_a_certificate_of_our_own_authority(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "pki")
    with Served(tmp_path / "shard", "--cert", str(tmp_path / "pki")) as shard, ExitStack() as opened:
        assert shard.url.startswith("https://")
        stranger = household(opened, tmp_path, "stranger", shard.url)
        refused = sync_now(stranger.settings, stranger.brain)
        assert refused.error
        assert "certificate" in refused.error
        tv = household(opened, tmp_path, "tv", shard.url, ca=made.ca)
        tv.watch(1)
        done = sync_now(tv.settings, tv.brain)
        assert (done.error, done.outcome) == (None, Outcome.COUNTED)
        assert done.contributed == sum(tv.told().values()) > 0
