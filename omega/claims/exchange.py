"""A claim about what one sync costs a household's line: all bytes of it, counted on the way."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from omega.claims.claim import Claims, Measured
from omega.claims.relay import Relay
from omega.claims.served import STORE_NAME, enrolled, served
from omega.compose import EXAMPLE_CATALOG_PATH, connect, extra_module, open_brain, open_syncer
from omega.core.catalog import Catalog
from omega.core.identity.device_key import DeviceKey
from omega.core.settings import EXAMPLE_CATALOG
from omega.core.shard_records import DAY_S, TAG_RANGE, TASTE_BYTES, Move, Sample, Tick
from omega.core.types import SLOTS, ViewingEvent, title_key
from omega.core.wire import (
    PUSH_LIMIT,
    REPLY_LIMIT,
    Ack,
    Header,
    Pull,
    Push,
    decode,
    encode,
    lineage_code,
    quantized,
    space_code,
    split,
    title_hash,
)
from omega.core.wire.samples import pushed
from omega.device.sync.entry import Entry, Passport
from omega.device.sync.memberships import Memberships
from omega.shard.pulls import MOST_SIMILAR, MOST_TRENDING
from omega.shards import SHARD_SPACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omega.claims.bench import Bench
    from omega.claims.relay import Carried
    from omega.core.settings import Settings
    from omega.core.types import Title
    from omega.device.brain import Brain
    from omega.device.sync.report import Report
    from omega.device.sync.runtime import Syncer

claims = Claims()
LIMIT_BYTES = 6_144
NEW = 100
"""Patterns that go up with each sync."""
ROUNDS = 3
_ALIKE, _ASKERS = 3, 3
_CROWD, _TOLD = 400, 300
"""Households that were there before, and how many titles they still enjoy; the rest of the catalog they took back."""
_PULL_S = 6.0
"""After so long a shard has made its pull anew."""
_ENROLMENT, _FIRST = 2, 3
"""Exchanges of a connection's beginning: the challenge and its answer; and with the first sync, which nobody counts."""


class Account(NamedTuple):
    """One exchange, as the client tells it and as it passed the relay."""

    sent: int
    received: int
    passed: int


class Talk(NamedTuple):
    """What one client did over its one connection."""

    carried: Carried
    accounts: list[Account]


class Passed(NamedTuple):
    """One HTTP exchange in a captured stream."""

    heads: int
    question: bytes
    answer: bytes

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return self.heads + len(self.question) + len(self.answer)


@claims.add(
    "sync-wire-bytes",
    what="all bytes of a sync on a kept connection, both ways, HTTP heads and token included: 100 new patterns up, "
    "the longest pull down, worst",
    target=LIMIT_BYTES - 1,
    unit="B",
    bound="at most",
    oracle="what the clients report plus the heads in the captured stream; every captured frame is decoded again",
)
def sync_wire_bytes(bench: Bench) -> Measured:
    """Let TVs, and devices that also ask for similar titles, sync with a shard process through a relay, over and over.

    TVs are at the shard's epoch of the catalog, where titles go by ordinal, or ahead of it, where they go by hash.
    """
    folder = Path(tempfile.mkdtemp(prefix="exchange", dir=bench.folder))
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    fill(folder / STORE_NAME, catalog, _TOLD)
    with served(folder, "--enrol", "open", "--catalog", EXAMPLE_CATALOG) as shard, Relay(shard.port) as relay:
        tvs = asyncio.run(_tvs_talk(bench, folder, relay, catalog))
        askers = asyncio.run(_askers_talk(relay, folder, catalog))
    kinds = {"by_ordinal": tvs[:_ALIKE], "by_hash": tvs[_ALIKE:], "asking": askers}
    counted = {kind: [one for talk in talks for one in _passed(talk)[_FIRST:]] for kind, talks in kinds.items()}
    everything = [one for passed in counted.values() for one in passed]
    worst = max(everything, key=lambda one: one.size_bytes)
    agrees = all(_agrees(talk) for talk in (*tvs, *askers)) and all(_is_full(one) for one in everything)
    details: dict[str, Any] = {f"{kind}_worst": max(p.size_bytes for p in passed) for kind, passed in counted.items()}
    details |= {
        "syncs": len(everything),
        "up_frame_worst": max(len(one.question) for one in everything),
        "down_frames_worst": max(len(one.answer) for one in everything),
        "heads_worst": max(one.heads for one in everything),
        "enrolment": max(sum(p.size_bytes for p in _passed(talk)[:_ENROLMENT]) for talk in tvs),
        "first_sync": max(_passed(talk)[_ENROLMENT].size_bytes for talk in tvs),
    }
    every_kind = len(everything) == (len(tvs) * (ROUNDS - 1) + len(askers))
    return Measured(worst.size_bytes, details, agrees=agrees and every_kind)


