"""A claim about what a sync costs a shard, with all that makes it right: token, ledger, sums, the wait for the disk."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.claims.exchange import fill
from omega.claims.http import cpu_s, echo_server
from omega.claims.served import STORE_NAME, enrolled, served
from omega.compose import EXAMPLE_CATALOG_PATH, extra_module
from omega.core.catalog import Catalog
from omega.core.identity.keyring import KeyRing
from omega.core.identity.tokens import Tokens
from omega.core.settings import EXAMPLE_CATALOG
from omega.core.shard_records import ALL_SLOTS, DAY_S, TASTE_BYTES, TASTE_SPACE
from omega.core.types import SLOTS
from omega.core.wire import (
    REPLY_LIMIT,
    Ack,
    Header,
    Push,
    Row,
    decode,
    encode,
    lineage_code,
    quantized,
    space_code,
    split,
)
from omega.core.wire.samples import DAY_ODDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omega.claims.bench import Bench
    from omega.claims.served import Served
    from omega.core.ports import ShardStore

claims = Claims()
ROUNDS = 3
MORE_ROUNDS = 15
"""Where the median of them counts."""
REQUESTS = 4_096
CONNECTIONS = 512
_SYNCS = 4
"""Of each device: the shard takes five at once."""
Sums: TypeAlias = "Counter[tuple[int, int, str]]"
"""Samples and success by title and context."""
Line: TypeAlias = "tuple[asyncio.StreamReader, asyncio.StreamWriter]"
Lines: TypeAlias = "list[Line]"


class Job(NamedTuple):
    """One sync, ready to be sent."""

    request: bytes
    version: int


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Found(NamedTuple):
    """What the rounds told."""

    replies: list[Reply]
    """The shard's, those of the first round, which isn't timed, included."""
    shard_s: list[float]
    """CPU time of the process in each round, and what it did between it and the next one."""
    echo_s: list[float]
    echo_bytes: int
    """How long the echo's answers are: as long as the shard's on average."""
    refused: bool


@claims.add(
    "http-overhead",
    what="server CPU of an authenticated, durable sync of 5 patterns, on SQLite, over a bare uvicorn echo of the same "
    "bytes",
    target=2.5,
    unit="times",
    bound="at most",
    oracle="uvicorn's own echo, round by round in turn; every ack names its version, the database's sums are those "
    "that were sent, to the integer; an altered token is refused",
)
def overhead(bench: Bench) -> Measured:
    """Let thousands of devices tell five patterns each time, as in an evening."""
    return _cost(bench, 5, ROUNDS)


@claims.add(
    "sync-cpu",
    what="server CPU of an authenticated, durable sync of 3 patterns, on SQLite, over a bare uvicorn echo of the same "
    "bytes",
    target=1.5,
    unit="times",
    bound="at most",
    oracle="as of http-overhead; `with_folds` is the ratio over all rounds, those in which sums are added up included",
    slow=True,
)
def sync_cpu(bench: Bench) -> Measured:
    """Let the same devices tell three patterns each time, and return the median round."""
    found = _cost(bench, 3, MORE_ROUNDS)
    ratios = [shard / echo for shard, echo in zip(found.details["shard_us"], found.details["bare_us"], strict=True)]
    return Measured(float(np.median(ratios)), {**found.details, "with_folds": found.value}, agrees=found.agrees)


def _cost(bench: Bench, patterns: int, rounds: int) -> Measured:
    """Let thousands of devices sync over kept connections with a shard process, and send the same to the echo.

    The CPU time is all that each process spent from the first round's start to the last one's end, pulls made anew and
    checkpoints between the rounds included.
    """
    folder = Path(tempfile.mkdtemp(prefix="cost", dir=bench.folder))
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    fill(folder / STORE_NAME, catalog, len(catalog))
    count = (rounds + 1) * REQUESTS
    with closing(opened(folder)) as store:
        now_s = int(time.time())
        slots = enrolled(store, -(-count // _SYNCS), now_s)
        before = sums_of(store)
    pushes = made(catalog, count, len(slots), patterns)
    with served(folder, "--catalog", EXAMPLE_CATALOG) as shard:
        tokens = Tokens(KeyRing.read(folder / "home" / "shard" / "keys.json"), 0, lambda slot: now_s)
        jobs = [_job(push, tokens, slots[number % len(slots)]) for number, push in enumerate(pushes)]
        found = asyncio.run(_compared(bench, jobs, shard))
    with closing(opened(folder)) as store:
        after = sums_of(store)
    acknowledged = all(is_acknowledged(job, reply) for job, reply in zip(jobs, found.replies, strict=True))
    alike = {key: total - before[key] for key, total in after.items() if total != before[key]} == sent_sums(pushes)
    per_round = [[1e6 * spent_s / REQUESTS for spent_s in of] for of in (found.shard_s, found.echo_s)]
    shard_us, echo_us = (sum(of) / rounds for of in per_round)
    details = {
        "sync_us": shard_us,
        "echo_us": echo_us,
        "shard_us": [round(us, 1) for us in per_round[0]],
        "bare_us": [round(us, 1) for us in per_round[1]],
        "syncs": len(jobs),
        "devices": len(slots),
        "connections": CONNECTIONS,
        "request_bytes": float(np.mean([len(job.request) for job in jobs])),
        "answer_bytes": float(np.mean([len(reply.body) for reply in found.replies[REQUESTS:]])),
        "echo_answer_bytes": found.echo_bytes,
        "every_version_acknowledged": acknowledged,
        "sums_equal": alike,
        "altered_token_refused": found.refused,
    }
    return Measured(shard_us / echo_us, details, agrees=acknowledged and alike and found.refused)


def made(catalog: Catalog, count: int, devices: int, patterns: int = 5) -> list[Push]:
    """Return so many pushes of so many samples of today; push n is of device n % devices, in the order of versions.

    Titles follow Zipf's law, contexts the odds of the wire's made-up traffic; each device has one taste code.
    """
    random = np.random.default_rng(5)
    today = int(time.time() // DAY_S)
    header = Header(space=space_code(TASTE_SPACE), lineage=lineage_code(catalog.lineage), epoch=catalog.epoch)
    odds = 1 / np.arange(1, len(catalog) + 1)
    watched = random.permutation(len(catalog))
    # So many of a Zipf's law without repetition: the first of an exponential race.
    drawn = [
        watched[np.argpartition(random.exponential(size=len(odds)) / odds, patterns)[:patterns]].tolist()
        for _ in range(count)
    ]
    slots = random.choice(SLOTS, (count, patterns), p=np.array(DAY_ODDS) / sum(DAY_ODDS)).tolist()
    shares = random.integers(1001, size=(count, patterns)).tolist()
    tastes = [random.bytes(TASTE_BYTES) for _ in range(devices)]
    return [
        Push(
            header=header,
            incarnation=1,
            base=number // devices,
            contributed=tuple(
                Row(drawn[number][i], slots[number][i], today, quantized(share), tastes[number % devices])
                for i, share in enumerate(shares[number])
            ),
        )
        for number in range(count)
    ]


def _job(push: Push, tokens: Tokens, slot: int) -> Job:
    frame, token = encode(push), tokens.give(slot, time.time())
    head = f"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(frame)}\r\n"
    return Job(f"{head}Authorization: Bearer {token}\r\n\r\n".encode() + frame, push.version)


async def _compared(bench: Bench, jobs: Sequence[Job], shard: Served) -> Found:
    """Send a first round to the shard alone, to learn how long answers are, and the others to both servers in turn."""
    async with _kept(shard.port) as to_shard:
        refused = await _refuses(to_shard, jobs[0])
        replies = await _asked(to_shard, jobs[:REQUESTS])
        echo_bytes = round(float(np.mean([len(reply.body) for reply in replies])))
        with echo_server("bare", echo_bytes) as (echo_pid, echo_port):
            async with _kept(echo_port) as to_echo:
                await _asked(to_echo, jobs[:REQUESTS])
                spent_s = [(cpu_s(shard.pid), cpu_s(echo_pid))]
                rounds = len(jobs) // REQUESTS - 1
                for turn in range(1, rounds + 1):
                    part = jobs[turn * REQUESTS : (turn + 1) * REQUESTS]
                    replies += await _asked(to_shard, part)
                    await _asked(to_echo, part)
                    spent_s.append((cpu_s(shard.pid), cpu_s(echo_pid)))
                    bench.progress(turn, rounds, "syncing thousands of devices")
    shard_s, echo_s = np.diff(spent_s, axis=0).T.tolist()
    return Found(replies, shard_s, echo_s, echo_bytes, refused)


@asynccontextmanager
async def _kept(port: int) -> AsyncIterator[Lines]:
    """Open all connections, and close them at the end."""
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
    try:
        yield lines
    finally:
        for _, writer in lines:
            writer.close()


async def _asked(lines: Lines, jobs: Sequence[Job]) -> list[Reply]:
    """Send all requests, one at a time over each connection, and return the replies in their order."""
    replies: list[Reply] = [Reply(0, b"")] * len(jobs)

    async def over(line: Line, first: int) -> None:
        for number in range(first, len(jobs), len(lines)):
            replies[number] = await _ask(line, jobs[number].request)

    await asyncio.gather(*(over(line, first) for first, line in enumerate(lines)))
    return replies


async def _ask(line: Line, request: bytes) -> Reply:
    reader, writer = line
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return Reply(int(head[9:12]), await reader.readexactly(length))


async def _refuses(lines: Lines, job: Job) -> bool:
    """Say whether the shard refuses the request with one character of its token changed."""
    at = job.request.index(b"\r\n\r\n") - 9
    other = b"A" if job.request[at : at + 1] != b"A" else b"B"
    reply = await _ask(lines[0], job.request[:at] + other + job.request[at + 1 :])
    return reply.status == 401


def is_acknowledged(job: Job, reply: Reply) -> bool:
    """Say whether the shard has counted what was pushed."""
    if reply.status != 200:
        return False
    frame, *_ = split(reply.body, max_bytes=REPLY_LIMIT)
    ack = decode(frame, max_bytes=REPLY_LIMIT)
    return isinstance(ack, Ack) and ack.version == job.version


def sent_sums(pushes: Sequence[Push]) -> Sums:
    """Return what all pushes add up to, in each context and in all of them."""
    sums: Sums = Counter()
    for push in pushes:
        for row in push.contributed:
            for slot in (row.slot, ALL_SLOTS):
                sums[row.title, slot, "samples"] += 1
                sums[row.title, slot, "success"] += row.success
    return +sums


def sums_of(store: ShardStore) -> Sums:
    """Return what a store holds."""
    sums: Sums = Counter()
    for row in store.aggregates():
        sums[row.title, row.slot, "samples"] = row.now.samples
        sums[row.title, row.slot, "success"] = row.now.success_milli
    return sums


def opened(folder: Path) -> ShardStore:
    """Return the store of a shard that was served in a folder."""
    store: ShardStore = extra_module("omega_storage.shard_sqlite", "shard").SqliteShardStore.open(folder / STORE_NAME)
    return store
