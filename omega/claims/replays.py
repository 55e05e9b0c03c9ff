"""The claim that a first flight that somebody kept and sends again changes nothing."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omega.claims.claim import Claims, Measured
from omega.claims.http_echo import Echo
from omega.claims.quic import HOST, TOKEN, certified, client, module
from omega.claims.served import enrolled, served
from omega.claims.sync_cost import Job, Reply, is_acknowledged, made, opened, sent_sums, sums_of
from omega.compose import EXAMPLE_CATALOG_PATH, extra_module
from omega.core.catalog import Catalog
from omega.core.identity.keyring import KeyRing
from omega.core.identity.tokens import Tokens
from omega.core.settings import EXAMPLE_CATALOG
from omega.core.wire import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.claims.bench import Bench
    from omega.claims.served import Served
    from omega.core import ports
    from omega.core.wire import Push

claims = Claims()
_DEVICES = 4
_RESENT = 25
"""Of each flight: half while its connection lives, half once it is gone."""
_WAIT_S = 30.0
_ANSWER_S = 0.05
_CONTROLS = 5


class Found(NamedTuple):
    """What the resending told."""

    acknowledged: bool
    retried: bool
    """Whether each push that its own device sent again was acknowledged as the one that it is."""
    resent: int
    answered: int
    """How many of those that came after the end a server took up as new connections."""


@claims.add(
    "quic-replay",
    what="what a shard's sums are off, samples and thousandths, after first flights of four TVs, pushes in early data, "
    "were sent 100 times more from other ports, while their connections lived and once they were gone",
    target=0,
    unit="counts",
    bound="at most",
    oracle="the pushes, added up in plain Python; the same push from its own TV is acknowledged, not counted; "
    "aioquic's own server without single-use tickets must answer such a flight again, the door must not",
)
def replay(bench: Bench) -> Measured:
    """Let TVs push to a shard's process, send their flights again, and read the database."""
    folder = certified(bench)
    home = Path(tempfile.mkdtemp(prefix="replay", dir=bench.folder))
    now_s = int(time.time())
    with closing(opened(home)) as store:
        slots = enrolled(store, _DEVICES, now_s)
    pushes = made(Catalog.read(EXAMPLE_CATALOG_PATH), 2 * _DEVICES, _DEVICES)
    options = ("--catalog", EXAMPLE_CATALOG, "--cert", str(folder), "--quic-port", "0")
    with served(home, *options) as shard:
        tokens = Tokens(KeyRing.read(home / "home" / "shard" / "keys.json"), 0, lambda slot: now_s)
        given = [tokens.give(slot, time.time()) for slot in slots]
        found = asyncio.run(_played(shard, folder, given, pushes, bench))
    with closing(opened(home)) as store:
        held, expected = sums_of(store), Counter(sent_sums(pushes))
    off = sum(abs(held[key] - expected[key]) for key in held | expected)
    again = {which: asyncio.run(_asked_again(which, folder)) for which in ("door", "bare")}
    details = found._asdict() | {f"asked_again_{which}": count for which, count in again.items()}
    agrees = found.acknowledged and found.retried and found.answered > 0 and not again["door"] and again["bare"] > 0
    return Measured(off, details, agrees=agrees)


async def _played(shard: Served, folder: Path, tokens: Sequence[str], pushes: Sequence[Push], bench: Bench) -> Found:
    """Let each device push, push again in early data, and have that sent again by a stranger; then retry it."""
    acknowledged = retried = True
    answered = resent = 0
    relays = extra_module("omega.claims.udp_relay", "quic")
    async with relays.UdpRelay(shard.quic_port) as relay:
        for number, token in enumerate(tokens):
            book = module("book").Book()
            first, second = pushes[number], pushes[number + _DEVICES]
            async with client(relay.port, folder, book, token) as asking:
                acknowledged &= await _told(asking, first)
            async with client(relay.port, folder, book, token) as asking:
                acknowledged &= await _told(asking, second)
                acknowledged &= asking.met.early == 1
                flight = relay.first_flight()
                await _resend(flight, shard.quic_port, _RESENT // 2)
            answered += await _resend_to_a_stranger(flight, shard.quic_port, _RESENT - _RESENT // 2)
            resent += _RESENT
            async with client(relay.port, folder, book, token) as asking:
                retried &= await _told(asking, second)
            bench.progress(number + 1, len(tokens), "sending first flights again")
    return Found(acknowledged, retried, resent, answered)


async def _told(asking: Any, push: Push) -> bool:
    """Push, and say whether it was acknowledged."""
    frame = encode(push)
    return is_acknowledged(Job(frame, push.version), Reply(200, await asking.exchange(frame)))


async def _resend_to_a_stranger(flight: Sequence[bytes], port: int, times: int) -> int:
    """Send a flight until a server that has forgotten its connection takes it up, and then the other times."""
    until_s = time.monotonic() + _WAIT_S
    while not (answered := await _resend(flight, port, 1)):
        if time.monotonic() > until_s:
            return 0
    return answered + await _resend(flight, port, times - 1)


async def _resend(flight: Sequence[bytes], port: int, times: int) -> int:
    """Send a flight so many times, each from a port of its own, and return how many were answered."""
    answered = 0
    for _ in range(times):
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as stranger:
            stranger.setblocking(False)  # noqa: FBT003  (socket's own)
            stranger.connect((HOST, port))
            for data in flight:
                stranger.send(data)
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await asyncio.get_running_loop().sock_recv(stranger, 2048)
            except TimeoutError:
                continue
            answered += 1
    return answered


class _Counting(Echo):
    """An app that counts what it is asked."""

    asked = 0

    async def sync(self, _token: str, _body: bytes) -> ports.Reply:
        """Count, and answer."""
        self.asked += 1
        return await super().sync(_token, _body)


async def _asked_again(which: str, folder: Path) -> int:
    """Return how often a server in this process, our door or bare, answers a flight that it has answered before."""
    echo = extra_module("omega.claims.quic_echo", "quic")
    (bound,) = module("routing").bind(HOST, 0)
    port, book, app = bound.getsockname()[1], module("book").Book(), _Counting(echo.REPLY_BYTES)
    counting = echo.counting()
    if which == "bare":
        server = await echo.bare_server(folder, bound, counting, once=False)
        flight = await _flight(port, folder, book)
        before = counting.asked
        await _resend_to_a_stranger(flight, port, _CONTROLS)
        server.close()
        await asyncio.sleep(0)
        return int(counting.asked - before)
    pair = folder / "server.pem", folder / "server.key"
    async with module("server").QuicServer(app, bound, certificate=pair, ticket_key=bytes(32)):
        flight = await _flight(port, folder, book)
        before = app.asked
        await _resend_to_a_stranger(flight, port, _CONTROLS)
        return app.asked - before


async def _flight(port: int, folder: Path, book: Any) -> list[bytes]:
    """Return the first flight of a question in early data, which was answered."""
    relays = extra_module("omega.claims.udp_relay", "quic")
    async with relays.UdpRelay(port) as relay:
        for _ in range(2):
            async with client(relay.port, folder, book, TOKEN) as asking:
                await asking.exchange(b"x")
        flight: list[bytes] = relay.first_flight()
        return flight