def fill(store: Path, catalog: Catalog, told: int) -> None:
    """Make a shard's store whose pull is as long as this catalog lets it be.

    Three households or more enjoy each of the first `told` titles; of each other one three took back what they said.
    """
    random = np.random.default_rng(3)
    today = int(time.time() // DAY_S)
    tastes = [random.bytes(TASTE_BYTES) for _ in range(_CROWD)]
    given: list[list[Sample]] = [[] for _ in range(_CROWD)]
    for title in range(len(catalog)):
        households = 3 + min(int(random.pareto(0.8)), _CROWD - 3) if title < told else 3
        slot, day = int(random.integers(SLOTS)), today - int(random.integers(3))
        for who in random.choice(_CROWD, households, replace=False).tolist():
            success, tag = quantized(int(random.integers(900, 1001))), int(random.integers(TAG_RANGE))
            given[who].append(Sample(title, slot, day, success, tag, tastes[who]))
    back = [[sample for sample in samples if sample.title >= told] for samples in given]
    opened = extra_module("omega_storage.shard_sqlite", "shard").SqliteShardStore.open(store)
    with closing(opened):
        enrolled(opened, _CROWD, today * DAY_S)
        opened.commit(Tick(today, [Move(who, 1, 0, 1, tuple(samples)) for who, samples in enumerate(given)]))
        opened.trending(1, len(catalog))  # shown before it is taken back: ticks between two reads count as one
        opened.commit(Tick(today, [Move(who, 1, 1, 2, (), tuple(samples)) for who, samples in enumerate(back)]))


async def _tvs_talk(bench: Bench, folder: Path, relay: Relay, catalog: Catalog) -> list[Talk]:
    """Let each TV watch and sync in turn, over and over; what several told changes the pull for the next round."""
    new = [_again(title) for title in catalog.titles[: ROUNDS * NEW]]
    Catalog.build([*catalog.titles, *new], catalog).write(folder / "newer.jsonl")
    plans = [(EXAMPLE_CATALOG, catalog.titles)] * _ALIKE + [(str(folder / "newer.jsonl"), new)]
    async with AsyncExitStack() as opened:
        tvs: list[tuple[Brain, Syncer]] = []
        for number, (named, _) in enumerate(plans):
            settings = _settings(bench, folder, f"tv{number}", relay.url, named)
            brain = opened.enter_context(closing(open_brain(settings)))
            tvs.append((brain, open_syncer(settings, brain)))
            opened.push_async_callback(tvs[-1][1].close)
        accounts: list[list[Account]] = [[] for _ in tvs]
        for turn in range(ROUNDS):
            for number, (brain, syncer) in enumerate(tvs):
                _watch(brain, plans[number][1][turn * NEW : (turn + 1) * NEW], turn)
                before = relay.connections[number].size_bytes if turn else 0
                report = await syncer.sync()
                passed = relay.connections[number].size_bytes - before
                accounts[number].append(_account(report, passed))
            bench.progress(turn + 1, ROUNDS, "syncing with a shard")
            await asyncio.sleep(_PULL_S if turn < ROUNDS - 1 else 0)
    return [Talk(carried, told) for carried, told in zip(relay.connections, accounts, strict=True)]


async def _askers_talk(relay: Relay, folder: Path, catalog: Catalog) -> list[Talk]:
    """Let devices enrol, and push 100 titles by hashes that the shard resolves while they ask for similar ones."""
    hashes = [title_hash(title_key(title.id)) for title in catalog]
    header = Header(space=space_code(SHARD_SPACE), lineage=lineage_code(catalog.lineage), epoch=catalog.epoch)
    talks = []
    for seed in range(_ASKERS):
        random = Random(seed)  # noqa: S311 -- data, no secret
        asks = random.randbytes(TASTE_BYTES)
        told = msgspec.structs.replace(
            pushed(random, hashes, NEW, hashed=True), header=header, base=0, step=1, known_pull=0, asks=asks
        )
        nothing = msgspec.structs.replace(told, step=0, contributed=(), asks=b"")
        memberships = Memberships(folder / f"asker-{seed}.json")
        passport = Passport(DeviceKey(secrets.token_bytes(32)), memberships)
        entry = Entry("shard-0", relay.url, passport, lambda url, token: connect(url, token=token))
        accounts: list[Account] = []
        for push in (nothing, told):
            before = relay.connections[-1].size_bytes if accounts else 0
            frame = encode(push)
            answer = await entry.exchange(frame)
            accounts.append(Account(len(frame), len(answer), relay.connections[-1].size_bytes - before))
        talks.append(Talk(relay.connections[-1], accounts))
        await entry.close()
    return talks


def _settings(bench: Bench, folder: Path, name: str, url: str, catalog: str) -> Settings:
    return msgspec.structs.replace(
        bench.settings,
        store=folder / name,
        embedder="static",
        model=None,
        catalog=catalog,
        shard_url=url,
        ca=None,
        time_zone="UTC",
    )


def _watch(brain: Brain, titles: Sequence[Title], seed: int) -> None:
    """Watch each title once, at some time of the last two weeks."""
    now, random = datetime.now(UTC), Random(seed)  # noqa: S311 -- data, no secret
    with brain.many():
        for title in titles:
            at = now - timedelta(hours=random.uniform(1, 14 * 24))
            brain.observe(ViewingEvent(content_id=title.id, watch_pct=round(random.betavariate(2, 1), 3), at=at))


def _again(title: Title) -> Title:
    return msgspec.structs.replace(title, id=f"{title.id}.again", title=f"{title.title}, again")


def _account(report: Report, passed: int) -> Account:
    """Return what the TV says; one that failed, or took more than one exchange, agrees with nothing."""
    whole = report.error is None and report.round_trips == 1 and report.pulled and report.contributed == NEW
    return Account(report.sent_bytes, report.received_bytes, passed) if whole else Account(0, 0, passed)


def messages(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give head and body of each HTTP message in one direction of a connection."""
    at = 0
    while at < len(stream):
        body_at = stream.index(b"\r\n\r\n", at) + 4
        head = stream[at:body_at]
        lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
        length = next(int(value) for name, _, value in lines if name == b"content-length")
        yield head, stream[body_at : body_at + length]
        at = body_at + length


def _passed(talk: Talk) -> list[Passed]:
    """Return the exchanges of a captured connection."""
    pairs = zip(messages(bytes(talk.carried.up)), messages(bytes(talk.carried.down)), strict=True)
    return [Passed(len(asked[0]) + len(told[0]), asked[1], told[1]) for asked, told in pairs]


def _agrees(talk: Talk) -> bool:
    """Say whether relay, client and captured stream tell the same of each exchange; the first holds enrolment too."""
    passed = _passed(talk)
    sums = [sum(one.size_bytes for one in passed[:_FIRST]), *(one.size_bytes for one in passed[_FIRST:])]
    frames = [(len(one.question), len(one.answer)) for one in passed[_ENROLMENT:]]
    told = [(account.sent, account.received) for account in talk.accounts]
    return frames == told and sums == [account.passed for account in talk.accounts]


def _is_full(one: Passed) -> bool:
    """Say whether the captured frames are a push of 100 patterns, its ack, and a pull that holds what one may."""
    push = decode(one.question, max_bytes=PUSH_LIMIT)
    ack, pull = (decode(frame, max_bytes=REPLY_LIMIT) for frame in split(one.answer, max_bytes=REPLY_LIMIT))
    return (
        isinstance(push, Push)
        and len(push.contributed) == NEW
        and isinstance(ack, Ack)
        and ack.version == push.version
        and isinstance(pull, Pull)
        and len(pull.trending) == MOST_TRENDING
        and len(pull.removed) > MOST_TRENDING
        and len(pull.similar) == (MOST_SIMILAR if push.asks else 0)
    )
