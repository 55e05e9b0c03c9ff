"""What Prometheus reads: as many series as at the first scrape, and figures that are those of what happened."""

from __future__ import annotations

import math
import re
import time
from inspect import getsource
from random import Random
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as TheirHistogram
from prometheus_client.parser import text_string_to_metric_families

from omega.core.errors import StoreError, TransportError, WireCode
from omega.core.identity import admission, gate, tokens
from omega.core.wire import encode
from omega.shard.answers import Refusal
from omega.shard.recorder import LATENCIES_S, OTHER, Histogram, Recorder
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.managing import Managed, a_key, on_managed
from tests.shard.playing import EAGER, a_push, a_row

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.shard_records import Standing, Tick

TODAY = int(time.time()) // 86_400
DEVICES = 40
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Store(SqliteShardStore):
    """The real one, with a disk that can be full."""

    full = False

    def commit(self, tick: Tick) -> list[Standing]:
        if self.full:
            raise StoreError("the disk is full")
        return super().commit(tick)


async def scraped(managed: Managed) -> Series:
    """Return every series of a scrape but those of the process itself."""
    found = await managed.ask("/metrics", of=None, port="metrics")
    assert found.status == 200
    assert found.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(found.body.decode()))
    assert any(family.name == "process_cpu_seconds" for family in families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series[name, frozenset({"worker": "1", **labels}.items())]


def total(series: Series, name: str) -> float:
    return sum(one for (of, _), one in series.items() if of == name)


async def refused(managed: Managed, token: str, body: bytes) -> None:
    async with managed.client(token) as client:
        with pytest.raises(TransportError):
            await client.exchange(body)


async def good(managed: Managed, tokens: list[str]) -> tuple[int, int]:
    """Let everybody tell three rows; the first takes one back and has a gap. Return the bytes of frames."""
    told = encode(a_push(1, *(a_row(title, day=TODAY) for title in range(3))))
    frames = [(token, told) for token in tokens]
    frames += [(tokens[0], encode(a_push(2, retracted=(a_row(0, day=TODAY),)))), (tokens[0], encode(a_push(9)))]
    answers = []
    for token, frame in frames:
        async with managed.client(token) as client:
            answers.append(await client.exchange(frame))
    return sum(len(frame) for _, frame in frames), sum(map(len, answers))


async def bad(managed: Managed, store: Store, tokens: list[str]) -> None:
    """Be refused once for each of several reasons."""
    frame = encode(a_push(2))
    await refused(managed, "A" * 40, frame)
    await refused(managed, "x", frame)
    await refused(managed, tokens[1], b"garbage")
    await refused(managed, tokens[1], encode(a_push(2**50)))
    store.full = True
    await refused(managed, tokens[2], frame)
    store.full = False
    await refused(managed, "", b"{}")
    with pytest.raises(TransportError):
        await managed.admitted(DEVICES + 1)
    async with managed.client(tokens[0]) as client:
        await client.exchange(encode(a_push(9)))
    await refused(managed, tokens[0], frame)
    store.revoke(a_key(4).id)
    await refused(managed, tokens[3], frame)


def test_syncs_of_many_devices_and_refusals_add_no_series_and_all_are_counted(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db", max_devices=DEVICES)

    async def play(managed: Managed) -> None:
        first = await scraped(managed)
        assert len(first) > 100
        given = [await managed.admitted(number) for number in range(1, DEVICES + 1)]
        before = await scraped(managed)
        frames_in, frames_out = await good(managed, given)
        after = await scraped(managed)
        assert moved(after, before, "omega_received_bytes_total") == frames_in
        assert moved(after, before, "omega_sent_bytes_total") == frames_out
        assert value(after, "omega_contributed_rows_total") == 3 * DEVICES
        assert value(after, "omega_retracted_rows_total") == 1
        assert value(after, "omega_resyncs_total", reason="gap") == 1
        assert value(after, "omega_tick_syncs_sum") == DEVICES + 2
        assert value(after, "omega_tick_syncs_count") == value(after, "omega_commit_seconds_count") <= DEVICES + 2
        assert value(after, "omega_store_seconds_count") > value(after, "omega_commit_seconds_count")
        await bad(managed, store, given)
        last = await scraped(managed)
        assert last.keys() == after.keys() == before.keys() == first.keys()
        labels = {name for _, pairs in last for name, _ in pairs}
        assert labels == {"worker", "transport", "outcome", "reason", "le"}
        syncs = {"answered": DEVICES + 3, "malformed": 2, "denied": 3, "too-often": 1, "later": 1, "broken-off": 0}
        for outcome, count in syncs.items():
            assert value(last, "omega_syncs_total", transport="http", outcome=outcome) == count, outcome
        assert value(last, "omega_sync_seconds_count", transport="http") == sum(syncs.values())
        enrolments = {"admitted": DEVICES, "malformed": 1, "denied": 0, "later": 1, "broken-off": 0}
        for outcome, count in enrolments.items():
            assert value(last, "omega_enrolments_total", transport="http", outcome=outcome) == count, outcome
        assert value(last, "omega_challenges_total", transport="http") == DEVICES + 1
        reasons = "token-forged token-malformed frame-size frame-push shard-store shard-too-often shard-stranger"
        told = dict.fromkeys([*reasons.split(), "enrolment-full", "enrolment-malformed"], 1.0)
        found = {dict(pairs)["reason"]: n for (of, pairs), n in last.items() if of == "omega_refusals_total" and n}
        assert found == told
        assert value(last, "omega_waiting_syncs") == 0

    on_managed(Managed(store, tmp_path, service=replace(EAGER, pace=replace(EAGER.pace, burst=4))), play)


def moved(after: Series, before: Series, name: str) -> float:
    return total(after, name) - total(before, name)


def test_a_sync_that_is_broken_off_is_counted_as_such(tmp_path: Path) -> None:
    class Broken(Store):
        def commit(self, tick: Tick) -> list[Standing]:
            raise RuntimeError("a fault")

    async def play(managed: Managed) -> None:
        token = await managed.admitted(1)
        await refused(managed, token, encode(a_push(1, a_row(day=TODAY))))
        await managed.shard.drain()
        last = await scraped(managed)
        assert value(last, "omega_store_failing") == 1
        assert value(last, "omega_refusals_total", reason="shard-store") == 1
        assert value(last, "omega_commit_seconds_count") == 1, "a commit that fails takes time as well"

    on_managed(Managed(Broken.open(tmp_path / "s.db", max_devices=9), tmp_path), play)


def test_histograms_are_those_of_prometheus_own_client() -> None:
    random, ours = Random(5), Histogram(LATENCIES_S)
    theirs = TheirHistogram("x", "x", registry=CollectorRegistry(), buckets=(*LATENCIES_S, math.inf))
    for seconds in [*LATENCIES_S, 0.0, 1e9, *(random.lognormvariate(-4, 3) for _ in range(500))]:
        ours.observe(seconds)
        theirs.observe(seconds)
    [family] = theirs.collect()
    cumulated = [sample.value for sample in family.samples if sample.name == "x_bucket"]
    assert [sum(ours.counts[: place + 1]) for place in range(len(ours.counts))] == cumulated
    assert [sample.value for sample in family.samples if sample.name == "x_sum"] == [pytest.approx(ours.total)]


def test_every_reason_has_its_series_from_the_first() -> None:
    recorder = Recorder()
    assert recorder.refusals[OTHER] == 0
    sources = (("token", tokens), ("enrolment", gate), ("enrolment", admission))
    denied = {(stage, said) for stage, of in sources for said in re.findall(r'deny\([^)]*?"([\w-]+)"', getsource(of))}
    assert len(denied) > 12
    assert [one for one in denied if f"{one[0]}-{one[1]}" not in recorder.refusals] == []
    assert "enrolment-unvouched" in recorder.refusals
    assert {f"shard-{refusal}" for refusal in Refusal} | {f"frame-{c.name.lower()}" for c in WireCode} <= set(
        recorder.refusals
    )
    before = set(recorder.refusals)
    recorder.refuse("frame", "something new")
    assert recorder.refusals[OTHER] == 1
    assert set(recorder.refusals) == before
