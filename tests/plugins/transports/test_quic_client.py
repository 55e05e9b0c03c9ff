"""The QUIC client: first flights, tickets that are kept and lost, shared connections, and who is not there."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.claims.udp_relay import UdpRelay
from omega.core.errors import InputError, TransportError
from omega.core.ports import HEALTH, Reply
from omega.core.testing.transport_contract import TOKEN, ScriptedApp, always
from omega_plugins.transports.certificates import make
from omega_plugins.transports.http.server import tls
from omega_plugins.transports.quic import QuicTransport
from omega_plugins.transports.quic.address import Address, parsed
from omega_plugins.transports.quic.book import Book
from omega_plugins.transports.quic.failures import UnreachedError
from omega_plugins.transports.quic.fallback import FallbackClient
from omega_plugins.transports.quic.limits import Limits
from tests.plugins.transports import places
from tests.plugins.transports.quic_places import KEY, client, serving, until

if TYPE_CHECKING:
    from pathlib import Path

    from omega_plugins.transports.certificates import Certificates


def test_the_second_sync_leaves_with_the_first_flight(certificates: Certificates) -> None:
    async def ran() -> None:
        book = Book()
        async with serving(ScriptedApp(), certificates) as server, UdpRelay(server.port, 0.02) as relay:
            async with client(relay.port, certificates, book=book) as first:
                assert await first.exchange(b"ab") == b"ba"
                assert (first.met.connections, first.met.resumed, first.met.early) == (1, 0, 0)
            for _ in range(3):
                async with client(relay.port, certificates, book=book) as again:
                    assert await again.exchange(bytes(1024)) == bytes(1024)
                    assert sum(map(len, relay.first_flight())) > 1200 + 400
                    assert (again.met.connections, again.met.resumed, again.met.early) == (1, 1, 1)

    asyncio.run(ran())


@pytest.mark.parametrize(("frame", "reply", "fits"), [(195, 2_200, True), (1024, 3_900, True), (195, 5_120, False)])
def test_an_answer_needs_nothing_but_the_first_flight(
    certificates: Certificates,
    frame: int,
    reply: int,
    fits: bool,  # noqa: FBT001
) -> None:
    async def ran() -> None:
        book, app = Book(), ScriptedApp(always(Reply(200, bytes(reply))))
        async with serving(app, certificates) as server, UdpRelay(server.port) as relay:
            async with client(relay.port, certificates, book=book) as first:
                await first.exchange(b"x")
            relay.one_flight = True
            async with client(relay.port, certificates, book=book, timeout_s=30 if fits else 0.5) as again:
                if fits:
                    assert await again.exchange(bytes(frame)) == bytes(reply)
                else:
                    with pytest.raises(TransportError, match="no answer within"):
                        await again.exchange(bytes(frame))

    asyncio.run(ran())


def test_what_has_no_token_waits_for_the_handshake(certificates: Certificates, tmp_path: Path) -> None:
    async def ran() -> None:
        book, app = Book(), ScriptedApp()
        path = app.publish(tmp_path, b"content")
        async with serving(app, certificates) as server, UdpRelay(server.port) as relay:
            async with client(relay.port, certificates, book=book) as first:
                await first.exchange(b"ab")
            async with client(relay.port, certificates, book=book, token=str) as again:
                with pytest.raises(TransportError, match="401"):
                    await again.exchange(bytes(5000))
                assert (again.met.resumed, [len(data) for data in relay.first_flight()]) == (1, [1200])
            async with client(relay.port, certificates, book=book) as again:
                assert (await again.get(path, max_bytes=100)).data == b"content"
                assert (again.met.resumed, [len(data) for data in relay.first_flight()]) == (1, [1200])

    asyncio.run(ran())


def test_a_used_ticket_and_garbage_cost_no_answer(certificates: Certificates) -> None:
    async def ran() -> None:
        book, app = Book(), ScriptedApp()
        async with serving(app, certificates) as server:
            async with client(server.port, certificates, book=book) as first:
                await first.exchange(b"1")
                used = book.take(first._key)
                assert used
                book.keep(first._key, used)
            for ticket in (used.ticket, used.ticket, b"garbage", bytes(91)):
                async with client(server.port, certificates, book=book) as again:
                    book.keep(again._key, msgspec.structs.replace(used, ticket=ticket))
                    assert await again.exchange(b"ab" * 2000) == b"ba" * 2000
                    assert again.met.early == (len(app.seen) == 2)
        assert [len(frame) for _, frame in app.seen] == [1, 4000, 4000, 4000, 4000]

    asyncio.run(ran())


def test_a_server_that_began_anew_refuses_the_tickets_of_its_past_and_answers(certificates: Certificates) -> None:
    async def ran() -> None:
        book, port = Book(), 0
        for key in (KEY, KEY, os.urandom(32)):
            async with serving(ScriptedApp(), certificates, port=port, key=key) as server:
                port = server.port
                for turn in range(2):
                    async with client(port, certificates, book=book) as asking:
                        assert await asking.exchange(b"ab") == b"ba"
                        assert asking.met.early == turn

    asyncio.run(ran())


CHILD = """
import asyncio, sys
from pathlib import Path
from omega_plugins.transports.quic import QuicTransport

async def asked(url, ca, kept):
    async with QuicTransport.connect(url, token=lambda: "a-token", ca=Path(ca), kept=Path(kept)) as client:
        await client.exchange(b"ab")
        print(client.met.early)

asyncio.run(asked(*sys.argv[1:]))
"""


def test_a_ticket_serves_the_next_process(certificates: Certificates, tmp_path: Path) -> None:
    kept = tmp_path / "tv" / "tickets.json"

    async def ran() -> list[bytes]:
        async with serving(ScriptedApp(), certificates) as server:
            told = []
            for _ in range(3):
                arguments = [f"quic://127.0.0.1:{server.port}", str(certificates.ca), str(kept)]
                child = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", CHILD, *arguments, stdout=subprocess.PIPE
                )
                told.append((await child.communicate())[0])
                kept.chmod(0o644 if len(told) == 2 else 0o600)
            return told

    assert asyncio.run(ran()) == [b"0\n", b"1\n", b"0\n"], "what others may read is no secret, and not used"


def test_a_book_outlives_damage_and_never_grows(tmp_path: Path) -> None:
    path, now = tmp_path / "tickets.json", [1000.0]
    book = Book(path, lambda: now[0])
    for number in range(20):
        now[0] += 1
        book.block(f"quic://{number}", 100)
    assert len(Book(path)._pages) == 0
    other = Book(path, lambda: now[0])
    assert [other.is_blocked(f"quic://{number}") for number in (0, 11, 12, 19)] == [False, False, True, True]
    now[0] += 101
    assert not book.is_blocked("quic://19")
    path.write_text("{")
    assert book.take("quic://1") is None
    book.block("quic://1", 5)
    assert Book(path, lambda: now[0]).is_blocked("quic://1")
    assert not Book(tmp_path / "no" / "folder").is_blocked("x")


def test_questions_of_a_moment_share_a_connection_which_then_ends(certificates: Certificates) -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), certificates) as server, client(server.port, certificates) as asking:
            await asyncio.gather(*(asking.exchange(b"%d" % i) for i in range(20)))
            await asking.get(HEALTH, max_bytes=100)
            assert (asking.met.connections, server.connections) == (1, 1)
            await until(lambda: server.connections == 0)
            await asking.exchange(b"later")
            assert (asking.met.connections, asking.met.early) == (2, 1)

    asyncio.run(ran())


def test_a_shard_that_is_killed_is_found_again(certificates: Certificates) -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), certificates) as server:
            port = server.port
            asking = client(port, certificates)
            await asking.exchange(b"x")
            assert server._dispatcher
            for session in server._dispatcher.sessions:  # no word of farewell
                session.forget()
            server._dispatcher.sessions.clear()
        with pytest.raises(TransportError) as caught:
            await asking.exchange(b"x")
        assert not caught.value.permanent
        async with serving(ScriptedApp(), certificates, port=port):
            assert await asking.exchange(b"ab") == b"ba"
        await asking.close()

    asyncio.run(ran())


def test_a_port_where_nobody_listens_is_told_at_once(certificates: Certificates) -> None:
    async def ran() -> None:
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as gone:
            gone.bind(("127.0.0.1", 0))
            port = gone.getsockname()[1]
        async with client(port, certificates) as asking:
            with pytest.raises(UnreachedError, match=r"can't be reached .Connection refused.") as caught:
                await asking.exchange(b"x")
            assert not caught.value.permanent
        async with client(port, certificates, host="no.such.host.invalid") as asking:
            with pytest.raises(UnreachedError, match="has no address"):
                await asking.exchange(b"x")

    asyncio.run(ran())


@pytest.mark.parametrize("blocked", ["swallowed", "refused"])
def test_where_udp_is_blocked_https_answers_and_udp_is_left_alone_for_a_while(
    certificates: Certificates, blocked: str
) -> None:
    async def ran() -> None:
        app, now, book = ScriptedApp(), [1000.0], Book(now=lambda: now[0])
        context = tls(certificates.certificate, certificates.key)
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as hole:
            hole.bind(("127.0.0.1", 0))
            hole.settimeout(0)
            port = hole.getsockname()[1]
            if blocked == "refused":
                hole.close()
            async with places.serving(app, context=context) as (_, https):
                first = client(port, certificates, book=book, patience_s=0.3)
                second = places.client(https, certificates.ca)
                async with FallbackClient(first, second, book, "shard") as asking:
                    assert await asking.exchange(b"ab") == b"ba"
                    assert first.met.connections == 1
                    assert await asking.exchange(b"ab") == b"ba"
                    assert (await asking.get(HEALTH, max_bytes=100)).data
                    assert first.met.connections == 1
                    now[0] += 3601
                    assert await asking.exchange(b"ab") == b"ba"
                    assert first.met.connections == 2
            assert len(app.seen) == 3

    asyncio.run(ran())


def test_where_both_fail_udp_is_not_blamed_and_what_was_heard_is_not_asked_elsewhere(
    certificates: Certificates,
) -> None:
    async def ran() -> None:
        book = Book()
        full = ScriptedApp(always(Reply(503, b"full")))
        async with serving(full, certificates) as server, serving(ScriptedApp(), certificates) as other:
            heard = client(server.port, certificates, book=book)
            async with FallbackClient(heard, client(other.port, certificates), book, "shard") as asking:
                with pytest.raises(TransportError, match="503: full"):
                    await asking.exchange(b"x")
            port = other.port
        gone = client(port, certificates, book=book)
        async with FallbackClient(gone, places.client(1, certificates.ca), book, "shard") as asking:
            for _ in range(2):
                with pytest.raises(TransportError, match=r"https://127\.0\.0\.1:1 can't be reached"):
                    await asking.exchange(b"x")
            assert gone.met.connections == 2

    asyncio.run(ran())


def test_a_server_of_another_ca_or_name_is_refused_for_good_and_not_asked_by_https(
    certificates: Certificates, tmp_path: Path
) -> None:
    stranger = make(tmp_path / "stranger")
    elsewhere = make(tmp_path / "elsewhere", hosts=["elsewhere.example"])

    async def ran() -> None:
        app = ScriptedApp()
        async with serving(app, certificates) as server:
            url = f"quic://127.0.0.1:{server.port},https://127.0.0.1:1"
            for ca in (stranger.ca, None):
                async with QuicTransport.connect(url, token=lambda: TOKEN, ca=ca) as asking:
                    with pytest.raises(TransportError, match=r"the certificate of .* is refused") as caught:
                        await asking.exchange(b"x")
                    assert caught.value.permanent
        async with serving(app, elsewhere) as server, client(server.port, elsewhere) as asking:
            with pytest.raises(TransportError, match=r"is refused .* allowed: a valid one for 127\.0\.0\.1") as caught:
                await asking.exchange(b"x")
            assert caught.value.permanent
        assert app.seen == []

    asyncio.run(ran())


def test_a_ticket_that_one_ca_vouched_for_is_nothing_to_another(certificates: Certificates, tmp_path: Path) -> None:
    stranger = make(tmp_path / "stranger")

    async def ran() -> None:
        book = Book()
        async with serving(ScriptedApp(), certificates) as server:
            async with client(server.port, certificates, book=book) as ours:
                await ours.exchange(b"x")
            async with client(server.port, stranger, book=book) as theirs:
                with pytest.raises(TransportError, match="is refused"):
                    await theirs.exchange(b"x")

    asyncio.run(ran())


def test_a_full_server_says_so_at_once(certificates: Certificates) -> None:
    async def ran() -> None:
        async with (
            serving(ScriptedApp(), certificates, Limits(connections=1)) as server,
            client(server.port, certificates) as first,
            client(server.port, certificates) as second,
        ):
            await first.exchange(b"x")
            with pytest.raises(TransportError, match="is full: ask later") as caught:
                await second.exchange(b"x")
            assert caught.value.retry_after_s
            assert not isinstance(caught.value, UnreachedError)
            book = Book()
            context = tls(certificates.certificate, certificates.key)
            async with places.serving(ScriptedApp(), context=context) as (_, https):
                third = client(server.port, certificates, book=book)
                async with FallbackClient(third, places.client(https, certificates.ca), book, "shard") as asking:
                    assert await asking.exchange(b"ab") == b"ba"
                    assert not book.is_blocked("shard")
            await first.close()
            await until(lambda: server.connections == 0)
            assert await second.exchange(b"ab") == b"ba"

    asyncio.run(ran())


@pytest.mark.parametrize(
    "url",
    [
        "quic://",
        "quic://x:0",
        "quic://x:99999",
        "quic://x/path",
        "quic://me@x",
        "quic://x?y",
        "quic://x,",
        "quic://x,http://x",
        "quic://x,quic://y",
        "quic://x,https://y:99999",
        "quic://x,https://",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="allowed: "):
        QuicTransport.connect(url, token=str)


def test_an_address_is_taken_apart() -> None:
    assert parsed("QUIC://Shard.example") == Address("shard.example", 4433)
    both = parsed("quic://[::1]:9,https://h:8443/prefix")
    assert both == Address("::1", 9, "https://h:8443/prefix")
    assert both.origin == "quic://[::1]:9"


def test_a_ca_that_is_none_and_a_token_that_is_none_are_refused(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for ca in (tmp_path / "empty.pem", tmp_path / "none.pem"):
        with pytest.raises(InputError, match="allowed: a PEM file"):
            QuicTransport.connect("quic://x", token=str, ca=ca)

    async def ran() -> None:
        async with client(1, certificates, token=lambda: "a b") as asking:
            with pytest.raises(TransportError, match="enrol again"):
                await asking.exchange(b"x")

    asyncio.run(ran())
